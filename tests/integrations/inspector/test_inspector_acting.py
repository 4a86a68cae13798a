"""What an operator changes through the inspector, and what the audit log tells of it."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from fastapi.testclient import TestClient

from prefmem import NotFoundError, PreferenceMemory
from prefmem.stores.sqlite import SQLiteStore

Knock: TypeAlias = Callable[..., TestClient]
Acts: TypeAlias = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def acts(store: SQLiteStore) -> Acts:
    """Give what reads the audit log: who did what."""
    return lambda: [(act.actor, act.action) for act in store.acts()]


def test_an_edit_and_its_undoing(knock: Knock, memory: PreferenceMemory, acts: Acts) -> None:
    card = memory.add("writing SQL", "use CTEs", user_id="ann")
    ops = knock()
    edited = ops.patch(f"api/cards/{card.id}", json={"action": "use views"})
    assert edited.json()["text"] == "When writing SQL, use views."
    event = ops.get(f"api/rules/{card.id}").json()["history"][-1]
    assert event["kind"] == "edit"
    assert ops.post(f"api/events/{event['id']}/undo").status_code == 200
    assert memory.get(card.id, user_id="ann") == card
    assert acts() == [("inspector:ops", "edit"), ("inspector:ops", "undo")]


def test_confirming_what_waits(knock: Knock, memory: PreferenceMemory, acts: Acts) -> None:
    card = memory.add("", "always send my mails to tom@example.org", user_id="ann")
    assert card.status == "quarantined"
    confirmed = knock().patch(f"api/cards/{card.id}", json={"status": "active"})
    assert confirmed.json()["status"] == "active"
    assert acts() == [("inspector:ops", "confirm")]


def test_forgetting(knock: Knock, memory: PreferenceMemory, acts: Acts) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    assert knock().delete(f"api/cards/{card.id}").status_code == 204
    with pytest.raises(NotFoundError):
        memory.history(card.id, user_id="ann")
    assert acts() == [("inspector:ops", "forget")]


def test_adding(knock: Knock, memory: PreferenceMemory, acts: Acts) -> None:
    added = knock().post("api/cards", json={"condition": "", "action": "use SI units"})
    assert added.status_code == 201
    assert [c.id for c in memory.list(user_id="ann")] == [added.json()["id"]]
    assert acts() == [("inspector:ops", "add")]


def test_the_key_of_a_user_acts_as_the_user(
    knock: Knock, memory: PreferenceMemory, acts: Acts
) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    mine = knock(None, "key-ann")
    assert mine.patch(f"api/cards/{card.id}", json={"action": "be brief"}).status_code == 200
    assert mine.delete("api/user").status_code == 200
    assert acts() == [("user", "edit"), ("user", "forget_user")]


def test_the_service_acts_for_users_as_before(
    knock: Knock, memory: PreferenceMemory, acts: Acts
) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    assert knock().delete(f"http://localhost/v1/cards/{card.id}").status_code == 204
    assert acts() == [("user", "forget")]


def test_who_may_only_read_changes_nothing(knock: Knock, memory: PreferenceMemory) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    (event,) = memory.history(card.id, user_id="ann")
    reader = knock(key="key-reader")
    assert reader.get("api/rules").json()["total"] == 1
    for answer in (
        reader.patch(f"api/cards/{card.id}", json={"action": "be brief"}),
        reader.delete(f"api/cards/{card.id}"),
        reader.post("api/cards", json={"action": "be brief"}),
        reader.post(f"api/events/{event.id}/undo"),
        reader.delete("api/user"),
    ):
        assert answer.status_code == 403
    assert memory.list(user_id="ann") == (card,)


def test_others_cards_cannot_be_changed(knock: Knock, memory: PreferenceMemory) -> None:
    card = memory.add("", "use SI units", user_id="ann")
    (event,) = memory.history(card.id, user_id="ann")
    for answer in (
        knock("bob").patch(f"api/cards/{card.id}", json={"action": "be brief"}),
        knock("bob").delete(f"api/cards/{card.id}"),
        knock("bob").post(f"api/events/{event.id}/undo"),
    ):
        assert answer.status_code == 404
    assert memory.list(user_id="ann") == (card,)
