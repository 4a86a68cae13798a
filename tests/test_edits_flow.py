"""Learning from what a user changes in drafts, through the memory."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from prefmem import InputError, PreferenceMemory
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

Open: TypeAlias = Callable[..., PreferenceMemory]
MAIL = "a mail to a colleague"
SAID = (
    ("Tom", "The meeting moved to Friday"),
    ("Lea", "Please send the report"),
    ("Uwe", "Thanks for the workshop"),
    ("Kim", "The invoice is paid"),
)
EDITS = tuple(
    (f"Hello {name}!\n\n{what}!\n\nSam", f"Hello {name},\n\n{what}.\n\nSam") for name, what in SAID
)


def teach(memory: PreferenceMemory, count: int = len(EDITS), context: str = MAIL) -> list[str]:
    return [
        card.text
        for draft, final in EDITS[:count]
        for card in memory.learn_from_edit(draft, final, context, user_id="ann").added
    ]


def test_a_rule_is_learned_when_edits_bear_it_out(memory: PreferenceMemory) -> None:
    assert teach(memory) == ["When writing a mail to a colleague, use no exclamation marks."]
    (card,) = memory.list(user_id="ann")
    assert (card.source, card.status, card.preference.polarity) == ("inferred", "active", "avoid")
    finals = " ".join(final for _, final in EDITS)
    for evidence in card.preference.evidence:
        assert evidence.quote in finals


def test_the_same_edit_teaches_once(memory: PreferenceMemory) -> None:
    teach(memory)
    report = memory.learn_from_edit(*EDITS[0], MAIL, user_id="ann")
    assert (report.turns, report.skipped, report.added) == (0, 1, ())
    assert teach(memory) == []


def test_what_is_forgotten_is_not_learned_from_the_next_edit(memory: PreferenceMemory) -> None:
    teach(memory, 3)
    (card,) = memory.list(user_id="ann")
    memory.forget(card.id, user_id="ann")
    memory.learn_from_edit(*EDITS[3], MAIL, user_id="ann")
    assert memory.list(user_id="ann") == ()


def test_with_a_card_that_edits_taught_go_the_edits(open_memory: Open) -> None:
    store = SQLiteStore(":memory:")
    memory = open_memory(store=store)
    other = memory.add("cooking", "use grams", user_id="ann")
    teach(memory, 3)
    memory.learn_from_edit(*EDITS[0], MAIL, user_id="bob")
    memory.forget(other.id, user_id="ann")
    assert len(store.edits(UserKey("ann"))) == 3
    (card,) = memory.list(user_id="ann")
    memory.forget(card.id, user_id="ann")
    assert store.edits(UserKey("ann")) == ()
    assert len(store.edits(UserKey("bob"))) == 1
    assert teach(memory, 3) == []  # what taught once does not teach again
    assert store.edits(UserKey("ann")) == ()


def test_edits_move_along_and_are_erased(open_memory: Open) -> None:
    store = SQLiteStore(":memory:")
    memory = open_memory(store=store)
    teach(memory)
    memory.load(memory.export(user_id="ann"), user_id="bob")
    assert len(store.edits(UserKey("bob"))) == len(EDITS)
    memory.forget_user(user_id="ann")
    assert store.edits(UserKey("ann")) == ()
    assert len(store.edits(UserKey("bob"))) == len(EDITS)


@pytest.mark.parametrize(("draft", "final"), [("", "x"), ("x", " "), ("x" * 200_000, "y")])
def test_a_text_that_teaches_nothing_is_refused(
    memory: PreferenceMemory, draft: str, final: str
) -> None:
    with pytest.raises(InputError):
        memory.learn_from_edit(draft, final, user_id="ann")
    assert memory.list(user_id="ann") == ()
