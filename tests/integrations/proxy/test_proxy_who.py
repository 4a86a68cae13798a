"""Whose memory a request uses: the key decides, then what the request says, and nobody else's."""

import json
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import httpx
import pytest

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder
from prefmem.types import Matrix
from tests.integrations.proxy.conftest import Door

Body: TypeAlias = dict[str, Any]


def ask(
    door: Door, text: str = "Hi", key: str = "key-all", *, body: Body | None = None, **headers: str
) -> httpx.Response:
    asked: Body = {"model": "echo", "messages": [{"role": "user", "content": text}], **(body or {})}
    sent = {"Authorization": f"Bearer {key}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return httpx.post(f"{door.base}/chat/completions", json=asked, headers=sent, timeout=60)


def prompt(door: Door) -> str:
    return door.upstream.seen[-1].prompt


@pytest.fixture
def people(door: Door) -> Door:
    """Two users with a rule each, and one of another tenant."""
    door.memory.add("", "use ann words", user_id="ann")
    door.memory.add("", "use bob words", user_id="bob")
    door.memory.in_tenant("acme").add("", "use acme words", user_id="ann")
    return door


def test_a_wrong_key_gets_openais_error_and_nothing_reaches_the_upstream(door: Door) -> None:
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic eDp5"}):
        for path in ("chat/completions", "models", "embeddings"):
            method = "GET" if path == "models" else "POST"
            answer = httpx.request(method, f"{door.base}/{path}", headers=headers)
            assert answer.status_code == 401
            error = answer.json()["error"]
            assert error["type"] == "authentication_error"
            assert error["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert door.upstream.seen == []


def test_a_key_of_one_user_needs_no_user(people: Door) -> None:
    assert ask(people, key="key-ann").headers["x-prefmem-rules"] == "1"
    assert "ann words" in prompt(people)
    assert ask(people, key="key-ann", X_Prefmem_User="ann").status_code == 200
    assert ask(people, key="key-ann", body={"user": "ann"}).status_code == 200


@pytest.mark.parametrize("body", [{"user": "bob"}, {"safety_identifier": "bob"}])
def test_a_key_of_one_user_acts_for_no_other(people: Door, body: Body) -> None:
    answer = ask(people, key="key-ann", body=body)
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"
    assert ask(people, key="key-ann", X_Prefmem_User="bob").status_code == 403
    off = ask(people, key="key-ann", X_Prefmem_User="bob", X_Prefmem_Memory="off")
    assert off.status_code == 403
    assert people.upstream.seen == []


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({"X_Prefmem_User": "bob"}, {}, "bob"),
        ({}, {"user": "bob"}, "bob"),
        ({}, {"safety_identifier": "bob"}, "bob"),
        ({}, {"user": None, "safety_identifier": "bob"}, "bob"),
        ({"X_Prefmem_User": "bob"}, {"user": "hash-of-ann"}, "bob"),
        ({"X_Prefmem_User": "%62ob"}, {}, "bob"),
        ({"Prefmem_User": "bob"}, {}, "bob"),
        ({"X_Prefmem_User": ""}, {"user": "ann"}, "ann"),
    ],
)
def test_a_key_for_all_asks_the_request(
    people: Door, headers: dict[str, str], body: Body, words: str
) -> None:
    assert ask(people, body=body, **headers).headers["x-prefmem-rules"] == "1"
    assert f"{words} words" in prompt(people)
    sent = people.upstream.seen[-1].json
    assert {k: sent[k] for k in body} == body  # the field goes on as the client sent it


def test_tenants_are_apart(people: Door) -> None:
    ask(people, key="key-other", body={"user": "ann"})
    assert "acme words" in prompt(people)
    assert "ann words" not in prompt(people)


@pytest.mark.parametrize("body", [{}, {"user": ""}, {"user": " \n"}, {"user": None}])
def test_without_a_user_there_is_no_memory(people: Door, body: Body) -> None:
    answer = ask(people, "Always use bad words.", body=body)
    assert answer.status_code == 200
    assert answer.headers["x-prefmem-memory"] == "off; no-user"
    assert "x-prefmem-rules" not in answer.headers
    assert "words" not in prompt(people).replace("bad words", "")
    people.settle()
    assert people.rules("ann") == ["Use ann words."]


