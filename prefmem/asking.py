"""Asking a preference agent beside a recall: in time, or for the next recall of the same request.

What it holds is in this process alone, bounded, and gone with the user.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from hashlib import blake2b
from time import monotonic
from typing import Generic, TypeVar

from prefmem.cards.record import Draft
from prefmem.errors import AdapterError, InputError
from prefmem.guard.breaker import LeftAloneError
from prefmem.guard.course import survived
from prefmem.guard.parts import Parts
from prefmem.guard.pool import Task
from prefmem.protocols import RuleWriter
from prefmem.types import Rule, UserKey

_AT_ONCE = 8  # answers that are written at once
_HELD = 0.05  # seconds in which an answer that is held comes
_ANSWERS = 1_000
_OF_ONE_USER = (AdapterError, InputError)  # they tell nothing of the agent itself
_LINES = 4_000
T = TypeVar("T")


class Held(Generic[T]):
    """Values of users by name, the oldest out first; threads may share it.

    Args:
        most: Values at most.
    """

    def __init__(self, most: int) -> None:
        """Hold nothing yet."""
        self._most = most
        self._found: OrderedDict[tuple[UserKey, Hashable], T] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._found)

    def get(self, user: UserKey, name: Hashable) -> T | None:
        """Give a value; None where there is none."""
        with self._lock:
            if (user, name) in self._found:
                self._found.move_to_end((user, name))
            return self._found.get((user, name))

    def put(self, user: UserKey, name: Hashable, value: T) -> None:
        """Hold a value."""
        with self._lock:
            self._found[user, name] = value
            self._found.move_to_end((user, name))
            while len(self._found) > self._most:
                self._found.popitem(last=False)

    def drop(self, user: UserKey) -> None:
        """Forget a user's values."""
        with self._lock:
            for key in [key for key in self._found if key[0] == user]:
                del self._found[key]


class Asked:
    """A question that an agent was asked, on a thread.

    Attributes:
        rules: The answer; None while there is none.
        task: The thread's work.
    """

    __slots__ = ("dropped", "rules", "task", "user")

    def __init__(self, user: UserKey) -> None:
        """Wait for an answer."""
        self.user = user
        self.rules: tuple[str, ...] | None = None
        self.task: Task | None = None
        self.dropped = False  # the user is forgotten: nothing of this may be held


class _Kept:
    """An agent that is asked alone, and keeps what it has."""

    def __init__(self, agent: RuleWriter) -> None:
        self.version, self.rules = agent.version, agent.rules

    def forget_user(self, user: UserKey) -> int:
        raise InputError("a supposing memory cannot erase a user; use the memory")


