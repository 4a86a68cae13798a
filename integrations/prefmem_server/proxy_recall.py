"""What a chat request gets from the memory, and what the memory gets from it, off its path."""

import asyncio
import logging
import os
import threading
import traceback
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic

from prefmem import PreferenceMemory
from prefmem_server.proxy_body import ChatBody, Message, last_user, text_of
from prefmem_server.proxy_reply import Tee, read_reply
from prefmem_server.proxy_settings import ProxySettings
from prefmem_server.proxy_who import Who

_HELD = 2_000  # questions under way that are remembered
_GRACE = 0.1  # seconds for the block, when the rules came at the last moment
_MOST_TURNS = 1_000  # that wait to be handed to the memory
# More than there are cores make each recall slower, until all are too late.
_THREADS = min(8, (os.cpu_count() or 1) + 2)
_log = logging.getLogger("prefmem")
Question = tuple[str, str, str, int, str]  # tenant, user, session, its number, hash of its text


@dataclass(frozen=True, slots=True)
class Applied:
    """What goes into a request.

    Attributes:
        block: Text for the model; empty where nothing applies.
        rules: How many rules are in it.
        recall_id: The recall's name, for feedback.
        off: Why there is no memory; empty where there is.
        without: Parts that the rules were found without, as they failed or were late.
    """

    block: str = ""
    rules: int = 0
    recall_id: str = ""
    off: str = ""
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    recall_id: str = ""
    card_ids: tuple[str, ...] | None = None
    note: str = ""
    without: tuple[str, ...] = ()


