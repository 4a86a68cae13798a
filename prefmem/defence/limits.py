"""How many cards a user may come to have: an hour from dialogue, and in all."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prefmem.config import Config
from prefmem.errors import InputError
from prefmem.protocols import Counting, Store, Transaction
from prefmem.types import LIVE, Source, UserKey

_HOUR = timedelta(hours=1)
_CHUNK = 64  # cards read at once
_DIALOGUE: frozenset[Source] = frozenset({"said", "inferred"})


@dataclass(slots=True)
class Allowance:
    """New cards that may still come.

    Attributes:
        left: How many; None for any number.
        refused: How many were refused.
    """

    left: int | None = None
    refused: int = 0

    def take(self) -> bool:
        """Take one; False, and counted, where none is left."""
        if self.left is None:
            return True
        if self.left <= 0:
            self.refused += 1
            return False
        self.left -= 1
        return True


def allowance(
    store: Store, user: UserKey, *, source: Source, now: datetime, config: Config
) -> Allowance:
    """Give how many new cards a user may get now.

    An hour's cards are counted by when they were written: `Config.max_new_cards_per_hour` from
    dialogue, whatever is added by hand beside them. Live cards are `Config.max_cards` at most.

    Args:
        store: Holds the user's cards.
        user: Whose cards they are.
        source: How the new ones come to be known.
        now: The time, UTC. Cards of a later time, written by a clock that was set back, count
            towards no hour.
        config: The limits.
    """
    enough = max(_CHUNK, config.max_new_cards_per_hour or 0)
    if source not in _DIALOGUE and isinstance(store, Counting):
        left = config.max_cards - store.numbered(user)
        if left > enough:
            return Allowance(left)
    numbers = store.numbers(user)
    left = config.max_cards - len(numbers)
    if left < config.max_cards and left <= enough:
        live = sum(card.as_of(now).status in LIVE for card in store.cards(user))
        left = config.max_cards - live  # not all that ever came are still there
    hourly = config.max_new_cards_per_hour
    if source in _DIALOGUE and hourly is not None:
        newest = sorted(numbers, key=lambda card_id: -numbers[card_id])
        left = min(left, hourly - _of_an_hour(store, user, newest, now, hourly))
    return Allowance(max(0, left))


def check_room(transaction: Transaction, now: datetime, *, most: int) -> None:
    """Refuse what a transaction wrote where the user would have more than `most` live cards.

    Raises:
        InputError: They are more; the transaction must be given up.
    """
    ids = transaction.numbers()
    if len(ids) <= most:
        return
    cards = (transaction.card(card_id) for card_id in ids)
    live = sum(card is not None and card.as_of(now).status in LIVE for card in cards)
    if live > most:
        raise InputError(
            f"the user would have {live:,} live cards, at most {most:,} fit; raise max_cards in "
            "the config"
        )


def _of_an_hour(store: Store, user: UserKey, newest: list[str], now: datetime, enough: int) -> int:
    """Count the cards that dialogue brought in the last hour, up to `enough`; newest ids first."""
    count = 0
    for start in range(0, len(newest), _CHUNK):
        cards = store.cards(user, ids=newest[start : start + _CHUNK])
        ages = [(now - card.valid_from, card.source) for card in cards]
        count += sum(timedelta(0) <= age < _HOUR and source in _DIALOGUE for age, source in ages)
        if count >= enough or any(age >= _HOUR for age, _ in ages):
            break
    return count
