"""The two vectors of a user: what their cards are about, and what the session is about.

Long-term is a read-out of the cards, z = sum over cards of p^2 v, with v the unit vector of a card
and p the probability that it holds; it has no state of its own that could drift from them.
Short-term is an exponentially weighted mean of the session's user turns and starts at zero with
every session.
"""

from dataclasses import replace

import numpy as np

from prefmem.errors import BasisMismatchError
from prefmem.types import Matrix, Shelf, UserState, Vector


def new_state(user_id: str, *, basis: str, width: int) -> UserState:
    """Give a user without history zero vectors."""
    zero = np.zeros(width, dtype=np.float32)
    return UserState(user_id, basis, long=zero, short=zero)


def read_out(shelf: Shelf) -> Vector:
    """Sum the cards' vectors, weighted by squared probability: (n,) @ (n, e) -> (e,)."""
    return ((shelf.confidence**2) @ shelf.matrix).astype(np.float32)


def follow(
    state: UserState, turns: Matrix, *, long: Vector, session_id: str, basis: str, rate: float
) -> UserState:
    """Take in the new user turns of a session.

    Args:
        state: State before; left as it is.
        turns: Unit vectors of the new user turns, oldest first, (n, e).
        long: The new long-term vector, (e,).
        session_id: Session that the turns belong to; another one than the state's starts at zero.
        basis: Vector space of `turns` and `long`.
        rate: Weight of the newest turn, in (0, 1].

    Returns:
        The next state, one step on.

    Raises:
        BasisMismatchError: The state lives in another space.
    """
    if state.basis != basis:
        raise BasisMismatchError(f"state is in {state.basis!r}, turns in {basis!r}")
    short = state.short if state.session_id == session_id else np.zeros_like(state.short)
    for turn in turns:
        short = (1 - rate) * short + rate * turn
    return replace(
        state,
        long=long,
        short=short.astype(np.float32),
        session_id=session_id,
        steps=state.steps + 1,
    )
