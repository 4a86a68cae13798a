"""User ids that look like something else: each is one user, and nobody else."""

import pytest

from tests.integrations.server.conftest import Door

IDS = (
    "ann@example.org",
    "ann+tag@example.org",
    "a/b",
    "a%2Fb",
    "a//b",
    "/",
    "../../etc/passwd",
    "..",
    ".",
    "users/ann/cards",
    "a.b",
    "a_b",
    "a b",
    " ann",
    "ann ",
    "ann",
    "ANN",
    "%",
    "%00",
    "100%",
    "a%b",
    "a?b=c&d",
    "a#b",
    "a;b",
    "a,b",
    'a"b',
    "a\\b",
    "a\nb",
    "a\r\nX-Evil: 1",
    "a\tb",
    "' OR '1'='1",
    "'; DROP TABLE cards; --",
    "\U0001f989",
    "\u00e4nn",
    "a\u0308nn",
    "\u202eann",
    "ann\u200b",
    "null",
    "undefined",
    "0",
    "-1",
    "{user_id}",
    "$(id)",
    "<script>",
    "x" * 256,
    "\u00e9" * 128,
)


def test_each_id_is_a_user_of_its_own(shared: Door) -> None:
    for number, user in enumerate(IDS):
        added = shared.client(user).post("/v1/cards", json={"action": f"count to {number}"})
        assert added.status_code == 201, user
    for number, user in enumerate(IDS):
        cards = shared.client(user).get("/v1/cards").json()["cards"]
        assert [card["action"] for card in cards] == [f"count to {number}"], user
        assert [c.preference.action for c in shared.memory.list(user_id=user)] == [
            f"count to {number}"
        ]
        exported = shared.client(user).get("/v1/export").json()
        assert exported["user_id"] == user
    for user in IDS:
        receipt = shared.client(user, key="key-ops").request("DELETE", "/v1/user").json()
        assert receipt["cards"] == 1, user


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"a%00b", "NUL"),
        (b"%20%20", "a user id is needed"),
        (b"x" * 257, "257 bytes"),
        (b"%C3%A9" * 150, "300 bytes"),
        (b"100%", "percent-encoded"),
        (b"a%2", "percent-encoded"),
        (b"a%zzb", "percent-encoded"),
        (b"%ff", "percent-encoded"),
        (b"\xff\xfe", "percent-encoded"),
        (b"%ED%A0%80", "percent-encoded"),  # a lone surrogate
        (b"%C0%AF", "percent-encoded"),  # a slash, too long
    ],
)
def test_what_can_be_no_id_is_refused(shared: Door, sent: bytes, why: str) -> None:
    answer = shared.client(None).get("/v1/cards", headers={b"Prefmem-User": sent})
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


def test_plain_utf8_is_taken_as_it_is(shared: Door) -> None:
    shared.client("plain-änn").post("/v1/cards", json={"action": "sign as Ann"})
    answer = shared.client(None).get("/v1/cards", headers={b"Prefmem-User": "plain-änn".encode()})
    assert len(answer.json()["cards"]) == 1


def test_two_users_in_one_request_are_refused(shared: Door) -> None:
    twice = [("Prefmem-User", "ann"), ("Prefmem-User", "bob")]
    answer = shared.client(None).get(
        "/v1/cards", headers=[*twice, ("Authorization", "Bearer key-backend")]
    )
    assert answer.status_code == 422
    assert "once" in answer.json()["detail"]


@pytest.mark.parametrize("card_id", ["..", "a%2Fb", "%00", "x" * 64, "%F0%9F%A6%89", "' OR 1=1"])
def test_hostile_card_ids_find_nothing(shared: Door, card_id: str) -> None:
    client = shared.client(f"user of {card_id}")
    client.post("/v1/cards", json={"action": "sign as Ann"})
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/v1/cards/{card_id}").status_code in (404, 405)
    assert client.get(f"/v1/cards/{card_id}/history").status_code == 404
    assert client.post(f"/v1/events/{card_id}/undo").status_code == 404
    assert len(client.get("/v1/cards").json()["cards"]) == 1
