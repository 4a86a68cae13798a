"""Reads the text pools: what simulated users hold, ask and say. `pools/README.md` says how."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from prefmem.errors import InputError

POOLS = Path(__file__).resolve().parent.parent / "pools"
_DROPPED = 0.275  # of the words of an instruction, so that 25 to 30 % are gone
_SALT = "restated"


@dataclass(frozen=True, slots=True)
class Held:
    """A preference that a user may hold.

    Attributes:
        card: Text of its card.
        rule: What is named when it is rejected.
        restatement: What a user says who missed it, in words of its own.
        duplicate: The same preference worded as another memory might.
        topic: 0 for style, then 1 and on.
        group: Those of one group cannot hold together; empty for none.
        tags: Kinds of tasks that a style preference applies to; empty for a topical one.
        question: The question that a topical preference answers; empty for style.
    """

    card: str
    rule: str
    restatement: str
    duplicate: str
    topic: int
    group: str
    tags: frozenset[str] = frozenset()
    question: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """All pools as text.

    Attributes:
        held: Preferences, style first.
        queries: Style queries with their tags.
        oneoffs: Cards about a single task that no user holds.
        templates: Follow-ups without any preference content, by sign.
        rejections: What rejects a rule, with `{rule}` in it.
        topics: Names, `style` first.
    """

    held: tuple[Held, ...]
    queries: tuple[tuple[frozenset[str], str], ...]
    oneoffs: tuple[str, ...]
    templates: dict[int, tuple[str, ...]]
    rejections: tuple[str, ...]
    topics: tuple[str, ...]


def read(folder: Path = POOLS) -> Lines:
    """Read the pools of a folder.

    Raises:
        InputError: A file is missing, a line has another number of fields or an unknown first
            one, or a pool is empty.
    """
    held = [_style(fields) for fields in _rows(folder / "style.txt", 7)]
    files = sorted((folder / "topics").glob("*.txt"))
    for topic, path in enumerate(files, start=1):
        held += [_topical(fields, topic) for fields in _rows(path, 5)]
    queries = _rows(folder / "style_queries.txt", 2)
    said: dict[str, list[str]] = {"+": [], "0": [], "-": [], "rejection": []}
    for sign, text in _rows(folder / "templates.txt", 2):
        if sign not in said or (sign == "rejection") != ("{rule}" in text):
            raise InputError(
                f"templates.txt: {sign!r} with {text!r}; + 0 - and rejection are known, and "
                "{rule} stands in rejections alone"
            )
        said[sign].append(text)
    if not files or not all(said.values()):
        raise InputError(f"the pools in {folder} hold no topics, or lack a kind of template")
    return Lines(
        tuple(held),
        tuple((_tags(tags), text) for tags, text in queries),
        tuple(text for (text,) in _rows(folder / "oneoffs.txt", 1)),
        {sign: tuple(said[mark]) for sign, mark in ((1, "+"), (0, "0"), (-1, "-"))},
        tuple(said["rejection"]),
        ("style", *(path.stem for path in files)),
    )


def shortened(text: str) -> str:
    """Drop 25 to 30 % of the words, as near as their number allows; a hash decides which."""
    words = text.split()
    hashes = [hashlib.sha256(f"{_SALT}|{text}|{i}".encode()).digest() for i in range(len(words))]
    order = sorted(range(len(words)), key=hashes.__getitem__)
    dropped = set(order[: round(_DROPPED * len(words))])
    return " ".join(word for i, word in enumerate(words) if i not in dropped)


def _style(fields: tuple[str, ...]) -> Held:
    _, group, tags, condition, action, restatement, duplicate = fields
    return Held(
        f"When {condition}, {action}.",
        action,
        restatement,
        duplicate,
        0,
        "" if group == "-" else group,
        _tags(tags),
    )


def _topical(fields: tuple[str, ...], topic: int) -> Held:
    card, question, restatement, duplicate, group = fields
    return Held(
        card,
        card.rstrip("."),
        restatement,
        duplicate,
        topic,
        "" if group == "-" else f"{topic}:{group}",
        question=question,
    )


def _tags(field: str) -> frozenset[str]:
    return frozenset(tag.strip() for tag in field.split(","))


def _rows(path: Path, width: int) -> list[tuple[str, ...]]:
    try:
        content = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the pool {path}: {error}; reinstall prefmem") from error
    rows = [tuple(line.split(" | ")) for line in content]
    for number, row in enumerate(rows, start=1):
        if len(row) != width or not all(field.strip() for field in row):
            raise InputError(f"{path}, line {number}: {len(row)} fields, wanted {width} with text")
    if not rows:
        raise InputError(f"the pool {path} is empty")
    return rows
