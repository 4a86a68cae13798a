"""Draws one simulated person: what is held, what the drift changes, and the cards stored.

All comes from `default_rng([seed, index])`, in a fixed order; what all of a seed share, the
archetypes, has a stream of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.simulate.pools import Pools
from prefmem.interaction import Flags, Numbers
from prefmem.types import Matrix

_Floats: TypeAlias = npt.NDArray[np.float64]

NEVER = float("inf")  # not stored unless it is extracted
STORED = 0.975  # share of what is held that the extractor finds
OLD = -1.0  # before the first session
_OLDEST = -2.0  # before all else
_ARCHETYPES, _TOPICS = 5, 5
_ALIKE = 0.8  # cosine above which two preferences are not held together
_TWICE = 0.10
_NOISE = (0.45, 0.20, 0.20, 0.15)  # misattributed, stale, foreign, one-off
_STYLE_HELD = 0.40
_DROPPED, _CONTRADICTED, _EXCHANGED = 0.3, 0.5, 0.75
_JITTER = 0.9  # cosine of an additional card with the text that it is made from


@dataclass(slots=True)
class Slots:
    """Cards while they are drawn."""

    about: list[int] = field(default_factory=list[int])
    texts: list[int] = field(default_factory=list[int])
    confidence: list[float] = field(default_factory=list[float])
    born: list[float] = field(default_factory=list[float])

    def add(self, about: int, text: int, confidence: float, born: float) -> int:
        """Give the slot of a new card."""
        self.about.append(about)
        self.texts.append(text)
        self.confidence.append(confidence)
        self.born.append(born)
        return len(self.about) - 1


class Person:
    """Draws preferences, then cards, then what a setting adds.

    Args:
        pools: What can be held.
        seed: Seed of the population.
        index: Number of the user.
    """

    def __init__(self, pools: Pools, seed: int, index: int) -> None:
        """Draw archetype, taste and topics."""
        self._pools = pools
        self._rng = np.random.default_rng([seed, index])
        directions, shares = _archetypes(pools, seed)
        kind = int(self._rng.integers(_ARCHETYPES))
        taste = self._rng.standard_normal(len(directions[0]))
        taste = directions[kind] + 0.7 * taste
        taste /= np.linalg.norm(taste)
        drawn = np.log(shares[kind]) + self._rng.gumbel(size=pools.topics)
        self.topics = np.sort(np.argsort(-drawn)[:_TOPICS]) + 1
        self.weights = shares[kind][self.topics - 1] / shares[kind][self.topics - 1].sum()
        p = len(pools.topic)
        liking = 6 * (pools.vectors[:p] @ taste) + self._rng.gumbel(size=p)
        self._order = np.argsort(-liking, kind="stable")
        self._style = pools.topic == 0
        self._mine = np.isin(pools.topic, self.topics)

    def preferences(self) -> tuple[list[int], _Floats]:
        """Draw what is held from the first session on, with the need for it."""
        n = int(self._rng.integers(20, 61))
        style = min(round(_STYLE_HELD * n), 28)
        held = self._liked([], self._style, style)
        held = self._liked(held, self._mine, n - len(held))
        return held, self.needs(len(held))

    def needs(self, count: int) -> _Floats:
        """Draw how strongly preferences are needed."""
        share = np.clip(self._rng.beta(2, 1.5, count), 0.1, 1)
        needs: _Floats = share * self._rng.uniform(0.5, 1, count)
        return needs

    def replaced(self, held: Sequence[int]) -> tuple[Flags, list[int]]:
        """Draw what the drift takes, (n,), and what comes in its place."""
        dropped = self._rng.random(len(held)) < _DROPPED
        gone = [item for item, drops in zip(held, dropped, strict=True) if drops]
        now = [item for item, drops in zip(held, dropped, strict=True) if not drops]
        came: list[int] = []
        for item in gone:
            kind, pick = self._rng.random(2)
            if kind >= _EXCHANGED:
                continue
            others = (self._mine | self._style).nonzero()[0]
            if kind < _CONTRADICTED:
                others = self._contradictions(item)
            fitting = [o for o in others.tolist() if o not in held and self._fits(o, now)]
            if fitting:
                nearest = kind < _CONTRADICTED and self._pools.group[item] < 0
                came.append(fitting[0 if nearest else int(pick * len(fitting))])
                now.append(came[-1])
        return dropped, came

    def own_cards(self, slots: Slots, held: Sequence[int]) -> list[int]:
        """Store the true cards, and duplicates of some; give each preference's slot."""
        own: list[int] = []
        for item in held:
            stored, twice = self._rng.random(2)
            known = stored < STORED
            born = self._birth() if known else NEVER
            own.append(slots.add(item, item, self.confidence(), born))
            if known and twice < _TWICE:
                text = len(self._pools.topic) + item
                slots.add(item, text, self.confidence(), self._birth())
        return own

    def confidence(self) -> float:
        """Draw what the extractor says of a true card."""
        return float(self._rng.beta(5, 3))

    def noise_cards(self, slots: Slots, held: Sequence[int], count: int) -> None:
        """Store cards that should not be there."""
        used = set(held)
        for _ in range(count):
            kind = int(self._rng.choice(len(_NOISE), p=_NOISE))
            born, confidence = self._birth(), float(self._rng.beta(4, 4))
            if kind == 1:
                born = _OLDEST + self._rng.random()
            about = -1 if kind == 3 else self._wrong(kind, held, used)
            slots.add(about, self.oneoff() if kind == 3 else about, confidence, born)
            used.add(about)

    def extra_cards(self, slots: Slots, held: Sequence[int], count: int) -> None:
        """Store more misattributed and foreign cards, all before the first session."""
        p = len(self._pools.topic)
        free = np.setdiff1d(np.arange(p), held)
        for about in self._rng.choice(free, count).tolist():
            confidence, born = float(self._rng.beta(4, 4)), OLD + float(self._rng.random())
            slots.add(about, about, confidence, born)

    def jittered(self, vectors: Matrix) -> Matrix:
        """Move cards that share their text with others, (n, e), so that no two are the same."""
        off: _Floats = self._rng.standard_normal(vectors.shape)
        off -= (off * vectors).sum(axis=1, keepdims=True) * vectors
        off /= np.linalg.norm(off, axis=1, keepdims=True)
        moved: Matrix = (_JITTER * vectors + (1 - _JITTER**2) ** 0.5 * off).astype(np.float32)
        return moved

    def oneoff(self) -> int:
        """Draw a one-off card's text."""
        return 2 * len(self._pools.topic) + int(self._rng.integers(self._pools.oneoffs))

    def _liked(self, held: Sequence[int], among: Flags, count: int) -> list[int]:
        """Add the best-liked preferences that can be held together."""
        found = list(held)
        for item in self._order[among[self._order]].tolist():
            if len(found) == len(held) + count:
                break
            if self._fits(item, found):
                found.append(item)
        return found

    def _fits(self, item: int, held: Sequence[int]) -> bool:
        others, group = list(held), self._pools.group
        clash = group[item] >= 0 and bool((group[others] == group[item]).any())
        return not clash and bool((self._pools.cosines[item, others] <= _ALIKE).all())

    def _contradictions(self, item: int) -> Numbers:
        """Give the others of its conflict group, else those of its topic, the nearest first."""
        group, topic = self._pools.group, self._pools.topic
        others = group == group[item] if group[item] >= 0 else topic == topic[item]
        others[item] = False
        found = np.flatnonzero(others)
        return found[np.argsort(-self._pools.cosines[item, found], kind="stable")]

    def _wrong(self, kind: int, held: Sequence[int], used: set[int]) -> int:
        """Draw a preference that is not held: misattributed (0), stale (1) or foreign (2)."""
        if kind == 1:
            about = held[int(self._rng.integers(len(held)))]
            others: list[int] = self._contradictions(about).tolist()
            others = [o for o in others if o not in held]
            sibling = self._pools.group[about] >= 0
            if others:
                return others[int(self._rng.integers(len(others))) if sibling else 0]
        if kind == 2:
            among = ~self._mine & ~self._style
        else:
            among = self._style if self._rng.random() < _STYLE_HELD else self._mine
        free = np.setdiff1d(np.flatnonzero(among), sorted(used))
        if not free.size:
            free = np.setdiff1d(np.flatnonzero(among), held)
        return int(free[self._rng.integers(free.size)])

    def _birth(self) -> float:
        """Draw when a card is stored."""
        early, order = self._rng.random(2)
        session = int(self._rng.integers(1, 31))
        return float(OLD + order if early < 0.7 else session + order / 2)


def _archetypes(pools: Pools, seed: int) -> tuple[_Floats, _Floats]:
    """Draw directions in the space of the cards, (5, e), and shares of the topics, (5, t)."""
    rng = np.random.default_rng([seed, 0, 5])
    directions = rng.standard_normal((_ARCHETYPES, pools.vectors.shape[1]))
    shares = rng.dirichlet([0.35] * pools.topics, _ARCHETYPES)
    return directions, np.maximum(shares, 1e-12)
