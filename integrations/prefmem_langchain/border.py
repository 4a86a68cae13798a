"""The border between a chat and its memory: the chat goes on, whatever happens to the memory."""

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from prefmem import ConfigError, UserRequiredError
from prefmem_langchain.identity import OnMissing, UserId, resolve_user, this_run
from prefmem_langchain.tracing import TRACE, Run, Trace, traced

if TYPE_CHECKING:
    from prefmem import PreferenceMemory, Recall

OnError: TypeAlias = Literal["log", "raise"]
T = TypeVar("T")
_log = logging.getLogger("prefmem")
_NO_USER = (
    "a run has no user id, so it has no memory; pass context with user_id, or "
    'on_missing_user="raise" to refuse such runs'
)
_NO_MEMORY = (
    "a run has no memory; pass a PreferenceMemory, or compile the graph with a store for it"
)


class Border:
    """Runs the steps of a memory for the user of a run, or leaves them out.

    Args:
        name: Who speaks in the log.
        memory: The memory; None for the one on the store of the run.
        user_id: See `resolve_user`.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the chat go on after a failure; `raise` fails the run.
        wakes: Whether the memory's worker is to learn what an earlier process left behind.
        trace: What the runs of its steps hold in a tracer: `ids` and counts, or `content`, too.

    Attributes:
        failures: Steps that failed and were logged.

    Raises:
        ConfigError: A setting is none of its values.
    """

    def __init__(
        self,
        name: str,
        memory: "PreferenceMemory | None",
        *,
        user_id: UserId | None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
        wakes: bool = False,
        trace: Trace = "ids",
    ) -> None:
        """Check the settings."""
        refuse("trace", trace, TRACE)
        refuse("on_missing_user", on_missing_user, ("skip", "raise"))
        refuse("on_error", on_error, ("log", "raise"))
        self.failures = 0
        self._name, self._user_id = name, user_id
        self._memory, self._wakes = memory, wakes
        self._content = trace == "content"
        self._on_missing: OnMissing = on_missing_user
        self._on_error: OnError = on_error
        self._woken: PreferenceMemory | None = None
        self._told: set[str] = set()

    def cross(
        self,
        doing: str,
        step: Callable[["PreferenceMemory", str], T],
        *,
        otherwise: T,
        runtime: Runtime[Any] | None = None,
    ) -> T:
        """Run a step with the memory and the user's id; give `otherwise` when it cannot be.

        That is so without a user, without a memory, and when the step fails.
        """
        runtime = runtime or this_run()
        try:
            user = resolve_user(runtime, self._user_id, self._on_missing)
            if user is None:
                self._tell_once(_NO_USER)
                return otherwise
            memory = self._found(runtime)
            if memory is None:
                self._tell_once(_NO_MEMORY)
                return otherwise
            return step(memory, user)
        except Exception as error:  # the chat goes on without memory
            if isinstance(error, UserRequiredError) and self._on_missing == "raise":
                raise
            self.survive(doing, error)
            return otherwise

    def traced(
        self, name: str, step: Callable[[Run], T], config: RunnableConfig | None = None
    ) -> T:
        """Take a step within a named run, where a tracer looks."""
        return traced(name, step, content=self._content, config=config)

    @property
    def strict(self) -> bool:
        """Whether a failure is to fail the run: what `recall` and `render` take as `strict`."""
        return self._on_error == "raise"

    def recalled(self, recall: "Recall") -> tuple[str, ...]:
        """Give the ids of the rules that apply; counts a recall that failed, which was logged."""
        self.failures += recall.failed
        return recall.ids

    def survive(self, doing: str, error: Exception) -> None:
        """Log and count a failure, or raise it where the run is to fail.

        The log names the kind and the place of a failure and never its message, which may quote the
        user.
        """
        if self.strict:
            raise error
        self.failures += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.warning(
            "%s: %s failed with %s in %s, line %s; the chat goes on without it",
            self._name, doing, type(error).__name__, place.name, place.lineno,
        )  # fmt: skip

    def _found(self, runtime: Runtime[Any]) -> "PreferenceMemory | None":
        """Find the memory of a run, and wake its worker the first time."""
        memory = memory_of(runtime, self._memory)
        if memory is None and self._on_error == "raise":
            raise ConfigError(_NO_MEMORY)
        if memory is not None and self._wakes and memory is not self._woken:
            self._woken = memory
            try:
                memory.wake()
            except Exception as error:  # noqa: BLE001  # the step itself needs no worker
                self.survive("waking the worker", error)
        return memory

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning("%s: %s (this is said once)", self._name, what)


def memory_of(runtime: Runtime[Any], given: "PreferenceMemory | None") -> "PreferenceMemory | None":
    """Give the memory itself, or the one on the store of a run; None where there is neither."""
    if given is not None or runtime.store is None:
        return given
    from prefmem_langchain.store_memory import memory_on

    return memory_on(runtime.store)


def refuse(name: str, value: object, known: tuple[object, ...]) -> None:
    """Refuse a setting that is none of its known values."""
    if value not in known:
        raise ConfigError(f"{name}={value!r}: pass one of {known!r}")
