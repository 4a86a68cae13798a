"""Who is asking, and for whom: keys and tokens become a `Principal`, and nothing else does.

The user comes from the key or the token where these are bound to one, else from the header
`Prefmem-User`, which only a key that may act for its whole tenant can set. Refusals are
`HTTPException`s with a status, a sentence and the headers that belong to it.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeAlias, cast
from urllib.parse import quote, unquote_to_bytes

from fastapi import Request
from starlette.exceptions import HTTPException

from prefmem_keys import bearer
from prefmem_server.limits import Limiter, Rate

Scope: TypeAlias = bearer.Scope

USER_HEADER = "Prefmem-User"
CHALLENGE = 'Bearer realm="prefmem"'
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from.

    Attributes:
        name: Name of the key, or `jwt` for a token, or `local` where no key is asked for; for
            limits and figures, never a user id.
        tenant: The tenant that it belongs to; everything else is out of its reach.
        user_id: The one user that it may act for; None for any user of the tenant.
        scopes: `read` looks, `write` learns and changes, `admin` erases users, flushes and reads
            the metrics.
        rate: Its own limit; None for the server's.
        expires_at: When it ends, in seconds since 1970; None for no end.
    """

    name: str
    tenant: str
    user_id: str | None
    scopes: frozenset[Scope] = bearer.USUAL
    rate: Rate | None = None
    expires_at: int | None = None

    @classmethod
    def of(cls, sender: bearer.Bearer) -> "Principal":
        """Give what a key or a token opens."""
        rate = None
        if sender.rate is not None:
            rate = Rate(sender.rate, max(1.0, sender.burst or 2 * sender.rate))
        return cls(
            sender.name, sender.tenant, sender.user_id, sender.scopes, rate, sender.expires_at
        )

    def acting_for(self, claimed: str | None) -> str:
        """Give the id of the user that the request is about.

        Args:
            claimed: What the request says, by the header or the field `user`; None for nothing.

        Raises:
            HTTPException: 403 where the principal is bound to another user, 422 where it may act
                for any user and none is named.
        """
        if self.user_id is None:
            if not claimed:
                raise HTTPException(
                    422,
                    "no user is named, and a key for a whole tenant speaks for nobody by itself: "
                    f"send the user's id, percent-encoded, in the header {USER_HEADER}",
                )
            return claimed
        if claimed and claimed != self.user_id:
            raise HTTPException(
                403,
                "this key belongs to one user and may not act for another; leave the user out, "
                "or use a key of the tenant",
            )
        return self.user_id

    def require(self, scope: Scope) -> None:
        """Refuse what is out of the principal's scopes.

        Raises:
            HTTPException: 403; the message names the scope.
        """
        if scope not in self.scopes:
            raise HTTPException(
                403,
                f"this key lacks the scope {scope!r}; add it to the key's scopes in the keys "
                "file, or use another key",
                headers={
                    "WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
                },
            )


class Tokens(Protocol):
    """Reads signed tokens."""

    def read(self, token: str) -> Principal:
        """Give who a token speaks for.

        Raises:
            HTTPException: 401; the token is not to be trusted.
        """
        ...


