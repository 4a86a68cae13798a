"""The inspector's routes: what its page reads, and the service's own routes for what it changes.

An operator's change is told to the audit log as such: `inspector:NAME`, by the name of the key. The
key of one user acts as the user.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from prefmem_server import routes_cards, routes_user
from prefmem_server.auth import authenticated
from prefmem_server.caller import SCHEMES, Admits, Known, Reads, memory_of, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.inspector import looking
from prefmem_server.inspector.answers import (
    RecallLineOut,
    RecallsOut,
    RuleOut,
    RulesOut,
    UsersOut,
    WhatIfIn,
    WhatIfOut,
    WhoOut,
    WhyOut,
)
from prefmem_server.inspector.looking import Order
from prefmem_server.inspector.plots import PlotsOut, plots_of
from prefmem_server.routes_cards import CardPath
from prefmem_server.schemas import Status


class InspectorRoute(GuardedRoute):
    """A route whose changes are the operator's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Say who acts, then go on as any route."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            principal = await authenticated(request)
            if principal.user_id is None:
                request.state.actor = f"inspector:{principal.name}"
            return await handle(request)

        return told


router = APIRouter(
    prefix="/inspect/api", tags=["inspector"], route_class=InspectorRoute, dependencies=SCHEMES,
    responses=refusals(404), include_in_schema=False,
)  # fmt: skip

Skip = Annotated[int, Query(ge=0, le=1_000_000)]


@router.get("/who")
def who(known: Known) -> WhoOut:
    """Say what the caller's key opens."""
    return WhoOut(
        name=known.name, tenant=known.tenant, user_id=known.user_id, scopes=sorted(known.scopes)
    )


@router.get("/users")
def users(
    request: Request,
    known: Admits,
    holding: Annotated[str, Query(max_length=256)] = "",
    most: Annotated[int, Query(ge=1, le=200)] = 20,
) -> UsersOut:
    """Find users of the tenant; needs the scope `admin`, as ids are personal."""
    if known.user_id is not None:
        return UsersOut(users=[known.user_id], total=1)
    return looking.users_of(memory_of(request, known), holding=holding, most=most)


@router.get("/rules")
def rules(
    caller: Reads,
    status: Status | None = None,
    words: Annotated[str, Query(max_length=1_000)] = "",
    order: Order = "newest",
    skip: Skip = 0,
    most: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RulesOut:
    """Give a page of the user's rules."""
    return looking.rules_of(
        caller.memory, caller.user_id, status=status, words=words, order=order, skip=skip, most=most
    )


@router.get("/rules/{card_id}")
def rule(card_id: CardPath, caller: Reads) -> RuleOut:
    """Give a rule with its evidence in context, its links and its history."""
    return looking.rule_of(caller.memory, caller.user_id, card_id)


@router.get("/recalls")
def recalls(
    caller: Reads, skip: Skip = 0, most: Annotated[int, Query(ge=1, le=200)] = 25
) -> RecallsOut:
    """Give logged recalls, newest first."""
    found = caller.memory.recalls(user_id=caller.user_id, newest=most + 1, skip=skip)
    return RecallsOut(
        recalls=[RecallLineOut.of(past) for past in found[:most]], more=len(found) > most
    )


@router.get("/recalls/{recall_id}")
def why(recall_id: CardPath, caller: Reads) -> WhyOut:
    """Say of every candidate of a logged recall why it was injected or not."""
    return looking.why_of(caller.memory, caller.user_id, recall_id)


@router.post("/whatif")
def what_if(asked: WhatIfIn, caller: Reads) -> WhatIfOut:
    """Say what a query brings up, now and after a change that is not made."""
    return looking.what_if(caller.memory, caller.user_id, asked)


@router.get("/plots")
def plots(caller: Reads) -> PlotsOut:
    """Give the figures behind the plots."""
    return plots_of(caller.memory, caller.user_id)


router.post("/cards", status_code=201)(routes_cards.add)
router.patch("/cards/{card_id}")(routes_cards.edit)
router.delete("/cards/{card_id}", status_code=204)(routes_cards.forget)
router.post("/events/{event_id}/undo")(routes_cards.undo)
router.delete("/user")(routes_user.forget_user)
