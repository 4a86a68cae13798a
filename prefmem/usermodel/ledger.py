"""The card ledger: one bounded log-odds number a card, "injecting it is right where it applies".

Each card is a two-state hidden Markov model (right, wrong). What speaks for or against it is who
was restated or rejected in the follow-up, shared softly among the cards that fit, then silence:
relevant, not injected, not missed; a scalar reward adds little. Formulas and constants are those of
the project's simulation study of user models; nothing is random, and nothing is trained.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import ConfigError, InputError
from prefmem.interaction import Choice, Deck, Flags, Numbers, Observation, Offer, Slate, UserState
from prefmem.types import Matrix, Vector
from prefmem.usermodel.prototypes import Prototypes
from prefmem.usermodel.prototypes import prior as lend
from prefmem.usermodel.vectors import BASE, TRUST, evidence_of, generalised, read_out

_BOUND = 5.0  # of evidence, and of the log-odds that a belief is made of
_MOST = 1000.0  # amount of evidence that is counted at most
_LEAST = 1e-3  # a card without evidence is not stored for less
_FIT = 1e6  # beyond this, one card fits infinitely better than another
_NOBODY: Numbers = np.zeros(0, dtype=np.int64)

_Floats: TypeAlias = npt.NDArray[np.float64]
_Figures: TypeAlias = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """Every card that an offer or its follow-up names, ascending: all arrays are (u,)."""

    numbers: Numbers
    rows: Numbers  # place in the state, or -1
    evidence: _Floats
    prior: _Floats
    belief: _Floats
    relevance: _Floats  # 0 where it was not offered
    shown: Flags
    share: _Floats  # of what the follow-up says, sums to `said`


@dataclass(frozen=True, slots=True)
class Ledger:
    """The default user model.

    A follow-up that says a card again while it was absent is strong evidence for it; a rejected
    card that was injected has strong evidence against it. What is left, the probability that the
    follow-up is about no card, is weak evidence: for what was injected, and, as silence, against
    what applied and was not missed. Silence counts less for a user who seldom restates anything.

    An observation with `said` 1 and a single number is a person's thumb on that card, up unless it
    `rejects`: it counts in full, whether or not the card was injected, and touches no other one.
    What is read off a text stays below 1.

    Attributes:
        base: Log-odds of a card of confidence 0.5 without evidence.
        trust: Log-odds per unit of confidence; a card's own word never weighs more than half of it.
        z_scale: Weight of the linear generalisation from cards with evidence to those without.
        z_bound: Log-odds that it gives or takes at most.
        missed: Evidence for an absent card that is said again.
        repeated: Evidence for an injected card that is said again.
        beside: Evidence against an injected card while another one is said.
        rejected: Evidence against an injected card that is rejected.
        denied: Evidence against an absent card that a rejection fits.
        kept: Evidence for an injected card when nothing is said about cards.
        mood: Evidence of a reward of 1 for an injected card.
        silence: Evidence against a relevant absent card when nothing is said about cards.
        taught: Evidence that a card which was learned from a complaint starts with.
        drift: Share of belief that returns to the prior with every session, in [0, 1).
        alike: Cosine above which a card has the place of another one, in [-1, 1].
        prototypes: What groups of similar users came to, for the first follow-ups of a new one;
            none unless given.

    Raises:
        ConfigError: A constant is not finite or out of range.
    """

    base: float = BASE
    trust: float = TRUST
    z_scale: float = 1.0
    z_bound: float = 0.5
    missed: float = 3.0
    repeated: float = 0.8
    beside: float = 0.2
    rejected: float = 4.0
    denied: float = 0.4
    kept: float = 0.1
    mood: float = 0.2
    silence: float = 0.25
    taught: float = 1.5
    drift: float = 0.01
    alike: float = 0.85
    prototypes: Prototypes | None = None

    def __post_init__(self) -> None:
        """Refuse constants that would break the bounds."""
        for constant in fields(self):
            if constant.name == "prototypes":
                continue
            value: float = getattr(self, constant.name)
            low = {"base": -_BOUND, "alike": -1.0}.get(constant.name, 0.0)
            high = {"drift": 0.999, "alike": 1.0}.get(constant.name, _BOUND)
            if not low <= value <= high:
                raise ConfigError(
                    f"Ledger.{constant.name}={value!r} is out of range; "
                    f"give a number from {low} to {high}"
                )

    @property
    def name(self) -> str:
        """Name and version."""
        return "ledger/1"

    @property
    def sure(self) -> float:
        """Belief in a card of confidence 1 without evidence: sigmoid(0.7) = 0.668."""
        return 1 / (1 + math.exp(-(self.base + self.trust / 2)))

    def fresh(self, user_id: str) -> UserState:
        """Give the state of a user without history."""
        return UserState(user_id, model=self.name)

    def prior(self, state: UserState, deck: Deck, places: Numbers) -> Vector:
        """Give the log-odds of cards before evidence of their own.

        From confidence, less the doubt that a newer card on the same subject casts; a card without
        evidence also has what the user's other cards came to, along its vector.

        Args:
            state: The user's state.
            deck: All active cards.
            places: Rows of the deck, (j,).

        Returns:
            Log-odds, (j,), float32.
        """
        _, rows = evidence_of(state, deck.numbers[places])
        return self._prior(state, deck, places, rows).astype(np.float32)

    def select(self, state: UserState, slate: Slate, *, floor: float, limit: int) -> Choice:
        """Weigh the cards that come into question: worth is relevance times belief.

        A rule that the user is sure to hold has belief `sure`, so a floor on its relevance is one
        of floor * sure on the worth: a floor of 0.24 gives 0.16, cost / (gain + cost) in the study.

        Args:
            state: The user's state; left as it is.
            slate: The cards and their relevance.
            floor: Relevance that a rule the user is sure to hold needs, in [0, 1].
            limit: Cards that are injected at most.

        Returns:
            The choice; the policy is deterministic, so `chance` is 1 for the cards that it takes
            by themselves and 0 for the others.
        """
        deck, places = slate.deck, slate.places
        numbers = deck.numbers[places]
        evidence, rows = evidence_of(state, numbers)
        prior = self._prior(state, deck, places, rows)
        belief = _belief(prior, evidence)
        worth = (slate.relevance * belief).astype(np.float32)
        least = floor * self.sure
        order: list[int] = np.lexsort((numbers, -worth)).tolist()
        taken = _taken(
            order, worth, least, lambda place: deck.matrix[places[place]], limit, self.alike
        )
        chance = np.zeros(len(places), dtype=np.float32)
        chance[list(taken)] = 1
        return Choice(
            worth, belief.astype(np.float32), prior.astype(np.float32), chance, floor=least
        )

    def observe(self, state: UserState, offer: Offer, said: Observation, deck: Deck) -> UserState:
        """Learn from a follow-up; the state itself where it names no card and none was offered.

        Args:
            state: The user's state; left as it is.
            offer: What was considered and injected before the follow-up.
            said: What the follow-up says.
            deck: Not read: priors stand in offer and observation, so a log replays without it.

        Raises:
            InputError: A card is named twice, or arrays that belong together differ in length.
        """
        del deck
        thumb = said.said >= 1 and said.numbers.size == 1
        turn = _gathered(state, None if thumb else offer, said)
        if not turn.numbers.size:
            return state
        change = self._thumb(turn, said) if thumb else self._change(turn, said, _heard(state))
        is_taught = np.zeros(turn.numbers.size, dtype=np.bool_)
        if said.taught.size:
            is_taught[np.searchsorted(turn.numbers, said.taught)] = True
            change = change + self.taught * (is_taught & (turn.rows < 0))
        follows = said.heard and not thumb and offer.numbers.size + said.numbers.size > 0
        heard = 0.0 if said.rejects else _share(said.said)
        return replace(
            _entered(state, turn, change),
            model=self.name,
            turns=state.turns + follows,
            restated=state.restated + heard * follows,
            steps=state.steps + 1,
        )

    def tick(self, state: UserState, session_id: str) -> UserState:
        """Begin a session; the state itself where it is under way.

        From one session to the next every card may have turned with a probability of `drift`, the
        exact prediction step of the two-state model: p becomes (1 - drift) p + drift sigmoid(b).
        """
        if session_id == state.session_id:
            return state
        evidence = state.evidence
        if state.sessions and evidence.size:
            prior = state.prior.astype(np.float64)
            belief = _belief(prior, evidence)
            belief = (1 - self.drift) * belief + self.drift * _sigmoid(prior)
            evidence = _bounded(np.log(belief / (1 - belief)) - prior).astype(np.float32)
        return replace(
            state,
            model=self.name,
            evidence=evidence,
            session_id=session_id,
            paused=_NOBODY,
            sessions=state.sessions + 1,
            steps=state.steps + 1,
        )

    def _prior(self, state: UserState, deck: Deck, places: Numbers, rows: Numbers) -> _Floats:
        confidence = deck.confidence[places].astype(np.float64)
        prior: _Floats = self.base + self.trust * (confidence - 0.5) - deck.doubt[places]
        new = rows < 0
        if self.z_scale and state.numbers.size and new.any():
            along = deck.matrix[places[new]] @ generalised(state, deck)  # (c, e) @ (e,) -> (c,)
            prior[new] += np.clip(self.z_scale * along, -self.z_bound, self.z_bound)
        if self.prototypes is not None and deck.basis == self.prototypes.basis and new.any():
            own, cards = read_out(state, deck), deck.matrix[places[new]]
            lent = lend(self.prototypes, own, cards, state.turns, basis=deck.basis)
            prior[new] += np.clip(lent, -self.z_bound, self.z_bound)
        return prior

    def _thumb(self, turn: _Turn, said: Observation) -> _Floats:
        return np.where(
            turn.numbers == said.numbers[0], -self.rejected if said.rejects else self.missed, 0.0
        )

    def _change(self, turn: _Turn, said: Observation, heard: float) -> _Floats:
        """Give what a follow-up adds to the evidence of each card, (u,)."""
        share, shown = turn.share, turn.shown
        told = _share(said.said)
        reward = min(max(said.reward, -1.0), 1.0)
        if said.rejects:
            about = np.where(shown, -self.rejected * share, -self.denied * share)
        else:
            others = np.maximum(told - share, 0)
            again = self.repeated * share - self.beside * others
            about = np.where(shown, again, self.missed * share)
        mood = self.mood * reward * (2 * (1 - turn.belief) if reward < 0 else 1)
        kept, silence = (self.kept, self.silence * heard) if said.heard else (0.0, 0.0)
        quiet = np.where(shown, kept + mood, -silence * turn.relevance)
        changed: _Floats = about + (1 - told) * quiet
        return changed


def pick(choice: Choice, vectors: Matrix, limit: int, alike: float = 0.85) -> tuple[int, ...]:
    """Take the best cards: those worth more than the floor, none much like one already taken.

    Args:
        choice: What a user model makes of k cards.
        vectors: Their unit vectors, (k, e).
        limit: Cards at most.
        alike: Cosine above which a card is left out; a bound of 2 leaves out none.

    Returns:
        Positions, the best first; of cards of equal worth the one that comes first.
    """
    order: list[int] = np.argsort(-choice.worth, kind="stable").tolist()
    return _taken(order, choice.worth, choice.floor, lambda place: vectors[place], limit, alike)


def _taken(
    order: Sequence[int],
    worth: Vector,
    floor: float,
    vector: Callable[[int], Vector],
    limit: int,
    alike: float,
) -> tuple[int, ...]:
    taken: list[int] = []
    rows: list[Vector] = []
    for place in order:
        if len(taken) >= limit or not worth[place] > floor:
            break
        row = vector(place)
        if all(float(row @ other) <= alike for other in rows):
            taken.append(place)
            rows.append(row)
    return tuple(taken)


def _heard(state: UserState) -> float:
    """Give the weight of silence: how often this user restates, next to what is usual."""
    usual = 0.15
    rate = (state.restated + 3) / (state.turns + 20)
    return min(max(rate / usual - 0.2, 0.0), 1.0)


def _gathered(state: UserState, offer: Offer | None, said: Observation) -> _Turn:
    """Bring offer and follow-up into one order of cards; without an offer none was injected."""
    named = (
        [said.numbers, said.taught] if offer is None else [offer.numbers, said.numbers, said.taught]
    )
    numbers = _union(named)
    relevance, prior = np.zeros(numbers.size), np.zeros(numbers.size)
    shown = np.zeros(numbers.size, dtype=np.bool_)
    if offer is not None:
        at = _at(numbers, offer.numbers, offer.relevance, offer.prior, offer.shown)
        relevance[at] = np.minimum(np.maximum(offer.relevance, 0), 1)
        prior[at], shown[at] = offer.prior, offer.shown
    at = _at(numbers, said.numbers, said.fit, said.prior)
    prior[at] = said.prior
    prior[_at(numbers, said.taught, said.taught_prior)] = said.taught_prior
    evidence, rows = evidence_of(state, numbers)
    belief = _belief(prior, evidence)
    share = np.zeros(numbers.size)
    if at.size:
        if said.rejects:
            expected = np.where(shown, 1.0, 0.02)
        else:
            expected = (relevance + 0.02) * (belief + 0.1) * np.where(shown, 0.3, 1.0)
        fit = np.nan_to_num(said.fit.astype(np.float64), nan=-_FIT, posinf=_FIT, neginf=-_FIT)
        fit = np.minimum(np.maximum(fit, -_FIT), _FIT)
        weights = expected[at] * np.exp(fit - fit.max())
        share[at] = weights
        share *= _share(said.said) / share.sum()  # summed in the order of the cards' numbers
    return _Turn(numbers, rows, evidence, prior, belief, relevance, shown, share)


def _union(named: Sequence[Numbers]) -> Numbers:
    """Bring card numbers together, ascending, each once."""
    numbers = np.concatenate(named)
    numbers.sort()
    first = np.ones(numbers.size, dtype=np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers[first]


def _at(numbers: Numbers, some: Numbers, *beside: npt.NDArray[np.generic]) -> Numbers:
    """Find cards in the ascending `numbers`, refusing one that is named twice."""
    if any(len(other) != some.size for other in beside):
        lengths = tuple(len(other) for other in beside)
        raise InputError(f"{some.size} cards, but figures for {lengths}; give one for each card")
    at = np.searchsorted(numbers, some)
    seen = np.zeros(numbers.size, dtype=np.bool_)
    seen[at] = True
    if np.count_nonzero(seen) != some.size:
        twice = sorted({int(n) for n in some if np.count_nonzero(some == n) > 1})
        raise InputError(f"cards {twice!r} are named twice; name each card once")
    return at


def _entered(state: UserState, turn: _Turn, change: _Floats) -> UserState:
    """Write a turn into the state; a new card with next to nothing to learn is left out."""
    known = turn.rows >= 0
    enters = known | (np.abs(change) >= _LEAST)
    old = turn.rows[known]
    stays = np.ones(state.numbers.size, dtype=np.bool_)
    stays[old] = False
    amount = np.zeros(turn.numbers.size)
    amount[known] = state.amount[old]
    amount = np.minimum(amount + np.abs(change), _MOST)
    numbers = np.concatenate((state.numbers[stays], turn.numbers[enters]))
    order = np.argsort(numbers, kind="stable")

    def merged(before: Vector, after: _Figures) -> Vector:
        column = np.concatenate((before[stays], after[enters].astype(np.float32)))
        return column[order]

    return replace(
        state,
        numbers=numbers[order],
        evidence=merged(state.evidence, _bounded(turn.evidence + change)),
        amount=merged(state.amount, amount.astype(np.float16)),
        prior=merged(state.prior, np.clip(turn.prior, -2 * _BOUND, 2 * _BOUND).astype(np.float16)),
    )


def _belief(prior: _Floats, evidence: _Figures) -> _Floats:
    return _sigmoid(_bounded(prior + evidence))


def _bounded(logits: _Floats) -> _Floats:
    return np.minimum(np.maximum(logits, -_BOUND), _BOUND)


def _sigmoid(logits: _Floats) -> _Floats:
    """Map log-odds to probabilities; they come bounded, or are a prior of a few units."""
    belief: _Floats = 1 / (1 + np.exp(-logits))
    return belief


def _share(said: float) -> float:
    return min(max(0.0, said), 1.0)
