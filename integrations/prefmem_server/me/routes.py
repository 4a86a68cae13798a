"""What the user's own page asks: the verbs that a person needs for their own memory, no others.

They are the service's own routes behind another door: the token of a link names the user.
"""

import math
import time
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from prefmem.types import UserKey
from prefmem_keys.bearer import Scope
from prefmem_keys.tokens import LEEWAY, OwnTokens
from prefmem_server import routes_cards, routes_user
from prefmem_server.answers import ErasedOut, EventOut, EventsOut
from prefmem_server.auth import Principal
from prefmem_server.caller import SCHEMES, Known, Reads, Writes, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.me.links import LinkRoute, MeSettings
from prefmem_server.schemas import ExportData

LinkScope: TypeAlias = Literal["read", "write"]
_SCOPES: tuple[LinkScope, ...] = ("read", "write")
_ERASES: Scope = "admin"  # what it is called in the token of a link, which opens no other route

link = APIRouter(
    prefix="/v1/me", tags=["user"], route_class=GuardedRoute, dependencies=SCHEMES,
    responses=refusals(),
)  # fmt: skip
page = APIRouter(prefix="/v1/me", route_class=LinkRoute, include_in_schema=False)


class LinkRequest(BaseModel):
    """What a link is to open."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    scopes: list[LinkScope] = Field(
        default=["read", "write"], min_length=1, max_length=2,
        description="`read` to look and export; `write` to correct, confirm, forget and undo, and "
        "to erase everything where the key may.",
    )  # fmt: skip
    minutes: int = Field(default=30, ge=1, le=720, description="How long it holds.")


class LinkOut(BaseModel):
    """A link to a user's own page."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="Show it to the user, or in a frame. Whoever has it is the user.")
    expires_at: datetime


class MyselfOut(BaseModel):
    """Whose page it is, and what may be done on it."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    scopes: list[LinkScope]
    erases: bool = Field(description="Whether everything may be erased.")
    expires_at: datetime


@link.post("/link", operation_id="me_link", status_code=201)
def make_link(
    request: Request, caller: Writes, known: Known, asked: LinkRequest | None = None
) -> LinkOut:
    """Make a link to the user's own page: for this user only, and for a while.

    It opens nothing that the key does not, and holds no longer than a token that asks for it: with
    a key for many users it erases everything only where the key has the scope `admin`.
    """
    asked = asked or LinkRequest()
    for scope in asked.scopes:
        known.require(scope)
    seconds = asked.minutes * 60
    if known.expires_at is not None:  # reading the link adds the leeway again
        seconds = min(seconds, known.expires_at - LEEWAY - math.ceil(time.time()))
    state = request.app.state
    token, ends = cast(OwnTokens, state.links).make(
        UserKey(caller.user_id, known.tenant), _carried(known, asked), seconds=seconds
    )
    return LinkOut(
        url=f"{cast(MeSettings, state.me).base(request)}me/#link={token}",
        expires_at=datetime.fromtimestamp(ends, UTC),
    )


def _carried(known: Principal, asked: LinkRequest) -> set[Scope]:
    """Give the scopes of a link; who may erase the user hands that on with `write`."""
    scopes: set[Scope] = {*asked.scopes}
    if "write" in scopes and (known.user_id is not None or "admin" in known.scopes):
        scopes.add(_ERASES)
    return scopes


@page.get("")
def myself(caller: Reads, known: Known) -> MyselfOut:
    """Say whose page it is."""
    return MyselfOut(
        user_id=caller.user_id,
        scopes=[scope for scope in _SCOPES if scope in known.scopes],
        erases=_ERASES in known.scopes,
        expires_at=datetime.fromtimestamp((known.expires_at or 0) - LEEWAY, UTC),
    )


@page.get("/events")
def events(caller: Reads, most: Annotated[int, Query(ge=1, le=100)] = 20) -> EventsOut:
    """Give the newest events that changed a card, oldest first."""
    told = caller.memory.timeline(user_id=caller.user_id).events
    changed = [event for event in told if event.changes]
    return EventsOut(events=[EventOut.of(event) for event in changed[-most:]])


@page.delete("")
def forget_me(caller: Writes, known: Known) -> ErasedOut:
    """Remove everything held about the user, where the link may."""
    if _ERASES not in known.scopes:
        raise HTTPException(
            403,
            "this link may not erase everything: it was made with a key for many users that lacks "
            "the scope 'admin'; nothing was changed",
        )
    return routes_user.forget_user(caller, None)


page.get("/cards")(routes_cards.list_)
page.patch("/cards/{card_id}")(routes_cards.edit)
page.delete("/cards/{card_id}", status_code=204)(routes_cards.forget)
page.get("/cards/{card_id}/history")(routes_cards.history)
page.post("/events/{event_id}/undo")(routes_cards.undo)
page.get("/export", response_model=ExportData)(routes_user.export)
