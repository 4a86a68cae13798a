"""The routes of a user as a whole: what is known, taking it along, and erasing it."""

import json

from fastapi import APIRouter, Response

from prefmem import InputError
from prefmem_server.answers import ErasedOut, LearnedOut, UserOut
from prefmem_server.caller import SCHEMES, Erases, Reads, Writes, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.schemas import ExportData

router = APIRouter(
    prefix="/v1", tags=["user"], route_class=GuardedRoute, dependencies=SCHEMES,
    responses=refusals(),
)  # fmt: skip


@router.get("/user", operation_id="get_user")
def get_user(caller: Reads) -> UserOut:
    """Give what is known of the user beside the cards."""
    return UserOut.of(caller.memory.get_user(caller.user_id))


@router.delete("/user", operation_id="forget_user")
def forget_user(caller: Writes, allowed: Erases) -> ErasedOut:
    """Remove everything held about the user; a key for many users needs the scope `admin`."""
    del allowed
    return ErasedOut.of(caller.memory.forget_user(user_id=caller.user_id, actor=caller.actor))


@router.get("/export", operation_id="export", response_model=ExportData)
def export(caller: Reads) -> Response:
    """Give everything held about the user, as JSON that `load` takes."""
    data = caller.memory.export(user_id=caller.user_id)
    return Response(json.dumps(data), media_type="application/json")


@router.post("/import", operation_id="load")
def load(data: ExportData, caller: Writes) -> LearnedOut:
    """Take in an export; loading it twice changes nothing.

    Ids of cards are letters, digits, `-` and `_`, as every prefmem makes them: others could not be
    named in a path afterwards.
    """
    strange = [i for i in _ids(data) if not _speakable(i)]
    if strange:
        raise InputError(
            f"the export has {len(strange)} card ids that cannot stand in a path; load it with "
            "PreferenceMemory.load, or give these cards other ids"
        )
    report = caller.memory.load(data.model_dump(), user_id=caller.user_id)
    return LearnedOut.of(report)


def _ids(data: ExportData) -> list[object]:
    """Name the cards of an export, as far as it has the form of one."""
    given = (card.get("id", "") for card in data.cards)
    return [i for i in given if i]


def _speakable(card_id: object) -> bool:
    return isinstance(card_id, str) and all(
        c.isascii() and (c.isalnum() or c in "-_") for c in card_id
    )
