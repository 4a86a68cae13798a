"""Whom a key or a token speaks for."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["read", "write", "admin"]

USUAL: frozenset[Scope] = frozenset({"read", "write"})  # where a key or token says nothing of it


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who sent a key or a token; it holds neither.

    Attributes:
        name: Name of the key, or `jwt` for a token; never a user id.
        tenant: The tenant; empty for the memory's own.
        user_id: The one user that it is for; None for any user of the tenant.
        scopes: `read` looks, `write` learns and changes, `admin` is for operators.
        rate: Requests a second; None for the server's limit.
        burst: Requests at once; None for what follows from the rate.
        expires_at: When it ends, in seconds since 1970; None for no end.
    """

    name: str
    tenant: str = ""
    user_id: str | None = None
    scopes: frozenset[Scope] = USUAL
    rate: float | None = None
    burst: float | None = None
    expires_at: int | None = None
