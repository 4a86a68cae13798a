import json
from pathlib import Path
from typing import Any, get_args

import pytest

from prefmem import InputError
from prefmem.extract.parse import AnswerItem
from prefmem.extract.prompts import SYSTEM, PromptName
from prefmem.train.chatdata import ChatExample, chat_examples, fingerprint, own_examples
from prefmem.train.chatformat import DataFormat, read_examples, write_examples
from prefmem.train.windows import read_windows

WINDOWS = """\
== x1 | travel | several
U: <e><av>No chain hotels</av></e>, and <e><c>in mails</c> <do>sign as Kim</do></e>.
= any | avoid chain hotels
= writing mails | sign as Kim
A: Window or aisle?
U: <e><ref>The first, as always</ref></e>.
= booking seats | book a window seat

== x2 | food | identity
U: <e>I'm a <do>vegetarian</do></e>. Dinner?
= suggesting meals | suggest vegetarian food

== x3 | food | neg_chat
U: Is rye older than wheat?
"""
HOTELS = AnswerItem(condition="general", action="avoid chain hotels", confidence=1.0)
MAILS = AnswerItem(condition="writing mails", action="sign as Kim", confidence=1.0)
SEATS = AnswerItem(condition="booking seats", action="book a window seat", confidence=1.0)
FOOD = AnswerItem(condition="suggesting meals", action="suggest vegetarian food", confidence=0.8)
FIRST = "No chain hotels, and in mails sign as Kim."
NONE = '{"preferences": []}'
EXAMPLES = (
    ChatExample("Extract.", "Línea 1\nline 2", (HOTELS, MAILS)),
    ChatExample("Extract.", "nothing", ()),
)


def examples(tmp_path: Path, prompt: PromptName) -> list[ChatExample]:
    path = tmp_path / "w.txt"
    path.write_text(WINDOWS, encoding="utf-8")
    return list(chat_examples(read_windows(path), prompt))


def written(tmp_path: Path, text: str | bytes, name: str = "d.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def chat(*said: tuple[str, str]) -> str:
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in said]})


def test_each_user_turn_is_a_question_about_itself(tmp_path: Path) -> None:
    system = SYSTEM["training"]
    assert examples(tmp_path, "training") == [
        ChatExample(system, FIRST, (HOTELS, MAILS)),
        ChatExample(system, "The first, as always.", ()),  # alone, it says nothing of a window
        ChatExample(system, "I'm a vegetarian. Dinner?", (FOOD,)),
        ChatExample(system, "Is rye older than wheat?", ()),
    ]


def test_a_question_about_the_window_has_all_its_rules(tmp_path: Path) -> None:
    second = f"User: {FIRST}\nAssistant: Window or aisle?\nUser: The first, as always."
    found = examples(tmp_path, "card")
    assert found[0] == ChatExample(SYSTEM["card"], f"User: {FIRST}", (HOTELS, MAILS))
    assert found[1] == ChatExample(SYSTEM["card"], second, (HOTELS, MAILS, SEATS))
    assert examples(tmp_path, "instructed")[1] == ChatExample(
        SYSTEM["instructed"], second, (SEATS,)
    )


def test_the_answer_is_a_preference_list() -> None:
    assert EXAMPLES[1].answer == NONE
    assert EXAMPLES[0].answer == (
        '{"preferences": [{"condition": "general", "action": "avoid chain hotels", '
        '"confidence": 1.0}, {"condition": "writing mails", "action": "sign as Kim", '
        '"confidence": 1.0}]}'
    )


def test_our_own_windows_give_positive_and_empty_answers() -> None:
    found = own_examples("dev")
    assert any(example.rules for example in found)
    assert any(not example.rules for example in found)


def test_a_fingerprint_tells_order_and_words() -> None:
    assert fingerprint(EXAMPLES) == fingerprint(list(EXAMPLES))
    assert len({fingerprint(EXAMPLES), fingerprint(EXAMPLES[::-1]), fingerprint(EXAMPLES[:1])}) == 3


@pytest.mark.parametrize("form", get_args(DataFormat))
@pytest.mark.parametrize("described", [True, False])
def test_every_format_is_read_as_it_was_written(
    tmp_path: Path, form: DataFormat, described: bool
) -> None:
    write_examples(tmp_path, {"train": EXAMPLES, "dev": EXAMPLES[:1]}, form=form)
    if not described:
        (tmp_path / "dataset_info.json").unlink()
    assert read_examples(tmp_path / "train.jsonl") == EXAMPLES
    assert read_examples(tmp_path / "dev.jsonl") == EXAMPLES[:1]


def test_the_formats_are_those_of_llama_factory(tmp_path: Path) -> None:
    def first(form: DataFormat) -> Any:  # noqa: ANN401  # JSON
        write_examples(tmp_path / form, {"x": EXAMPLES[1:]}, form=form)
        return json.loads((tmp_path / form / "x.jsonl").read_text(encoding="utf-8"))

    assert first("chat") == {
        "messages": [
            {"role": "system", "content": "Extract."},
            {"role": "user", "content": "nothing"},
            {"role": "assistant", "content": NONE},
        ]
    }
    assert first("llama-factory") == {
        "instruction": "nothing", "input": "", "output": NONE, "system": "Extract.",
    }  # fmt: skip
    assert first("sharegpt") == {
        "conversations": [
            {"from": "human", "value": "nothing"},
            {"from": "gpt", "value": NONE},
        ],
        "system": "Extract.",
    }
    info = json.loads((tmp_path / "sharegpt" / "dataset_info.json").read_text(encoding="utf-8"))
    assert info == {
        "prefmem_x": {
            "file_name": "x.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system"},
            "tags": {
                "role_tag": "from", "content_tag": "value", "user_tag": "human",
                "assistant_tag": "gpt",
            },
        }
    }  # fmt: skip


