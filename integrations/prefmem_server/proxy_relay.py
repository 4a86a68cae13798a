"""The way to the upstream and back: bytes go through as they come, in both directions."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeAlias
from urllib.parse import unquote

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from prefmem_server.proxy_errors import RefusedError
from prefmem_server.proxy_reply import READABLE, Tee
from prefmem_server.proxy_settings import ProxySettings

Header: TypeAlias = tuple[bytes, bytes]
Finished: TypeAlias = Callable[[Tee, str], None]  # the copy, and its Content-Encoding

_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
        b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
# What is between the client and this server: its key, its cookies, where it is, who the user is.
_OURS = frozenset(
    {
        b"host", b"content-length", b"expect", b"authorization", b"x-api-key", b"cookie",
        b"x-upstream-authorization", b"forwarded", b"via", b"x-real-ip",
    }
)  # fmt: skip
_OURS_TOO = (b"prefmem-", b"x-prefmem-", b"x-forwarded-", b"x-openwebui-")
# Of the upstream's server: the one that answers here sets its own.
_THEIRS = frozenset({b"date", b"server", b"set-cookie"})
_DOTS = re.compile(r"(^|[/\\])\.{1,2}([/\\]|$)")
_REDIRECTS = (301, 302, 303, 307, 308)
_log = logging.getLogger("prefmem")


class BrokenStreamError(ConnectionError):
    """The upstream broke off in the middle of a response; so does this server."""


class Upstream:
    """The API behind the proxy, over a pool of connections that opens with the first request.

    Args:
        settings: Settings of the proxy.
        counts: Where failures are counted: `upstream_unreachable`, `upstream_timeout`,
            `upstream_broken`, `upstream_redirect`.
    """

    def __init__(self, settings: ProxySettings, counts: Counter[str]) -> None:
        """Open nothing yet."""
        self._settings, self.counts = settings, counts
        self._timeout = httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout)
        self._client: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The pool."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                limits=httpx.Limits(max_connections=self._settings.max_connections),
                follow_redirects=False,
            )
        return self._client

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def request(self, scope: Scope, body: bytes, *, readable: bool = False) -> httpx.Request:
        """Make the upstream's request of a client's.

        Args:
            scope: The client's request.
            body: The body to send.
            readable: Whether the answer must come in an encoding that can be read here.

        Raises:
            RefusedError: The path leads elsewhere, or the request cannot be sent.
        """
        path = _path(scope)
        if not path.startswith("/v1/") or _DOTS.search(unquote(path)):
            raise RefusedError(404, "not_found", "there is no such path")
        query = scope["query_string"].decode("latin-1")
        address = self._settings.upstream.rstrip("/") + path[3:] + (f"?{query}" if query else "")
        headers = [*self._sent(scope["headers"], readable=readable)]
        try:
            return httpx.Request(
                scope["method"], address, headers=headers, content=body,
                extensions={"timeout": self._timeout.as_dict()},
            )  # fmt: skip
        except (httpx.InvalidURL, ValueError):
            raise RefusedError(400, "invalid_request", "the address cannot be forwarded") from None

    def _sent(self, headers: Iterable[Header], *, readable: bool) -> Iterable[Header]:
        """Give the headers for the upstream; its key is the settings', or the client's for it."""
        headers = tuple(headers)
        named = _named_by_connection(headers)
        key = self._settings.api_key
        theirs = next((v for k, v in headers if k == b"x-upstream-authorization"), None)
        authorization = f"Bearer {key}".encode() if key else theirs
        if authorization:
            yield b"authorization", authorization
        for name, value in headers:
            if name in _HOP or name in _OURS or name in named or name.startswith(_OURS_TOO):
                continue
            if not (readable and name == b"accept-encoding"):
                yield name, value
        if readable:
            accepted = [v for k, v in headers if k == b"accept-encoding"]
            yield b"accept-encoding", _readable(accepted)


class Relay(Response):
    """An answer that comes from the upstream.

    Status, headers and body are the upstream's; each piece of the body goes out as it comes. Where
    the upstream cannot be reached or is silent for too long, the answer is an error in OpenAI's
    form; where it breaks off in the middle, the connection is cut, as the client would see without
    the proxy. When the client leaves, the upstream's connection is closed.

    Args:
        upstream: The upstream.
        request: What to send.
        headers: Headers to add to the answer.
        finished: Is called once with a copy of the answer when it is over, however it ends, if the
            upstream took the request (2xx).
    """

    def __init__(
        self,
        upstream: Upstream,
        request: httpx.Request,
        headers: dict[str, str],
        finished: Finished | None = None,
    ) -> None:
        """Send nothing yet."""
        super().__init__(headers=headers)
        self._upstream, self._request, self._finished = upstream, request, finished
        self._added = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until the answer is over or the client is gone."""
        relaying = asyncio.create_task(self._relay(scope, receive, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((relaying, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            relaying.cancel()
            leaving.cancel()
            outcome, _ = await asyncio.gather(relaying, leaving, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._upstream.client.send(self._request, stream=True)
        except httpx.HTTPError as error:
            await self._refused(_why(error)).response()(scope, receive, send)
            return
        tee, took = Tee(), 200 <= answer.status_code < 300
        try:
            if answer.status_code in _REDIRECTS or not 200 <= answer.status_code < 600:
                refusal = self._refused(_elsewhere(answer.status_code))
                await refusal.response()(scope, receive, send)
                return
            headers = [*_kept(answer.headers.raw), *self._added]
            start = {"status": answer.status_code, "headers": headers}
            await send({"type": "http.response.start", **start})
            async for chunk in answer.aiter_raw():
                tee.add(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except httpx.HTTPError as error:
            self._refused(_why(error))
            raise BrokenStreamError("the upstream broke off") from None
        finally:
            if self._finished and took:
                self._finished(tee, answer.headers.get("content-encoding", ""))
            await answer.aclose()

    def _refused(self, error: RefusedError) -> RefusedError:
        """Count and log what the upstream did."""
        self._upstream.counts[error.code] += 1
        _log.warning("proxy: %s", error.message)
        error.headers |= {k.decode(): v.decode("latin-1") for k, v in self._added}
        return error


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _path(scope: Scope) -> str:
    """Give the path as it was sent, without the place where the application is mounted."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.decode("latin-1")
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def _named_by_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    """Name the headers that `Connection` declares as those of one hop."""
    values = (value for name, value in headers if name == b"connection")
    return frozenset(part.strip().lower() for value in values for part in value.split(b","))


def _readable(accepted: Iterable[bytes]) -> bytes:
    """Keep of the encodings that a client takes those that can be read here."""
    parts = [part.strip() for value in accepted for part in value.split(b",")]
    known = [p for p in parts if p.partition(b";")[0].strip().lower().decode("latin-1") in READABLE]
    return b", ".join(known) or b"identity"


def _kept(headers: Iterable[Header]) -> list[Header]:
    """Keep the upstream's headers that are for the client."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(lowered)
    return [
        (name, value)
        for name, value in lowered
        if name not in _HOP and name not in _THEIRS and name not in named
    ]


def _why(error: httpx.HTTPError) -> RefusedError:
    if isinstance(error, httpx.PoolTimeout):
        return RefusedError(
            504, "upstream_timeout",
            "all connections to the upstream are busy; try again, or raise max_connections",
        )  # fmt: skip
    if isinstance(error, httpx.TimeoutException):
        return RefusedError(504, "upstream_timeout", "the upstream did not answer in time")
    if isinstance(error, httpx.ConnectError):
        return RefusedError(
            502, "upstream_unreachable",
            "the upstream cannot be reached; is its address right, and is it up?",
        )  # fmt: skip
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return RefusedError(400, "invalid_request", "the request cannot be forwarded as it is")
    return RefusedError(502, "upstream_broken", "the upstream broke off, or does not speak HTTP")


def _elsewhere(status: int) -> RefusedError:
    if status in _REDIRECTS:
        return RefusedError(
            502, "upstream_redirect",
            f"the upstream redirects ({status}), which is not followed, as keys would go along; "
            "set its final address",
        )  # fmt: skip
    return RefusedError(502, "upstream_broken", f"the upstream answered with the status {status}")
