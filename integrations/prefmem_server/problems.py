"""Errors as RFC 9457 problems: what happened and what to do, and no word of anybody else's.

A refusal of what the caller sent quotes the caller at most; a failure of ours has a fixed sentence,
and the log has its kind and place, never its message.
"""

import json
import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from prefmem import (
    EndpointError,
    InputError,
    NotFoundError,
    PrefmemError,
    StoreError,
    UserRequiredError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"  # seconds
_MOST = 20  # mistakes of a request that are listed
_ELSEWHERE = {  # what the framework says of a path and of a method
    "Not Found": "there is nothing at this path; /openapi.json lists what there is",
    "Method Not Allowed": "this path does not take this method; the header Allow says which",
}
_log = logging.getLogger("prefmem.server")


class Mistake(BaseModel):
    """One thing in a request that cannot be taken."""

    at: str = Field(description="Where: a JSON pointer, or the name of a header or parameter.")
    detail: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:prefmem:not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "user 'ann@example.org' has no card '6f1c'",
                    "request_id": "4be1c6a0d2f84c1e",
                }
            ]
        }
    )

    type: str = Field(description="Name of the kind of problem; it does not change.")
    title: str
    status: int
    detail: str = Field(description="What happened, and what to do.")
    request_id: str = Field(description="The same as in the server's log.")
    errors: list[Mistake] | None = None


_STATUS: tuple[tuple[type[PrefmemError], int, str], ...] = (
    (UserRequiredError, 422, "user-required"),
    (InputError, 422, "input"),
    (NotFoundError, 404, "not-found"),
    (StoreError, 503, "store-unavailable"),
    (EndpointError, 503, "model-unavailable"),
)
_KINDS = {  # of what is refused before the memory is asked
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "no-such-path",
    405: "no-such-method",
    413: "too-large",
    422: "input",
    429: "too-many-requests",
    500: "internal",
    503: "not-ready",
}
_OURS = {
    "store-unavailable": "the store does not answer; nothing was changed, try again",
    "model-unavailable": "a model that the memory asks gave no answer; nothing was stored, "
    "try again",
    "internal": "the server failed; nothing tells that the request was wrong, and its log has more "
    "under this request_id",
}


def problem(
    request_id: str,
    status: int,
    detail: str,
    *,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
    mistakes: list[dict[str, str]] | None = None,
) -> Response:
    """Give a problem as a response; pure ASCII, as texts may hold what UTF-8 cannot."""
    body: dict[str, Any] = {
        "type": f"urn:prefmem:{kind or _KINDS.get(status, 'other')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    if mistakes:
        body["errors"] = mistakes
    return Response(json.dumps(body), status, dict(headers or {}), media_type=MEDIA_TYPE)


def failed(request_id: str, error: Exception) -> Response:
    """Log a failure of ours by its kind and place, and give what the caller may know."""
    status, kind = _known(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error(
        "%s: failed with %s in %s, line %s",
        request_id, type(error).__name__, place.name, place.lineno,
    )  # fmt: skip
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else {}
    return problem(request_id, status, _OURS[kind], kind=kind, headers=headers)


def install(app: FastAPI) -> None:
    """Let an app answer every error with a problem."""
    app.add_exception_handler(HTTPException, _refusal)
    app.add_exception_handler(RequestValidationError, _mistakes)
    app.add_exception_handler(PrefmemError, _of_memory)


def request_id_of(request: Request) -> str:
    """Give the name of a request."""
    return str(getattr(request.state, "request_id", ""))


def _known(error: Exception) -> tuple[int, str]:
    found = (row[1:] for row in _STATUS if isinstance(error, row[0]))
    return next(found, (500, "internal"))


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = _ELSEWHERE.get(error.detail, error.detail)
    return problem(request_id_of(request), error.status_code, detail, headers=error.headers)


async def _of_memory(request: Request, error: Exception) -> Response:
    status, kind = _known(error)
    if status >= 500:
        request.app.state.metrics.failures.labels(type(error).__name__).inc()
        return failed(request_id_of(request), error)
    return problem(request_id_of(request), status, str(error), kind=kind)


async def _mistakes(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    name = request_id_of(request)
    if any(e["type"] == "json_invalid" for e in found):
        return problem(name, 400, "the body is not JSON; send an object in UTF-8")
    listed = [{"at": _place(e["loc"]), "detail": str(e["msg"])} for e in found[:_MOST]]
    return problem(name, 422, "the request does not fit; errors says where", mistakes=listed)


def _place(loc: tuple[int | str, ...]) -> str:
    where, *rest = (str(part).replace("~", "~0").replace("/", "~1") for part in loc)
    return "/".join(("#", *rest)) if where == "body" else " ".join((where, *rest))
