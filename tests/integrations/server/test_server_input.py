"""What callers send by mistake or on purpose: each refusal says why, and nothing breaks."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.integrations.server.conftest import Door

JSON = {"Content-Type": "application/json"}
SECRET = "the launch code is 0000"


def learn(client: httpx.Client, messages: Any, mode: str = "inline") -> httpx.Response:  # noqa: ANN401  # any JSON
    return client.post("/v1/learn", json={"messages": messages, "mode": mode})


def checked(answer: httpx.Response) -> dict[str, Any]:
    """Check that an answer is a problem, and give it."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].startswith("urn:prefmem:")
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{bad}", b'{"query": ', b"\xff\xfe", b'{"query": "\xff"}', b"[" * 100_000,
        b'{"query": ' + b"9" * 10_000 + b"}", b"\x00", "{}".encode("utf-16"), b"null", b"[]", b"3",
        b'"text"', b'{"query": NaN}', b'{"query": null}', b"{}",
    ],
)  # fmt: skip
def test_broken_bodies(shared: Door, body: bytes) -> None:
    answer = shared.client("ann").post("/v1/recall", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    checked(answer)


def test_broken_json_is_called_so(shared: Door) -> None:
    answer = shared.client("ann").post("/v1/recall", content=b'{"query": ', headers=JSON)
    assert answer.status_code == 400
    assert "not JSON" in checked(answer)["detail"]


def test_another_content_type_is_refused(shared: Door) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"Content-Type": kind}
        answer = shared.client("ann").post("/v1/recall", content=b'{"query": "x"}', headers=headers)
        assert answer.status_code == 422
        checked(answer)


def test_a_mistake_is_named_without_what_was_said(shared: Door) -> None:
    body = {"messages": [{"role": "user", "content": {"say": SECRET}}, {"content": SECRET}]}
    answer = shared.client("ann").post("/v1/learn", json=body)
    assert answer.status_code == 422
    problem = checked(answer)
    places = {mistake["at"] for mistake in problem["errors"]}
    assert "#/messages/1/role" in places
    assert any(place.startswith("#/messages/0/content") for place in places)
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "at"),
    [
        ("POST", "/v1/recall", {"query": "x", "querry": "y"}, "#/querry"),
        ("POST", "/v1/recall", {"query": "x", "limit": -1}, "#/limit"),
        ("POST", "/v1/recall", {"query": "x", "limit": 10**30}, "#/limit"),
        ("POST", "/v1/recall", {"query": "x", "limit": "5"}, "#/limit"),
        ("POST", "/v1/recall", {"query": "x", "min_score": 1.5}, "#/min_score"),
        ("POST", "/v1/recall", {"query": "x", "session_id": "s" * 257}, "#/session_id"),
        ("POST", "/v1/recall", {"query": "x" * 100_001}, "#/query"),
        ("POST", "/v1/feedback", {"recall_id": "x", "score": 2}, "#/score"),
        ("POST", "/v1/feedback", {"recall_id": "x", "score": True}, "#/score"),
        ("POST", "/v1/cards", {"action": ""}, "#/action"),
        ("POST", "/v1/cards", {"action": "x", "polarity": "maybe"}, "#/polarity"),
        ("POST", "/v1/cards", {"action": "x", "a/b~c": 1}, "#/a~1b~0c"),
        ("PATCH", "/v1/cards/x", {}, "#"),
        ("PATCH", "/v1/cards/x", {"action": None}, "#"),
        ("POST", "/v1/learn", {"messages": [], "mode": "later"}, "#/mode"),
        ("POST", "/v1/render", {"card_ids": "abc"}, "#/card_ids"),
        ("GET", "/v1/cards?status=deleted", None, "query status"),
        ("GET", "/v1/replay?user_model=gpt", None, "query user_model"),
    ],
)
def test_fields_that_do_not_fit_are_named(
    shared: Door, method: str, path: str, body: dict[str, object] | None, at: str
) -> None:
    answer = shared.client("ann").request(method, path, json=body)
    assert answer.status_code == 422
    assert [mistake["at"] for mistake in checked(answer)["errors"]] == [at]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/v1/learn", {"messages": [{"role": "wizard", "content": "x"}]}, "'wizard'"),
        ("/v1/learn", {"messages": [{"role": "user"}]}, "'content'"),
        ("/v1/learn", {"messages": [{"role": "user", "content": "x" * 100_001}]}, "100,000"),
        ("/v1/cards", {"action": "x" * 300}, "240"),
        ("/v1/recall", {"query": "x", "session_id": "é" * 200}, "256 bytes"),
        ("/v1/recall", {"query": "x", "session_id": "a\0b"}, "NUL"),
        ("/v1/edits", {"draft": "", "final": "x"}, ""),
        ("/v1/import", {"user_id": "a", "exported_at": "now", "cards": []}, "not a prefmem export"),
        ("/v1/import", {"version": 9, "user_id": "a", "exported_at": "", "cards": []}, "upgrade"),
    ],
)
def test_what_the_memory_refuses_is_told(
    shared: Door, path: str, body: dict[str, Any], why: str
) -> None:
    answer = shared.client("ann").post(
        path, json={"mode": "inline"} | body if path == "/v1/learn" else body
    )
    assert answer.status_code == 422
    assert why in checked(answer)["detail"]