class Asking:
    """Asks an agent, and holds what it wrote; threads may share it.

    Args:
        agent: The agent.
        parts: Its breaker is that of the part `agent`; its threads are used.
        secret: Key of the hashes that stand for what was asked.

    Attributes:
        lines: Rules that were injected, by mark, each with the revision of the cards.
        told: What was injected for a question of a conversation.
        drafts: Rules read and compared, by text, each with the revision of the cards.
    """

    def __init__(self, agent: RuleWriter, parts: Parts, secret: bytes) -> None:
        """Ask nothing yet."""
        self.lines = Held[tuple[int, Rule]](_LINES)
        self.told = Held[tuple[str, ...]](_ANSWERS)
        self.drafts = Held[tuple[int, Draft, tuple[str, ...]]](_LINES)
        self._agent, self._parts, self._secret = agent, parts, secret[:64]
        self._answers = Held[tuple[str, ...]](_ANSWERS)
        self._under_way: dict[tuple[UserKey, bytes], Asked] = {}
        self._writing, self._took = 0, 0.0  # answers under way; seconds that the last one took
        self._lock = threading.Lock()

    def afresh(self, parts: Parts) -> "Asking":
        """Give one that asks the same agent, holds nothing yet, and cannot make it forget."""
        return Asking(_Kept(self._agent), parts, self._secret)

    def begin(self, user: UserKey, query: str, context: str) -> Asked:
        """Ask on another thread; a question that is under way is asked once."""
        name = self.name(query, context)
        with self._lock:
            found = self._under_way.get((user, name))
            if found is not None:
                return found
            asked = self._under_way[user, name] = Asked(user)
        asked.task = self._parts.pool.start(lambda: self._work(asked, name, query, context))
        return asked

    def wait(self, asked: Asked, seconds: float) -> tuple[str, ...] | None:
        """Wait for an answer; None where there is none in time, or the agent failed.

        Where the last one was not written in that time, this one is not waited for either.
        """
        if asked.rules is None and asked.task is not None:
            asked.task.wait(min(seconds, _HELD) if self._took > seconds else seconds)
        return asked.rules

    def ask(self, user: UserKey, query: str, context: str) -> tuple[str, ...]:
        """Ask, wait as long as it takes, and raise what fails."""
        asked = Asked(user)
        with self._lock:
            self._under_way[user, b"strict" + id(asked).to_bytes(8, "big")] = asked
        try:
            return self._answer(asked, self.name(query, context), query, context)
        finally:
            self._end(asked)

    def held(self, user: UserKey, marks: Iterable[str]) -> dict[str, tuple[int, Rule]]:
        """Give the lines among these marks, each with the revision of the cards."""
        found = ((mark, self.lines.get(user, mark)) for mark in marks)
        return {mark: line for mark, line in found if line is not None}

    def forget(self, users: Iterable[UserKey]) -> int:
        """Remove the users' adapters and what they were made of; gives how many adapters.

        All are tried; then the first failure raises.
        """
        count, errors = 0, list[Exception]()
        for user in users:
            self.drop(user)
            try:
                count += self._agent.forget_user(user)
            except Exception as error:  # noqa: BLE001  # raised below, when the others are gone
                errors.append(error)
            self.drop(user)  # what was written in the meantime
        if errors:
            raise errors[0]
        return count

    def drop(self, user: UserKey) -> None:
        """Hold nothing of a user any more, nor of what is written right now."""
        with self._lock:
            mine = [key for key in self._under_way if key[0] == user]
            for key in mine:
                self._under_way.pop(key).dropped = True
        for held in (self._answers, self.lines, self.told, self.drafts):
            held.drop(user)

    def name(self, *said: str) -> bytes:
        """Name a text by a keyed hash."""
        return blake2b("\x1f".join(said).encode(), key=self._secret, digest_size=16).digest()

    def _work(self, asked: Asked, name: bytes, query: str, context: str) -> None:
        try:
            asked.rules = self._answer(asked, name, query, context, at_once=_AT_ONCE)
        except Exception as error:  # noqa: BLE001  # the chat goes on without the agent
            if not isinstance(error, LeftAloneError):
                survived("agent", error)
        finally:
            self._end(asked)

    def _end(self, asked: Asked) -> None:
        with self._lock:
            for key in [key for key, other in self._under_way.items() if other is asked]:
                del self._under_way[key]

    def _answer(
        self, asked: Asked, name: bytes, query: str, context: str, *, at_once: int | None = None
    ) -> tuple[str, ...]:
        """Give what is held, or let the agent write it."""
        user = asked.user
        ticket = self._parts.breakers["agent"].enter()
        try:
            version = self._agent.version(user)
            if not version:
                ticket.succeeded()
                return ()
            found = self._answers.get(user, (version, name))
            if found is None:
                found = self._written(user, query, context, at_once)
                same = self._agent.version(user) == version  # else nobody knows whose answer it is
                with self._lock:
                    if same and not asked.dropped:
                        self._answers.put(user, (version, name), found)
        except Exception as error:
            if not isinstance(error, (LeftAloneError, *_OF_ONE_USER)):
                ticket.failed()
            raise
        else:
            ticket.succeeded()
            return () if asked.dropped else found
        finally:
            ticket.dropped()

    def _written(
        self, user: UserKey, query: str, context: str, at_once: int | None
    ) -> tuple[str, ...]:
        with self._lock:
            if at_once is not None and self._writing >= at_once:
                self._parts.count("agent busy")
                raise LeftAloneError("the agent writes for others; ask again later")
            self._writing += 1
        began = monotonic()
        try:
            with self._parts.calls.part("agent"):
                return _texts(self._agent.rules(query, user=user, context=context))
        finally:
            with self._lock:
                self._writing -= 1
                self._took = monotonic() - began


def _texts(answer: tuple[str, ...]) -> tuple[str, ...]:
    """Give an agent's answer; refused where it is no list of texts: an agent is anybody's code."""
    if isinstance(answer, str) or not all(isinstance(text, str) for text in answer):  # pyright: ignore[reportUnnecessaryIsInstance]  # see above
        raise TypeError("an agent's rules are a tuple of texts")
    return tuple(answer)
