"""What stands around every request: its name, its time, one line of log, and the border.

Pure ASGI, so that streams pass through untouched.
"""

import logging
import re
import time
from collections.abc import Callable
from secrets import token_hex

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prefmem_server.metrics import Metrics
from prefmem_server.problems import failed

_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("prefmem.access")


class Frame:
    """Names, times and logs each request, and answers what failed inside.

    The log line has the operation's name, or the route's template, and no word of the request.

    Args:
        app: What is inside.
        metrics: Counts.
        ids: Gives names for requests that come without one.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        ids: Callable[[], str] = lambda: token_hex(8),
    ) -> None:
        """Keep what is needed."""
        self._app, self._metrics, self._ids = app, metrics, ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = self._named(scope)
        scope.setdefault("state", {})["request_id"] = name
        began, status = time.perf_counter(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message).setdefault("X-Request-ID", name)
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception as error:  # noqa: BLE001  # the border: a traceback would quote users
            self._metrics.failures.labels(type(error).__name__).inc()
            answer = failed(name, error)
            if not status:  # else the stream just ends
                await answer(scope, receive, told)
        finally:
            self._told(scope, name, status, time.perf_counter() - began)

    def _named(self, scope: Scope) -> str:
        sent = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        return sent if _GIVEN.fullmatch(sent) else self._ids()

    def _told(self, scope: Scope, name: str, status: int, seconds: float) -> None:
        route = scope.get("route")
        operation = str(getattr(route, "operation_id", None) or getattr(route, "path", "none"))
        self._metrics.requests.labels(operation, str(status)).inc()
        self._metrics.request_seconds.labels(operation).observe(seconds)
        principal = scope["state"].get("principal")
        _log.info(
            "%s %s %s %.1f ms key=%s",
            name, operation, status or "gone", seconds * 1000, principal.name if principal else "-",
        )  # fmt: skip
