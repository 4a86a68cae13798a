"""What can be looked at afterwards: events, recalls, feedback, and how evidence grew."""

from collections.abc import Callable

import pytest

from prefmem import PreferenceMemory
from prefmem.interaction import Observation, Offer

SQL = ("user", "When writing sql, always use capital keywords.")
MAIL = ("user", "When writing mails, always sign with A.")


def test_a_stranger_has_an_empty_timeline(memory: PreferenceMemory) -> None:
    told = memory.timeline(user_id="ann")
    assert (told.events, told.interactions, told.standings, dict(told.numbers)) == ((), (), (), {})
    assert memory.shelf(user_id="ann").matrix.shape == (0, 64)


def test_events_and_interactions_come_oldest_first(memory: PreferenceMemory) -> None:
    (sql,) = memory.learn([SQL], user_id="ann").added
    recall = memory.recall("writing sql", user_id="ann")
    memory.feedback(recall, 1.0, user_id="ann", card_id=sql.id)
    memory.learn([MAIL], user_id="ann")
    told = memory.timeline(user_id="ann")
    assert [event.kind for event in told.events] == ["learn", "learn"]
    assert [type(entry.payload) for entry in told.interactions] == [Offer, Observation]
    assert sorted(told.numbers.values()) == [1, 2]
    assert told.numbers[sql.id] == 1


def test_a_thumb_moves_the_evidence_of_its_card(memory: PreferenceMemory) -> None:
    (sql,) = memory.learn([SQL], user_id="ann").added
    recall = memory.recall("writing sql", user_id="ann")
    memory.feedback(recall, 1.0, user_id="ann", card_id=sql.id)
    memory.feedback(recall, -1.0, user_id="ann", card_id=sql.id)
    told = memory.timeline(user_id="ann")
    # up counts 3, down 4 (Ledger.missed and .rejected)
    assert [s.number for s in told.standings] == [1, 1]
    assert [s.evidence for s in told.standings] == pytest.approx([3.0, -1.0])
    assert [s.at for s in told.standings] == [e.at for e in told.interactions[1:]]
    state = memory.get_user("ann")
    assert state.evidence.tolist() == [told.standings[-1].evidence]


def test_looking_changes_and_audits_nothing(
    memory: PreferenceMemory, open_memory: Callable[..., PreferenceMemory]
) -> None:
    memory.learn([SQL], user_id="ann")
    before = memory.export(user_id="ann")
    memory.timeline(user_id="ann")
    memory.shelf(user_id="ann")
    after = open_memory().export(user_id="ann")
    assert {**after, "exported_at": 0} == {**before, "exported_at": 0}


def test_what_is_forgotten_leaves_the_timeline(memory: PreferenceMemory) -> None:
    (sql,) = memory.learn([SQL], user_id="ann").added
    recall = memory.recall("writing sql", user_id="ann")
    memory.feedback(recall, 1.0, user_id="ann", card_id=sql.id)
    memory.forget(sql.id, user_id="ann")
    told = memory.timeline(user_id="ann")
    assert told.standings == ()
    assert sql.id not in told.numbers
    assert all(not event.changes for event in told.events)


def test_the_shelf_holds_the_active_cards(memory: PreferenceMemory) -> None:
    (sql,) = memory.learn([SQL], user_id="ann").added
    mail = memory.add("writing mails", "sign with A", user_id="ann")
    memory.edit(mail.id, user_id="ann", status="quarantined")
    shelf = memory.shelf(user_id="ann")
    assert shelf.ids == (sql.id,)
    assert shelf.matrix @ memory.embedder.embed([sql.text])[0] == pytest.approx([1.0], abs=1e-3)
    assert memory.shelf(user_id="ben").ids == ()