def test_a_chat_without_a_user_can_be_refused(open_door: Callable[..., Door]) -> None:
    door = open_door(on_missing_user="refuse")
    answer = ask(door)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "user_required"
    assert "X-Prefmem-User" in answer.json()["error"]["message"]
    assert door.upstream.seen == []


@pytest.mark.parametrize("user", ["a.b.c", "ann@example.org", "😀", "x'; DROP TABLE cards;--",
                                  "../../etc/passwd", "%", "a" * 256, "ünï",
                                  "\u202eann"])  # fmt: skip
def test_any_text_can_be_a_user(door: Door, user: str) -> None:
    door.memory.add("", "use these words", user_id=user)
    assert ask(door, body={"user": user}).headers["x-prefmem-rules"] == "1"
    assert ask(door).headers["x-prefmem-memory"] == "off; no-user"


@pytest.mark.parametrize("user", ["a\0b", "x" * 257, "ü" * 129, "\ud800", 7, ["ann"], {}, True])
def test_what_cannot_be_a_user_is_refused_with_the_reason(door: Door, user: object) -> None:
    asked = {"messages": [{"role": "user", "content": "Hi"}], "user": user}
    headers = {"Authorization": "Bearer key-all"}
    url = f"{door.base}/chat/completions"
    answer = httpx.post(url, content=json.dumps(asked), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_user"
    assert door.upstream.seen == []


@pytest.mark.parametrize(
    "sent",
    [
        [(b"X-Prefmem-User", b"ann"), (b"X-Prefmem-User", b"bob")],
        [(b"X-Prefmem-User", b"ann"), (b"Prefmem-User", b"bob")],
        [(b"X-Prefmem-User", b"100%")],
        [(b"X-Prefmem-User", b"\xe9")],
        [(b"X-Prefmem-User", b"%ff")],
    ],
)
def test_a_header_that_can_be_read_in_two_ways_is_refused(
    door: Door, sent: list[tuple[bytes, bytes]]
) -> None:
    asked = {"messages": [{"role": "user", "content": "Hi"}]}
    headers = [(b"Authorization", b"Bearer key-all"), *sent]
    answer = httpx.post(f"{door.base}/chat/completions", json=asked, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_header"


def test_a_user_named_twice_in_the_body_is_refused(door: Door) -> None:
    body = '{"user":"ann","user":"bob","messages":[{"role":"user","content":"Hi"}]}'
    answer = httpx.post(
        f"{door.base}/chat/completions", content=body, headers={"Authorization": "Bearer key-all"}
    )
    assert answer.status_code == 400
    assert "twice" in answer.json()["error"]["message"]


def test_a_key_that_only_reads_learns_nothing(people: Door) -> None:
    answer = ask(people, "Always use new words.", key="key-read", body={"user": "ann"})
    assert answer.headers["x-prefmem-rules"] == "1"
    ask(people, "Remember that I like tea.", key="key-read", body={"user": "ann"})
    people.settle()
    assert people.rules("ann") == ["Use ann words."]


def test_a_client_can_turn_the_memory_off(people: Door) -> None:
    answer = ask(people, "Always be odd.", X_Prefmem_User="ann", X_Prefmem_Memory="Off")
    assert answer.headers["x-prefmem-memory"] == "off; asked"
    people.settle()
    assert people.rules("ann") == ["Use ann words."]


@pytest.mark.parametrize(
    "task",
    [
        "### Task:\nGenerate a title.\n### Guidelines:\n- Always use emojis.",
        "\nProvide a concise, 5-word-or-less title. Always use title case.",
    ],
)
def test_what_a_chat_client_asks_by_itself_is_not_the_users(people: Door, task: str) -> None:
    answer = ask(people, task, X_Prefmem_User="ann")
    assert answer.headers["x-prefmem-memory"] == "off; client-task"
    people.settle()
    assert people.rules("ann") == ["Use ann words."]


def test_conversations_are_told_apart_by_header_metadata_or_first_words(door: Door) -> None:
    named: list[dict[str, Any]] = [
        {"X_Prefmem_Session": "s1"},
        {"body": {"metadata": {"session_id": "s2"}}},
        {"body": {"metadata": {"conversation_id": "s3"}}},
        {"X_Prefmem_Session": "s" * 5000},
        {"X_Prefmem_Session": "%00"},
        {"body": {"metadata": {"session_id": 5}}},
        {},
    ]
    for each in named:
        assert ask(door, "Always use metres.", key="key-ann", **each).status_code == 200
    ask(door, "Always use metres.", key="key-ann", X_Prefmem_Session="s1")
    door.settle()
    (card,) = door.memory.list(user_id="ann")
    heard = door.memory.history(card.id, user_id="ann")
    assert len(heard) == 6  # the last two of `named` are one conversation, and s1 came twice
    assert card.session_id == "s1"


def test_a_memory_that_fails_lets_the_chat_go_on(
    open_door: Callable[..., Door],
    open_memory: Callable[..., PreferenceMemory],
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = open_memory()
    door = open_door(memory=memory)
    memory.add("", "use metres", user_id="ann")
    memory.close()
    answer = ask(door, "Always keep my secret.", key="key-ann")
    assert answer.status_code == 200
    assert answer.headers["x-prefmem-memory"] == "off; recall-failed"
    door.proxy.close()
    assert door.counts == {"recall_failed": 1, "learn_failed": 1}
    assert "secret" not in caplog.text
    assert "ann" not in caplog.text
    assert "recall failed with" in caplog.text


class Slow(HashEmbedder):
    """An embedder that waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.go.wait(60)
        return super().embed(texts)


def test_a_slow_memory_is_not_waited_for(
    open_door: Callable[..., Door], open_memory: Callable[..., PreferenceMemory]
) -> None:
    slow = Slow()
    memory = open_memory(embedder=slow)
    slow.go.set()
    memory.add("writing code", "use tabs", user_id="ann")
    memory.warm()
    slow.go.clear()
    door = open_door(memory=memory, recall_timeout=0.6)
    for _ in range(12):  # more than there are threads
        answer = ask(door, "writing code", key="key-ann")
        assert answer.headers["x-prefmem-memory"] == "on; without embedder"
        assert answer.headers["x-prefmem-rules"] == "0"
    part = memory.health.parts["embedder"]
    assert (part.state, part.failures, part.refused) == ("open", 5, 7)
    slow.go.set()
    door.settle()


@pytest.mark.parametrize("number", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_mixed_calls_never_mix_two_users(open_door: Callable[..., Door], number: int) -> None:
    door = open_door()
    users = [f"user{n}" for n in range(4)]
    for user in users:
        door.memory.add("", f"always call me {user}x", user_id=user)
    rng = random.Random(3)
    calls = [(rng.choice(users), n, rng.random() < 0.5) for n in range(number)]

    with httpx.Client(limits=httpx.Limits(max_connections=16), timeout=120) as client:

        def call(given: tuple[str, int, bool]) -> tuple[str, bytes]:
            user, nth, stream = given
            asked = {
                "model": "echo", "stream": stream, "user": user,
                "messages": [{"role": "user", "content": f"{nth}: never {user}{nth % 5}"}],
            }  # fmt: skip
            answer = client.post(
                f"{door.base}/chat/completions", json=asked,
                headers={"Authorization": "Bearer key-all"},
            )  # fmt: skip
            assert answer.status_code == 200
            assert int(answer.headers["x-prefmem-rules"]) >= 1
            return user, answer.content

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(call, calls))
    assert len(door.upstream.seen) == number
    for seen in door.upstream.seen:
        named = seen.json["user"]
        assert f"{named}x" in seen.prompt.lower()
        assert not any(other in seen.prompt.lower() for other in users if other != named)
    for user, answer in answers:
        assert not any(other.encode() in answer for other in users if other != user)
    door.settle()
    for user in users:
        found = door.rules(user)
        said = {nth % 5 for asking, nth, _ in calls if asking == user}
        assert len(found) == 1 + len(said)
        assert all(user in rule.lower() for rule in found)
    assert not door.counts
