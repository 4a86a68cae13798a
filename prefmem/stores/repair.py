"""What is wrong with a user's rows, by the logs they are made from, and how to make them again.

The logs are what cannot be made again; cards, their columns and vectors can.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prefmem.errors import StoreUnavailableError
from prefmem.ids import rule_hash
from prefmem.interaction import UserState
from prefmem.stores.base import Row
from prefmem.stores.rows import Rows
from prefmem.stores.transaction import RowTransaction
from prefmem.types import LIVE, Card, Vector

_CLOSE = 0.02  # between the components of two vectors of one text, half precision and CPUs aside
_COLUMNS = "rule_hash, scope, status, confidence, ends, created_seq, place, body"


@dataclass(frozen=True, slots=True)
class Expected:
    """A card as the log gives it.

    Attributes:
        card: The card.
        seq: The event that tells of it first.
        place: Its place among the changes of that event.
    """

    card: Card
    seq: int
    place: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """How a user's cards differ from the log.

    Attributes:
        cards: Ids of cards that are missing, unreadable or differ.
        extra: Ids of cards that no log tells of.
        vectors: Ids of cards whose vector is of another width, holds no finite numbers, is nothing,
            or is of another text.
    """

    cards: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether they differ at all."""
        return bool(self.cards or self.extra or self.vectors)


class Repair(RowTransaction):
    """An open transaction that can make a user's cards again."""

    def rebuild(self, wanted: Mapping[str, Expected], fresh: Mapping[str, Vector]) -> Wrong:
        """Write the cards that are wrong as the log gives them; the others stay, to the byte.

        Args:
            wanted: The cards that the log gives, by id.
            fresh: Unit vectors, (e,), of the cards that the log gives, by card id.

        Returns:
            What was wrong.
        """
        wrong = differing(self._rows, wanted, fresh)
        for card_id in wrong.extra:
            self._delete(card_id)
        again = [card_id for card_id in wanted if card_id in {*wrong.cards, *wrong.vectors}]
        for card_id in again:  # all away first, as two live ones may say the same meanwhile
            self._retire(card_id)
        for card_id in again:
            told = wanted[card_id]
            self._put(told.card, fresh[card_id], (told.seq, told.place))
        if wrong:
            self._touch()
        return wrong

    def held_state(self) -> UserState | None:
        """Read the user's state; None where there is none, or it is damaged."""
        try:
            return self.state()
        except StoreUnavailableError:
            return None


def differing(rows: Rows, wanted: Mapping[str, Expected], fresh: Mapping[str, Vector]) -> Wrong:
    """Compare the rows of a user's cards with what the log gives.

    Args:
        rows: The user's rows.
        wanted: The cards.
        fresh: Vectors of some of them, by card id: those are compared.
    """
    found = rows.db.execute(
        f"select card_id, {_COLUMNS}, {rows.vectors.column} from cards where uid = ?",  # noqa: S608  # fixed texts
        (rows.uid,),
    ).fetchall()
    held = {row[0]: row for row in found}
    cards = [i for i in wanted if i not in held or not _same(rows, held[i], wanted[i])]
    vectors = [
        i for i, row in held.items() if i in wanted and not _fits(rows, i, row[-1], fresh.get(i))
    ]
    return Wrong(tuple(cards), tuple(i for i in held if i not in wanted), tuple(vectors))


def _same(rows: Rows, row: Row, wanted: Expected) -> bool:
    """Whether a row is what the log gives: what it says, and the columns that say it again."""
    card_id, named, scope, status, confidence, ends, seq, place, body, _ = row
    card = wanted.card
    try:
        if rows.read_card(card_id, body) != card:
            return False
    except StoreUnavailableError:
        return False
    rule = card.preference
    if card.status in LIVE and bytes(named) != rows.seal.name(rule_hash(rule)):
        return False
    end = None if card.valid_to is None else card.valid_to.timestamp()
    return (scope, status, confidence, ends, seq, place) == (
        rule.scope.kind, card.status, rule.confidence, end, wanted.seq, wanted.place,
    )  # fmt: skip


def _fits(rows: Rows, card_id: str, blob: bytes, fresh: Vector | None) -> bool:
    """Whether a vector can be read, is one, and is that of the text."""
    try:
        (vector,) = rows.vectors.read([(card_id, blob)], rows.width, rows.seal)
    except StoreUnavailableError:
        return False
    if not np.isfinite(vector).all():
        return False
    if fresh is None:
        return bool(vector.any())
    return bool(np.abs(vector - fresh).max(initial=0.0) <= _CLOSE)
