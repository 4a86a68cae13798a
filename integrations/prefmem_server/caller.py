"""What every route is given: the memory of the caller's tenant, and the one user it is about."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from prefmem import PreferenceMemory
from prefmem_server.auth import USER_HEADER, Principal, Scope, authenticated, claimed_user
from prefmem_server.metrics import Metrics
from prefmem_server.problems import MEDIA_TYPE, Problem

__all__ = [
    "SCHEMES",
    "Admits",
    "Caller",
    "Erases",
    "Known",
    "Reads",
    "Writes",
    "memory_of",
    "refusals",
]

Known: TypeAlias = Annotated[Principal, Depends(authenticated)]
# They stand in the OpenAPI document; `authenticated` is what asks.
SCHEMES: list[Any] = [
    Security(
        HTTPBearer(
            scheme_name="bearer", auto_error=False, description="A key of the keys file, or a JWT."
        )
    ),
    Security(
        APIKeyHeader(name="X-API-Key", scheme_name="key", auto_error=False, description="A key.")
    ),
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for whom, and where.

    Attributes:
        memory: The memory of the caller's tenant.
        user_id: The user that the request is about.
        metrics: Counts.
        actor: Who changes something, for the audit log: the user, unless a route says another one.
    """

    memory: PreferenceMemory
    user_id: str
    metrics: Metrics
    actor: str = "user"


def memory_of(request: Request, principal: Principal) -> PreferenceMemory:
    """Give the memory of the tenant that a principal belongs to."""
    memory = cast(PreferenceMemory, request.app.state.memory)
    return memory.in_tenant(principal.tenant) if principal.tenant else memory


def _caller(request: Request, principal: Principal) -> Caller:
    user_id = principal.acting_for(claimed_user(request))
    metrics = cast(Metrics, request.app.state.metrics)
    actor = str(getattr(request.state, "actor", "user"))
    return Caller(memory_of(request, principal), user_id, metrics, actor)


def _needing(scope: Scope) -> Callable[..., Any]:
    async def caller(
        request: Request,
        principal: Known,
        user: Annotated[
            str | None,
            Header(
                alias=USER_HEADER,
                description="The user's id as percent-encoded UTF-8. Needed with a key that may "
                "act for its whole tenant; best left out with a key or token of one user.",
                examples=["ann%40example.org"],
            ),
        ] = None,
    ) -> Caller:
        del user  # read raw, so that sent twice is noticed
        principal.require(scope)
        return _caller(request, principal)

    return caller


async def _erasing(request: Request, principal: Known) -> None:
    """Let a user erase themself; a key for all users needs the scope for it."""
    del request
    if principal.user_id is None:
        principal.require("admin")


async def _admin(principal: Known) -> Principal:
    principal.require("admin")
    return principal


Reads: TypeAlias = Annotated[Caller, Depends(_needing("read"))]
Writes: TypeAlias = Annotated[Caller, Depends(_needing("write"))]
Admits: TypeAlias = Annotated[Principal, Depends(_admin)]
Erases: TypeAlias = Annotated[None, Depends(_erasing)]

_TOLD = {
    400: "The body is not JSON.",
    401: "No key or token that opens.",
    403: "The key may not do this, or not for this user.",
    404: "The user has no such thing.",
    413: "The request is too large.",
    422: "The request does not fit; the problem says where.",
    429: "Too many requests with this key.",
    500: "The server failed.",
    503: "The store or a model does not answer; try again.",
}


def refusals(*others: int) -> dict[int | str, dict[str, Any]]:
    """Name the problems that a route may answer with: those of all routes, and others."""
    return {
        status: {"description": _TOLD[status], "model": Problem, "content": {MEDIA_TYPE: {}}}
        for status in sorted({400, 401, 403, 413, 422, 429, 500, 503, *others})
    }
