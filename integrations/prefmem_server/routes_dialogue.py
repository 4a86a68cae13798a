"""The routes of a chat: recall before the answer, learn after it, hear what the user says."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from prefmem_server.answers import (
    AcceptedOut,
    BlockOut,
    LearnedOut,
    ObeyedOut,
    QueuedOut,
    RecallOut,
    ReplayedOut,
    ReplayOut,
)
from prefmem_server.caller import SCHEMES, Reads, Writes, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.schemas import (
    CommandRequest,
    EditedRequest,
    FeedbackRequest,
    LearnRequest,
    MessageIn,
    RecallRequest,
    RenderRequest,
    UserModelName,
)

router = APIRouter(
    prefix="/v1", tags=["chat"], route_class=GuardedRoute, dependencies=SCHEMES,
    responses=refusals(),
)  # fmt: skip


@router.post("/recall", operation_id="recall")
def recall(asked: RecallRequest, caller: Reads) -> RecallOut:
    """Find the rules that apply to a query, and the block for the system prompt.

    A store or a model that fails or is late fails no chat: `missing` says what was done without.
    """
    query = asked.query if asked.messages is None else _plain(asked.messages)
    found = caller.memory.recall(
        query, user_id=caller.user_id, session_id=asked.session_id,
        context=asked.context, limit=asked.limit, min_score=asked.min_score,
        max_tokens=asked.max_tokens, why=asked.why,
    )  # fmt: skip
    block = caller.memory.render(found, max_tokens=asked.max_tokens)
    return RecallOut.of(found, block, why=asked.why)


@router.post("/render", operation_id="render")
def render(asked: RenderRequest, caller: Reads) -> BlockOut:
    """Give the block of cards that were recalled before, as they are now."""
    block = caller.memory.render(
        asked.card_ids, user_id=caller.user_id, max_tokens=asked.max_tokens
    )
    return BlockOut(block=block)


@router.post(
    "/learn",
    operation_id="learn",
    response_model=LearnedOut,
    responses={202: {"model": QueuedOut, "description": "It is on disk and will be learned."}},
)
def learn(told: LearnRequest, caller: Writes) -> LearnedOut | JSONResponse:
    """Learn from a stretch of dialogue; the same turn teaches once, however often it comes.

    What the user tells the memory in the newest turn ("forget that") is done at once.
    """
    messages = _plain(told.messages)
    if told.mode == "inline":
        report = caller.memory.learn(messages, user_id=caller.user_id, session_id=told.session_id)
        return LearnedOut.of(report)
    queued = caller.memory.learn_later(messages, user_id=caller.user_id, session_id=told.session_id)
    return JSONResponse(QueuedOut(queued=queued).model_dump(), 202)


@router.post("/edits", operation_id="learn_from_edit")
def learn_from_edit(edited: EditedRequest, caller: Writes) -> LearnedOut:
    """Learn from what a user changed in a draft before using it."""
    report = caller.memory.learn_from_edit(
        edited.draft, edited.final, edited.context,
        user_id=caller.user_id, session_id=edited.session_id,
    )  # fmt: skip
    return LearnedOut.of(report)


@router.post("/command", operation_id="command")
def command(told: CommandRequest, caller: Writes) -> ObeyedOut:
    """Carry out what the user tells the memory in the last turn, at once and once."""
    done = caller.memory.command(
        _plain(told.messages), user_id=caller.user_id, session_id=told.session_id
    )
    return ObeyedOut.of(done)


@router.post("/feedback", operation_id="feedback", responses=refusals(404))
def feedback(given: FeedbackRequest, caller: Writes) -> AcceptedOut:
    """Learn from a thumb, stars or a score."""
    new = caller.memory.feedback(
        given.recall_id, given.score, user_id=caller.user_id, card_id=given.card_id, key=given.key
    )
    return AcceptedOut(new=new)


@router.get("/replay", operation_id="replay")
def replay(
    caller: Reads,
    user_model: Annotated[
        UserModelName | None, Query(description="Another one than the server's.")
    ] = None,
) -> ReplayOut:
    """Say what another user model would have shown, from the log of what was offered."""
    rows = caller.memory.replay(user_id=caller.user_id, user_model=user_model)
    return ReplayOut(
        recalls=[
            ReplayedOut(recall_id=r.recall_id, at=r.at, shown=list(r.shown), shows=list(r.shows))
            for r in rows
        ]
    )


def _plain(messages: list[MessageIn]) -> list[dict[str, object]]:
    """Give the messages as the memory reads them."""
    return [message.model_dump(exclude_unset=True) for message in messages]
