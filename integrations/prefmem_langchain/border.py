"""The border between a chat and its memory: the chat goes on, whatever happens to the memory."""

import logging
import traceback
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

from langgraph.runtime import Runtime

from prefmem import ConfigError, UserRequiredError
from prefmem_langchain.identity import OnMissing, UserId, resolve_user

OnError: TypeAlias = Literal["log", "raise"]
T = TypeVar("T")
_log = logging.getLogger("prefmem")


class Border:
    """Runs the steps of a memory for the user of a run, or leaves them out.

    Args:
        name: Who speaks in the log.
        user_id: See `resolve_user`.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the chat go on after a failure; `raise` fails the run.

    Attributes:
        failures: Steps that failed and were logged.

    Raises:
        ConfigError: A setting is none of its values.
    """

    def __init__(
        self, name: str, *, user_id: UserId | None, on_missing_user: OnMissing, on_error: OnError
    ) -> None:
        """Check the settings."""
        refuse("on_missing_user", on_missing_user, ("skip", "raise"))
        refuse("on_error", on_error, ("log", "raise"))
        self.failures = 0
        self._name, self._user_id = name, user_id
        self._on_missing: OnMissing = on_missing_user
        self._on_error: OnError = on_error
        self._warned = False

    def cross(
        self, doing: str, runtime: Runtime[Any], step: Callable[[str], T], *, otherwise: T
    ) -> T:
        """Run a step with the user's id; give `otherwise` when there is no user or it fails."""
        try:
            user = resolve_user(runtime, self._user_id, self._on_missing)
            if user is None:
                self._warn()
                return otherwise
            return step(user)
        except Exception as error:  # the chat goes on without memory
            if isinstance(error, UserRequiredError) and self._on_missing == "raise":
                raise
            self.survive(doing, error)
            return otherwise

    def survive(self, doing: str, error: Exception) -> None:
        """Log and count a failure, or raise it where the run is to fail.

        The log names the kind and the place of a failure and never its message, which may quote the
        user.
        """
        if self._on_error == "raise":
            raise error
        self.failures += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.warning(
            "%s: %s failed with %s in %s, line %s; the chat goes on without it",
            self._name, doing, type(error).__name__, place.name, place.lineno,
        )  # fmt: skip

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: a run has no user id, so it has no memory; pass context with user_id, or "
                'on_missing_user="raise" to refuse such runs (this is said once)',
                self._name,
            )


def refuse(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse a setting that is none of its known values."""
    if value not in known:
        raise ConfigError(f"{name}={value!r}: pass one of {known!r}")
