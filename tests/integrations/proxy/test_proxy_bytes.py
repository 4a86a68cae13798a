"""Byte for byte: what the upstream sends is what the client gets, in the same pieces."""

import gzip
import json
import random
import zlib
from collections.abc import Callable

import pytest

from tests.integrations.proxy.conftest import Door
from tests.integrations.proxy.fake_upstream import (
    RawAnswer,
    chunked,
    eventually,
    raw_request,
    raw_upstream,
    stream_of,
)

AUTH = {"Authorization": "Bearer key-all", "X-Prefmem-User": "ann"}
RULE = "Always answer in verse."


def asked(text: str = RULE, **more: object) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "m", "messages": messages, "stream": True, **more}).encode()


def ask(door: Door, text: str = RULE, **headers: str) -> RawAnswer:
    return raw_request(door.address, asked(text), AUTH | headers)


@pytest.mark.parametrize("rules", [0, 1])
def test_chunks_come_as_they_were_sent(open_door: Callable[..., Door], rules: int) -> None:
    pieces = stream_of(json.loads(asked("One two three four", n=2)))
    pieces += [b": a comment\r\n\r\n", b"data: \xf0\x9f", b"\x98\x80\n\n", b"\0\xff", b"x" * 40_000]
    with raw_upstream(chunked(pieces, pause=0.01)) as (upstream, _):
        door = open_door(upstream=upstream)
        if rules:
            door.memory.add("", "use metres", user_id="ann")
        answer = ask(door, "One two three four")
    assert answer.status == 200
    assert answer.header("x-prefmem-rules") == str(rules)
    assert answer.complete
    assert answer.chunks == pieces


def test_chunks_sent_at_once_come_apart_as_they_were(open_door: Callable[..., Door]) -> None:
    rng = random.Random(7)
    body = b"".join(stream_of(json.loads(asked("Grüße 😀 " * 30))))
    for _ in range(5):
        cuts = sorted(rng.sample(range(1, len(body)), 40))
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        with raw_upstream([b"".join(p for p in chunked(pieces) if isinstance(p, bytes))]) as (
            upstream,
            _,
        ):
            door = open_door(upstream=upstream)
            answer = ask(door, "Hello")
            door.settle()
        assert answer.chunks == pieces


def test_a_body_of_a_length_keeps_it(open_door: Callable[..., Door]) -> None:
    body = b'{"choices" : [{"index":0,"message":{"content":"Hi"}}], "x": 1.0e2}\r\n'
    head = b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nX-A: 1\r\nX-A: 2\r\n"
    head += b"Set-Cookie: a=b\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1"
    with raw_upstream([head + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body]) as (
        upstream,
        _,
    ):
        answer = ask(open_door(upstream=upstream))
    assert b"".join(answer.chunks) == body
    assert answer.header("content-length") == str(len(body))
    assert answer.header("content-type") == "application/json"
    assert answer.head.lower().count(b"x-a: ") == 2
    for name in ("set-cookie", "keep-alive", "x-hop"):
        assert answer.header(name) is None
    assert answer.head.lower().count(b"date: ") == 1


def test_a_body_that_ends_with_the_connection(open_door: Callable[..., Door]) -> None:
    with raw_upstream([b"HTTP/1.0 200 OK\r\n\r\ndata: 1", 0.02, b"\n\n"]) as (upstream, _):
        answer = ask(open_door(upstream=upstream))
    assert b"".join(answer.chunks) == b"data: 1\n\n"
    assert answer.complete


def test_a_stream_that_breaks_off_breaks_off_and_is_learned(open_door: Callable[..., Door]) -> None:
    pieces = stream_of(json.loads(asked()))[:3]
    with raw_upstream(chunked(pieces, pause=0.02, end=False)) as (upstream, _):
        door = open_door(upstream=upstream)
        answer = ask(door)
    assert answer.chunks == pieces
    assert not answer.complete
    assert door.counts["upstream_broken"] == 1
    eventually(lambda: len(door.rules()) == 1)