def test_an_export_whose_cards_could_not_be_named_is_refused(shared: Door) -> None:
    client = shared.client("exporting")
    client.post("/v1/cards", json={"action": "sign as Ann"})
    for name in ("../x", "a/b", "a b", "é", 7):
        data = client.get("/v1/export").json()
        data["cards"][0]["id"] = name
        answer = shared.client("bob").post("/v1/import", json=data)
        assert answer.status_code == 422
        assert "card ids" in checked(answer)["detail"]


def test_what_stands_in_the_way_of_unicode(shared: Door) -> None:
    client = shared.client("ann")
    for text in ('"\\ud800"', '"\\u0000"', '"\\uffff"', '"\\ud83e\\udd89"'):
        body = f'{{"query": {text}}}'.encode()
        assert client.post("/v1/recall", content=body, headers=JSON).status_code in (200, 422)
        body = f'{{"action": {text}, {text}: 1}}'.encode()
        answer = client.post("/v1/cards", content=body, headers=JSON)
        assert answer.status_code == 422
        checked(answer)


def test_messages_of_every_shape_are_taken(shared: Door) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": None},
        {"role": "user", "content": ""},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "When writing SQL, always use capitals."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                "plain",
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {}}]},
        {"role": "assistant", "tool_calls": [{"id": "2", "function": {}}], "refusal": None},
        {"role": "tool", "tool_call_id": "1", "content": "Always use tabs."},
        {"role": "developer", "content": "Never use tabs."},
    ]
    answer = learn(shared.client("shapes"), messages)
    assert answer.status_code == 200
    assert [card["action"] for card in answer.json()["added"]] == ["use capitals"]


def test_ten_thousand_messages(shared: Door) -> None:
    client = shared.client("long")
    messages = [
        {"role": "assistant" if n % 20 else "user", "content": f"This is number {n}."}
        for n in range(9_999)
    ]
    messages.append({"role": "user", "content": "When writing SQL, always use capitals."})
    assert learn(client, messages, "background").json() == {"queued": True}
    assert shared.client(key="key-ops").post("/v1/flush", json={"timeout": 60}).json()["drained"]
    assert [card["action"] for card in client.get("/v1/cards").json()["cards"]] == ["use capitals"]


def test_a_body_that_is_too_large_is_not_read(serve: Callable[..., Door]) -> None:
    door = serve(limits={"max_body": 1_000})
    client = door.client("ann")
    small = json.dumps({"query": "x" * 900}).encode()
    large = json.dumps({"query": "x" * 2_000}).encode()
    assert client.post("/v1/recall", content=small, headers=JSON).status_code == 200
    answer = client.post("/v1/recall", content=large, headers=JSON)
    assert answer.status_code == 413
    assert "1,000 bytes" in checked(answer)["detail"]

    def pieces() -> Iterator[bytes]:  # sent without a length
        for place in range(0, len(large), 100):
            yield large[place : place + 100]

    assert client.post("/v1/recall", content=pieces(), headers=JSON).status_code == 413
    assert client.post("/v1/recall", content=small, headers=JSON).status_code == 200


def test_who_has_no_key_is_refused_before_the_body_is_read(serve: Callable[..., Door]) -> None:
    door = serve(limits={"max_body": 1_000})
    nobody = door.client("ann", key=None)
    for body in (b"x" * 2_000, b"{bad"):
        assert nobody.post("/v1/recall", content=body, headers=JSON).status_code == 401


def test_paths_and_methods_that_are_not_there(shared: Door) -> None:
    client = shared.client("ann")
    for path in ("/", "/v1", "/v1/recall/", "/v2/recall", "/docs", "/v1/users/ann/cards", "/%00"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "/openapi.json" in checked(answer)["detail"]
    answer = client.put("/v1/cards")
    assert answer.status_code == 405
    assert answer.headers["Allow"]
    checked(answer)


def test_a_request_keeps_the_name_that_it_came_with(shared: Door) -> None:
    client = shared.client("ann")
    assert client.get("/v1/cards", headers={"X-Request-ID": "abc-1.2_3"}).headers[
        "X-Request-ID"
    ] == "abc-1.2_3"  # fmt: skip
    for odd in ("a b", "x" * 65, "<b>"):
        named = client.get("/v1/cards", headers={"X-Request-ID": odd}).headers["X-Request-ID"]
        assert named != odd
        assert len(named) == 16
