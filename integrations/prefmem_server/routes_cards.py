"""The routes of cards: what a settings page needs to list, correct, confirm and forget."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from prefmem_server.answers import CardOut, CardsOut, EventOut, EventsOut
from prefmem_server.caller import SCHEMES, Reads, Writes, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.schemas import CardIn, CardPatch, Status

router = APIRouter(
    prefix="/v1", tags=["cards"], route_class=GuardedRoute, dependencies=SCHEMES,
    responses=refusals(404),
)  # fmt: skip

CardPath = Annotated[str, Path(max_length=64, description="Id of a card.")]


@router.get("/cards", operation_id="list")
def list_(
    caller: Reads,
    status: Annotated[Status | None, Query(description="Only cards with this status.")] = None,
) -> CardsOut:
    """List the cards of the user, in the order of saying."""
    cards = caller.memory.list(user_id=caller.user_id, status=status)
    return CardsOut(cards=[CardOut.of(card) for card in cards])


@router.post("/cards", operation_id="add", status_code=201)
def add(card: CardIn, caller: Writes) -> CardOut:
    """Store a rule as it is given; gives the card that said the same already, if any."""
    added = caller.memory.add(
        card.condition, card.action, user_id=caller.user_id, polarity=card.polarity,
        scope=card.scope, actor=caller.actor,
    )  # fmt: skip
    return CardOut.of(added)


@router.get("/cards/{card_id}", operation_id="get")
def get(card_id: CardPath, caller: Reads) -> CardOut:
    """Give one card."""
    return CardOut.of(caller.memory.get(card_id, user_id=caller.user_id))


@router.patch("/cards/{card_id}", operation_id="edit")
def edit(card_id: CardPath, patch: CardPatch, caller: Writes) -> CardOut:
    """Change a card; its id stays. `status: active` confirms it, for the user to say."""
    edited = caller.memory.edit(
        card_id, user_id=caller.user_id, condition=patch.condition, action=patch.action,
        polarity=patch.polarity, scope=patch.scope, status=patch.status, actor=caller.actor,
    )  # fmt: skip
    return CardOut.of(edited)


@router.delete("/cards/{card_id}", operation_id="forget", status_code=204)
def forget(card_id: CardPath, caller: Writes) -> None:
    """Remove a card for good: text, vector, evidence, and its traces in the log."""
    caller.memory.forget(card_id, user_id=caller.user_id, actor=caller.actor)


@router.get("/cards/{card_id}/history", operation_id="history")
def history(card_id: CardPath, caller: Reads) -> EventsOut:
    """Give what happened to a card, and why, oldest first."""
    events = caller.memory.history(card_id, user_id=caller.user_id)
    return EventsOut(events=[EventOut.of(event) for event in events])


@router.post("/events/{event_id}/undo", operation_id="undo")
def undo(
    event_id: Annotated[str, Path(max_length=64, description="Id of an event.")], caller: Writes
) -> EventOut:
    """Take one event back: its cards are as they were before it."""
    return EventOut.of(caller.memory.undo(event_id, user_id=caller.user_id, actor=caller.actor))
