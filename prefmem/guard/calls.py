"""What a memory does, call by call: counted, timed, and told to who listens."""

import inspect
import logging
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from time import monotonic
from typing import Any, Literal, TypeAlias, TypeVar, cast

from prefmem.guard.health import Stopwatch, Times

Kind: TypeAlias = Literal["verb", "part"]
F = TypeVar("F", bound=Callable[..., Any])
_log = logging.getLogger("prefmem")


@dataclass(slots=True)
class Call:
    """A call that is under way.

    Attributes:
        name: The verb, as `recall`; `job` for a window that is learned in the background; or the
            part that is asked: `store`, `embedder`, `reranker`, `extractor`, `judge`, `agent`.
        kind: `verb` for what a memory is asked, `part` for what it asks.
        tenant: Whose memory it is; empty where there is one tenant.
        user_id: Whose memory it is; empty where the call is about nobody or several.
        given: Its arguments, by name. They hold what users say; leave them as they are, messages
            that come one by one above all.
        result: What it gave; None until it ends, and where it failed.
    """

    name: str
    kind: Kind
    tenant: str = ""
    user_id: str = ""
    given: Mapping[str, object] = field(default_factory=dict[str, object])
    result: object = None


Listener: TypeAlias = Callable[[Call], AbstractContextManager[None]]
_Open: TypeAlias = AbstractContextManager[None]


class Calls:
    """Counts and times calls, and lets listeners stand around them; threads may share it.

    A listener gives a context that is entered where the call begins, on its thread, and left where
    it ends, with the exception if it raised. It hears of parts within the verb that asks them. What
    a listener raises is logged, and the call goes on.
    """

    def __init__(self) -> None:
        """Count from zero, with nobody who listens."""
        self._listeners: tuple[Listener, ...] = ()
        self._watches: dict[tuple[Kind, str], Stopwatch] = {}
        self._failures: Counter[tuple[Kind, str]] = Counter()
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener of the calls that begin from now on; gives what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return end

    def times(self, kind: Kind) -> Mapping[str, Times]:
        """Say how long the calls of a kind took, by name; those that raised, too."""
        held = tuple(self._watches.items())
        return {name: watch.times for (of, name), watch in held if of == kind}

    def failures(self, kind: Kind) -> Mapping[str, int]:
        """Say how many calls of a kind raised, by name."""
        with self._lock:
            return {name: count for (of, name), count in self._failures.items() if of == kind}

    @contextmanager
    def under_way(self, call: Call) -> Generator[Call]:
        """Count and time what is done within, and tell the listeners."""
        heard = [(each, context) for each in self._listeners if (context := _begun(each, call))]
        began = monotonic()
        try:
            yield call
        except BaseException as error:
            with self._lock:
                self._failures[call.kind, call.name] += 1
            self._ended(call, began, heard, error)
            raise
        else:
            self._ended(call, began, heard, None)

    def part(self, name: str) -> AbstractContextManager[Call]:
        """Do the same for a call of a part."""
        return self.under_way(Call(name, "part"))

    def _ended(
        self,
        call: Call,
        began: float,
        heard: list[tuple[Listener, _Open]],
        error: BaseException | None,
    ) -> None:
        watch = self._watches.get((call.kind, call.name))
        if watch is None:
            with self._lock:
                watch = self._watches.setdefault((call.kind, call.name), Stopwatch())
        watch.took(monotonic() - began)
        kind, trace = (type(error), error.__traceback__) if error else (None, None)
        for listener, context in reversed(heard):
            try:
                context.__exit__(kind, error, trace)
            except Exception as failure:  # noqa: BLE001  # as in `_begun`
                _failed(listener, failure)


def verb(method: F) -> F:
    """Count, time and tell the calls of a memory's method."""
    name = method.__name__
    names = tuple(inspect.signature(method).parameters)[1:]

    @wraps(method)
    def called(self: Any, /, *args: object, **kwargs: object) -> object:  # noqa: ANN401  # a memory, which is a layer above
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        user_id = given.get("user_id")
        call = Call(name, "verb", self._tenant, user_id if isinstance(user_id, str) else "", given)
        with self._parts.calls.under_way(call):
            call.result = method(self, *args, **kwargs)
            return call.result

    return cast(F, called)


def _begun(listener: Listener, call: Call) -> _Open | None:
    try:
        context = listener(call)
        context.__enter__()
    except Exception as error:  # noqa: BLE001  # anybody's code, and the call goes on
        _failed(listener, error)
        return None
    return context


def _failed(listener: Listener, error: BaseException) -> None:
    _log.warning(
        "the listener %s failed with %s; the call goes on",
        getattr(listener, "__qualname__", type(listener).__name__), type(error).__name__,
    )  # fmt: skip
