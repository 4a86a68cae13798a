"""The cards that are stored about a simulated user, as they come in."""

import numpy as np

from prefmem.evaluate.simulate.users import User
from prefmem.interaction import Deck, Flags, Numbers

_BLOCK = 512


class Shelf:
    """Which of a user's cards are stored by now.

    Args:
        user: The user.
        basis: Space of the cards' vectors.
    """

    def __init__(self, user: User, basis: str) -> None:
        """Start with no cards."""
        self._user = user
        self._basis = basis
        self._there = np.zeros(len(user.about), dtype=np.bool_)
        self._crowd = np.full(len(user.about), -1.0, dtype=np.float32)
        self._deck: Deck | None = None

    @property
    def there(self) -> Flags:
        """Whether each slot holds a card, (S,)."""
        return self._there

    def begin(self, session: int) -> None:
        """Store what the extractor brings before or during a session."""
        due = (self._user.born < session + 1) & ~self._there
        self.add(np.flatnonzero(due))

    def add(self, slots: Numbers) -> None:
        """Store cards, the oldest first; every one is newer than all that are stored."""
        if not slots.size:
            return
        vectors = self._user.vectors
        before, new = np.flatnonzero(self._there), vectors[slots]
        for start in range(0, before.size, _BLOCK):
            block = before[start : start + _BLOCK]
            near = (vectors[block] @ new.T).max(axis=1)
            self._crowd[block] = np.maximum(self._crowd[block], near)
        for start in range(0, slots.size, _BLOCK):
            block = np.arange(start, min(start + _BLOCK, slots.size))
            cosines = new[block] @ new.T
            cosines[np.arange(slots.size) <= block[:, None]] = -1
            self._crowd[slots[block]] = cosines.max(axis=1)
        self._there[slots] = True
        self._deck = None

    def deck(self) -> Deck:
        """Give what is stored as a user model sees it: the number of a card is its slot + 1.

        Doubt is clip((largest cosine with a newer card - 0.55) / 0.3, 0, 1).
        """
        if self._deck is None:
            slots = np.flatnonzero(self._there)
            doubt = np.clip((self._crowd[slots] - 0.55) / 0.3, 0, 1).astype(np.float32)
            self._deck = Deck(
                slots + 1,
                self._user.vectors[slots],
                self._user.confidence[slots],
                doubt,
                self._basis,
            )
        return self._deck
