"""A server on fakes over stdio and over HTTP, and the SDK's own clients, on mcp 1.24 up to 2.x."""

import asyncio
import importlib
import json
import logging
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvicorn
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp

from prefmem import PreferenceMemory
from prefmem.testing import Clock, Counter, HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem.types import Matrix
from prefmem_mcp import KeyVerifier, http_app, preference_server
from prefmem_mcp.sdk import MODERN

SERVER = Path(__file__).with_name("serve_on_fakes.py")
ANN, BOB, ACME_ANN, READER = "pm_ann", "pm_bob", "pm_acme_ann", "pm_reader"
Asked: TypeAlias = list[str]
Says: TypeAlias = bool | str | Callable[[], bool] | None


class Flaky(HashEmbedder):
    """Embeds, until it is told to break."""

    broken = False

    def embed(self, texts: Sequence[str]) -> Matrix:
        if self.broken:
            raise RuntimeError(f"no memory left for {texts!r} in /home/ann/secret.db")
        return super().embed(texts)


@dataclass
class Given:
    """What a tool gave."""

    error: bool
    text: str
    data: dict[str, Any]


class Line:
    """A client's connection, in the words of either version."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # a client of one of two versions
        self._client = client

    async def call(self, tool: str, /, **arguments: Any) -> Given:  # noqa: ANN401  # JSON
        result = await self._client.call_tool(tool, arguments)
        found = result.model_dump(mode="json", by_alias=True)
        text = "\n".join(part["text"] for part in found["content"])
        return Given(found.get("isError", False), text, found.get("structuredContent") or {})

    async def tools(self) -> dict[str, dict[str, Any]]:
        listed = (await self._client.list_tools()).model_dump(mode="json", by_alias=True)
        return {tool["name"]: tool for tool in listed["tools"]}

    async def resources(self) -> list[dict[str, Any]]:
        listed = (await self._client.list_resources()).model_dump(mode="json", by_alias=True)
        return list(listed["resources"])

    async def read(self, uri: str) -> Any:  # noqa: ANN401  # JSON
        from pydantic import AnyUrl

        result = await self._client.read_resource(uri if MODERN else AnyUrl(uri))
        return json.loads(result.contents[0].text)


@asynccontextmanager
async def line(
    transport: Any,  # noqa: ANN401  # a transport of one of two versions
    mode: str,
    *,
    says: Says = None,
    asked: Asked | None = None,
) -> AsyncGenerator[Line]:
    """Connect a client.

    Args:
        transport: The streams, or a server in this process.
        mode: `legacy`, or with mcp 2 `auto`.
        says: What the user answers when asked: yes, no, what a function gives, or how else a
            client ends a question; None for a client that cannot ask.
        asked: Takes the questions.
    """
    types = importlib.import_module("mcp_types" if MODERN else "mcp.types")

    async def answer(_: Any, params: Any) -> Any:  # noqa: ANN401  # as the SDK calls it
        if asked is not None:
            asked.append(params.message)
        if isinstance(says, str):
            return types.ElicitResult(action=says)
        confirms = says() if callable(says) else says
        return types.ElicitResult(action="accept", content={"confirm": confirms})

    given: dict[str, Any] = {} if says is None else {"elicitation_callback": answer}
    async with AsyncExitStack() as stack:
        if MODERN:
            from mcp.client import Client

            yield Line(await stack.enter_async_context(Client(transport, mode=mode, **given)))
            return
        if hasattr(transport, "call_tool"):  # a server
            memory = importlib.import_module("mcp.shared.memory")
            linked = memory.create_connected_server_and_client_session(transport, **given)
            yield Line(await stack.enter_async_context(linked))
            return
        streams = await stack.enter_async_context(transport)
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1], **given))
        await session.initialize()
        yield Line(session)


MODES = ["legacy", "auto"] if MODERN else ["legacy"]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """How a client begins: by the handshake of the older protocols, or without."""
    return str(request.param)


@pytest.fixture
def at_hand(memory: PreferenceMemory, mode: str) -> Callable[..., Any]:
    """Give a function that connects to a server of a user within this process."""

    def connect(user: str, *, ask: bool = False, **client: Any) -> Any:  # noqa: ANN401  # a context
        return line(preference_server(memory, user_id=user, ask=ask), mode, **client)

    return connect


@pytest.fixture
def over_stdio(tmp_path: Path, mode: str) -> Callable[..., Any]:
    """Give a function that starts a server on `prefs.db` and connects to it."""

    def connect(user: str, *options: str, **client: Any) -> Any:  # noqa: ANN401  # a context
        started = StdioServerParameters(
            command=sys.executable,
            args=[str(SERVER), str(tmp_path / "prefs.db"), "--user", user, *options],
        )
        return line(stdio_client(started), mode, **client)

    return connect


@pytest.fixture
def over_http(mode: str) -> Callable[..., Any]:
    """Give a function that connects to a server's address with a key."""

    @asynccontextmanager
    async def connect(url: str, key: str, **client: Any) -> AsyncGenerator[Line]:  # noqa: ANN401  # as `line`
        http = importlib.import_module("httpx2" if MODERN else "httpx")
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            http.AsyncClient(headers=headers, timeout=30) as session,
            line(streamable_http_client(url, http_client=session), mode, **client) as it,
        ):
            yield it

    return connect


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Undo what a command did to the log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def embedder() -> Flaky:
    return Flaky()


@pytest.fixture
def memory(tmp_path: Path, embedder: Flaky) -> Iterator[PreferenceMemory]:
    with PreferenceMemory(
        tmp_path / "prefs.db", embedder=embedder, extractor=PhraseExtractor(), reranker="none",
        relater=TableRelater(), judge=WordJudge(), clock=Clock(), ids=Counter("card"),
    ) as memory:  # fmt: skip
        yield memory


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Give a keys file: ann, bob, another tenant's ann, and an ann who may only look."""
    path = tmp_path / "keys.json"
    rows: list[dict[str, Any]] = [
        {"name": "ann", "key": ANN, "user": "ann@example.org"},
        {"name": "bob", "key": BOB, "user": "bob"},
        {"name": "acme", "key": ACME_ANN, "user": "ann@example.org", "tenant": "acme"},
        {"name": "reader", "key": READER, "user": "ann@example.org", "scopes": ["read"]},
        {"name": "whole-tenant", "key": "pm_tenant", "tenant": "acme"},
    ]
    for row in rows:
        row["sha256"] = sha256(row.pop("key").encode()).hexdigest()
    path.write_text(json.dumps({"keys": rows}), encoding="utf-8")
    return path


@pytest.fixture
def listening() -> Iterator[Callable[[ASGIApp], str]]:
    """Give a function that serves an app on a free port, and gives its address."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(app: ASGIApp) -> str:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[bound])), daemon=True
        )
        thread.start()
        running.append((server, thread, bound))
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        return f"http://127.0.0.1:{bound.getsockname()[1]}/mcp"

    yield start
    for server, thread, bound in running:
        server.should_exit = True
        thread.join(10)
        bound.close()


@pytest.fixture
def url(memory: PreferenceMemory, keys: Path, listening: Callable[[ASGIApp], str]) -> str:
    """Give the address of a server for all keys."""
    return listening(http_app(preference_server(memory, verifier=KeyVerifier(keys))))
