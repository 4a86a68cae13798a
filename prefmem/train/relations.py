"""Written pairs of rules: what one that is stated later is to the stored one."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from prefmem.cards.relate import RELATIONS
from prefmem.errors import InputError
from prefmem.types import Evidence, Polarity, Preference, Relation

DATA = Path(__file__).resolve().parent / "data" / "relations"


@dataclass(frozen=True, slots=True)
class Pair:
    """A stored rule, one that is stated later, and what the later one is to it."""

    relation: Relation
    old: Preference
    new: Preference


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of pairs, one a line; see the README beside the files.

    Raises:
        InputError: A line is broken; the message names its number.
    """
    pairs: list[Pair] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        known = len(parts) == 7 and parts[0] in RELATIONS
        if not known or any(p not in get_args(Polarity) for p in (parts[3], parts[6])):
            raise InputError(f"{path}, line {number}: not relation and two rules")
        pairs.append(Pair(cast(Relation, parts[0]), _rule(parts[1:4]), _rule(parts[4:])))
    return pairs


def _rule(parts: list[str]) -> Preference:
    condition, action, polarity = parts
    condition = "" if condition == "any" else condition
    evidence = (Evidence("0", action),)
    return Preference(condition, action, cast(Polarity, polarity), evidence=evidence)