class ChatMemory:
    """The memory of the proxy: the chat goes on, whatever happens to it.

    Args:
        memory: The memory.
        settings: Settings of the proxy.
        counts: Where failures are counted: `warm_failed`, `recall_failed`, `recall_timeout`,
            `learn_failed`, `learn_dropped`.
    """

    def __init__(
        self, memory: PreferenceMemory, settings: ProxySettings, counts: Counter[str]
    ) -> None:
        """Start no thread yet."""
        self._memory, self._settings, self._counts = memory, settings, counts
        self._recalling = ThreadPoolExecutor(_THREADS, "prefmem-recall")
        self._learning = ThreadPoolExecutor(2, "prefmem-learn")
        self._held: OrderedDict[Question, _Found] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting: set[Future[None]] = set()

    def warm(self) -> None:
        """Load on a thread what the first recall would wait for; returns at once."""
        self._recalling.submit(self._warm)

    async def apply(self, who: Who, body: ChatBody) -> Applied:
        """Carry out what the user tells the memory, and find the rules that apply.

        A failure, or more time than `recall_timeout`, leaves the request without rules; what was
        begun goes on.
        """
        until = monotonic() + self._settings.recall_timeout
        work = asyncio.wrap_future(self._recalling.submit(self._apply, who, body.messages, until))
        done, _ = await asyncio.wait((work,), timeout=self._settings.recall_timeout + _GRACE)
        if not done:
            self._count("recall_timeout")
            work.add_done_callback(_seen)
            work.cancel()
            return Applied(off="recall-timeout")
        try:
            return work.result()
        except Exception as error:  # noqa: BLE001  # the chat goes on without memory
            self._survive("recall", error)
            return Applied(off="recall-failed")

    def learn(self, who: Who, body: ChatBody, tee: Tee, encoding: str) -> None:
        """Hand a turn to the memory's outbox on a thread; returns at once and never fails."""
        if len(self._waiting) >= _MOST_TURNS:
            self._count("learn_dropped")
            return
        work = self._learning.submit(self._learn, who, body, tee, encoding)
        self._waiting.add(work)
        work.add_done_callback(self._waiting.discard)

    async def drain(self, timeout: float) -> None:
        """Wait until the turns that were handed over are in the outbox."""
        waiting = [asyncio.wrap_future(work) for work in tuple(self._waiting)]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout)

    def _warm(self) -> None:
        try:
            self._memory.warm()
        except Exception as error:  # noqa: BLE001  # the first request tries again
            self._survive("warm", error)

    def _apply(self, who: Who, messages: Sequence[Message], until: float) -> Applied:
        position = last_user(messages)
        if position is None:
            return Applied()
        memory = self._of(who)
        question = _question(who, messages, position)
        found = self._get(question)
        longest, text = memory.config.max_turn_chars, text_of(messages[position])
        asked = [*self._spoken(messages[:position]), {"role": "user", "content": text[:longest]}]
        if who.learns and len(text) <= longest:
            told = memory.command(asked, user_id=who.user_id, session_id=who.session_id)
            if told.reply:
                found = _Found(note=told.note)
                self._put(question, found)
        if found.card_ids is None:
            recall = memory.recall(
                asked, user_id=who.user_id, session_id=who.session_id,
                timeout=max(_GRACE, until - monotonic()),
            )  # fmt: skip
            if recall.failed:  # the memory has logged it
                self._count("recall_failed")
                return Applied(found.note, off="" if found.note else "recall-failed")
            ids = recall.ids
            found = _Found(recall.id, ids, found.note, recall.missing)
            self._put(question, found)
        ids = found.card_ids or ()
        block = memory.render(ids, user_id=who.user_id)
        said = "\n".join(text for text in (block, found.note) if text)
        count = len(ids) if block else 0
        return Applied(said, count, found.recall_id, without=found.without)

    def _learn(self, who: Who, body: ChatBody, tee: Tee, encoding: str) -> None:
        try:
            reply = read_reply(tee.held(), encoding=encoding)
            if who.learns:
                turn = [*self._spoken(body.messages), {"role": "assistant", "content": reply.text}]
                self._of(who).learn_later(turn, user_id=who.user_id, session_id=who.session_id)
            if not reply.calls:  # the turn is over: the next may have other rules
                self._drop(who)
        except Exception as error:  # noqa: BLE001  # the chat is long gone
            self._survive("learn", error)

    def _of(self, who: Who) -> PreferenceMemory:
        """Give the memory of a tenant; a key without one has that of the memory."""
        return self._memory.in_tenant(who.tenant) if who.tenant else self._memory

    def _spoken(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        """Keep what the user and the assistant said; a pasted file must not keep off the rest."""
        longest = self._memory.config.max_turn_chars
        said = (
            {"role": str(m["role"]), "content": text_of(m)}
            for m in messages
            if m.get("role") in ("user", "assistant")
        )
        return [message for message in said if len(message["content"]) <= longest]

    def _get(self, question: Question) -> _Found:
        with self._lock:
            return self._held.get(question, _Found())

    def _put(self, question: Question, found: _Found) -> None:
        with self._lock:
            self._held[question] = found
            self._held.move_to_end(question)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)

    def _drop(self, who: Who) -> None:
        with self._lock:
            for question in [q for q in self._held if q[:2] == (who.tenant, who.user_id)]:
                del self._held[question]

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _survive(self, doing: str, error: Exception) -> None:
        """Count and log a failure: its kind and place, never its message, which may quote."""
        self._count(f"{doing}_failed")
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.warning(
            "proxy: %s failed with %s in %s, line %s; the chat goes on without it",
            doing, type(error).__name__, place.name, place.lineno,
        )  # fmt: skip


def _question(who: Who, messages: Sequence[Message], position: int) -> Question:
    """Name a question of a conversation by its number and its words."""
    number = sum(message.get("role") == "user" for message in messages[: position + 1])
    said = text_of(messages[position]).encode(errors="replace")
    return who.tenant, who.user_id, who.session_id, number, sha256(said).hexdigest()


def _seen(work: "asyncio.Future[Applied]") -> None:
    """Take the outcome of what came too late, so that nobody complains of it."""
    if not work.cancelled():
        work.exception()
