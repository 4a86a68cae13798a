"""The published policy: a long-term and a short-term vector a user (VARS, arXiv 2603.20939).

Kept as a baseline and to be chosen; in the project's simulation it is no better than its reranker.
It follows the paper. Mistakes of the released code that are not repeated here:

- With no more candidates than may be injected the code sets all base scores to one constant and
  skips the reranker, so that what is shown is what was expected and the gradient is zero: a user
  with few cards learns nothing. Here the scores are always the relevance.
- Its setting file is nested one level deeper than the loader looks, and is ignored in silence.
- Without a saved projection it takes the first 256 of 4096 coordinates; a saved one is never
  fitted again, and one of fewer rows than components is padded with zero rows.
- Baseline and short-term decay stand still when the advantage is near 0 or nothing was chosen. Here
  both go on with every follow-up.
- It injects 5 or 8 rules where the paper says 3; its dynamic limit compares negative scores with
  half of the best one, which none passes. Here the caller's limit counts.
- It selects greedily but keeps no probabilities. Selection is greedy here, too, as it was
  evaluated, and `chance` holds the softmax that the update differentiates: it is no propensity.
- Its reward finds "no" in "now" and "know", and its default loop never calls it: see
  `prefmem.feedback`.
"""

from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import BasisMismatchError, ConfigError, InputError
from prefmem.interaction import Choice, Deck, Numbers, Observation, Offer, Slate, UserState
from prefmem.types import Matrix, Vector
from prefmem.usermodel.ledger import Ledger
from prefmem.usermodel.projection import PackagedProjection, Projection

_Floats: TypeAlias = npt.NDArray[np.float64]
_Figures: TypeAlias = npt.NDArray[np.floating[Any]]

_LEAST = 1e-9  # relevance below this is taken for it, as a logarithm is needed


@dataclass(frozen=True, slots=True)
class Gates:
    """Share of a reward that is owed to what was retrieved, in [0, 1], by how it came about.

    Attributes:
        astray: Unhappy, and the follow-up is far from the query: the rules are to blame.
        misread: Unhappy, though close to the query: the answer is to blame.
        served: Happy, and close to the query.
        lucky: Happy otherwise.
        unclear: Anything else.
    """

    astray: float = 0.9
    misread: float = 0.2
    served: float = 0.6
    lucky: float = 0.3
    unclear: float = 0.5

    def of(self, reward: float, similarity: float) -> float:
        """Look up the gate.

        Args:
            reward: In [-1, 1].
            similarity: Cosine of follow-up and query, in [-1, 1].
        """
        if reward < -0.5 and similarity < 0.2:
            return self.astray
        if reward < -0.5 and similarity > 0.5:
            return self.misread
        if reward > 0.5:
            return self.served if similarity > 0.4 else self.lucky
        return self.unclear


