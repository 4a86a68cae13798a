"""Requests with rules, as the ranking models are trained on them and judged by."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from prefmem.train.base import Vectors
from prefmem.train.ranking import Family, load_families, load_several, load_situations
from prefmem.train.users import WrittenUser
from prefmem.types import Matrix

DATA = Path(__file__).resolve().parent / "data"
RANKING = DATA / "ranking"
APART = 0.6


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with rules.

    Attributes:
        query: The request.
        rules: k rules.
        applies: Whether each applies, (k,).
        cosines: Of each with the request, (k,).
        unknown: Rules of other requests that may apply to this one as well.
    """

    query: str
    rules: tuple[str, ...]
    applies: tuple[bool, ...]
    cosines: Matrix
    unknown: frozenset[str] = frozenset()


def of_users(users: Sequence[WrittenUser], embedder: Vectors) -> Iterator[Asked]:
    """Give each request of the users with all their conditional rules."""
    for user in users:
        names = user.conditional
        rules = tuple(user.rules[name].text for name in names)
        vectors = embedder.embed(rules)
        queries = embedder.embed([request.query for request in user.requests])
        for request, query in zip(user.requests, queries, strict=True):
            applies = tuple(name in request.applies for name in names)
            yield Asked(request.query, rules, applies, vectors @ query)


def of_families(embedder: Vectors, *, seed: int, far: int, situations: bool = False) -> list[Asked]:
    """Give each query of the topic families with rules that apply, and rules of far families.

    A query to which its whole family applies has two of its rules. One that names its rules also
    has the rest of its family, which does not apply; a bait has all of its family.

    Args:
        embedder: Tells which families are far from each other.
        seed: Draws the rules.
        far: Rules of far families for each query, at most.
        situations: Whether the rules with queries far from their words are there, too, and the
            requests that span families, which have a rule of each.
    """
    rng = random.Random(seed)
    families = [*load_families(RANKING), *(load_situations(RANKING) if situations else ())]
    apart = strangers(families, embedder)
    vectors = [embedder.embed(family.rules) for family in families]

    def asked(query: str, own: Sequence[tuple[int, int]], applies: Sequence[bool]) -> Asked:
        strange = np.logical_and.reduce([apart[i] for i in {i for i, _ in own}])  # (f,)
        foreign = [
            (i, j) for i in np.flatnonzero(strange).tolist() for j in range(len(families[i].rules))
        ]
        places = [*own, *rng.sample(foreign, min(far, len(foreign)))]
        (vector,) = embedder.embed([query])
        cosines = np.array([vectors[i][j] @ vector for i, j in places], dtype=np.float32)
        labels = (*applies, *[False] * (len(places) - len(own)))
        kin = (i for i in np.flatnonzero(~strange).tolist())
        unknown = frozenset(rule for i in kin for rule in families[i].rules)
        return Asked(
            query, tuple(families[i].rules[j] for i, j in places), labels, cosines, unknown
        )

    found: list[Asked] = []
    for number, family in enumerate(families):
        every = range(len(family.rules))
        for query, applies in [*family.queries, *((bait, ()) for bait in family.baits)]:
            whole = len(applies) == len(every)
            own = rng.sample(every, min(2, len(every))) if whole else every
            found.append(asked(query, [(number, n) for n in own], [n in applies for n in own]))
    places = {family.name: number for number, family in enumerate(families)}
    for names, query in load_several(RANKING) if situations else ():
        some = [(places[name], rng.randrange(len(families[places[name]].rules))) for name in names]
        found.append(asked(query, some, [True] * len(some)))
    return found


def strangers(families: Sequence[Family], embedder: Vectors) -> np.ndarray[Any, Any]:
    """Say which families are so far apart that rules of one do not apply to the other.

    Between hotels and flights a rule about budget may well apply: such pairs are unknown, not
    negative. Families count as apart when the cosine of their mean queries is at most 0.6.

    Returns:
        Symmetric, (f, f), false on the diagonal.
    """
    centres = np.stack([embedder.embed([q for q, _ in f.queries]).mean(axis=0) for f in families])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    far: np.ndarray[Any, Any] = centres @ centres.T <= APART
    return far


def drawn(asked: Asked, others: int, rng: random.Random) -> Asked:
    """Keep the rules that apply, and some others: half of them the nearest, the rest drawn."""
    on = [n for n, applies in enumerate(asked.applies) if applies]
    off = sorted(
        (n for n in range(len(asked.rules)) if n not in on), key=lambda n: -asked.cosines[n]
    )
    near = off[: others // 2]
    rest = off[others // 2 :]
    far = rng.sample(rest, min(others - len(near), len(rest)))
    kept = [*on, *near, *far]
    return replace(
        asked,
        rules=tuple(asked.rules[n] for n in kept),
        applies=tuple(asked.applies[n] for n in kept),
        cosines=asked.cosines[kept],
    )
