"""Parts that fail when they are told to: slow, hanging, or raising."""

import threading
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, cast

from prefmem.errors import StoreUnavailableError

Mode: TypeAlias = Literal["well", "slow", "hangs", "raises", "busy"]
P = TypeVar("P")


class Switch:
    """Says how a part behaves from now on.

    Args:
        slow: Seconds that a slow part takes longer.

    Attributes:
        calls: Calls that reached the part, or would have.
    """

    def __init__(self, *, slow: float = 5.0) -> None:
        """Start well."""
        self.calls = 0
        self._slow = slow
        self._mode: Mode = "well"
        self._healed = threading.Event()
        self._lock = threading.Lock()

    @property
    def mode(self) -> Mode:
        """How the part behaves."""
        return self._mode

    def turn(self, mode: Mode) -> None:
        """Change how the part behaves; what hangs or is slow goes on at once when it is well."""
        with self._lock:
            self._mode = mode
            if mode == "well":
                self._healed.set()
            else:
                self._healed = threading.Event()

    def suffer(self) -> None:
        """Behave as the part does now.

        Raises:
            RuntimeError: It raises.
            StoreUnavailableError: It is busy: no connection is free.
        """
        with self._lock:
            self.calls += 1
            mode, healed = self._mode, self._healed
        if mode == "raises":
            raise RuntimeError("as the switch says; the user said a secret")
        if mode == "busy":
            raise StoreUnavailableError("no connection is free; try again")
        if mode in ("slow", "hangs"):
            healed.wait(self._slow if mode == "slow" else None)


def unreliable(part: P, switch: Switch) -> P:
    """Put a switch before every method of a part, those of a store's jobs too."""
    return cast(P, _Unreliable(part, switch))


class _Unreliable:
    def __init__(self, part: object, switch: Switch) -> None:
        self._part, self._switch = part, switch

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the part has
        found = getattr(self._part, name)
        if name == "jobs":
            return _Unreliable(found, self._switch)
        return self._behind(found) if callable(found) and name != "close" else found

    def _behind(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as the part's
            self._switch.suffer()
            return method(*args, **kwargs)

        return called
