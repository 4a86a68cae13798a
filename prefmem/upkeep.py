"""Upkeep of what is stored: end and remove what is over, look for damage, make it again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from prefmem.cards.fold import fold
from prefmem.config import Config
from prefmem.errors import StoreError, StoreUnavailableError
from prefmem.interaction import Entry, Observation, UserState
from prefmem.protocols import Embedder, Store
from prefmem.stores import journal
from prefmem.stores.faiss import UserIndex
from prefmem.stores.repair import Expected
from prefmem.stores.rowstore import RowStore
from prefmem.types import (
    LIVE,
    Card,
    Change,
    Check,
    Erasure,
    Event,
    Rebuilt,
    Shelf,
    Swept,
    UserKey,
    Vector,
)
from prefmem.usage import Usage

_BY_A_MODEL = ("inferred", "distilled")
_EMBEDDED = 200  # texts that a look for damage embeds at most


def sweep(
    store: Store,
    usage: Usage,
    user: UserKey,
    *,
    config: Config,
    now: datetime,
    ids: Callable[[], str],
    actor: str,
) -> Swept:
    """End a user's cards that nobody confirmed in time, and remove those that are over for long."""
    held = store.cards(user)
    late = [card for card in held if _unconfirmed(card, config, now)]
    over = [card for card in held if _outlived(card, config, now)]
    if not late and not over:
        return Swept(1)
    with store.write(user) as transaction:
        late = [card for card in late if transaction.card(card.id) == card]
        over = [card for card in over if transaction.card(card.id) == card]
        changes = tuple(Change("supersede", _ended(card, config)) for card in late)
        transaction.record(Event(f"sweep:{ids()}", "sweep", changes, now), {})
        for card in over:
            transaction.forget(card.id)
        if over and transaction.state() is not None:
            index = UserIndex.build(transaction.shelf())
            transaction.save_state(usage.replayed(user, transaction.interactions(), index))
        transaction.audit("sweep", actor=actor, at=now, n=len(late) + len(over))
    return Swept(1, len(late), len(over))


def rebuild(
    store: Store, usage: Usage, embedder: Embedder, user: UserKey, *, now: datetime, actor: str
) -> Rebuilt:
    """Make a user's cards, vectors and state again where they are not what the logs give."""
    rows = _kept_in_rows(store)
    while True:  # again when another call changed the cards meanwhile
        seen = rows.revision(user)
        wanted = _expected(rows.events(user))
        if not seen and not wanted:  # nobody, who is not to get a row
            return Rebuilt()
        fresh = _embedded(embedder, [told.card for told in wanted.values()])
        with rows.repairing(user) as transaction:
            if transaction.revision() != seen:
                continue
            wrong = transaction.rebuild(wanted, fresh)
            held, log = transaction.held_state(), transaction.interactions()
            state = _right_state(usage, user, log, transaction.shelf, held)
            if state is not None:
                transaction.save_state(state)
            done = Rebuilt(wrong.cards, wrong.extra, wrong.vectors, state is not None)
            if done:
                n = len({*wrong.cards, *wrong.extra, *wrong.vectors})
                transaction.audit("rebuild", actor=actor, at=now, n=n)
            return done


