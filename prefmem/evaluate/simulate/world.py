"""One simulated life: what is offered, observed and counted, turn by turn."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.simulate.nature import Coins, Nature, Reaction, Suffered, Truth
from prefmem.evaluate.simulate.policies import Policy
from prefmem.evaluate.simulate.pools import Pools
from prefmem.evaluate.simulate.replay import Event
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.shelf import Shelf
from prefmem.evaluate.simulate.users import User
from prefmem.interaction import Deck, Flags, Label, Numbers, Observation, Offer, Slate, UserState
from prefmem.types import Vector

_Floats: TypeAlias = npt.NDArray[np.float64]

COUNTS = (
    "turns", "complaints", "first", "hits", "possible", "injected", "bad", "harmed", "missed",
    "regret",
)  # fmt: skip
_TURNS = 10
_CANDIDATES = 64
_EXTRACTED = 0.975
# How a cosine speaks for a card, and from where on a follow-up says one.
_FIT, _SAID, _SLOPE = 0.05, 0.56, 0.04
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_LABELS: dict[int, Label] = {-1: "dissatisfied", 0: "neutral", 1: "satisfied"}
_NOBODY: Numbers = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """What became of a user under a policy.

    Attributes:
        counts: Sums over the turns of each session, (sessions, 10), columns as in `COUNTS`.
        state: The user model's last state.
        deck: The cards at the end.
        held: Preferences at the end, rows of the pools.
        log: What was offered and said, turn by turn.
    """

    counts: _Floats
    state: UserState
    deck: Deck
    held: Numbers
    log: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _Query:
    """A task with its text, and the follow-up that it is repeated with, or -1.

    A repeated one is the mix of 0.8 task + 0.6 follow-up, which is `size` long before it is
    normalised.
    """

    task: int
    text: int
    after: int
    size: float


def live(user: User, pools: Pools, setting: Setting, policy: Policy) -> Life:
    """Let a user live with a policy.

    Args:
        user: The user.
        pools: The pools that the user was drawn from.
        setting: The world that the user was drawn for.
        policy: What is injected, and what is learned.
    """
    world = _World(user, pools, setting, policy)
    for session in range(setting.sessions):
        world.session(session)
    held = user.items[user.held(setting.sessions - 1)]
    return Life(world.counts, world.state, world.shelf.deck(), held, tuple(world.log))


class _World:
    def __init__(self, user: User, pools: Pools, setting: Setting, policy: Policy) -> None:
        self.user, self.pools, self.setting, self.policy = user, pools, setting, policy
        self.nature = Nature(user, pools, setting)
        self.shelf = Shelf(user, pools.basis)
        self.state = policy.model.fresh(f"{user.seed}-{user.index}")
        self.counts = np.zeros((setting.sessions, len(COUNTS)))
        self.log: list[Event] = []
        self._cosines: dict[int, Vector] = {}

    def session(self, session: int) -> None:
        """Go through the tasks of a session; a complaint repeats the task."""
        self.shelf.begin(session)
        self.state = self.policy.model.tick(self.state, str(session))
        tasks = self.user.tasks[session]
        restated = np.zeros(len(self.user.items), dtype=np.bool_)
        done, after, just = 0, -1, -1
        for turn in range(_TURNS):
            query, coins = self._query(tasks[done], after), self.nature.coins(session, turn)
            truth = self.nature.truth(query.task, session)
            offer, slots = self._offer(query, truth, just, (session, turn))
            suffered = self.nature.suffer(truth, slots, restated, coins)
            self._count((session, turn), truth, slots, restated, suffered)
            said = self.nature.react(truth, suffered, coins)
            done += not suffered.complaint
            nexts = tasks[done:] if not suffered.complaint else ()
            heard = self._hear(query, offer, said, nexts)
            heard = self._extracted(heard, said, coins, complaint=suffered.complaint)
            self.state = self.policy.model.observe(self.state, offer, heard, self.shelf.deck())
            self.log.append(Event(session, turn, offer.recall_id, offer, heard))
            if said.preference >= 0:
                restated[said.preference] = True
            just, after = said.preference, said.text if suffered.complaint else -1
            if done == len(tasks):
                break

    def _query(self, task: int, after: int) -> _Query:
        text, vectors = int(self.pools.queries[task]), self.pools.vectors
        mixed = 2 * 0.8 * 0.6 * float(vectors[text] @ vectors[after]) if after >= 0 else 0.0
        return _Query(task, text, after, (1 + mixed) ** 0.5)

    def _near(self, query: _Query) -> Vector:
        """Give the cosine of a query with every slot, (S,)."""
        near = self._cosine(query.text)
        if query.after < 0:
            return near
        mixed = 0.8 * near + 0.6 * self._cosine(query.after)
        return (mixed / query.size).astype(np.float32)

    def _cosine(self, text: int) -> Vector:
        """Give the cosine of a text with every slot, (S,)."""
        if text not in self._cosines:
            self._cosines[text] = self.user.vectors @ self.pools.vectors[text]
        return self._cosines[text]

    def _offer(
        self, query: _Query, truth: Truth, just: int, place: tuple[int, int]
    ) -> tuple[Offer, Numbers]:
        """Let the policy choose among the nearest cards: the receipt, and the slots injected."""
        deck = self.shelf.deck()
        near = self._near(query)[deck.numbers - 1]
        places = self._candidates(near, deck)
        numbers, near = deck.numbers[places], near[places]
        relevance = self.nature.relevance(query.task, near, numbers - 1, truth, just)
        merit = self.nature.merit(numbers - 1, truth)
        slate = Slate(deck, places, relevance)
        choice, taken = self.policy.choose(self.state, slate, near, merit, self.setting.limit)
        shown = np.zeros(places.size, dtype=np.bool_)
        shown[list(taken)] = True
        session, turn = place
        offer = Offer(
            f"{session}.{turn}", str(session), f"{query.task:016x}", numbers, relevance,
            choice.prior, choice.chance, shown,
            tuple("relevant" if taken else "irrelevant" for taken in shown.tolist()),
            self.policy.model.name, _AT,
        )  # fmt: skip
        return offer, numbers[list(taken)] - 1

    def _candidates(self, near: Vector, deck: Deck) -> Numbers:
        """Take the 64 nearest cards, and the malicious one, in the order of their numbers."""
        if near.size <= _CANDIDATES:
            return np.arange(near.size)
        places = np.argpartition(-near, _CANDIDATES - 1)[:_CANDIDATES]
        if self.user.malicious >= 0:
            places = np.append(places, np.searchsorted(deck.numbers, self.user.malicious + 1))
        return np.unique(places)

    def _hear(
        self, query: _Query, offer: Offer, said: Reaction, nexts: tuple[int, ...]
    ) -> Observation:
        """Make of the reaction, and of the next task that is asked with it, what is observed."""
        deck = self.shelf.deck()
        near = self._cosine(said.text)[deck.numbers - 1]
        if nexts:
            following = self._cosine(int(self.pools.queries[nexts[0]]))
            near = np.maximum(near, following[deck.numbers - 1])
        heard = near[np.isin(deck.numbers, offer.numbers[offer.shown])] if said.cue else near
        best = float(heard.max()) if heard.size else -1.0
        vectors = self.pools.vectors
        similarity = float(vectors[said.text] @ vectors[query.text])
        if query.after >= 0:
            beside = float(vectors[said.text] @ vectors[query.after])
            similarity = (0.8 * similarity + 0.6 * beside) / query.size
        return Observation(
            offer.recall_id, offer.session_id, _LABELS[said.sign], float(said.sign),
            said=float(1 / (1 + np.exp(-(best - _SAID) / _SLOPE))),
            rejects=said.cue,
            numbers=deck.numbers,
            fit=(near / _FIT).astype(np.float32),
            prior=self.policy.model.prior(self.state, deck, np.arange(near.size)),
            similarity=similarity,
        )  # fmt: skip

    def _extracted(
        self, heard: Observation, said: Reaction, coins: Coins, *, complaint: bool
    ) -> Observation:
        """Store a restated preference that has no card; one from a complaint is taught."""
        if said.preference < 0 or coins.extracted >= _EXTRACTED:
            return heard
        about = self.user.about == self.user.items[said.preference]
        if (self.shelf.there & about).any():
            return heard
        slot = self.user.own[[said.preference]]
        self.shelf.add(slot)
        if not complaint:
            return heard
        deck = self.shelf.deck()
        rows = np.searchsorted(deck.numbers, slot + 1)
        prior = self.policy.model.prior(self.state, deck, rows)
        return replace(heard, taught=slot + 1, taught_prior=prior)

    def _count(
        self, place: tuple[int, int], truth: Truth, slots: Numbers, restated: Flags,
        suffered: Suffered,
    ) -> None:  # fmt: skip
        session, turn = place
        wanted = int(truth.wanted.sum())
        hits = int((truth.wanted & self.nature.injected(slots)).sum())
        bad = int((~(truth.about & truth.kept)[slots]).sum())
        regret = self.nature.regret(truth, slots, restated, self.shelf.there)
        self.counts[session] += (
            1, suffered.complaint, suffered.complaint and turn == 0, hits,
            min(self.setting.limit, wanted), slots.size, bad, suffered.harms.size > 0,
            suffered.missed.size > 0, regret,
        )  # fmt: skip
