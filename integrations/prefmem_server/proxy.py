"""An OpenAI-compatible proxy: a chat client gets a preference memory by changing its base URL.

`/v1/chat/completions` goes to the upstream with the rules that apply, the answer comes back as the
upstream sends it, and the turn is learned when it is over.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from prefmem import PreferenceMemory
from prefmem_server.auth import authenticated
from prefmem_server.proxy_body import ChatBody, TwiceError, read_body, with_block
from prefmem_server.proxy_errors import RefusedError
from prefmem_server.proxy_recall import Applied, ChatMemory
from prefmem_server.proxy_relay import Finished, Relay, Upstream
from prefmem_server.proxy_reply import Tee
from prefmem_server.proxy_settings import ProxySettings
from prefmem_server.proxy_who import who_asks

__all__ = ["ProxySettings", "proxy_router"]

_AT_ONCE = 128 * 1024  # bytes of a body that are read on the event loop; larger ones on a thread
_LAST_TURNS = 10.0  # seconds for the turns that are being handed over when the server stops
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
# What clients ask for most often; other paths are the application's to refuse.
_CLOSED = ("completions", "responses", "embeddings", "moderations", "images/{rest:path}",
           "audio/{rest:path}")  # fmt: skip
Handler = Callable[[Request], Awaitable[Response]]


def proxy_router(
    memory: PreferenceMemory, settings: ProxySettings, *, counts: Counter[str] | None = None
) -> APIRouter:
    """Make the routes of the proxy; include them last: with `passthrough` they take all of `/v1`.

    The application needs `app.state.gate` (see `prefmem_server.auth`). The routes' lifespan hands
    over the last turns to the memory's outbox and closes the connections; the memory is the
    application's to close.

    Args:
        memory: The memory.
        settings: Where the upstream is, and what the proxy may do.
        counts: Where failures are counted, by what failed; see `ChatMemory` and `Upstream`.
    """
    counts = Counter() if counts is None else counts
    proxy = _Proxy(ChatMemory(memory, settings, counts), Upstream(settings, counts), settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        proxy.open()
        try:
            yield
        finally:
            await proxy.close()

    router = APIRouter(lifespan=life, include_in_schema=False)
    routes = [
        ("/v1/chat/completions", proxy.chat, ["POST"]),
        ("/v1/models", proxy.forward, ["GET"]),
        ("/v1/models/{model:path}", proxy.forward, ["GET"]),
    ]
    if settings.passthrough:
        routes.append(("/v1/{path:path}", proxy.forward, _METHODS))
    else:
        routes += [(f"/v1/{path}", proxy.closed, ["POST"]) for path in _CLOSED]
    for path, handler, methods in routes:
        router.add_api_route(path, _answering(handler), methods=methods)
    return router


def _answering(handler: Handler) -> Handler:
    """Turn the refusals of a handler into answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as error:
            return error.response()
        except HTTPException as error:
            return RefusedError.of(error).response()
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it

    return answer


class _Proxy:
    def __init__(self, memory: ChatMemory, upstream: Upstream, settings: ProxySettings) -> None:
        self._memory, self._upstream, self._settings = memory, upstream, settings

    def open(self) -> None:
        self._memory.warm()

    async def close(self) -> None:
        await self._memory.drain(_LAST_TURNS)
        await self._upstream.close()

    async def chat(self, request: Request) -> Response:
        """Answer a chat request with the rules that apply, and learn from it."""
        principal = await authenticated(request)
        data = await self._data(request)
        body = await _read(data)
        who = who_asks(request, principal, body, self._settings)
        if isinstance(who, str) or body is None:
            return self._relayed(request, data, Applied(off=str(who)))
        applied = await self._memory.apply(who, body)
        if applied.block:
            data = with_block(body, applied.block, self._settings.placement)

        def finished(tee: Tee, encoding: str) -> None:
            self._memory.learn(who, body, tee, encoding)

        return self._relayed(request, data, applied, finished)

    async def forward(self, request: Request) -> Response:
        """Forward a request as it is."""
        principal = await authenticated(request)
        principal.require("read")
        sent = self._upstream.request(request.scope, await self._data(request))
        return Relay(self._upstream, sent, {})

    async def closed(self, request: Request) -> Response:
        """Refuse a path that is not forwarded."""
        await authenticated(request)
        raise RefusedError(
            404, "not_found",
            "this proxy forwards /v1/chat/completions and /v1/models; its setting passthrough "
            "opens the other paths of the upstream",
        )  # fmt: skip

    def _relayed(
        self, request: Request, data: bytes, applied: Applied, finished: Finished | None = None
    ) -> Relay:
        partly = f"on; without {', '.join(applied.without)}" if applied.without else "on"
        told = {"X-Prefmem-Memory": f"off; {applied.off}" if applied.off else partly}
        if not applied.off:
            told["X-Prefmem-Rules"] = str(applied.rules)
        if applied.recall_id:
            told["X-Prefmem-Recall"] = applied.recall_id
        sent = self._upstream.request(request.scope, data, readable=finished is not None)
        return Relay(self._upstream, sent, told, finished)

    async def _data(self, request: Request) -> bytes:
        """Receive the body.

        Raises:
            RefusedError: It is too large.
        """
        most, data = self._settings.max_body_bytes, bytearray()
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise _too_large(most)
        async for chunk in request.stream():
            data += chunk
            if len(data) > most:
                raise _too_large(most)
        return bytes(data)


async def _read(data: bytes) -> ChatBody | None:
    """Read a body, off the event loop where that takes long.

    Raises:
        RefusedError: A field stands twice in it.
    """
    try:
        if len(data) <= _AT_ONCE:
            return read_body(data)
        return await asyncio.to_thread(read_body, data)
    except TwiceError as error:
        raise RefusedError(
            400, "invalid_request", f"the field {error.args[0]!r} stands twice in the body"
        ) from None


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413, "request_too_large",
        f"the body has more than {most:,} bytes, which is the most that this proxy takes; raise "
        "max_body_bytes in its settings",
    )  # fmt: skip
