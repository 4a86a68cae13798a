"""The contract checks pass what keeps the contract, and catch what breaks it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import numpy as np
import pytest

from prefmem import Card, Evidence, Preference, Window
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import (
    HashEmbedder,
    PhraseExtractor,
    check_embedder,
    check_extractor,
    check_store,
)
from prefmem.types import Erasure, Matrix, Status, UserKey, Vector

TEXTS = ["use SI units", "be brief", "never use emojis"]
STATED = "Always use SI units."


def test_the_fakes_keep_their_contracts() -> None:
    check_embedder(HashEmbedder(), TEXTS)
    check_embedder(HashEmbedder(width=8), TEXTS)
    check_extractor(PhraseExtractor(), STATED)
    check_store(lambda: SQLiteStore(":memory:"))


class LongRows(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> Matrix:
        return 2 * super().embed(texts)


class Doubles(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> Matrix:
        return super().embed(texts).astype(np.float64)  # pyright: ignore[reportReturnType]  # the fault


class Batches(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> Matrix:
        rows = super().embed(texts)
        return rows if len(texts) < 2 else np.roll(rows, 1, axis=1)


class Narrow(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> Matrix:
        return super().embed(texts)[:, :-1]


class Falling(HashEmbedder):
    def relevance(self, cosines: Vector) -> Vector:
        return ((1 - cosines) / 2).astype(np.float32)


class Wide(HashEmbedder):
    def relevance(self, cosines: Vector) -> Vector:
        return cosines


@pytest.mark.parametrize("broken", [LongRows, Doubles, Batches, Narrow, Falling, Wide])
def test_a_broken_embedder_is_caught(broken: Callable[[], HashEmbedder]) -> None:
    with pytest.raises(AssertionError):
        check_embedder(broken(), TEXTS)


def rule(turn: str, quote: str = STATED, confidence: float = 1.0) -> Preference:
    evidence = (Evidence(turn, quote),)
    return Preference("", "use SI units", confidence=confidence, evidence=evidence)


class Gives:
    """Gives the same preferences for every window that has turns to learn."""

    def __init__(self, *found: Preference) -> None:
        self._found = found

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        del window
        return self._found if "4" in turn_ids else ()


class Hears:
    """Learns from every user turn, asked for or not."""

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        del turn_ids
        return tuple(rule(t.id) for t in window.turns if t.role == "user" and STATED in t.text)


def test_an_extractor_that_keeps_the_contract_passes() -> None:
    check_extractor(Gives(rule("4")), STATED)


@pytest.mark.parametrize(
    "broken",
    [
        Gives(),
        Gives(rule("0")),
        Gives(rule("4"), rule("2")),
        Gives(rule("4", "Use SI units")),
        Gives(Preference("", "use SI units")),
        Gives(rule("4", confidence=1.5)),
        Hears(),
    ],
)
def test_a_broken_extractor_is_caught(broken: Gives | Hears) -> None:
    with pytest.raises(AssertionError):
        check_extractor(broken, STATED)


class MixesUsers(SQLiteStore):
    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        found = super().cards(user, ids=ids, status=status)
        return found or super().cards(UserKey("ann"), ids=ids, status=status)


class MixesTenants(SQLiteStore):
    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        return super().known(UserKey(user.user_id), keys)


class TakesAnySpace(SQLiteStore):
    def bind(self, basis: str, width: int) -> None:
        del basis, width
        super().bind("test", 4)


class Keeps(SQLiteStore):
    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        del user, actor, at
        return Erasure(0, 3, True)


class StandsStill(SQLiteStore):
    def revision(self, user: UserKey) -> int:
        return min(super().revision(user), 1)


@pytest.mark.parametrize("broken", [MixesUsers, MixesTenants, TakesAnySpace, Keeps, StandsStill])
def test_a_broken_store_is_caught(broken: Callable[[str], SQLiteStore]) -> None:
    with pytest.raises(AssertionError):
        check_store(lambda: broken(":memory:"))