def verify(store: Store, usage: Usage, embedder: Embedder, *, most: int) -> tuple[Check, ...]:
    """Look for damage in the store, and in `most` users, 0 for all."""
    rows = _kept_in_rows(store)
    checks = list(rows.soundness())
    names = rows.everyone()
    some = names[:: max(1, len(names) // most)][:most] if most else names
    room, bad = _EMBEDDED, list[str]()
    cards = 0
    for number, user in enumerate(some, start=1):
        found, count, room = _look(rows, usage, embedder, user, room)
        cards += count
        bad += [f"user {number} of those looked at: {told}" for told in found]
    told = "; ".join(bad[:5]) + (f"; and {len(bad) - 5} more" if len(bad) > 5 else "")
    looked = f"{len(some):,} of {len(names):,} users, {cards:,} cards"
    hint = "prefmem rebuild makes cards and states again, prefmem restore brings logs back"
    checks.append(Check("users", not bad, f"{looked}: {told}; {hint}" if bad else looked))
    return tuple(checks)


def summed(done: Sequence[Erasure]) -> Erasure:
    """Give one receipt for several erasures."""
    return Erasure(
        sum(one.cards for one in done),
        sum(one.events for one in done),
        all(one.checkpointed for one in done),
        interactions=sum(one.interactions for one in done),
        edits=sum(one.edits for one in done),
        jobs=sum(one.jobs for one in done),
        states=sum(one.states for one in done),
        busy=any(one.busy for one in done),
        listed=all(one.listed for one in done),
        adapters=sum(one.adapters for one in done),
    )


def _look(
    rows: RowStore, usage: Usage, embedder: Embedder, user: UserKey, room: int
) -> tuple[tuple[str, ...], int, int]:
    """Say what is wrong with a user; gives also how many cards, and texts that may be embedded."""
    return tuple(_faults(rows, usage, embedder, user, room)), *_counted(rows, user, room)


def _counted(rows: RowStore, user: UserKey, room: int) -> tuple[int, int]:
    count = len(rows.numbers(user))
    return count, max(0, room - count)


def _faults(
    rows: RowStore, usage: Usage, embedder: Embedder, user: UserKey, room: int
) -> Iterator[str]:
    """Say what is wrong with a user."""
    try:
        wanted = _expected(rows.events(user))
    except StoreUnavailableError:
        yield "the log is damaged"
        return
    cards = [told.card for told in wanted.values()]
    wrong = rows.differing(user, wanted, _embedded(embedder, cards[:room]))
    for what, ids in (
        ("cards are not what the log gives", wrong.cards),
        ("cards are in no log", wrong.extra),
        ("vectors are damaged", wrong.vectors),
    ):
        if ids:
            yield f"{len(ids)} {what}"
    for what, read in (
        ("the log of interaction", rows.interactions),
        ("a kept edit", rows.edits),
        ("what waits to be learned", rows.jobs.of),
    ):
        try:
            read(user)
        except StoreUnavailableError:
            yield f"{what} is damaged"
            return
    try:
        held = rows.state(user)
    except StoreUnavailableError:
        yield "the learned state is damaged"
        return
    if wrong:  # the state may rest on them
        return
    log = rows.interactions(user)
    if _right_state(usage, user, log, lambda: rows.shelf(user), held) is not None:
        yield "the learned state is not what the log of interaction gives"


def _right_state(
    usage: Usage,
    user: UserKey,
    log: Sequence[Entry],
    shelf: Callable[[], Shelf],
    held: UserState | None,
) -> UserState | None:
    """Give the state that the log of interaction gives; None where the one that is held will do.

    One of another user model will do, as it is made anew when it is used; so will one that rests on
    vectors, which were those of the cards at the time.
    """
    if held is not None and (held.model != usage.model.name or len(held.long)):
        return None
    if held is None and not any(isinstance(entry.payload, Observation) for entry in log):
        return None
    state = usage.replayed(user, log, UserIndex.build(shelf()))
    if held is not None and journal.write_state(state) == journal.write_state(held):
        return None
    return state


def _expected(events: Sequence[Event]) -> dict[str, Expected]:
    """Give the cards that a log gives, by id."""
    first: dict[str, tuple[int, int]] = {}
    for event in events:
        for place, change in enumerate(event.changes):
            first.setdefault(change.card.id, (event.seq, place))
    return {card_id: Expected(card, *first[card_id]) for card_id, card in fold(events).items()}


def _unconfirmed(card: Card, config: Config, now: datetime) -> bool:
    """Whether a live card was made up or waits, and was last heard too long ago."""
    waits = card.status in ("candidate", "quarantined") or card.source in _BY_A_MODEL
    live = card.as_of(now).status in LIVE
    return live and waits and card.recorded_at + timedelta(days=config.unconfirmed_days) <= now


def _outlived(card: Card, config: Config, now: datetime) -> bool:
    """Whether a card has been over for as long as cards are kept."""
    if config.retain_days is None or card.as_of(now).status in LIVE:
        return False
    end = card.valid_to or card.recorded_at
    return end + timedelta(days=config.retain_days) <= now


def _ended(card: Card, config: Config) -> Card:
    end = card.recorded_at + timedelta(days=config.unconfirmed_days)
    return replace(card, status="expired", valid_to=min(end, card.valid_to or end))


def _embedded(embedder: Embedder, cards: Sequence[Card]) -> dict[str, Vector]:
    return dict(zip((c.id for c in cards), embedder.embed([c.text for c in cards]), strict=True))


def _kept_in_rows(store: Store) -> RowStore:
    if not isinstance(store, RowStore):
        raise StoreError(
            f"a {type(store).__name__} keeps no rows that could be checked or made again; use its "
            "database's own means"
        )
    return store
