"""A circuit breaker: what keeps failing is left alone for a while, then tried once."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from prefmem.errors import StoreUnavailableError

BreakerState: TypeAlias = Literal["closed", "open", "half-open"]

FAILURES = 5  # in a row that open a breaker
_PROBE = 60.0  # seconds after which a call whose outcome nobody told counts as lost
_log = logging.getLogger("prefmem")


class LeftAloneError(StoreUnavailableError):
    """A part failed too often a moment ago and is not asked now."""


class Ticket:
    """Leave to ask a part once; the first outcome that is told counts, later ones do not."""

    __slots__ = ("breaker", "probe", "told")

    def __init__(self, breaker: "Breaker", *, probe: bool) -> None:
        """Belong to a breaker."""
        self.breaker, self.probe = breaker, probe
        self.told = False

    def succeeded(self) -> None:
        """Say that the part answered in time."""
        self.breaker.tell(self, failed=False)

    def failed(self) -> None:
        """Say that the part failed, or has not answered in time."""
        self.breaker.tell(self, failed=True)

    def dropped(self) -> None:
        """Say that nothing was learned of the part."""
        self.breaker.tell(self, failed=None)


class Breaker:
    """Counts what a part fails at; threads may share it.

    Closed, it lets every call through. After five failures in a row it is open for a while, and
    calls are refused at once. Then one call is let through: an answer closes it, a failure opens it
    again.

    Args:
        name: The part.
        rest: Seconds that it stays open, above 0.
        clock: Gives seconds that never go back.

    Attributes:
        name: The part.
        failures: Failures of all time.
        refused: Calls that were refused while it was open.
        answered: Whether the part has ever answered, or failed.
    """

    def __init__(
        self, name: str, *, rest: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed."""
        self.name, self._rest, self._clock = name, rest, clock
        self.failures = self.refused = 0
        self.answered = False
        self._row = 0  # failures since the last answer
        self._until: float | None = None  # when it was opened, the end of its rest
        self._probe: tuple[Ticket, float] | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half-open: ready for one call, or waiting for its outcome."""
        until = self._until
        if until is None:
            return "closed"
        return "open" if self._clock() < until else "half-open"

    @property
    def room(self) -> int | None:
        """Calls that would be let through now; None for any number."""
        until = self._until
        if until is None:
            return None
        with self._lock:
            return 0 if self._clock() < until or self._probing() else 1

    def enter(self) -> Ticket:
        """Let a call through.

        Raises:
            LeftAloneError: The breaker is open, or half-open with another call under way.
        """
        if self.state == "closed":
            return Ticket(self, probe=False)
        with self._lock:
            until = self._until
            if until is None:
                return Ticket(self, probe=False)
            if self._clock() < until or self._probing():
                self.refused += 1
                raise LeftAloneError(
                    f"the {self.name} failed too often a moment ago and is left alone for up to "
                    f"{self._rest:g} seconds; nothing was done, try again later"
                )
            ticket = Ticket(self, probe=True)
            self._probe = ticket, self._clock() + max(self._rest, _PROBE)
            return ticket

    def insist(self) -> Ticket:
        """Let a call through even while the breaker is open; an answer closes it."""
        with self._lock:
            ticket = Ticket(self, probe=True)
            if self._until is not None:
                self._probe = ticket, self._clock() + max(self._rest, _PROBE)
            return ticket

    def _probing(self) -> bool:
        """Whether a probe is under way; one whose outcome nobody tells is forgotten in time."""
        return self._probe is not None and self._clock() < self._probe[1]

    def tell(self, ticket: Ticket, *, failed: bool | None) -> None:
        """Take the outcome of a call: `Ticket` tells it."""
        told = ticket.told
        if not (told or failed or ticket.probe or self._row) and self.answered:
            ticket.told = True  # an answer of a part that is well: no lock needed
            return
        with self._lock:
            if ticket.told:
                return
            ticket.told = True
            if self._probe is not None and self._probe[0] is ticket:
                self._probe = None
            if failed is None:
                return
            self.answered = True
            said = self._failed(ticket) if failed else self._succeeded(ticket)
        if said:
            _log.warning(said, self.name)

    def _failed(self, ticket: Ticket) -> str:
        self.failures += 1
        if self._until is not None:  # what was begun before it opened tells nothing new
            if ticket.probe:
                self._until = self._clock() + self._rest
            return ""
        self._row += 1
        if self._row < FAILURES:
            return ""
        self._until = self._clock() + self._rest
        return f"the %s failed {FAILURES} times in a row; it is left alone for {self._rest:g} s"

    def _succeeded(self, ticket: Ticket) -> str:
        if self._until is None:
            self._row = 0
            return ""
        if not ticket.probe:
            return ""
        self._until, self._row = None, 0
        return "the %s answers again"