@dataclass(frozen=True)
class Vars:
    """The published policy.

    A card scores s = log relevance + z . v, z = 2 z_L + 5 z_S, with v its vector in the principal
    components of rules; the policy is softmax(s / tau). It never abstains.

    Attributes:
        beta_long: Weight of the long-term vector.
        beta_short: Weight of the short-term vector.
        eta_long: Step of the long-term vector.
        eta_short: Step of the short-term vector.
        decay: Share of the short-term vector that is lost with every follow-up, in [0, 1].
        smoothing: Weight of the newest reward in the baseline, in [0, 1].
        tau: Temperature, above 0.
        gates: Share of a reward that is owed to what was retrieved.
        projection: The principal components; unless given the packaged ones for the embedder that
            they were fitted to, and none for any other: the vectors are the embeddings then.

    Raises:
        ConfigError: A constant is out of range.
    """

    beta_long: float = 2.0
    beta_short: float = 5.0
    eta_long: float = 0.01
    eta_short: float = 0.05
    decay: float = 0.1
    smoothing: float = 0.05
    tau: float = 1.0
    gates: Gates = field(default_factory=Gates)
    projection: Projection | None = None

    def __post_init__(self) -> None:
        """Refuse constants that no update works with."""
        shares = (self.decay, self.smoothing, *astuple(self.gates))
        steps = (self.beta_long, self.beta_short, self.eta_long, self.eta_short)
        if not (all(0 <= share <= 1 for share in shares) and np.isfinite(steps).all()):
            raise ConfigError(
                f"{self!r}: decay, smoothing, gates lie in [0, 1], weights are finite"
            )
        if not 0 < self.tau < float("inf"):
            raise ConfigError(f"tau={self.tau!r} has to be above 0")

    @property
    def name(self) -> str:
        """Name and version."""
        return "vars/1"

    def fresh(self, user_id: str) -> UserState:
        """Give the state of a user without history; empty vectors stand for zero ones."""
        return UserState(user_id, model=self.name)

    def prior(self, state: UserState, deck: Deck, places: Numbers) -> Vector:
        """Give the ledger's log-odds without history, so that it can learn from this model's log.

        Args:
            state: Not read.
            deck: All active cards.
            places: Rows of the deck, (j,).

        Returns:
            Log-odds, (j,), float32.
        """
        return Ledger().prior(self.fresh(state.user_id), deck, places)

    def select(self, state: UserState, slate: Slate, *, floor: float, limit: int) -> Choice:
        """Weigh the cards that come into question: worth and chance are the policy's softmax.

        Args:
            state: The user's state; left as it is.
            slate: The cards and their relevance.
            floor: Not read: the best `limit` cards are taken whatever they are worth.
            limit: Not read, either: the best cards are the first by worth.

        Raises:
            BasisMismatchError: The state's vectors belong to another space.
        """
        del floor, limit
        rows = slate.deck.matrix[slate.places]
        chance = self._policy(state, slate.deck, rows, slate.relevance).astype(np.float32)
        return Choice(
            worth=chance,
            belief=np.ones(len(rows), dtype=np.float32),
            prior=self.prior(state, slate.deck, slate.places),
            chance=chance.copy(),
            floor=0.0,
        )

    def observe(self, state: UserState, offer: Offer, said: Observation, deck: Deck) -> UserState:
        """Move both vectors along the gradient of the log-probability of what was injected.

        With gate g and baseline b the advantage is A = g (r - b), and the direction is (mean v of
        the injected - sum of pi v) / tau. The short-term vector decays and the baseline moves with
        every follow-up, also when nothing was injected or the gate is shut.

        Args:
            state: The user's state; left as it is.
            offer: What was considered and injected before the follow-up.
            said: What the follow-up says; its reward and similarity count.
            deck: The active cards; those of the offer that are gone are left out.

        Returns:
            The next state; the state itself where nothing was offered.

        Raises:
            BasisMismatchError: The state's vectors belong to another space.
            InputError: Arrays of the offer differ in length.
        """
        k = offer.numbers.size
        if not k:
            return state
        if len(offer.relevance) != k or len(offer.shown) != k:
            raise InputError(
                f"{k} cards, relevance of {len(offer.relevance)} and {len(offer.shown)} marks; "
                "give one for each card"
            )
        here = np.isin(offer.numbers, deck.numbers)
        rows = deck.matrix[np.searchsorted(deck.numbers, offer.numbers[here])]
        shown = offer.shown[here]
        chance = self._policy(state, deck, rows, offer.relevance[here])
        moved = self._inward(deck, direction(rows, chance, shown, self.tau))
        reward = min(max(said.reward, -1.0), 1.0)
        advantage = self.gates.of(reward, said.similarity) * (reward - state.baseline)
        long = state.long if state.long.size else np.zeros(len(moved))
        short = state.short if state.short.size else np.zeros(len(moved))
        return replace(
            state,
            model=self.name,
            basis=self._basis(deck),
            turns=state.turns + 1,
            long=(long + self.eta_long * advantage * moved).astype(np.float32),
            short=((1 - self.decay) * short + self.eta_short * advantage * moved).astype(
                np.float32
            ),
            baseline=(1 - self.smoothing) * state.baseline + self.smoothing * reward,
            steps=state.steps + 1,
        )

    def tick(self, state: UserState, session_id: str) -> UserState:
        """Begin a session with a short-term vector of zero; the state itself if it is under way."""
        if session_id == state.session_id:
            return state
        return replace(
            state,
            model=self.name,
            short=np.zeros_like(state.short),
            session_id=session_id,
            paused=np.zeros(0, dtype=np.int64),
            sessions=state.sessions + 1,
            steps=state.steps + 1,
        )

    @cached_property
    def _packaged(self) -> PackagedProjection:
        return PackagedProjection()

    def _projection(self, deck: Deck) -> Projection | None:
        if self.projection is None and deck.basis == self._packaged.basis:
            return self._packaged.projection
        return self.projection

    def _basis(self, deck: Deck) -> str:
        projection = self._projection(deck)
        return projection.name if projection else deck.basis

    def _policy(self, state: UserState, deck: Deck, rows: Matrix, relevance: Vector) -> _Floats:
        """Give softmax((log relevance + z . v) / tau) of k cards, (k,).

        The mean embedding shifts all scores alike, so z . P e does for z . P (e - mean).
        """
        scores = np.log(np.maximum(relevance.astype(np.float64), _LEAST))
        if not len(scores):
            return scores
        if state.long.size:
            z = self.beta_long * state.long + self.beta_short * state.short
            scores += rows @ self._outward(state, deck, z)
        weights = np.exp((scores - scores.max()) / self.tau)
        chance: _Floats = weights / weights.sum()
        return chance

    def _outward(self, state: UserState, deck: Deck, z: _Figures) -> _Figures:
        """Turn the user's vector into one among the embeddings, (d,) -> (e,)."""
        if state.basis != self._basis(deck):
            raise BasisMismatchError(
                f"the user's vectors are in {state.basis!r}, the cards in {self._basis(deck)!r}; "
                "make the state again from the log"
            )
        projection = self._projection(deck)
        turned: _Figures = z @ projection.components if projection else z
        return turned

    def _inward(self, deck: Deck, step: _Floats) -> _Floats:
        """Turn a difference of embeddings into one of projected vectors, (e,) -> (d,)."""
        projection = self._projection(deck)
        turned: _Floats = projection.components @ step if projection else step
        return turned


def direction(rows: _Figures, chance: _Floats, shown: npt.NDArray[np.bool_], tau: float) -> _Floats:
    """Give the gradient of the mean log-probability of the injected cards in z (Proposition 1).

    Args:
        rows: Vectors of the candidates, (k, d).
        chance: Their softmax, (k,).
        shown: Which were injected, (k,).
        tau: Temperature.

    Returns:
        (mean v of the injected - sum of chance v) / tau, (d,), float64; 0 if none was injected.
    """
    if not shown.any():
        return np.zeros(int(rows.shape[1]))
    weights = shown / np.count_nonzero(shown) - chance  # (k,)
    step: _Floats = (weights @ rows.astype(np.float64)) / tau
    return step
