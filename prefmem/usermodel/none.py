"""No user model: rules are ranked by relevance alone, and nothing is learned."""

from dataclasses import dataclass, replace

import numpy as np

from prefmem.interaction import Choice, Deck, Numbers, Observation, Offer, Slate, UserState
from prefmem.types import Vector
from prefmem.usermodel.ledger import Ledger, pick

_LEDGER = Ledger()


@dataclass(frozen=True, slots=True)
class NoModel:
    """Takes every card at its word: worth is relevance, and belief 1."""

    @property
    def name(self) -> str:
        """Name and version."""
        return "none/1"

    def fresh(self, user_id: str) -> UserState:
        """Give the state of a user without history."""
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
        return _LEDGER.prior(self.fresh(state.user_id), deck, places)

    def select(self, state: UserState, slate: Slate, *, floor: float, limit: int) -> Choice:
        """Rank by relevance; what reaches the floor is taken.

        Args:
            state: Not read.
            slate: The cards and their relevance.
            floor: Relevance that a rule needs, in [0, 1].
            limit: Cards that are injected at most.
        """
        k = len(slate.places)
        choice = Choice(
            worth=slate.relevance.astype(np.float32),
            belief=np.ones(k, dtype=np.float32),
            prior=self.prior(state, slate.deck, slate.places),
            chance=np.zeros(k, dtype=np.float32),
            floor=floor,
        )
        taken = pick(choice, slate.deck.matrix[slate.places], limit)
        chance = choice.chance.copy()
        chance[list(taken)] = 1
        return replace(choice, chance=chance)

    def observe(self, state: UserState, offer: Offer, said: Observation, deck: Deck) -> UserState:
        """Learn nothing: the state itself."""
        del offer, said, deck
        return state

    def tick(self, state: UserState, session_id: str) -> UserState:
        """Begin a session; the state itself where it is under way."""
        if session_id == state.session_id:
            return state
        return replace(
            state,
            model=self.name,
            session_id=session_id,
            paused=np.zeros(0, dtype=np.int64),
            sessions=state.sessions + 1,
            steps=state.steps + 1,
        )
