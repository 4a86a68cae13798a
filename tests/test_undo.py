"""One call takes an event back, exactly."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem import InputError, NotFoundError, PreferenceMemory
from prefmem.cards.fold import fold
from prefmem.cards.undo import undone
from prefmem.stores.codec import Export
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import Clock, Counter, HashEmbedder, PhraseExtractor, TableRelater
from prefmem.types import Event, Relation, UserKey

Open = Callable[..., PreferenceMemory]
Do = Callable[[PreferenceMemory], object]
TABLE: dict[tuple[str, str], Relation] = {
    ("Answer in English.", "Answer in German."): "supersede",
    ("Use grams.", "Use weights in grams."): "same",
    ("Use grams.", "When baking, use cups."): "exception",
    ("When cooking soup, use grams.", "Use grams."): "widen",
    ("Answer in English.", "No need to answer in English."): "supersede",
}


@pytest.fixture
def store(tmp_path: Any) -> SQLiteStore:  # noqa: ANN401  # a path
    return SQLiteStore(tmp_path / "prefs.db")


@pytest.fixture
def memory(open_memory: Open, store: SQLiteStore) -> PreferenceMemory:
    memory = open_memory(relater=TableRelater(TABLE), store=store)
    memory.learn([("user", "Always answer in English. Always use grams.")], user_id="ann")
    memory.learn([("user", "When cooking soup, always use grams.")], user_id="ann")
    return memory


def state(memory: PreferenceMemory, store: SQLiteStore) -> tuple[object, ...]:
    """Give the cards and vectors, to the last bit."""
    shelf = store.shelf(UserKey("ann"))
    cards = json.dumps(memory.export(user_id="ann")["cards"])
    return cards, shelf.ids, shelf.matrix.tobytes(), memory.get_user("ann").long.tobytes()


def say(text: str) -> Do:
    return lambda memory: memory.learn([("user", text)], user_id="ann")


def last(memory: PreferenceMemory) -> str:
    """Give the id of the newest event."""
    return Export.read(memory.export(user_id="ann")).log("ann")[-1].id


def card_id(memory: PreferenceMemory, text: str) -> str:
    return next(c.id for c in memory.list(user_id="ann") if c.text == text)


def by_hand(memory: PreferenceMemory) -> None:
    memory.add("", "use SI units", user_id="ann")


def reworded(memory: PreferenceMemory) -> None:
    card = card_id(memory, "Use grams.")
    memory.edit(card, user_id="ann", action="use ounces", scope="conditional")


def put_aside(memory: PreferenceMemory) -> None:
    memory.edit(card_id(memory, "Use grams."), user_id="ann", status="quarantined")


@pytest.mark.parametrize(
    "do",
    [
        say("Never use emojis."),
        say("Always use grams, as I said: always use grams."),
        say("Always use weights in grams."),
        say("Always answer in German."),
        say("When baking, always use cups."),
        say("Always no need to answer in English."),
        say("Always be brief this week."),
        by_hand,
        reworded,
        put_aside,
    ],
)
def test_the_state_is_as_before(memory: PreferenceMemory, store: SQLiteStore, do: Do) -> None:
    before = state(memory, store)
    do(memory)
    after, event_id = state(memory, store), last(memory)
    assert after != before
    undo = memory.undo(event_id, user_id="ann")
    assert (undo.kind, undo.undoes) == ("undo", event_id)
    assert state(memory, store) == before
    assert last(memory) == undo.id
    memory.undo(undo.id, user_id="ann")  # and back again
    assert state(memory, store) == after
    log = store.events(UserKey("ann"))
    assert set(fold(log).values()) == set(store.cards(UserKey("ann")))


def test_a_text_that_closed_and_came_back_in_one_event(
    open_memory: Open, store: SQLiteStore
) -> None:
    both: dict[tuple[str, str], Relation] = {
        ("Be a.", "Be b."): "supersede",
        ("Be b.", "Be a."): "supersede",
    }
    memory = open_memory(relater=TableRelater(both), store=store)
    say("Always be a.")(memory)
    say("Always be b. No, always be a.")(memory)
    after = state(memory, store)
    undo = memory.undo(last(memory), user_id="ann")
    memory.undo(undo.id, user_id="ann")
    assert state(memory, store) == after


def test_cards_come_in_the_order_of_saying(memory: PreferenceMemory, store: SQLiteStore) -> None:
    say("Always be brief. Never use nuts. Always use SI units.")(memory)
    said = ["Be brief.", "Never use nuts.", "Use SI units."]
    assert [c.text for c in memory.list(user_id="ann")][-3:] == said
    first = store.events(UserKey("ann"))[-1]
    by_hand_later = memory.add("", "be kind", user_id="ann")
    undo = memory.undo(first.id, user_id="ann")
    memory.undo(undo.id, user_id="ann")
    assert [c.text for c in memory.list(user_id="ann")][-4:] == [*said, by_hand_later.text]
    assert tuple(fold(store.events(UserKey("ann"))).values()) == store.cards(UserKey("ann"))


def test_an_imported_key_may_be_anything() -> None:
    assert Event("x", "undo", (), Clock()()).undoes is None
    assert Event("undo:abc:1", "undo", (), Clock()()).undoes == "abc"


def test_events_are_taken_back_one_after_the_other(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    states, events = [state(memory, store)], list[str]()
    for text in ("Always answer in German.", "Always be brief.", "Never use emojis."):
        (event_id,) = memory.learn([("user", text)], user_id="ann").events
        events.append(event_id)
        states.append(state(memory, store))
    for event_id, before in zip(reversed(events), reversed(states[:-1]), strict=True):
        memory.undo(event_id, user_id="ann")
        assert state(memory, store) == before


def test_a_turn_that_was_undone_is_not_learned_again(memory: PreferenceMemory) -> None:
    turn = [("user", "Never use emojis.")]
    (event_id,) = memory.learn(turn, user_id="ann").events
    memory.undo(event_id, user_id="ann")
    assert memory.learn(turn, user_id="ann").skipped == 1
    assert "Never use emojis." not in [c.text for c in memory.list(user_id="ann")]


def test_history_tells_it(memory: PreferenceMemory) -> None:
    report = memory.learn([("user", "Always answer in German.")], user_id="ann")
    (event_id,), (new,), (old,) = report.events, report.added, report.closed
    undo = memory.undo(event_id, user_id="ann")
    told = memory.history(new.id, user_id="ann")
    assert [(e.id, e.changes[0].op, e.undoes) for e in told] == [
        (event_id, "add", None), (undo.id, "remove", event_id),
    ]  # fmt: skip
    assert [e.changes[0].op for e in memory.history(old.id, user_id="ann")] == [
        "add", "supersede", "restore",
    ]  # fmt: skip
    with pytest.raises(NotFoundError):
        memory.get(new.id, user_id="ann")


def test_what_cannot_be_undone(memory: PreferenceMemory, store: SQLiteStore) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    added = last(memory)
    memory.edit(card.id, user_id="ann", action="use feet")
    edited = last(memory)
    before = state(memory, store)
    with pytest.raises(InputError, match=rf"changed since.*undo '{edited}' \(edit\) first"):
        memory.undo(added, user_id="ann")
    with pytest.raises(NotFoundError, match="no event 'nope'"):
        memory.undo("nope", user_id="ann")
    with pytest.raises(NotFoundError, match="no event"):
        memory.undo(added, user_id="bob")
    assert state(memory, store) == before

    memory.forget(card.id, user_id="ann")
    with pytest.raises(InputError, match="what is forgotten cannot come back"):
        memory.undo(last(memory), user_id="ann")
    with pytest.raises(InputError, match="its cards were forgotten"):
        memory.undo(edited, user_id="ann")
    memory.learn([("user", "Hello there")], user_id="ann")
    with pytest.raises(InputError, match="changed no card"):
        memory.undo(last(memory), user_id="ann")


def test_edits_are_taken_back_one_after_the_other(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    seen, events = [state(memory, store)], list[str]()
    for action in ("use feet", "use inches", "use miles"):
        memory.edit(card.id, user_id="ann", action=action)
        seen.append(state(memory, store))
        events.append(last(memory))
    for number in (2, 1):
        memory.undo(events[number], user_id="ann")
        assert state(memory, store) == seen[number]
    with pytest.raises(InputError, match="changed since"):
        memory.undo(events[2], user_id="ann")  # it is undone
    again = memory.edit(card.id, user_id="ann", action="use yards")
    with pytest.raises(InputError, match=rf"undo '{last(memory)}' \(edit\) first"):
        memory.undo(events[0], user_id="ann")
    memory.undo(last(memory), user_id="ann")
    memory.undo(events[0], user_id="ann")
    assert state(memory, store) == seen[0]
    assert again.id == card.id


def test_an_edit_that_changes_nothing_is_no_event(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    old = memory.add("writing SQL", "use CTEs", user_id="ann")
    card = memory.edit(old.id, user_id="ann", action="use views")
    before, event = state(memory, store), last(memory)
    assert memory.edit(card.id, user_id="ann", action="use views", condition="writing SQL") == card
    assert (state(memory, store), last(memory)) == (before, event)


def test_a_text_that_is_taken_by_now_does_not_come_back(
    memory: PreferenceMemory, store: SQLiteStore
) -> None:
    (event_id,) = memory.learn([("user", "Always answer in German.")], user_id="ann").events
    memory.learn([("user", "Now always answer in English.")], user_id="ann")
    before = state(memory, store)
    with pytest.raises(InputError, match="says the same"):
        memory.undo(event_id, user_id="ann")
    assert state(memory, store) == before


def test_what_was_undone_can_be_forgotten(memory: PreferenceMemory) -> None:
    (card,) = memory.learn([("user", "Never use emojis.")], user_id="ann").added
    undo = memory.undo(last(memory), user_id="ann")
    memory.forget(card.id, user_id="ann")
    data = json.dumps(memory.export(user_id="ann"))
    assert "emojis" not in data
    assert card.id not in data
    with pytest.raises(NotFoundError):
        memory.history(card.id, user_id="ann")
    with pytest.raises(InputError, match="its cards were forgotten"):
        memory.undo(undo.id, user_id="ann")
    with pytest.raises(NotFoundError):
        memory.forget(card.id, user_id="ann")


def test_what_was_undone_moves_along(memory: PreferenceMemory) -> None:
    memory.learn([("user", "Always answer in German.")], user_id="ann")
    undo = memory.undo(last(memory), user_id="ann")
    data = memory.export(user_id="ann")
    memory.forget_user(user_id="ann")
    memory.load(data, user_id="ann")
    again = memory.export(user_id="ann")
    del data["exported_at"], again["exported_at"]
    assert again == data
    memory.undo(undo.id, user_id="ann")
    assert "Answer in German." in [c.text for c in memory.list(user_id="ann", status="active")]


def test_loading_does_not_bring_a_forgotten_text_back(memory: PreferenceMemory) -> None:
    (card,) = memory.learn([("user", "Never use emojis.")], user_id="ann").added
    first = memory.export(user_id="ann")
    memory.undo(last(memory), user_id="ann")
    second = memory.export(user_id="ann")
    memory.load(first, user_id="bob")
    memory.forget(card.id, user_id="bob")
    memory.load(second, user_id="bob")
    assert "emojis" not in json.dumps(memory.export(user_id="bob"))


async def test_the_twin(memory: PreferenceMemory) -> None:
    (event_id,) = memory.learn([("user", "Never use emojis.")], user_id="ann").events
    undo = await memory.aundo(event_id, user_id="ann")
    assert undo.undoes == event_id


STEPS: tuple[str, ...] = (
    "Always answer in English.", "Always answer in German.", "Always use grams.",
    "Always use weights in grams.", "When baking, always use cups.",
    "When cooking soup, always use grams.", "Always no need to answer in English.",
)  # fmt: skip


@given(st.lists(st.integers(0, len(STEPS) + 3), max_size=14))
def test_any_history_replays_and_undoes(steps: list[int]) -> None:
    store = SQLiteStore(":memory:")
    with PreferenceMemory(
        store=store, embedder=HashEmbedder(), extractor=PhraseExtractor(0.48),
        relater=TableRelater(TABLE), clock=Clock(), ids=Counter(),
    ) as memory:  # fmt: skip
        for number, step in enumerate(steps):
            before = state(memory, store)
            log = store.events(UserKey("ann"))
            undoable = [event for event in log if can(log, event)]
            if step < len(STEPS):
                memory.learn([("user", f"{number}. {STEPS[step]}")], user_id="ann")
                told = store.events(UserKey("ann"))[-1]
                if told.changes:
                    memory.undo(told.id, user_id="ann")
                    assert state(memory, store) == before
                    memory.undo(last(memory), user_id="ann")
            elif step == len(STEPS) and memory.list(user_id="ann"):
                memory.forget(memory.list(user_id="ann")[0].id, user_id="ann")
            elif undoable:
                try:
                    memory.undo(undoable[0].id, user_id="ann")
                except InputError:  # another card says the same by now
                    assert state(memory, store) == before
            cards = store.cards(UserKey("ann"))
            assert tuple(fold(store.events(UserKey("ann"))).values()) == cards


def can(log: tuple[Event, ...], event: Event) -> bool:
    try:
        undone(log, event.id, unique="x", now=event.at)
    except InputError:
        return False
    return True
