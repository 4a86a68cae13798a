"""What users tell their memory: carried out at once, once, and never kept as a preference."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from prefmem import Config, PreferenceMemory
from prefmem.orders import Obeyed
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

Open: TypeAlias = Callable[..., PreferenceMemory]
ASK = "write SQL for the sales report"
CAPITALS = "When writing SQL, write keywords in capitals."


@pytest.fixture
def memory(open_memory: Open) -> PreferenceMemory:
    memory = open_memory(store=SQLiteStore(":memory:"), config=Config(min_score=0.1))
    memory.add("writing SQL", "write keywords in capitals", user_id="ann")
    memory.add("cooking", "use grams", user_id="ann")
    return memory


def tell(memory: PreferenceMemory, text: str, *, limit: int = 1, session: str = "s") -> Obeyed:
    memory.recall(ASK, user_id="ann", session_id=session, limit=limit)
    turns = [("user", ASK), ("assistant", "Here."), ("user", text)]
    return memory.command(turns, user_id="ann", session_id=session)


def texts(memory: PreferenceMemory) -> list[str]:
    return [card.text for card in memory.list(user_id="ann", status="active")]


def test_forget_that(memory: PreferenceMemory) -> None:
    found = tell(memory, "Forget that rule.")
    assert found.reply == "I've forgotten: When writing SQL, write keywords in capitals."
    assert texts(memory) == ["When cooking, use grams."]
    again = tell(memory, "Forget that rule.")
    assert (again.reply, again.cards) == ("", ())
    assert texts(memory) == ["When cooking, use grams."]


def test_what_is_named_is_forgotten_and_nothing_else(memory: PreferenceMemory) -> None:
    tell(memory, "Forget what I said about grams.")
    assert texts(memory) == [CAPITALS]


def test_an_unclear_word_erases_nothing(memory: PreferenceMemory) -> None:
    memory.add("writing a sales report", "write short sentences", user_id="ann")
    found = tell(memory, "Forget that rule.", limit=5)
    assert len(texts(memory)) == 3
    assert found.reply


def test_not_now_lasts_for_the_conversation(memory: PreferenceMemory) -> None:
    tell(memory, "Leave my preferences out this time.")
    here = memory.recall(ASK, user_id="ann", session_id="s")
    assert here.rules == ()
    assert {row.verdict.reason for row in here.explain()} >= {"paused"}
    there = memory.recall(ASK, user_id="ann", session_id="t")
    assert CAPITALS in [rule.text for rule in there.rules]


def test_why_gives_the_words(memory: PreferenceMemory) -> None:
    found = tell(memory, "Why did you do that?")
    assert "When writing SQL, write keywords in capitals (since " in found.reply
    assert [card.text for card in found.cards] == [CAPITALS]


def test_show_lists_what_is_known(memory: PreferenceMemory) -> None:
    found = tell(memory, "Show my preferences.")
    assert "use grams" in found.reply.lower()
    assert len(found.cards) == 2


def test_remember_keeps_the_words_as_evidence(memory: PreferenceMemory) -> None:
    found = tell(memory, "Remember that I always use metric units.")
    (card,) = found.cards
    assert card.status == "active"
    assert "metric units" in card.text
    assert card.preference.evidence[0].quote in "Remember that I always use metric units."


def test_only_for_narrows_a_rule(memory: PreferenceMemory) -> None:
    tell(memory, "That rule is only for reports.")
    assert "When writing SQL, for reports, write keywords in capitals." in texts(memory)


def test_undo_takes_the_last_change_back(memory: PreferenceMemory) -> None:
    memory.add("cooking", "use a slow cooker", user_id="ann")
    found = tell(memory, "Undo the last change to my preferences.")
    assert [command.intent for command in found.commands] == ["undo"]
    assert texts(memory) == [CAPITALS, "When cooking, use grams."]
    assert found.reply == "I've dropped this again: When cooking, use a slow cooker."


def test_what_is_forgotten_cannot_be_undone_and_nothing_else_is(memory: PreferenceMemory) -> None:
    tell(memory, "Forget the rule about cooking.")
    found = tell(memory, "Undo that.")
    assert found.reply == "What I've forgotten is gone for good. Say it again, and I'll keep it."
    assert texts(memory) == [CAPITALS]


def test_learning_carries_out_what_was_not_and_keeps_no_preference_of_it(
    memory: PreferenceMemory,
) -> None:
    memory.recall(ASK, user_id="ann", session_id="s", limit=1)
    turns = [("user", ASK), ("assistant", "Here."), ("user", "Forget that rule. Always use CTEs.")]
    report = memory.learn(turns, user_id="ann", session_id="s")
    assert [card.text for card in report.added] == ["Use CTEs."]
    assert CAPITALS not in texts(memory)
    assert memory.command(turns, user_id="ann", session_id="s").reply == ""


def test_a_turn_without_a_command_is_left_alone(memory: PreferenceMemory) -> None:
    found = tell(memory, "And now by month, please")
    assert found == Obeyed(rest="And now by month, please")
    assert memory.command([], user_id="ann") == Obeyed()


def test_a_pause_survives_export_and_replay(memory: PreferenceMemory, open_memory: Open) -> None:
    tell(memory, "Leave my preferences out this time.")
    other = SQLiteStore(":memory:")
    copy = open_memory(store=other)
    copy.load(memory.export(user_id="ann"), user_id="ann")
    state = other.state(UserKey("ann"))
    assert state is not None
    assert state.paused.tolist() == [0]
