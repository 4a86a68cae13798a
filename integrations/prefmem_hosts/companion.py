"""A memory beside a chat: rules before the model speaks, learning after it, never in the way."""

import asyncio
import hashlib
import logging
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

from prefmem import ConfigError, UserRequiredError

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

OnMissing: TypeAlias = Literal["skip", "raise"]
OnError: TypeAlias = Literal["log", "raise"]
Turns: TypeAlias = Sequence[tuple[Literal["user", "assistant"], str]]
T = TypeVar("T")

_log = logging.getLogger("prefmem")
_QUESTIONS_HELD = 512


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What a host knows of a run.

    Attributes:
        user_id: The user's id, as authenticated by the host; anything but a text is nobody.
        turns: What the user and the assistant said, oldest first; the last user turn is the
            question.
        session_id: The conversation; empty where the host names none.
    """

    user_id: object
    turns: Turns
    session_id: str = ""


Read: TypeAlias = Callable[[], Dialogue]  # within the border: what it raises is survived


class Companion:
    """Gives a host the rules for a question and learns from the dialogue, or does neither.

    Args:
        memory: The memory.
        name: Who speaks in the log.
        learn: Whether to learn from the dialogue: not from one that another agent leads.
        limit: Conditional rules at most; the memory's config unless given.
        max_tokens: Size of the block; the memory's config unless given.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the chat go on after a failure of the memory; `raise` fails the run.

    Attributes:
        failures: Failures of the memory that the chat survived.

    Raises:
        ConfigError: A setting is none of its values.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        name: str,
        *,
        learn: bool = True,
        limit: int | None = None,
        max_tokens: int | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Check the settings."""
        for setting, value, known in (
            ("on_missing_user", on_missing_user, ("skip", "raise")),
            ("on_error", on_error, ("log", "raise")),
        ):
            if value not in known:
                raise ConfigError(f"{setting}={value!r}: pass one of {known!r}")
        self.failures = 0
        self._memory, self._name, self._learns = memory, name, learn
        self._limit, self._max_tokens = limit, max_tokens
        self._on_missing: OnMissing = on_missing_user
        self._on_error: OnError = on_error
        self._warned = False
        self._recalled: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def rules(self, read: Read) -> str:
        """Give the block for the system prompt; empty when no rule applies.

        One question is recalled once, however often the host asks; what was forgotten or changed
        meanwhile is not in the block.

        Args:
            read: Reads the run.
        """
        return self._cross("recall", read, self._block, "")

    def learn(self, read: Read) -> None:
        """Hand the dialogue over to be learned in the background; a turn teaches once.

        Call it after each answer, with `learn=False` too: what was recalled is recalled anew then.

        Args:
            read: Reads the run; best the whole of the dialogue.
        """
        self._cross("learn", read, self._hand_over, None)

    async def arules(self, read: Read) -> str:
        """Do as `rules` on a worker thread."""
        return await asyncio.to_thread(self.rules, read)

    async def alearn(self, read: Read) -> None:
        """Do as `learn` on a worker thread."""
        await asyncio.to_thread(self.learn, read)

    def _block(self, user: str, said: Dialogue) -> str:
        asked = [text for role, text in said.turns if role == "user" and text.strip()]
        if not asked:
            return ""
        named = "\x1f".join((said.session_id, str(len(asked)), asked[-1]))
        question = user, hashlib.sha256(named.encode(errors="replace")).hexdigest()
        strict = self._on_error == "raise"
        with self._lock:
            ids = self._recalled.get(question)
        if ids is None:
            longest = self._memory.config.max_turn_chars
            recall = self._memory.recall(
                [(role, text[:longest]) for role, text in said.turns], user_id=user,
                session_id=said.session_id, limit=self._limit, max_tokens=self._max_tokens,
                strict=strict,
            )  # fmt: skip
            ids = recall.ids
            if recall.failed:  # the memory has logged it
                self.failures += 1
                return ""
            with self._lock:
                self._recalled[question] = ids
                while len(self._recalled) > _QUESTIONS_HELD:
                    self._recalled.popitem(last=False)
        return self._memory.render(ids, user_id=user, max_tokens=self._max_tokens, strict=strict)

    def _hand_over(self, user: str, said: Dialogue) -> None:
        """Learn, and forget what was recalled: with what is new there may be other rules."""
        longest = self._memory.config.max_turn_chars  # a pasted file must not keep out the rest
        spoken = [turn for turn in said.turns if len(turn[1]) <= longest]
        new = True
        try:
            if self._learns:
                new = self._memory.learn_later(spoken, user_id=user, session_id=said.session_id)
        finally:
            if new:
                self._drop(user)

    def _drop(self, user: str) -> None:
        with self._lock:
            for question in [q for q in self._recalled if q[0] == user]:
                del self._recalled[question]

    def _cross(self, doing: str, read: Read, step: Callable[[str, Dialogue], T], otherwise: T) -> T:
        """Run a step for the user; give `otherwise` when there is none or it fails."""
        try:
            said = read()
            if isinstance(said.user_id, str) and said.user_id.strip():
                return step(said.user_id, said)
            self._miss(said.user_id)
        except Exception as error:  # the chat goes on without memory
            if isinstance(error, UserRequiredError) and self._on_missing == "raise":
                raise
            if self._on_error == "raise":
                raise
            self._survive(doing, error)
        return otherwise

    def _miss(self, found: object) -> None:
        kind = "missing" if found is None else f"an unusable {type(found).__name__}"
        if self._on_missing == "raise":
            raise UserRequiredError(f"{self._name}: no user for this run (user_id is {kind})")
        if not self._warned:
            self._warned = True
            _log.warning(
                '%s: a run has no user id (it is %s), so it has no memory; on_missing_user="raise" '
                "refuses such runs (this is said once)",
                self._name, kind,
            )  # fmt: skip

    def _survive(self, doing: str, error: Exception) -> None:
        """Log and count a failure; never its message, which may quote the user."""
        self.failures += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.warning(
            "%s: %s failed with %s in %s, line %s; the chat goes on without it",
            self._name, doing, type(error).__name__, place.name, place.lineno,
        )  # fmt: skip


def user_of(context: object) -> object:
    """Give the `user_id` of what a host passes along with a run: an object or a mapping."""
    if isinstance(context, Mapping):
        return cast(Mapping[str, Any], context).get("user_id")
    return getattr(context, "user_id", None)
