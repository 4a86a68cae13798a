"""Our own texts for ranking: topic families of rules, and queries that some of them apply to."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from prefmem.types import Preference

_QUERY = re.compile(r"^\?([\d ]*)(?:\|)? *(.+)$")

Asked: TypeAlias = tuple[str, tuple[int, ...]]  # a query and the positions of its rules


@dataclass(slots=True)
class Family:
    """Rules of one topic, with queries.

    Attributes:
        name: The topic.
        conditions: Ways to say when the rules apply.
        rules: Rules as a card says them.
        queries: A query and the positions of the rules that apply to it.
        baits: Queries that look alike but to which no rule applies.
    """

    name: str
    conditions: list[str] = field(default_factory=list[str])
    rules: list[str] = field(default_factory=list[str])
    queries: list[tuple[str, tuple[int, ...]]] = field(
        default_factory=list[tuple[str, tuple[int, ...]]]
    )
    baits: list[str] = field(default_factory=list[str])


def load_families(folder: Path) -> tuple[Family, ...]:
    """Read the families of every `*.txt`; README.md beside them describes the format."""
    families: dict[str, Family] = {}
    family = Family("")
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            mark, text = line[:1], line[1:].strip()
            if line.startswith("=="):
                name = line[2:].strip()
                family = families.setdefault(name, Family(name))
            elif mark == "@":
                family.conditions += [c.strip() for c in text.split("|")]
            elif mark == "+":
                family.rules.append(text)
            elif mark == ">":
                condition = family.conditions[len(family.rules) % len(family.conditions)]
                family.rules.append(Preference(condition, text).text)
            elif mark == "!":
                family.baits.append(text)
            elif mark == "?":
                found = _QUERY.match(line)
                if found:
                    picked = tuple(int(n) - 1 for n in found.group(1).split())
                    family.queries.append((found.group(2).strip(), picked))
    return tuple(
        Family(f.name, f.conditions, f.rules, _resolved(f), f.baits) for f in families.values()
    )


def _resolved(family: Family) -> list[Asked]:
    every = tuple(range(len(family.rules)))
    return [
        (query, tuple(i for i in picked if i < len(every)) or every)
        for query, picked in family.queries
    ]


def load_situations(folder: Path) -> tuple[Family, ...]:
    """Read every `situations_*.spec`: each rule is a family, with queries far from its words."""
    families: list[Family] = []
    for path in sorted(folder.glob("situations_*.spec")):
        for line in path.read_text(encoding="utf-8").splitlines():
            rule, arrow, queries = line.partition("=>")
            if arrow:
                asked: list[Asked] = [(query.strip(), (0,)) for query in queries.split("|")]
                families.append(Family(rule.strip(), rules=[rule.strip()], queries=asked))
    return tuple(families)


def load_several(folder: Path) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Read `several_families.spec`: names of families, and a request to which their rules apply."""
    lines = (folder / "several_families.spec").read_text(encoding="utf-8").splitlines()
    parts = [line.partition("|") for line in lines if line.strip()]
    return tuple(
        (tuple(name.strip() for name in names.split(",")), query.strip())
        for names, _, query in parts
    )
