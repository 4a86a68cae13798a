"""OpenAIChat over real HTTP, against servers that misbehave in every way."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import Any, TypeAlias, cast

import pytest

from prefmem.errors import ConfigError, EndpointError
from prefmem.models.endpoint import MAX_ANSWER_BYTES, OpenAIChat

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi Zanzibar"}]
SCHEMA = {"type": "object"}
STEADY = {"temperature": 0, "max_tokens": 2048}
STRICT = {
    "type": "json_schema",
    "json_schema": {"name": "preferences", "strict": True, "schema": SCHEMA},
}

Step: TypeAlias = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Does the next step of its server's script; the last one again and again."""

    @property
    def owner(self) -> "Server":
        return cast("Server", self.server)

    def do_POST(self) -> None:
        server = self.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            step = server.steps[min(len(server.seen), len(server.steps) - 1)]
            server.seen.append((self.path, dict(self.headers), json.loads(body)))
        try:
            step(self)
        except OSError:  # the client went away
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class Server(ThreadingHTTPServer):
    """Keeps what it was asked."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps, self.lock, self.over = steps, threading.Lock(), threading.Event()
        self.seen: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(*steps: Step) -> Generator[Server]:
    server = Server(steps)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def answer(status: int = 200, body: object = b"", **headers: str) -> Step:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def step(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(raw)

    return step


def says(content: object) -> Step:
    return answer(200, {"choices": [{"message": {"role": "assistant", "content": content}}]})


def hang(handler: Handler) -> None:
    handler.owner.over.wait(20)


def half(handler: Handler) -> None:
    answer(200, b'{"choices": [{"mess', Content_Length="400")(handler)


def half_a_chunk(handler: Handler) -> None:
    answer(200, b'40\r\n{"choices": [{"mess', Transfer_Encoding="chunked")(handler)


def drip(opening: bytes) -> Step:
    def step(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + opening)
        while not handler.owner.over.wait(0.01):
            handler.wfile.write(b"x")

    return step


HELLO = says("Hello.")


def chat(server: Server, **given: Any) -> tuple[OpenAIChat, list[float]]:  # noqa: ANN401  # its arguments
    """Give a chat that waits in no time, and the list of its waits."""
    waits: list[float] = []
    parts: dict[str, Any] = {"sleep": waits.append, "rng": lambda: 0.5}
    return OpenAIChat(server.url, **(parts | given)), waits


def test_messages_go_out_and_the_reply_comes_back() -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    with serving(HELLO) as server:
        asked, _ = chat(server, model="small", api_key="k", extra=extra)
        assert asked(ASKED) == "Hello."
        ((path, headers, body),) = server.seen
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer k"
    assert headers["Content-Type"] == "application/json"
    assert body == {"messages": ASKED, "model": "small", **extra}


def test_without_model_and_key_neither_is_sent() -> None:
    with serving(HELLO) as server:
        OpenAIChat(f"{server.url}/")(ASKED)
        ((path, headers, body),) = server.seen
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert body == {"messages": ASKED}


def test_a_reply_without_text_is_empty() -> None:
    with serving(says(None)) as server:
        assert OpenAIChat(server.url)(ASKED) == ""


def test_what_the_server_takes_of_a_schema_is_remembered() -> None:
    with serving(answer(400), answer(400), HELLO) as server:
        asked, waits = chat(server)
        assert [asked(ASKED, schema=SCHEMA) for _ in range(2)] == ["Hello."] * 2
        assert asked(ASKED) == "Hello."
        forms = [{k: v for k, v in body.items() if k != "messages"} for _, _, body in server.seen]
    assert forms == [
        {"response_format": STRICT, **STEADY},
        {"response_format": {"type": "json_object"}, **STEADY},
        STEADY,
        STEADY,
        {},
    ]
    assert waits == []


def test_a_schema_is_asked_for_again_when_nothing_else_was_taken_either() -> None:
    with serving(*[answer(400)] * 4, HELLO) as server:
        asked, _ = chat(server)
        with pytest.raises(EndpointError, match="answered 400; check the model's name"):
            asked(ASKED, schema=SCHEMA)
        assert asked(ASKED, schema=SCHEMA) == "Hello."
        assert [body.get("response_format") for _, _, body in server.seen[3:]] == [None, STRICT]


def test_own_fields_stand_before_the_schemas() -> None:
    with serving(HELLO) as server:
        asked, _ = chat(server, extra={"max_tokens": 9})
        asked(ASKED, schema=SCHEMA)
        ((_, _, body),) = server.seen
    assert (body["max_tokens"], body["temperature"]) == (9, 0)


@pytest.mark.parametrize("trouble", [answer(500), answer(503), half, half_a_chunk])
def test_a_broken_answer_is_asked_for_again_and_not_forever(trouble: Step) -> None:
    with serving(trouble, HELLO) as server:
        asked, waits = chat(server)
        assert asked(ASKED) == "Hello."
        assert waits == [0.375]
    with serving(trouble) as server:
        asked, waits = chat(server, retries=3)
        with pytest.raises(EndpointError, match=server.url) as caught:
            asked(ASKED)
        assert len(server.seen) == 4
        assert waits == [0.375, 0.75, 1.5]
    assert "Zanzibar" not in str(caught.value)


@pytest.mark.parametrize(
    "trouble", [hang, drip(b"\r\n"), drip(b"X-Slow: "), drip(b"Content-Length: 900000\r\n\r\n")]
)
def test_a_server_that_never_ends_is_given_up(trouble: Step) -> None:
    with serving(trouble) as server:
        asked, _ = chat(server, timeout=0.2)
        with pytest.raises(EndpointError, match="no answer in time"):
            asked(ASKED)


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    with serving(answer(429, Retry_After="7"), answer(503, Retry_After="soon"), HELLO) as server:
        asked, waits = chat(server)
        assert asked(ASKED) == "Hello."
        assert waits == [7, 0.75]


@pytest.mark.parametrize(("seconds", "timeout"), [("31", 60), ("5", 4)])
def test_a_wait_beyond_bounds_ends_it(seconds: str, timeout: float) -> None:
    with serving(answer(429, Retry_After=seconds)) as server:
        asked, waits = chat(server, timeout=timeout)
        with pytest.raises(EndpointError, match="answered 429; ask less often"):
            asked(ASKED)
        assert (len(server.seen), waits) == (1, [])


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "check the key"),
        (403, "check the key"),
        (404, "check the address and the model's name"),
        (418, "check the address"),
    ],
)
def test_a_refusal_is_not_repeated_and_its_words_are_not_shown(status: int, hint: str) -> None:
    with serving(answer(status, b"Hi Zanzibar is wrong")) as server:
        asked, _ = chat(server)
        with pytest.raises(EndpointError, match=rf"answered {status}; {hint}") as caught:
            asked(ASKED)
        assert len(server.seen) == 1
    assert "Zanzibar" not in str(caught.value)


def test_a_redirect_is_not_followed_so_the_key_stays_here() -> None:
    with serving(HELLO) as other:
        moved = answer(302, Location=f"{other.url}/chat/completions")
        with serving(moved) as server, pytest.raises(EndpointError, match="302; redirects are not"):
            OpenAIChat(server.url, api_key="k")(ASKED)
        assert other.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Zanzibar</html>",
        b'data: {"choices": [{"delta": {"content": "Zanzibar"}}]}\n\n',
        b"\xff\xfe",
        b"[" * 100_000,
        {"error": "Zanzibar"},
        {"choices": []},
        [],
        {"choices": [{"message": {"content": 3}}]},
    ],
)
def test_another_format_is_refused(body: object) -> None:
    with serving(answer(200, body, Content_Type="text/html")) as server:
        with pytest.raises(EndpointError, match="another format") as caught:
            OpenAIChat(server.url)(ASKED)
        assert len(server.seen) == 1
    assert "Zanzibar" not in str(caught.value)


def test_an_answer_has_a_megabyte_at_most() -> None:
    envelope = len(json.dumps({"choices": [{"message": {"role": "assistant", "content": ""}}]}))
    fits = "x" * (MAX_ANSWER_BYTES - envelope)
    with serving(says(fits), says(fits + "x")) as server:
        asked, _ = chat(server)
        assert asked(ASKED) == fits
        with pytest.raises(EndpointError, match="more than 1048576 bytes"):
            asked(ASKED)
        assert len(server.seen) == 2


def test_no_more_requests_are_in_flight_than_allowed() -> None:
    lock, together = threading.Lock(), threading.Barrier(3)
    flying, most = 0, 0

    def counted(handler: Handler) -> None:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        together.wait(20)  # goes on when three are here
        with lock:
            flying -= 1
        HELLO(handler)

    with serving(counted) as server, ThreadPoolExecutor(9) as pool:
        asked, _ = chat(server, concurrency=3)
        assert list(pool.map(asked, repeat(ASKED, 9))) == ["Hello."] * 9
    assert most == 3


def test_who_finds_no_place_in_time_is_told() -> None:
    here = threading.Event()

    def held(handler: Handler) -> None:
        here.set()
        hang(handler)

    with serving(held) as server, ThreadPoolExecutor(1) as pool:
        asked, _ = chat(server, concurrency=1, timeout=0.5)
        first = pool.submit(asked, ASKED)
        here.wait(20)
        with pytest.raises(EndpointError, match="no answer in time"):
            asked(ASKED)
        assert isinstance(first.exception(), EndpointError)


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        waits: list[float] = []
        with pytest.raises(EndpointError, match=f"{url}/chat/completions .*Connection refused"):
            OpenAIChat(url, sleep=waits.append)(ASKED)
        assert len(waits) == 2


@pytest.mark.parametrize(
    "url",
    [
        "localhost:1", "file:///etc/passwd", "ftp://x", "http://", "", "http://x:y/v1",
        "http://ann:secret@x/v1", "http://x/v1?key=secret", "http://x/v1#secret", "http://[::1/v1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_plain_http_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no http address") as caught:
        OpenAIChat(url)
    assert "secret" not in str(caught.value)


def test_a_key_that_no_header_takes_is_refused_without_being_shown() -> None:
    for key in ("secret\n", "schlüssel", "a\0b"):
        with pytest.raises(ConfigError, match="api_key holds characters") as caught:
            OpenAIChat("http://x/v1", api_key=key)
        assert key not in str(caught.value)


@pytest.mark.parametrize("given", [{"timeout": 0}, {"retries": -1}, {"concurrency": 0}])
def test_numbers_out_of_range_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the least are above 0, 0 and 1"):
        OpenAIChat("http://x/v1", **given)


def test_https_is_spoken() -> None:
    hello: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            taken, _ = listening.accept()
            with taken:
                hello.append(taken.recv(1))

        thread = threading.Thread(target=take)
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match="cannot be reached"):
            OpenAIChat(url, retries=0, timeout=5)(ASKED)
        thread.join()
    assert hello == [b"\x16"]  # a TLS record of kind handshake