def test_other_data_sets_stay_described(tmp_path: Path) -> None:
    info = tmp_path / "dataset_info.json"
    info.write_text('{"theirs": {"hf_hub_url": "a/b"}}', encoding="utf-8")
    write_examples(tmp_path, {"x": EXAMPLES}, form="llama-factory")
    described = json.loads(info.read_text(encoding="utf-8"))
    assert described["theirs"] == {"hf_hub_url": "a/b"}
    assert described["prefmem_x"]["file_name"] == "x.jsonl"


def test_columns_and_tags_are_read_from_the_description(tmp_path: Path) -> None:
    info = {
        "a": {"file_name": "a.json", "columns": {"prompt": "q", "response": "r", "system": "s"}},
        "b": {
            "file_name": "b.json", "formatting": "sharegpt", "columns": {"messages": "turns"},
            "tags": {"role_tag": "who", "content_tag": "what", "assistant_tag": "bot"},
        },
    }  # fmt: skip
    written(tmp_path, json.dumps(info), "dataset_info.json")
    a = written(tmp_path, json.dumps([{"q": "nothing", "r": NONE, "s": "Extract."}]), "a.json")
    turns = [
        {"who": "system", "what": "Extract."},
        {"who": "human", "what": "nothing"},
        {"who": "bot", "what": NONE},
    ]
    b = written(tmp_path, json.dumps([{"turns": turns}], indent=2), "b.json")
    assert read_examples(a) == read_examples(b) == EXAMPLES[1:]


def test_a_record_without_a_system_message_gets_one(tmp_path: Path) -> None:
    records = [
        {"instruction": "Find rules.", "input": "nothing", "output": NONE},
        {"instruction": "nothing", "output": NONE},
        {"instruction": "no", "input": "thing", "output": NONE, "system": "Extract."},
    ]
    path = written(tmp_path, "\n".join(map(json.dumps, records)))
    assert read_examples(path, prompt="card") == (
        ChatExample("Find rules.", "nothing", ()),
        ChatExample(SYSTEM["card"], "nothing", ()),
        ChatExample("Extract.", "no\nthing", ()),
    )


GOOD = chat(("user", "hello"), ("assistant", NONE))
LONG = [{"condition": "", "action": "a", "confidence": 1}] * 21


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "no JSON"),
        ("[1]", "a JSON list, not an object"),
        (b'{"\xff": 1}', "codec can't decode"),
        ("[" * 100_000, "recursion"),
        (chat(("user", "secret")), "'messages' needs one 'user' message"),
        (chat(("user", "secret"), ("assistant", NONE), ("user", "more")), "needs one 'user'"),
        ('{"messages": "secret"}', "needs one 'user' message"),
        ('{"messages": ["secret"]}', "needs one 'user' message"),
        ('{"messages": [{"role": "user", "content": 7}]}', "'content' is a int, not a text"),
        ('{"conversations": []}', "'conversations' needs one 'human' message"),
        ('{"instruction": "secret", "output": "{}", "history": [["a", "b"]]}', "'history' is not"),
        (chat(("user", " "), ("assistant", NONE)), "nothing to extract from"),
        (chat(("user", "secret"), ("assistant", "secret")), "no PreferenceList: it: Invalid JSON"),
        (chat(("user", "secret"), ("assistant", "[]")), "no PreferenceList"),
        (
            chat(("user", "x"), ("assistant", json.dumps({"preferences": LONG}))),
            "no PreferenceList: preferences: .*at most 20",
        ),
        (
            chat(("user", "x"), ("assistant", '{"preferences": [{"action": "secret"}]}')),
            "lacks one of its three fields",
        ),
        (
            chat(
                ("user", "x"),
                ("assistant", json.dumps({"preferences": [LONG[0] | {"confidence": 7}]})),
            ),
            "preferences.0.confidence: .*less than or equal to 1",
        ),
    ],
)
def test_a_broken_line_is_named_without_its_text(
    tmp_path: Path, line: str | bytes, message: str
) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    path = written(tmp_path, GOOD.encode() + b"\n\n" + raw + b"\n" + GOOD.encode())
    with pytest.raises(InputError, match=message) as error:
        read_examples(path)
    assert f"{path}, line 3: " in str(error.value)
    assert "secret" not in str(error.value)


def test_a_broken_element_of_an_array_is_named_by_its_line(tmp_path: Path) -> None:
    good = '{"instruction": "hello", "output": "{\\"preferences\\": []}"}'
    for text, line in (
        (f"[\n{good},\n{{}}]", 3),
        (f"[{good},\n\n{{\n7}}]", 4),  # where JSON breaks
        (f"\ufeff[\n{good}\n", 3),  # cut off
        (f"[{good}, {good}", 1),
    ):
        path = written(tmp_path, text)
        with pytest.raises(InputError, match=f"line {line}: "):
            read_examples(path)
    assert len(read_examples(written(tmp_path, f"\ufeff [{good},\n{good}]\n"))) == 2


def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.jsonl: No such file"):
        read_examples(tmp_path / "none.jsonl")
    for empty in ("", "\n", "[]"):
        with pytest.raises(InputError, match="holds no examples"):
            read_examples(written(tmp_path, empty))


@pytest.mark.parametrize(
    "info", ["[]", "{", '{"a": 1}', '{"a": {"file_name": "d.jsonl", "tags": 1}}']
)
def test_a_broken_description_is_refused(tmp_path: Path, info: str) -> None:
    written(tmp_path, info, "dataset_info.json")
    with pytest.raises(InputError, match=r"dataset_info\.json"):
        read_examples(written(tmp_path, GOOD))
