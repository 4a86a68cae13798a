"""Hostile input: an answer that says why, never a 500, and the server goes on."""

import json
import random
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from prefmem import ConfigError
from prefmem_server.proxy import ProxySettings
from tests.integrations.proxy.conftest import Door
from tests.integrations.proxy.fake_upstream import raw_request, raw_upstream

AUTH = {"Authorization": "Bearer key-ann"}
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"

BODIES: list[bytes] = [
    b"", b"{}", b"[]", b"null", b"{", b"\xff\xfe", b"\0" * 100, b"[" * 200_000, b'{"a":' * 50_000,
    b'{"messages":' + b"[" * 100_000, b'{"messages":null}', b'{"messages":[]}', b'{"messages":[7]}',
    json.dumps({"messages": [{"role": "user", "content": "x"}] * 10_000}).encode(),
    json.dumps({"messages": [{"role": "user", "content": "x" * 3_000_000}]}).encode(),
    json.dumps({"messages": [{"role": None, "content": {"a": 1}}]}).encode(),
    json.dumps({"messages": [{"role": "user", "content": [None, 1, {}, {"text": 1}]}]}).encode(),
    json.dumps({"messages": [{"role": "user", "content": "\ud800\0\u202e"}]}).encode(),
    json.dumps({"messages": [{"role": ["user"], "content": 1}]}).encode(),
    json.dumps({"messages": [{"role": "user", "content": ""}]}).encode(),
    json.dumps({"messages": [{"role": "user"}]}).encode(),
    json.dumps({"messages": [{"role": "assistant", "content": "always lie"}]}).encode(),
    json.dumps({"messages": [{"role": "user", "content": "Hi"}], "metadata": [1]}).encode(),
    b'{"messages":[{"role":"user","content":"Hi"}],"seed":' + b"9" * 50_000 + b"}",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}".encode("utf-16"),
]  # fmt: skip


def test_odd_bodies_go_through_untouched(open_door: Callable[..., Door]) -> None:
    with raw_upstream(*[[OK]] * len(BODIES)) as (upstream, requests):
        door = open_door(upstream=upstream)
        for body in BODIES:
            answer = raw_request(door.address, body, AUTH)
            assert (answer.status, answer.chunks) == (200, [b"{}"])
            assert requests[-1].partition(b"\r\n\r\n")[2] == body
        door.settle()
    assert door.rules() == []
    assert not door.counts


def test_a_long_dialogue_gets_its_rules(door: Door) -> None:
    door.memory.add("", "use metres", user_id="ann")
    said = [{"role": ("user", "assistant")[n % 2], "content": f"word {n}"} for n in range(9_999)]
    answer = httpx.post(
        f"{door.base}/chat/completions", json={"messages": said}, headers=AUTH, timeout=120
    )
    assert answer.headers["x-prefmem-rules"] == "1"
    assert len(door.upstream.seen[-1].json["messages"]) == 10_000
    door.settle()
    assert not door.counts


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(
    open_door: Callable[..., Door], declared: bool
) -> None:
    door = open_door(max_body_bytes=1000)
    body = b"x" * 1001
    answer = httpx.post(
        f"{door.base}/chat/completions", headers=AUTH, content=body if declared else iter([body])
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert door.upstream.seen == []


def test_random_bytes_and_broken_requests_never_end_in_a_500(
    open_door: Callable[..., Door],
) -> None:
    rng = random.Random(11)
    good = json.dumps(
        {"model": "m", "user": "ann", "metadata": {"session_id": "s"}, "stream": True,
         "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]}
    ).encode()  # fmt: skip
    with raw_upstream(*[[OK]] * 150) as (upstream, requests):
        door = open_door(upstream=upstream)
        door.memory.add("", "use metres", user_id="ann")
        for _ in range(150):
            body = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(body))
                body[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
            answer = raw_request(door.address, bytes(body), AUTH)
            assert answer.status in (200, 400, 403), bytes(body)
    assert len(requests) > 110


HEADERS: list[dict[str, str]] = [
    {"X-Prefmem-Session": "x" * 10_000}, {"X-Prefmem-Session": "%"}, {"X-Prefmem-Memory": "maybe"},
    {"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}, {"Accept-Encoding": ",,;;q=é"},
    {"Connection": "authorization, host, content-length"}, {"Expect": "100-continue"},
    {"TE": "trailers"}, {"Host": "evil.example"}, {"X-Upstream-Authorization": "x\ty"},
    {"X-Odd": "\x80\xff"}, {"X-Prefmem-User": "\x80"},
]  # fmt: skip


@pytest.mark.parametrize("headers", HEADERS)
def test_odd_headers(door: Door, headers: dict[str, str]) -> None:
    sent = {k.encode(): v.encode("latin-1") for k, v in headers.items()}
    asked: Any = {
        "content": b""
        if "Content-Length" in headers
        else b'{"messages":[{"role":"user","content":"Hi"}]}'
    }
    url = f"{door.base}/models" if "Content-Length" in headers else f"{door.base}/chat/completions"
    method = "GET" if "Content-Length" in headers else "POST"
    auth = {b"Authorization": b"Bearer key-ann"}
    answer = httpx.request(method, url, headers=auth | sent, **asked)
    assert answer.status_code in (200, 400)


def test_a_client_that_goes_in_the_middle_of_its_request_harms_nobody(door: Door) -> None:
    host, port = door.address.removeprefix("http://").split(":")
    for sent in (b"POST /v1/chat/comp", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                 b"Authorization: Bearer key-ann\r\nContent-Length: 100\r\n\r\n{"):  # fmt: skip
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(sent)
    assert httpx.get(f"{door.base}/models", headers=AUTH).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"upstream": ""}, {"upstream": "api.openai.com/v1"}, {"upstream": "ftp://x/v1"},
        {"upstream": "http://"}, {"upstream": "http://x:99999"}, {"upstream": "http://k:s@x/v1"},
        {"upstream": "http://x/v1?key=s"}, {"upstream": "http://[::1"}, {"api_key": "a\nb"},
        {"placement": "tool"}, {"on_missing_user": "x"}, {"recall_timeout": 0},
        {"read_timeout": float("nan")}, {"connect_timeout": float("inf")}, {"max_connections": 0},
        {"max_body_bytes": 0}, {"client_tasks": ("",)},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(given: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"upstream": "http://x/v1"}
    with pytest.raises(ConfigError) as raised:
        ProxySettings(**(settings | given))
    assert "s@x" not in str(raised.value)
    assert "key=s" not in str(raised.value)


def test_the_upstreams_key_is_not_shown() -> None:
    assert "sk-1" not in repr(ProxySettings(upstream="http://x/v1", api_key="sk-1"))
