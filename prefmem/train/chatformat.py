"""The files that hold training examples of an extractor, written and read in three formats.

All are JSON lines that LLaMA-Factory reads too, by the `dataset_info.json` that is written beside
them; of its own files JSON arrays are read as well.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, Field, ValidationError

from prefmem.errors import InputError
from prefmem.extract.parse import MAX_ITEMS, AnswerItem
from prefmem.extract.prompts import SYSTEM, PromptName
from prefmem.train.chatdata import ChatExample

DataFormat: TypeAlias = Literal["chat", "llama-factory", "sharegpt"]

_INFO = "dataset_info.json"
_GAP = re.compile(r"[\s,]*")


class _Columns(BaseModel):
    prompt: str = "instruction"
    query: str = "input"
    response: str = "output"
    history: str = "history"
    messages: str = "conversations"
    system: str = "system"


class _Tags(BaseModel):
    role_tag: str = "from"
    content_tag: str = "value"
    user_tag: str = "human"
    assistant_tag: str = "gpt"
    system_tag: str = "system"


class _Layout(BaseModel):
    """How LLaMA-Factory describes a file; the defaults are its own, but for `system`."""

    file_name: str = ""
    formatting: Literal["alpaca", "sharegpt"] = "alpaca"
    columns: _Columns = _Columns()
    tags: _Tags = _Tags()


class _Answer(BaseModel):
    preferences: tuple[AnswerItem, ...] = Field(max_length=MAX_ITEMS)


_LAYOUTS: dict[DataFormat, _Layout] = {
    "chat": _Layout(
        formatting="sharegpt",
        columns=_Columns(messages="messages"),
        tags=_Tags(
            role_tag="role", content_tag="content", user_tag="user", assistant_tag="assistant",
            system_tag="system",
        ),
    ),
    "llama-factory": _Layout(
        formatting="alpaca",
        columns=_Columns(prompt="instruction", query="input", response="output", system="system"),
    ),
    "sharegpt": _Layout(
        formatting="sharegpt",
        columns=_Columns(messages="conversations", system="system"),
        tags=_Tags(role_tag="from", content_tag="value", user_tag="human", assistant_tag="gpt"),
    ),
}  # fmt: skip


def write_examples(
    out: Path, splits: Mapping[str, Sequence[ChatExample]], *, form: DataFormat
) -> None:
    """Write examples as `NAME.jsonl`, and enter them in `dataset_info.json` as `prefmem_NAME`.

    Args:
        out: Folder, made if need be.
        splits: Examples by name.
        form: `chat` has `messages` with `role` and `content`; `llama-factory` is the alpaca format
            (`instruction`, `input`, `output`, `system`); `sharegpt` has `conversations` with `from`
            and `value`.

    Raises:
        InputError: There is a `dataset_info.json` that cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    info = _entries(out / _INFO)
    for name, examples in splits.items():
        with (out / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            for example in examples:
                file.write(json.dumps(_record(example, form), ensure_ascii=False) + "\n")
        layout = _LAYOUTS[form].model_copy(update={"file_name": f"{name}.jsonl"})
        info[f"prefmem_{name}"] = layout.model_dump(exclude_unset=True)
    (out / _INFO).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")


def _record(example: ChatExample, form: DataFormat) -> dict[str, Any]:
    columns, tags = _LAYOUTS[form].columns, _LAYOUTS[form].tags
    if form == "llama-factory":
        return {
            columns.prompt: example.user, columns.query: "", columns.response: example.answer,
            columns.system: example.system,
        }  # fmt: skip
    said = [(tags.user_tag, example.user), (tags.assistant_tag, example.answer)]
    if form == "chat":
        said.insert(0, (tags.system_tag, example.system))
    messages = [{tags.role_tag: who, tags.content_tag: text} for who, text in said]
    record: dict[str, Any] = {columns.messages: messages}
    return record if form == "chat" else {**record, columns.system: example.system}


def read_examples(path: Path, *, prompt: PromptName = "training") -> tuple[ChatExample, ...]:
    """Read examples in any of the three formats, as JSON lines or as one JSON array.

    A `dataset_info.json` beside the file that names it says which columns and tags it has;
    otherwise the usual ones are looked for, record by record. An alpaca record that has an input
    but no system message has its instruction there. The answer is the PreferenceList JSON.

    Args:
        path: The file, UTF-8.
        prompt: Gives the system message of a record without one.

    Raises:
        InputError: The file cannot be read, is empty, or a record is broken; the message names the
            file and the line.
    """
    described = _described(path)
    examples: list[ChatExample] = []
    line = 1
    try:
        for line, source in _records(path):  # noqa: B007  # named in the errors
            examples.append(_example(json.loads(source), described, prompt))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {line + error.lineno - 1}: no JSON ({error.msg})") from None
    except (InputError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not examples:
        raise InputError(f"{path} holds no examples; prefmem train extractor-data writes some")
    return tuple(examples)


def _described(path: Path) -> _Layout | None:
    """Look a file up in the `dataset_info.json` beside it."""
    info = path.with_name(_INFO)
    found = [e for e in _entries(info).values() if e.get("file_name") == path.name]
    try:
        return _Layout.model_validate(found[0]) if found else None
    except ValidationError:
        raise InputError(f"{info} describes {path.name!r} in a way that is not known") from None


def _entries(info: Path) -> dict[str, dict[str, Any]]:
    """Read a `dataset_info.json`; nothing where there is none."""
    try:
        entries: dict[str, Any] = json.loads(info.read_bytes()) if info.exists() else {}
        return {name: dict(entry) for name, entry in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{info} is no list of data sets ({type(error).__name__}); correct it or take it away"
        ) from error


def _records(path: Path) -> Iterator[tuple[int, str | bytes]]:
    """Give each line, or each element of an array, as JSON with the line that it begins on."""
    with path.open("rb") as file:
        array = re.match(rb"(?:\xef\xbb\xbf)?\s*\[", file.read(1_000))
        file.seek(0)
        if array:
            yield from _elements(file.read().decode("utf-8-sig"))
        else:
            lines = enumerate(map(bytes.strip, file), start=1)
            yield from ((number, line) for number, line in lines if line)


def _elements(text: str) -> Iterator[tuple[int, str]]:
    """Split a JSON array; where it breaks, all that is left counts as one element."""
    decoder = json.JSONDecoder()
    line, counted = 1, 0
    stop = text.index("[") + 1
    while (gap := _GAP.match(text, stop)) and not text.startswith("]", gap.end()):
        start = gap.end()
        line, counted = line + text.count("\n", counted, start), start
        try:
            _, stop = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            yield line, text[start:]
            return
        yield line, text[start:stop]


def _example(record: object, described: _Layout | None, prompt: PromptName) -> ChatExample:
    if not isinstance(record, dict):
        raise InputError(f"a JSON {type(record).__name__}, not an object")
    fields = cast(dict[str, object], record)
    layout = described or _usual(fields)
    read = _alpaca if layout.formatting == "alpaca" else _chat
    system, user, answer = read(fields, layout)
    if not user.strip():
        raise InputError("there is nothing to extract from")
    return ChatExample(system or SYSTEM[prompt], user, read_answer(answer))


def _usual(fields: Mapping[str, object]) -> _Layout:
    if "messages" in fields:
        return _LAYOUTS["chat"]
    return _LAYOUTS["sharegpt" if "conversations" in fields else "llama-factory"]


def _alpaca(fields: Mapping[str, object], layout: _Layout) -> tuple[str, str, str]:
    """Give system message, question and answer."""
    columns = layout.columns
    if fields.get(columns.history):
        raise InputError(f"{columns.history!r} is not empty; one question and its answer are read")
    asked, given, answer, system = (
        _text(fields, name)
        for name in (columns.prompt, columns.query, columns.response, columns.system)
    )
    if given and not system:
        return asked, given, answer
    return system, "\n".join(filter(None, (asked, given))), answer


def _chat(fields: Mapping[str, object], layout: _Layout) -> tuple[str, str, str]:
    """Give system message, question and answer."""
    tags, messages = layout.tags, fields.get(layout.columns.messages)
    said: list[tuple[str, str]] = []
    for message in cast(list[object], messages) if isinstance(messages, list) else ():
        parts = cast(dict[str, object], message) if isinstance(message, dict) else {}
        said.append((_text(parts, tags.role_tag), _text(parts, tags.content_tag)))
    system = _text(fields, layout.columns.system)
    if said and said[0][0] == tags.system_tag:
        system = said.pop(0)[1]
    if [role for role, _ in said] != [tags.user_tag, tags.assistant_tag]:
        raise InputError(
            f"{layout.columns.messages!r} needs one {tags.user_tag!r} message and the "
            f"{tags.assistant_tag!r} answer to it; only one {tags.system_tag!r} message may stand "
            "before them"
        )
    return system, said[0][1], said[1][1]


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not (value is None or isinstance(value, str)):
        raise InputError(f"{name!r} is a {type(value).__name__}, not a text")
    return value or ""


def read_answer(answer: str) -> tuple[AnswerItem, ...]:
    """Read an answer that is a PreferenceList with all three fields of each rule.

    Raises:
        InputError: It is not; the message has none of its text.
    """
    try:
        rules = _Answer.model_validate_json(answer).preferences
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise InputError(f"the answer is no PreferenceList: {place}: {first['msg']}") from None
    if any(len(rule.model_fields_set) < len(AnswerItem.model_fields) for rule in rules):
        raise InputError("the answer is no PreferenceList: a rule lacks one of its three fields")
    return rules
