"""Written users: rules and requests of one person, each pair labelled; see `data/users`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from prefmem.train.windows import GENERAL, WindowFormatError
from prefmem.types import Polarity, Preference, Scope

RequestKind: TypeAlias = Literal[
    "single", "several", "cross", "indirect", "bait", "none", "audience", "other", "override",
    "negated", "follow-up",
]  # fmt: skip
_EARLIER = " << "


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks, with the rules that matter for it.

    Attributes:
        kind: How the request relates to the rules.
        text: The request.
        before: The user's request before it; empty but for follow-ups.
        applies: Ids of the conditional rules that apply.
        harms: Ids of the rules that would make the answer worse.
    """

    kind: RequestKind
    text: str
    before: str
    applies: tuple[str, ...]
    harms: tuple[str, ...]

    @property
    def query(self) -> str:
        """What the ranking reads: a follow-up with the request before it."""
        return f"{self.before}\n{self.text}" if self.before else self.text


@dataclass(frozen=True, slots=True)
class WrittenUser:
    """One person.

    Attributes:
        id: Unique name.
        persona: A line about them.
        rules: Rules by id; those of every answer have no condition.
        requests: What they ask.
    """

    id: str
    persona: str
    rules: dict[str, Preference]
    requests: tuple[Request, ...]

    @property
    def conditional(self) -> tuple[str, ...]:
        """Ids of the rules that hold in some situations only."""
        return tuple(i for i, rule in self.rules.items() if rule.scope.kind == "conditional")


def load_users(folder: Path) -> tuple[WrittenUser, ...]:
    """Read the users of every `*.txt` in a folder.

    Raises:
        WindowFormatError: A line breaks the format, or an id is used twice.
    """
    users: list[WrittenUser] = []
    for path in sorted(folder.glob("*.txt")):
        users += _read(path)
    names = [user.id for user in users]
    if len(set(names)) < len(names):
        raise WindowFormatError(f"ids used twice in {folder.name}")
    return tuple(users)


def _read(path: Path) -> list[WrittenUser]:
    found: list[WrittenUser] = []
    head: tuple[str, str] | None = None
    rules: dict[str, Preference] = {}
    requests: list[Request] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path.name}:{number}"
        if line.startswith("== "):
            if head:
                found.append(WrittenUser(*head, rules, tuple(requests)))
            name, persona = _fields(line[3:], 2, where)
            head, rules, requests = (name, persona), {}, []
        elif line.startswith("? "):
            requests.append(_request(_fields(line[2:], 4, where), rules, where))
        elif line.strip():
            name, condition, action, polarity = _fields(line, 4, where)
            if name in rules or polarity not in get_args(Polarity):
                raise WindowFormatError(f"{where}: a rule id twice, or no polarity")
            rules[name] = _rule(condition, action, cast(Polarity, polarity))
    if head:
        found.append(WrittenUser(*head, rules, tuple(requests)))
    return found


def _fields(line: str, count: int, where: str) -> list[str]:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != count:
        raise WindowFormatError(f"{where}: {len(fields)} fields, wanted {count}")
    return fields


def _rule(condition: str, action: str, polarity: Polarity) -> Preference:
    if condition == GENERAL:
        return Preference("", action, polarity, scope=Scope("global"))
    return Preference(condition, action, polarity, scope=Scope("conditional"))


def _request(fields: list[str], rules: dict[str, Preference], where: str) -> Request:
    kind, text, applies, harms = fields
    if kind not in get_args(RequestKind):
        raise WindowFormatError(f"{where}: unknown kind {kind!r}")
    unknown = [i for i in f"{applies} {harms}".split() if i not in rules]
    if unknown:
        raise WindowFormatError(f"{where}: unknown rules {unknown}")
    now, earlier, before = text.partition(_EARLIER.strip())
    return Request(
        cast(RequestKind, kind), now.strip(), before.strip() if earlier else "",
        tuple(applies.split()), tuple(harms.split()),
    )  # fmt: skip
