"""Written lives in which rules change, read from `pools/evolution`; the format is in its README."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from prefmem.errors import InputError

POOL = Path(__file__).resolve().parent / "pools" / "evolution"
ChangeKind: TypeAlias = Literal[
    "replace", "reverse", "return", "ends", "until", "once", "exception", "widen", "again",
    "beside", "undo", "forget",
]  # fmt: skip
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
_KNOWN: Mapping[str, ChangeKind] = {kind: kind for kind in KINDS}
_SAME = "+"  # in place of a day: in the conversation of the line before
_YEAR, _NOON = 2026, 12


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the user, by which a rule is named.

    Attributes:
        id: Its name.
        at: When it was said.
        session: The conversation.
        text: What was said.
    """

    id: str
    at: datetime
    session: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, with the rules by the turns that they were said in.

    Attributes:
        at: When.
        text: The request.
        applies: In force, and of use.
        over: No longer in force, or never.
        stays: In force, and of no use here.
    """

    at: datetime
    text: str
    applies: tuple[str, ...]
    over: tuple[str, ...]
    stays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One life: turns and requests, by time."""

    kind: ChangeKind
    name: str
    steps: tuple[Said | Asked, ...]

    @property
    def said(self) -> tuple[Said, ...]:
        """What the user says."""
        return tuple(step for step in self.steps if isinstance(step, Said))

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What the user asks."""
        return tuple(step for step in self.steps if isinstance(step, Asked))


def load(path: Path) -> tuple[Scenario, ...]:
    """Read a file of scenarios.

    Raises:
        InputError: A line breaks the format.
    """
    found: list[Scenario] = []
    blocks = path.read_text(encoding="utf-8").split("== ")[1:]
    for block in blocks:
        head, *lines = [line for line in block.splitlines() if line.strip()]
        kind, name = _fields(head, 2, head)
        known = _KNOWN.get(kind)
        if known is None:
            raise InputError(f"{path.name}: {kind!r} is no kind; known are {', '.join(KINDS)}")
        steps = tuple(_steps(lines, f"{path.name}, {name}"))
        found.append(Scenario(known, name, steps))
    return tuple(found)


def _steps(lines: list[str], where: str) -> Iterator[Said | Asked]:
    day, session, known = "", "", set[str]()
    for number, line in enumerate(lines):
        mark, _, rest = line.partition(" ")
        if mark == "?":
            when, text, *labels = _fields(rest, 5, where)
            applies, over, stays = (tuple(label.split()) for label in labels)
            if unknown := {*applies, *over, *stays} - known:
                raise InputError(f"{where}: nothing is called {min(unknown)!r}")
            yield Asked(_at(when, number, where), text, applies, over, stays)
            continue
        when, text = _fields(rest, 2, where)
        if when != _SAME:
            day, session = when, mark
        known.add(mark)
        yield Said(mark, _at(day, number, where), session, text)


def _fields(line: str, count: int, where: str) -> list[str]:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != count:
        raise InputError(f"{where}: {len(fields)} fields, wanted {count}: {line!r}")
    return fields


def _at(day: str, minute: int, where: str) -> datetime:
    try:
        month, number = (int(part) for part in day.split("-"))
        return datetime(_YEAR, month, number, _NOON, minute, tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"{where}: {day!r} is no day; write it as 03-31") from error
