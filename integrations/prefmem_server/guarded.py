"""Routes that know who asks before they read a body, and read no more of it than is allowed."""

from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from prefmem_server.auth import authenticated
from prefmem_server.settings import ServerSettings


class GuardedRoute(APIRoute):
    """A route of the service; FastAPI's own reads the body first and asks who it is then."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Ask who it is, bound the body, then go on."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await authenticated(request)
            most = cast(ServerSettings, request.app.state.settings).max_body
            receive = _bounded(request, most)
            return await handle(Request(request.scope, receive))

        return guarded


def _bounded(request: Request, most: int) -> Receive:
    """Refuse a body while it is read: by the length it announces, else by what has come."""
    announced = request.headers.get("content-length", "0")
    length = int(announced[:20]) if announced.isdecimal() and announced.isascii() else 0
    come = 0

    async def bounded() -> Message:
        nonlocal come
        if length > most:
            raise _too_large(most)
        message = await request.receive()
        come += len(message.get("body", b""))
        if come > most:
            raise _too_large(most)
        return message

    return bounded


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        413,
        f"the request is larger than {most:,} bytes; send fewer messages: what was learned before "
        "need not come again",
        headers={"Connection": "close"},
    )
