"""The policies that are compared, all driven through `UserModel`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from prefmem.errors import ConfigError
from prefmem.evaluate.simulate.pools import Pools
from prefmem.interaction import Choice, Slate, UserState
from prefmem.protocols import UserModel
from prefmem.types import Vector
from prefmem.usermodel.ledger import Ledger, pick
from prefmem.usermodel.none import NoModel
from prefmem.usermodel.projection import PackagedProjection, fit
from prefmem.usermodel.vars import Vars

Look: TypeAlias = Literal["relevance", "cosine", "truth", "nothing"]

_FLOOR = 0.16 * (1 + math.exp(-0.7))  # the ledger makes 0.16 of it
_ANY = 2.0  # a bound on cosines that leaves nothing out
_ALIKE = 0.85


@dataclass(frozen=True, slots=True)
class Policy:
    """A user model with the way in which its choice is carried out.

    Attributes:
        name: What it is called in tables.
        model: What weighs the cards and learns.
        floor: Passed to the model.
        alike: Cosine above which a card is left out for one already taken; 2 for never.
        look: What the cards are ranked by before the model weighs them. `truth` is the oracle's,
            and `nothing` goes without memory.
    """

    name: str
    model: UserModel
    floor: float = 0.0
    alike: float = _ANY
    look: Look = "relevance"

    def choose(
        self, state: UserState, slate: Slate, cosines: Vector, merit: Vector, limit: int
    ) -> tuple[Choice, tuple[int, ...]]:
        """Choose cards.

        Args:
            state: The user's state.
            slate: The candidates, k, with the reranker's relevance.
            cosines: Of query and each candidate, (k,).
            merit: What injecting each is worth in truth, at least 0, (k,); only an oracle looks.
            limit: Cards at most.

        Returns:
            The model's choice, and the places in the slate that are injected, the best first.
        """
        if self.look == "cosine":
            slate = Slate(slate.deck, slate.places, ((cosines + 1) / 2).astype(np.float32))
        if self.look == "truth":
            slate = Slate(slate.deck, slate.places, merit)
        if self.look == "nothing":
            limit = 0
        choice = self.model.select(state, slate, floor=self.floor, limit=limit)
        vectors = slate.deck.matrix[slate.places]
        return choice, pick(choice, vectors, limit, self.alike)


def make(name: str, pools: Pools) -> Policy:
    """Make a policy by its name.

    The published policy has the packaged projection where that fits the space of the pools, else
    the principal components of the pools' cards.

    Raises:
        ConfigError: There is none of this name.
    """
    check([name])
    return _MAKERS[name](pools)


def check(names: Sequence[str]) -> tuple[str, ...]:
    """Give the names as they are, each once, or all policies where there is none.

    Raises:
        ConfigError: There is no policy of a name.
    """
    unknown = [name for name in names if name not in _MAKERS]
    if unknown:
        raise ConfigError(f"policies {unknown!r} are unknown; known are {', '.join(POLICIES)}")
    return tuple(dict.fromkeys(names)) or POLICIES


def _ledger(pools: Pools) -> Policy:
    del pools
    return Policy("ledger", Ledger(), _FLOOR, _ALIKE)


def _ledger_no_z(pools: Pools) -> Policy:
    del pools
    return Policy("ledger-no-z", Ledger(z_scale=0), _FLOOR, _ALIKE)


def _vars(pools: Pools) -> Policy:
    if pools.basis == PackagedProjection().basis:
        return Policy("vars", Vars())
    cards = pools.vectors[: len(pools.topic)]
    return Policy("vars", Vars(projection=fit(cards, name=f"pca@{pools.basis}")))


def _without(name: str, look: Look, floor: float = 0.0, alike: float = _ANY) -> Policy:
    return Policy(name, NoModel(), floor, alike, look)


_MAKERS: dict[str, Callable[[Pools], Policy]] = {
    "no-memory": lambda _: _without("no-memory", "nothing"),
    "cosine": lambda _: _without("cosine", "cosine"),
    "reranker": lambda _: _without("reranker", "relevance"),
    "threshold": lambda _: _without("threshold", "relevance", 0.5, _ALIKE),
    "vars": _vars,
    "ledger": _ledger,
    "ledger-no-z": _ledger_no_z,
    "oracle": lambda _: _without("oracle", "truth"),
}
POLICIES = tuple(_MAKERS)