def test_a_body_shorter_than_its_length_breaks_off(open_door: Callable[..., Door]) -> None:
    with raw_upstream([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"]) as (upstream, _):
        answer = ask(open_door(upstream=upstream))
    assert answer.chunks == [b"short"]
    assert not answer.complete


def test_a_stream_that_falls_silent_is_cut(open_door: Callable[..., Door]) -> None:
    with raw_upstream([*chunked([b"data: 1\n\n"], end=False), 3.0]) as (upstream, _):
        door = open_door(upstream=upstream, read_timeout=0.3)
        answer = ask(door)
        assert answer.chunks == [b"data: 1\n\n"]
        assert not answer.complete
        assert door.counts["upstream_timeout"] == 1
        eventually(lambda: len(door.rules()) == 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw-deflate"])
def test_compressed_answers_come_compressed_and_are_read(
    open_door: Callable[..., Door], encoding: str
) -> None:
    answer = {"index": 0, "message": {"role": "assistant", "content": "Always is a strong word."}}
    plain = json.dumps({"choices": [answer]}).encode()
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw-deflate": raw.compress(plain) + raw.flush(),
    }[encoding]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding.removeprefix('raw-')}\r\n"
    head += f"Content-Length: {len(packed)}\r\n\r\n"
    with raw_upstream([head.encode(), packed]) as (upstream, requests):
        door = open_door(upstream=upstream)
        got = ask(door, **{"Accept-Encoding": "br, gzip;q=0.9, zstd, deflate"})
        door.settle()
    assert b"".join(got.chunks) == packed
    assert b"accept-encoding: gzip;q=0.9, deflate\r\n" in requests[0].lower()
    assert len(door.rules()) == 1


def test_no_encoding_is_asked_for_where_the_client_asks_for_none_that_is_read(
    open_door: Callable[..., Door],
) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    for accepted in ({}, {"Accept-Encoding": "br"}):
        with raw_upstream([ok]) as (upstream, requests):
            door = open_door(upstream=upstream)
            assert ask(door, **accepted).status == 200
        assert b"accept-encoding: identity\r\n" in requests[0].lower()


def test_an_unreadable_answer_comes_through_and_the_user_is_learned(
    open_door: Callable[..., Door],
) -> None:
    for head in (b"Content-Encoding: br\r\n", b"Content-Encoding: gzip\r\n", b""):
        junk = bytes(range(256)) * 20
        answer = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 5120\r\n\r\n" + junk
        with raw_upstream([answer]) as (upstream, _):
            door = open_door(upstream=upstream)
            assert b"".join(ask(door).chunks) == junk
            door.settle()
        assert len(door.rules()) == 1
        assert not door.counts


def test_statuses_come_as_they_are(open_door: Callable[..., Door]) -> None:
    for status in (201, 202, 304, 400, 404, 418, 451, 503, 520, 599):
        body = b"" if status == 304 else b"oh"
        raw = (
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nX-Up: 1\r\n\r\n".encode() + body
        )
        with raw_upstream([raw]) as (upstream, _):
            answer = ask(open_door(upstream=upstream))
        assert answer.status == status
        assert answer.header("x-up") == "1"
        assert b"".join(answer.chunks) == body


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n", 502, "upstream_redirect"),
        (b"HTTP/1.1 308 X\r\nLocation: /v2\r\nContent-Length: 0\r\n\r\n", 502, "upstream_redirect"),
        (b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", 502, "upstream_broken"),
        (b"SSH-2.0-OpenSSH_9\r\n", 502, "upstream_broken"),
        (b"", 502, "upstream_broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 502, "upstream_broken"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_so(
    open_door: Callable[..., Door], sent: bytes, status: int, code: str
) -> None:
    with raw_upstream([sent]) as (upstream, _):
        door = open_door(upstream=upstream)
        answer = ask(door)
    assert answer.status == status
    error = json.loads(b"".join(answer.chunks))["error"]
    assert error["code"] == code
    assert error["type"] == "upstream_error"
    assert "evil" not in str(error)
    assert door.counts[code] == 1
    door.settle()
    assert door.rules() == []


def test_an_upstream_that_is_down_or_slow(open_door: Callable[..., Door]) -> None:
    down = ask(open_door(upstream="http://127.0.0.1:1/v1"))
    assert (down.status, json.loads(down.chunks[0])["error"]["code"]) == (
        502,
        "upstream_unreachable",
    )
    with raw_upstream([3.0]) as (upstream, _):
        slow = ask(open_door(upstream=upstream, read_timeout=0.2))
    assert (slow.status, json.loads(slow.chunks[0])["error"]["code"]) == (504, "upstream_timeout")
    unknown = ask(open_door(upstream="http://no-such-host.invalid/v1"))
    assert unknown.status == 502


def test_a_large_answer_comes_whole(open_door: Callable[..., Door]) -> None:
    pieces = [random.Random(n).randbytes(60_000) for n in range(200)]
    with raw_upstream(chunked(pieces)) as (upstream, _):
        answer = ask(open_door(upstream=upstream))
    assert b"".join(answer.chunks) == b"".join(pieces)
    assert answer.complete
