"""Simulated users: what they hold, which cards are stored about them, and what they ask.

Of user u of seed s, `default_rng([s, u])` draws the population and `default_rng([s, u, 9])` the
tasks. What all users of a seed share, the archetypes, has a stream of its own.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.simulate.person import NEVER, OLD, STORED, Person, Slots
from prefmem.evaluate.simulate.pools import Pools
from prefmem.evaluate.simulate.setting import Setting
from prefmem.interaction import Flags, Numbers
from prefmem.types import Matrix, Vector

_Floats: TypeAlias = npt.NDArray[np.float64]

_ALWAYS = 1 << 30  # a session that never comes
_STYLE_ASKED, _OWN_ASKED = 0.45, 0.60


@dataclass(frozen=True, slots=True, eq=False)
class User:
    """A user with P preferences, those after the drift included, and S slots for cards.

    Attributes:
        seed: Seed of the population.
        index: Number of the user.
        items: Preferences, rows of the pools, (P,).
        eta: How strongly each is needed: probability that its absence is missed, (P,).
        since: Session from which each is held, (P,).
        until: Session from which it is no longer held, (P,).
        about: Preference that each card is about, -1 for a one-off, (S,).
        texts: Text of each card, (S,).
        vectors: Unit vectors of the cards, (S, e).
        confidence: What the extractor said, in [0, 1], (S,).
        born: When each is stored: sessions, with fractions for the order, (S,), ascending.
        own: Slot of the card that an extraction of each preference makes, (P,).
        malicious: Slot of the card that passes for relevant everywhere; -1 without.
        tasks: Queries of each session.
    """

    seed: int
    index: int
    items: Numbers
    eta: _Floats
    since: Numbers
    until: Numbers
    about: Numbers
    texts: Numbers
    vectors: Matrix
    confidence: Vector
    born: _Floats
    own: Numbers
    malicious: int
    tasks: tuple[tuple[int, ...], ...]

    def held(self, session: int) -> Flags:
        """Say which preferences are held in a session, (P,)."""
        return (self.since <= session) & (session < self.until)


def draw(pools: Pools, setting: Setting, seed: int, index: int) -> User:
    """Draw a user.

    Args:
        pools: What can be held and asked.
        setting: The world.
        seed: Seed of the population, at least 0.
        index: Number of the user, at least 0.
    """
    person = Person(pools, seed, index)
    held, eta = person.preferences()
    slots = Slots()
    own = person.own_cards(slots, held)
    dropped, came = person.replaced(held)
    late = person.needs(len(came))
    own += [slots.add(o, o, person.confidence(), NEVER) for o in came]
    count = round(STORED * len(held) * (1 / setting.precision - 1))
    person.noise_cards(slots, held, count)
    plain = len(slots.about)
    person.extra_cards(slots, held, setting.extra)
    vectors = pools.vectors[slots.texts].copy()
    vectors[plain:] = person.jittered(vectors[plain:])
    malicious = -1
    if setting.malicious:
        malicious = slots.add(-1, person.oneoff(), 0.99, OLD)
        vectors = np.concatenate((vectors, pools.vectors[slots.texts[-1:]]))
    order = np.argsort(slots.born, kind="stable")  # so that older cards have smaller numbers
    place = np.argsort(order)
    tasks = np.random.default_rng([seed, index, 9])
    end = _ALWAYS if setting.drift is None else setting.drift
    items = np.array(held + came)
    since = np.repeat([0, end], [len(held), len(came)])
    until = np.concatenate((np.where(dropped, end, _ALWAYS), np.full(len(came), _ALWAYS)))
    return User(
        seed, index, items, np.concatenate((eta, late)), since, until,
        about=np.array(slots.about)[order],
        texts=np.array(slots.texts)[order],
        vectors=vectors[order],
        confidence=np.array(slots.confidence, dtype=np.float32)[order],
        born=np.array(slots.born)[order],
        own=place[own],
        malicious=int(place[malicious]) if setting.malicious else -1,
        tasks=_tasks(pools, setting, person, tasks, (items, since, until)),
    )  # fmt: skip


def _tasks(
    pools: Pools,
    setting: Setting,
    person: Person,
    rng: np.random.Generator,
    held: tuple[Numbers, Numbers, Numbers],
) -> tuple[tuple[int, ...], ...]:
    items, since, until = held
    style = np.flatnonzero(pools.query_topic == 0)
    tasks: list[tuple[int, ...]] = []
    for session in range(setting.sessions):
        now = items[(since <= session) & (session < until)]
        asked: list[int] = []
        for _ in range(int(rng.integers(2, 5))):
            kind, topic, own, pick = rng.random(4)
            among = style
            if kind >= _STYLE_ASKED:
                passed = int(np.count_nonzero(np.cumsum(person.weights) < topic))
                chosen = person.topics[min(passed, len(person.topics) - 1)]
                mine = pools.own[now[pools.topic[now] == chosen]]
                among = np.flatnonzero(pools.query_topic == chosen)
                among = mine if mine.size and own < _OWN_ASKED else among
            asked.append(int(among[int(pick * among.size)]))
        tasks.append(tuple(asked))
    return tuple(tasks)
