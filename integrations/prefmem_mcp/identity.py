"""Whose preferences a request is about: told by the connection, never by a tool's argument."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier

from prefmem import InputError, UserRequiredError
from prefmem.types import UserKey
from prefmem_keys.bearer import Bearer

READ, WRITE = "read", "write"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        user: The user and the tenant.
        scopes: `read` looks, `write` changes.
    """

    user: UserKey
    scopes: frozenset[str] = frozenset({READ, WRITE})

    def require(self, scope: str) -> None:
        """Refuse what is out of the caller's scopes.

        Raises:
            InputError: The scope is missing.
        """
        if scope not in self.scopes:
            raise InputError(f"this key may not do that: it lacks the scope {scope!r}")


Who: TypeAlias = Callable[[], Caller]


class TokenUser(AccessToken):
    """What a verifier gives: an access token that says whose it is. It holds no secret.

    Attributes:
        user_id: The user.
        tenant: The tenant.
    """

    user_id: str
    tenant: str = ""

    @classmethod
    def of(
        cls, user: UserKey, scopes: frozenset[str], *, expires_at: int | None = None
    ) -> "TokenUser":
        """Give the token of a user.

        Args:
            user: The user.
            scopes: `read`, `write`.
            expires_at: When it ends, in seconds since 1970.
        """
        name = sha256(f"{user.tenant}\0{user.user_id}".encode()).hexdigest()[:32]
        return cls(
            token="",  # the secret is of no use any more
            client_id=name,
            scopes=sorted(scopes),
            expires_at=expires_at,
            user_id=user.user_id,
            tenant=user.tenant,
        )

    @classmethod
    def from_bearer(cls, bearer: Bearer) -> "TokenUser | None":
        """Give the token of whom a key or a signed token speaks for; None where it is no user."""
        if bearer.user_id is None:
            return None
        user = UserKey(bearer.user_id, bearer.tenant)
        return cls.of(user, bearer.scopes & {READ, WRITE}, expires_at=bearer.expires_at)


class AnyOf:
    """Asks several verifiers in turn.

    Args:
        verifiers: Whom to ask; the first that knows a token decides.
    """

    def __init__(self, *verifiers: TokenVerifier) -> None:
        """Keep them."""
        self._verifiers = verifiers

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give what the first verifier gives that knows the token; None where none does."""
        for verifier in self._verifiers:
            found = await verifier.verify_token(token)
            if found is not None:
                return found
        return None


def always(user: UserKey) -> Who:
    """Give a `Who` for a server of one user, as over stdio."""
    caller = Caller(user)
    return lambda: caller


def by_token() -> Caller:
    """Give the caller whose token came with the request.

    Raises:
        UserRequiredError: The verifier gave a token without a user.
    """
    token = get_access_token()
    if not isinstance(token, TokenUser):
        raise UserRequiredError("this connection has no user; sign in again, or use another key")
    return Caller(UserKey(token.user_id, token.tenant), frozenset(token.scopes))
