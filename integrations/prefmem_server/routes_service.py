"""The routes for those who run the server: alive, ready, figures, and learning what waits."""

import asyncio
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from prefmem import PreferenceMemory, PrefmemError
from prefmem_server.answers import FlushedOut, HealthOut, ReadyOut
from prefmem_server.caller import SCHEMES, Admits, refusals
from prefmem_server.guarded import GuardedRoute
from prefmem_server.metrics import Metrics
from prefmem_server.schemas import FlushRequest
from prefmem_server.settings import ServerSettings

_PATIENCE = 5.0  # seconds in which a ready store answers

health = APIRouter(tags=["service"])
router = APIRouter(
    tags=["service"], route_class=GuardedRoute, dependencies=SCHEMES, responses=refusals()
)
_NOT_READY: dict[int | str, dict[str, Any]] = {
    status: told for status, told in refusals().items() if status == 503
}


@health.get("/healthz", operation_id="alive")
async def alive() -> HealthOut:
    """Say that the process answers."""
    return HealthOut(status="alive")


@health.get(
    "/readyz", operation_id="ready", responses=_NOT_READY, response_model_exclude_defaults=True
)
async def ready(request: Request) -> ReadyOut:
    """Say whether requests should be sent here: the store answers, the queue is short.

    `left_alone` names models that failed too often a moment ago; recalls do without them.
    """
    memory = cast(PreferenceMemory, request.app.state.memory)
    settings = cast(ServerSettings, request.app.state.settings)
    try:
        waits = await asyncio.wait_for(asyncio.to_thread(memory.backlog), _PATIENCE)
    except (PrefmemError, TimeoutError):
        raise _not_ready("the store does not answer") from None
    if waits.waiting > settings.max_backlog:
        raise _not_ready("too much waits to be learned")
    parts = memory.health.parts.items()
    return ReadyOut(
        status="ready", left_alone=[name for name, part in parts if part.state == "open"]
    )


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, caller: Admits) -> Response:
    """Give the figures of this process in Prometheus' text format; needs the scope `admin`."""
    del caller
    counted = cast(Metrics, request.app.state.metrics)
    return Response(counted.text(), media_type=CONTENT_TYPE_LATEST)


@router.post("/v1/flush", operation_id="flush")
def flush(request: Request, caller: Admits, asked: FlushRequest | None = None) -> FlushedOut:
    """Learn what waits now, of all users; needs the scope `admin`."""
    del caller
    memory = cast(PreferenceMemory, request.app.state.memory)
    return FlushedOut(drained=memory.flush((asked or FlushRequest()).timeout))


def _not_ready(why: str) -> HTTPException:
    return HTTPException(503, f"not ready: {why}", headers={"Retry-After": "5"})
