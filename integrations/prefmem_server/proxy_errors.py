"""Refusals in the form that OpenAI's clients read."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

_CODES = {
    401: "invalid_api_key",
    403: "forbidden",
    413: "request_too_large",
    422: "user_required",
    429: "rate_limit_exceeded",
}


class RefusedError(Exception):
    """A request that the proxy answers itself.

    Args:
        status: The HTTP status.
        code: A word for programs.
        message: What happened, and what to do.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep the refusal."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: HTTPException) -> "RefusedError":
        """Make one of what the server's own doors refuse with."""
        code = _CODES.get(error.status_code, "refused")
        return cls(error.status_code, code, str(error.detail), error.headers)

    def response(self) -> JSONResponse:
        """Give the answer."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        kind = "upstream_error" if self.status >= 500 else "invalid_request_error"
        told = {
            "message": self.message,
            "type": kinds.get(self.status, kind),
            "param": None,
            "code": self.code,
        }
        return JSONResponse({"error": told}, self.status, self.headers)
