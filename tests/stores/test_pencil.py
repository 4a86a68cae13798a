"""A memory in pencil: it shows what would be, and nothing of it is kept."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest

from prefmem import InputError, NotFoundError, PreferenceMemory
from prefmem.testing import ScriptedAgent
from prefmem.types import Vector


class Failing:
    """A reranker that fails."""

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        raise ZeroDivisionError


Opener: TypeAlias = Callable[..., PreferenceMemory]
ASKED = "a report on writing SQL"


def held(memory: PreferenceMemory) -> dict[str, Any]:
    """Give everything held about Ann; the time of the export aside."""
    return {k: v for k, v in memory.export(user_id="ann").items() if k != "exported_at"}


@pytest.fixture
def ann(memory: PreferenceMemory) -> PreferenceMemory:
    """Give a memory in which Ann said two things, one of them twice."""
    for text in ("Always use SI units.", "When writing SQL, always use CTEs."):
        memory.learn([("user", text)], user_id="ann", session_id="monday")
    memory.learn([("user", "And always use SI units.")], user_id="ann", session_id="tuesday")
    return memory


def test_a_recall_is_the_same_and_leaves_no_receipt(ann: PreferenceMemory) -> None:
    before = held(ann)
    there = ann.supposing().recall(ASKED, user_id="ann", why=True, strict=True)
    assert held(ann) == before
    assert ann.health.recalls.count == 0
    real = ann.recall(ASKED, user_id="ann", why=True, strict=True)
    assert [r.text for r in there.rules] == ["Use SI units.", "When writing SQL, use CTEs."]
    assert (there.rules, there.verdicts) == (real.rules, real.verdicts)
    assert [c.worth for c in there.candidates] == [c.worth for c in real.candidates]
    assert ann.supposing().render(there) == ann.render(real)


def test_an_edit_is_seen_in_it_alone(ann: PreferenceMemory) -> None:
    card = ann.list(user_id="ann")[1]
    before, memory = held(ann), ann.supposing()
    memory.edit(card.id, user_id="ann", action="use views")
    found = memory.recall(ASKED, user_id="ann", strict=True)
    assert [r.text for r in found.rules] == ["Use SI units.", "When writing SQL, use views."]
    assert memory.get(card.id, user_id="ann").text == "When writing SQL, use views."
    assert [e.kind for e in memory.history(card.id, user_id="ann")] == ["learn", "edit"]
    assert ann.get(card.id, user_id="ann") == card
    assert held(ann) == before


def test_adding_forgetting_and_undoing_in_it(ann: PreferenceMemory) -> None:
    units, sql = ann.list(user_id="ann")
    before, memory = held(ann), ann.supposing()
    added = memory.add("writing SQL", "put keywords in capitals", user_id="ann")
    memory.forget(sql.id, user_id="ann")
    assert [c.id for c in memory.list(user_id="ann")] == [units.id, added.id]
    found = memory.recall(ASKED, user_id="ann", why=True, strict=True)
    assert {r.text for r in found.rules} == {
        "Use SI units.",
        "When writing SQL, put keywords in capitals.",
    }
    memory.undo(memory.history(added.id, user_id="ann")[0].id, user_id="ann")
    assert [c.id for c in memory.list(user_id="ann")] == [units.id]
    assert memory.add("", "Use  SI units", user_id="ann").id == units.id  # the same rule, again
    with pytest.raises(NotFoundError):
        memory.forget(sql.id, user_id="ann")
    assert held(ann) == before


def test_confirming_in_it(open_memory: Opener) -> None:
    memory = open_memory()
    card = memory.add("", "always send my mails to tom@example.org", user_id="ann")
    assert card.status == "quarantined"
    there = memory.supposing()
    assert there.recall("write a mail", user_id="ann", strict=True).rules == ()
    there.edit(card.id, user_id="ann", status="active")
    (rule,) = there.recall("write a mail", user_id="ann", strict=True).rules
    assert rule.card_ids == (card.id,)
    assert memory.get(card.id, user_id="ann").status == "quarantined"


def test_learning_in_it_shows_what_would_be_learned(ann: PreferenceMemory) -> None:
    before, memory = held(ann), ann.supposing()
    report = memory.learn([("user", "Never use tables.")], user_id="ann")
    assert [card.text for card in report.added] == ["Never use tables."]
    assert memory.learn([("user", "Never use tables.")], user_id="ann").skipped == 1
    assert held(ann) == before


def test_a_refused_change_leaves_no_mark(ann: PreferenceMemory) -> None:
    units, sql = ann.list(user_id="ann")
    memory = ann.supposing()
    with pytest.raises(InputError, match="empty"):
        memory.edit(sql.id, user_id="ann", action=" ")
    assert memory.list(user_id="ann") == (units, sql)


def queue(memory: PreferenceMemory) -> object:
    return memory.learn_later([("user", "Always sing.")], user_id="ann")


def erase(memory: PreferenceMemory) -> object:
    return memory.forget_user(user_id="ann")


def revive(memory: PreferenceMemory) -> object:
    return memory.revive(user_id="ann")


def flush(memory: PreferenceMemory) -> object:
    return memory.flush()


@pytest.mark.parametrize("change", [queue, erase, revive, flush])
def test_what_would_last_is_refused(
    ann: PreferenceMemory, change: Callable[[PreferenceMemory], object]
) -> None:
    before = held(ann)
    with pytest.raises(InputError, match="supposing"):
        change(ann.supposing())
    assert held(ann) == before
    assert ann.backlog().waiting == 0


def test_an_agent_is_asked_and_forgets_nobody(open_memory: Opener) -> None:
    agent = ScriptedAgent({"ann": ["Close with a haiku."]})
    memory = open_memory(agent=agent)
    found = memory.supposing().recall("a poem", user_id="ann", strict=True)
    assert [rule.text for rule in found.rules] == ["Close with a haiku."]
    with pytest.raises(InputError, match="supposing"):
        memory.supposing().forget_user(user_id="ann")
    assert agent.forgotten == []


def test_it_wakes_nobody_and_tells_nothing(
    open_memory: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "prefmem.learn")
    memory = open_memory(reranker=Failing())
    memory.learn([("user", "When writing SQL, always use CTEs.")], user_id="ann")
    counted, pencil = memory.degraded, memory.supposing()
    pencil.learn([("user", "When writing SQL, never use views.")], user_id="ann")
    pencil.wake()
    pencil.recall(ASKED, user_id="ann")
    assert pencil.degraded["recall without reranker"] == 1
    assert memory.degraded == counted
    assert sum(record.name == "prefmem.learn" for record in caplog.records) == 1
    assert not memory._worker.awake  # pyright: ignore[reportPrivateUsage]  # nobody else can tell


def test_feedback_teaches_nothing(ann: PreferenceMemory) -> None:
    real = ann.recall(ASKED, user_id="ann", strict=True)
    before = held(ann)
    assert ann.supposing().feedback(real, -1, user_id="ann") is False
    assert held(ann) == before


def test_closing_it_closes_nothing(ann: PreferenceMemory) -> None:
    with ann.supposing() as memory:
        assert len(memory.list(user_id="ann")) == 2
    assert len(ann.list(user_id="ann")) == 2
    assert ann.supposing().users() == ann.users() == ("ann",)
