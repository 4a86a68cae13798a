"""Looking at recalls of the past."""

import math

import pytest

from prefmem import InputError, NotFoundError, PreferenceMemory

SURE = 1 / (1 + math.exp(-0.7))  # belief in a card that was added by hand, see `Ledger.sure`


def test_a_recall_is_told_with_its_figures(memory: PreferenceMemory) -> None:
    units = memory.add("", "use SI units", user_id="ann")
    sql = memory.add("writing SQL", "use CTEs", user_id="ann")
    real = memory.recall("writing SQL for units", user_id="ann", session_id="m", strict=True)
    (past,) = memory.recalls(user_id="ann")
    assert (past.recall_id, past.session_id, past.at) == (real.id, "m", real.at)
    assert past.model == "ledger/1"
    assert past.floor == real.floor
    told = {c.card_id: c for c in past.candidates}
    assert set(told) == {units.id, sql.id}
    for candidate, verdict in zip(real.candidates, real.verdicts, strict=True):
        found = told[candidate.card.id]
        assert found.relevance == pytest.approx(candidate.relevance)
        assert found.belief == pytest.approx(candidate.belief)
        assert found.worth == pytest.approx(candidate.total)
        assert (found.injected, found.reason) == (verdict.injected, verdict.reason)
    assert told[sql.id].belief == pytest.approx(SURE, abs=0.01)
    assert past.answers == ()


def test_belief_is_what_it_was_then(memory: PreferenceMemory) -> None:
    sql = memory.add("writing SQL", "use CTEs", user_id="ann")
    first = memory.recall("writing SQL", user_id="ann", strict=True)
    memory.feedback(first, -1, user_id="ann", card_id=sql.id)
    second = memory.recall("writing SQL", user_id="ann", strict=True)
    new, old = memory.recalls(user_id="ann")
    assert (new.recall_id, old.recall_id) == (second.id, first.id)
    assert old.candidates[0].belief == pytest.approx(first.candidates[0].belief)
    assert new.candidates[0].belief == pytest.approx(second.candidates[0].belief)
    assert (new.candidates[0].belief or 1) < (old.candidates[0].belief or 0)
    ((answer),) = old.answers
    assert (answer.label, answer.reward, answer.heard) == ("dissatisfied", -1.0, False)


def test_what_is_over_has_no_belief_and_what_is_forgotten_is_gone(memory: PreferenceMemory) -> None:
    sql = memory.add("writing SQL", "use CTEs", user_id="ann")
    poem = memory.add("writing SQL poems", "use rhymes", user_id="ann")
    memory.recall("writing SQL poems", user_id="ann", strict=True)
    memory.edit(sql.id, user_id="ann", status="quarantined")
    memory.forget(poem.id, user_id="ann")
    (past,) = memory.recalls(user_id="ann")
    (left,) = past.candidates
    assert (left.card_id, left.belief, left.worth) == (sql.id, None, None)
    assert left.relevance > 0


def test_the_newest_come_first_by_pages(memory: PreferenceMemory) -> None:
    memory.add("", "use SI units", user_id="ann")
    made = [memory.recall(q, user_id="ann", strict=True).id for q in ("a", "b", "c")]
    assert [p.recall_id for p in memory.recalls(user_id="ann", newest=2)] == made[:0:-1]
    assert [p.recall_id for p in memory.recalls(user_id="ann", skip=2)] == made[:1]
    (one,) = memory.recalls(user_id="ann", recall_id=made[1])
    assert one.recall_id == made[1]
    assert memory.recalls(user_id="bob") == ()
    with pytest.raises(NotFoundError):
        memory.recalls(user_id="bob", recall_id=made[1])
    with pytest.raises(InputError, match="newest=-1"):
        memory.recalls(user_id="ann", newest=-1)
