"""Reads the personas: what each wishes, how it says so, and what personas ask."""

from dataclasses import dataclass
from pathlib import Path

from prefmem.errors import InputError
from prefmem.render_check import broken_rules, check_of

POOL = Path(__file__).resolve().parent.parent / "pools" / "personas"
KINDS = ("length", "layout", "language")
_FIELDS = "persona | kind | rule | statement | statement | complaint"


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that a persona wants of every answer.

    Attributes:
        kind: `length`, `layout` or `language`.
        rule: In a form that code can check.
        statements: How the persona says it, in several wordings.
        complaint: What the persona says when an answer breaks it.
    """

    kind: str
    rule: str
    statements: tuple[str, ...]
    complaint: str

    def kept(self, answer: str, request: str) -> bool:
        """Whether an answer to a request keeps the rule."""
        return not broken_rules([self.rule], answer, request=request)

    def says(self, quote: str) -> bool:
        """Whether a quote of the persona's words is about this wish."""
        said = _plain(quote)
        ours = [_plain(text) for text in (*self.statements, self.complaint)]
        return bool(said) and any(said in text or text in said for text in ours)


@dataclass(frozen=True, slots=True)
class Persona:
    """A user with a wish of each kind."""

    name: str
    wishes: tuple[Wish, ...]

    def form(self, kind: str) -> str:
        """Give the form of the wish of a kind, as `prefmem.render_check` names it."""
        checks = (check_of(wish.rule) for wish in self.wishes if wish.kind == kind)
        return next((check.form for check in checks if check), "")


def read(split: str, folder: Path = POOL) -> tuple[tuple[Persona, ...], tuple[str, ...]]:
    """Read personas and requests of a split.

    Args:
        split: `test` or `dev`.
        folder: Where the files lie; their README says how they are written.

    Raises:
        InputError: A line cannot be read, or a persona lacks a kind of wish.
    """
    wishes: dict[str, list[Wish]] = {}
    path = folder / f"{split}.txt"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split(" | ")
        if len(fields) != len(_FIELDS.split(" | ")) or check_of(fields[2]) is None:
            raise InputError(
                f"{path.name}:{number} is not '{_FIELDS}' with a rule that code can check"
            )
        name, kind, rule, *statements, complaint = fields
        wishes.setdefault(name, []).append(Wish(kind, rule, tuple(statements), complaint))
    for name, found in wishes.items():
        if sorted(wish.kind for wish in found) != sorted(KINDS):
            raise InputError(f"{path.name}: {name!r} needs one wish of each of {', '.join(KINDS)}")
    requests = (folder / f"{split}_requests.txt").read_text(encoding="utf-8").splitlines()
    return tuple(Persona(name, tuple(found)) for name, found in wishes.items()), tuple(requests)


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())