class Gate:
    """Lets requests in: by key, by token, or, on loopback only, without either.

    Args:
        keys: SHA-256 of each key, with what it opens; read again for every request.
        tokens: Reads JWTs; None where none are taken.
        open_to_all: Whether requests from this machine need no key. Requests from other machines,
            or with a `Host` that is not this machine's (a web page that rebinds its name), are
            refused then.
        limiter: Counts requests.
    """

    def __init__(
        self,
        keys: Iterable[tuple[bytes, Principal]] = (),
        *,
        tokens: Tokens | None = None,
        open_to_all: bool = False,
        limiter: Limiter | None = None,
    ) -> None:
        """Keep what opens."""
        self._keys, self._tokens, self._open = keys, tokens, open_to_all
        self._limiter = limiter or Limiter()

    def admit(self, request: Request) -> Principal:
        """Give who a request comes from, and count it.

        Raises:
            HTTPException: 401 without a key or token that opens, 403 from elsewhere where none is
                needed, 429 when it was too many.
        """
        principal = self._local(request) if self._open else self._known(request)
        self.count(principal)
        return principal

    def count(self, principal: Principal) -> None:
        """Count a request.

        Raises:
            HTTPException: 429, when it was too many.
        """
        wait = self._limiter.take(
            (principal.name, principal.tenant, principal.user_id), principal.rate
        )
        if wait > 0:
            raise HTTPException(
                429,
                f"too many requests with this key; wait {wait:.0f} s",
                headers={"Retry-After": f"{wait:.0f}"},
            )

    def _known(self, request: Request) -> Principal:
        given = credentials(request)
        if given is None:
            raise unauthorized(
                "send a key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'", None
            )
        digest, found = sha256(given).digest(), None
        for known, principal in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(known, digest):
                found = principal
        if found is not None:
            return found
        if self._tokens is not None and given.count(b".") == 2:
            return self._tokens.read(given.decode("ascii", "replace"))
        raise unauthorized("the key is not known here", "invalid_token")

    def _local(self, request: Request) -> Principal:
        host = request.headers.get("host", "localhost")
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        peer = request.client.host if request.client else "127.0.0.1"
        if peer not in _LOOPBACK or name not in _LOOPBACK:
            raise HTTPException(
                403,
                "this server runs without keys and answers its own machine only, by the name "
                "localhost; start it with --keys to reach it from elsewhere",
            )
        return LOCAL


LOCAL = Principal("local", "", None, frozenset({"read", "write", "admin"}))


async def authenticated(request: Request) -> Principal:
    """Give who a request comes from: the dependency of every route; a request counts once.

    Raises:
        HTTPException: 401, 403 or 429, see `Gate.admit`.
    """
    admitted = getattr(request.state, "principal", None)
    if admitted is None:
        admitted = cast(Gate, request.app.state.gate).admit(request)
        request.state.principal = admitted
    return cast(Principal, admitted)


def claimed_user(request: Request) -> str | None:
    """Read the header `Prefmem-User`: percent-encoded UTF-8; None where it is not sent.

    Raises:
        HTTPException: 422; it was sent twice, or is not percent-encoded UTF-8.
    """
    sent = [value for name, value in request.scope["headers"] if name == b"prefmem-user"]
    if not sent:
        return None
    try:
        if len(sent) > 1:
            raise ValueError
        return _decoded(cast(bytes, sent[0]))
    except ValueError:
        raise HTTPException(
            422,
            f"the header {USER_HEADER} is needed once, as percent-encoded UTF-8 "
            f"(ann@example.org is {quote('ann@example.org', safe='')}, % is %25)",
        ) from None


def _decoded(sent: bytes) -> str:
    """Decode a percent-encoded text; a lone % is an error, as nobody can say what it stands for."""
    parts = sent.split(b"%")[1:]
    if any(len(part) < 2 or not all(c in b"0123456789abcdefABCDEF" for c in part[:2])
           for part in parts):  # fmt: skip
        raise ValueError
    return unquote_to_bytes(sent).decode("utf-8")


def credentials(request: Request) -> bytes | None:
    """Find the key or token of a request; `Authorization` goes before `X-API-Key`.

    Raises:
        HTTPException: 401; the header `Authorization` has another form.
    """
    written = request.headers.get("authorization")
    if written is not None:
        scheme, _, token = written.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized(
                "the header Authorization needs the form 'Bearer KEY'", "invalid_request"
            )
        return token.strip().encode("latin-1")
    key = request.headers.get("x-api-key")
    return key.strip().encode("latin-1") if key else None


def unauthorized(why: str, error: str | None) -> HTTPException:
    """Make the refusal of a request without a key or token that opens."""
    challenge = f'{CHALLENGE}, error="{error}"' if error else CHALLENGE
    return HTTPException(401, why, headers={"WWW-Authenticate": challenge})
