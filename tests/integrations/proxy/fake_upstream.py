"""Upstreams for tests: an OpenAI-like server, and a socket that sends the bytes it is given."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

ERRORS = {
    "401": (401, {"error": {"message": "bad key", "type": "auth", "code": "invalid_api_key"}}),
    "429": (429, {"error": {"message": "slow down", "type": "limit", "code": "rate_limit"}}),
    "500": (500, {"error": {"message": "oops", "type": "server_error", "code": None}}),
    "529": (529, {"error": {"message": "overloaded", "type": "overloaded_error"}}),
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@dataclass
class Seen:
    """A request that came to the upstream."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # a request may hold anything
        return json.loads(self.body)

    @property
    def prompt(self) -> str:
        return json.dumps(self.json["messages"])

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k == name), None)


@dataclass
class FakeUpstream:
    """Answers by the name of the model: an error's number, `tools`, or else an echo."""

    seen: list[Seen] = field(default_factory=list[Seen])
    between: float = 0.0  # seconds between the pieces of a stream
    before: float = 0.0  # seconds before an answer
    stopped: int = 0  # streams that the other side left

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/{path:path}", self._other, methods=["GET", "POST", "DELETE"]),
            ]
        )

    async def _note(self, request: Request) -> Seen:
        headers = [(k, v) for k, v in request.headers.items()]
        path = request.scope["raw_path"].decode()
        query = request.scope["query_string"].decode()
        path += f"?{query}" if query else ""
        self.seen.append(Seen(request.method, path, headers, await request.body()))
        return self.seen[-1]

    async def _chat(self, request: Request) -> Response:
        asked = (await self._note(request)).json
        if self.before:
            await asyncio.sleep(self.before)
        model = asked.get("model", "echo")
        if model in ERRORS:
            status, told = ERRORS[model]
            return JSONResponse(told, status, {"x-request-id": "req_1", "retry-after-ms": "1"})
        if asked.get("stream"):
            return StreamingResponse(self._stream(asked), media_type="text/event-stream")
        choices = [
            {"index": n, "message": _message(asked, n), "finish_reason": _reason(asked)}
            for n in range(asked.get("n") or 1)
        ]
        answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": model}
        return JSONResponse(answer | {"choices": choices, "usage": USAGE}, 200, {"x-kept": "yes"})

    async def _stream(self, asked: dict[str, Any]) -> AsyncGenerator[bytes]:
        try:
            for piece in stream_of(asked):
                yield piece
                await asyncio.sleep(self.between)
        except asyncio.CancelledError:
            self.stopped += 1
            raise

    async def _models(self, request: Request) -> Response:
        await self._note(request)
        return JSONResponse({"object": "list", "data": [{"id": "echo", "object": "model"}]})

    async def _other(self, request: Request) -> Response:
        await self._note(request)
        return Response(b"\x00\x01other", 200, media_type="application/octet-stream")


def stream_of(asked: dict[str, Any]) -> list[bytes]:
    """Give the events of a streamed answer."""
    events: list[dict[str, Any]] = []
    for n in range(asked.get("n") or 1):
        message = _message(asked, n)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if calls := message.get("tool_calls"):
            deltas += [{"tool_calls": [{"index": 0, **calls[0]}]}]
        else:
            deltas += [{"content": word} for word in message["content"].split(" ")]
        events += [{"choices": [{"index": n, "delta": d, "finish_reason": None}]} for d in deltas]
        events += [{"choices": [{"index": n, "delta": {}, "finish_reason": _reason(asked)}]}]
    options: dict[str, Any] = asked.get("stream_options") or {}
    if options.get("include_usage"):
        events.append({"choices": [], "usage": USAGE})
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "echo"}
    pieces = [b"data: " + json.dumps(base | event).encode() + b"\n\n" for event in events]
    return [*pieces, b"data: [DONE]\n\n"]


def _message(asked: dict[str, Any], n: int) -> dict[str, Any]:
    last = asked["messages"][-1]
    if asked.get("tools") and last["role"] == "user":
        name = asked["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function"}
        call |= {"function": {"name": name, "arguments": '{"city": "Oslo"}'}}  # type: ignore[dict-item]
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if asked.get("response_format"):
        return {"role": "assistant", "content": '{"city": "Oslo"}'}
    said = last["content"] if isinstance(last["content"], str) else "parts"
    return {"role": "assistant", "content": f"Answer {n} to: {said[-60:]}"}


def _reason(asked: dict[str, Any]) -> str:
    return (
        "tool_calls" if asked.get("tools") and asked["messages"][-1]["role"] == "user" else "stop"
    )


def free_port() -> socket.socket:
    """Bind a free port; with the protocol named, as asyncio turns Nagle off only then."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    return listening


@contextmanager
def served(app: Any) -> Generator[str]:  # noqa: ANN401  # any ASGI app
    """Serve an app on a free port of this machine, on a thread; gives its address."""
    listening = free_port()
    config = uvicorn.Config(
        app, log_level="critical", ws="none", timeout_graceful_shutdown=5, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


Piece = bytes | float  # what is sent, or seconds to wait


@contextmanager
def raw_upstream(*answers: Sequence[Piece]) -> Generator[tuple[str, list[bytes]]]:
    """Serve one connection for each answer: read a request, send the pieces, close.

    Gives the address, and the requests as they came.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    requests.append(read_request(connection))
                    for piece in answer:
                        if isinstance(piece, bytes):
                            connection.sendall(piece)
                        else:
                            time.sleep(piece)
                except OSError:
                    pass  # the other side left

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", requests
    finally:
        listening.close()
        thread.join(10)


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := connection.recv(65536))
        if not more:
            return data
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [h[15:] for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@dataclass
class RawAnswer:
    """An answer as it came over a socket."""

    head: bytes
    chunks: list[bytes]
    complete: bool

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def header(self, name: str) -> str | None:
        found = [line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:]]
        return next((v.decode() for k, v in found if k.lower() == name.encode()), None)


def raw_request(
    address: str, body: bytes, headers: dict[str, str], path: str = "/v1/chat/completions"
) -> RawAnswer:
    """Send a POST over a socket and give the answer with its chunks as they were framed."""
    host, port = address.removeprefix("http://").split("/")[0].split(":")
    lines = [f"POST {path} HTTP/1.1", "Connection: close"]
    lines += [f"{k}: {v}" for k, v in ({"Host": f"{host}:{port}"} | headers).items()]
    lines += [f"Content-Length: {len(body)}"]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        data = b""
        while more := connection.recv(65536):
            data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        return RawAnswer(head, *_chunks(rest))
    answer = RawAnswer(head, [rest], True)
    length = answer.header("content-length")
    answer.complete = length is None or int(length) == len(rest)
    return answer


def _chunks(data: bytes) -> tuple[list[bytes], bool]:
    chunks: list[bytes] = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return chunks, True
        chunks.append(data[:length])
        data = data[length + 2 :]
    return chunks, False


def chunked(pieces: Sequence[bytes], *, pause: float = 0.0, end: bool = True) -> list[Piece]:
    """Frame pieces as the chunks of a streamed answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    framed: list[Piece] = [head + b"\r\n"]
    for piece in pieces:
        framed += [f"{len(piece):x}\r\n".encode() + piece + b"\r\n", pause]
    return [*framed, b"0\r\n\r\n"] if end else framed


def eventually(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that happens on another thread."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
