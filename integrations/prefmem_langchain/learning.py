"""Learning from a thread: what is new in it, and where it is learned."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.runnables.config import var_child_runnable_config

from prefmem_langchain.convert import dialogue, is_human
from prefmem_langchain.identity import session
from prefmem_langchain.tracing import Run

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

Learn: TypeAlias = Literal["background", "inline"]
T = TypeVar("T")
LEARN = ("background", "inline")
CONTEXT = 6  # messages that are passed on with what is new


def learn_from(
    memory: "PreferenceMemory",
    messages: Sequence[BaseMessage],
    *,
    how: Learn,
    user: str,
    by: str = "",
    after: str = "",
    run: Run | None = None,
) -> str:
    """Hand over what is new in a thread; `inline` waits until it is learned.

    Args:
        memory: The memory, which learns a turn once, whatever it is given.
        messages: The thread.
        how: In the background, or now.
        user: The user.
        by: Who learns: the marks of two learners differ.
        after: Mark of the user's last message that was handed over before. It only saves work:
            where it is not found, all is handed over.
        run: Is told what was learned, or put aside.

    Returns:
        The mark of the user's last message; empty when the user has said nothing.
    """
    spoken = dialogue(messages, max_chars=memory.config.max_turn_chars)
    marks = list(_marks(spoken, by, user))
    newest = next((mark for mark in reversed(marks) if mark), "")
    # The first of several that look alike: it leaves too much rather than too little.
    known = marks.index(after) if after in marks and after else -1
    if not any(marks[known + 1 :]):
        return newest
    window = spoken[max(0, known + 1 - CONTEXT) :] if known >= 0 else spoken
    thread, hand_over = session(), memory.learn if how == "inline" else memory.learn_later
    done = apart(lambda: hand_over(window, user_id=user, session_id=thread))
    if run is not None:
        run.learned(done)
    return newest


def apart(call: Callable[[], T]) -> T:
    """Call what may ask a chat model, so that the run around it streams none of its tokens."""

    def unseen() -> T:
        var_child_runnable_config.set(None)
        return call()

    return copy_context().run(unseen)


def _marks(spoken: Sequence[BaseMessage], by: str, user: str) -> Iterator[str]:
    """Name the user's messages by what they say and what was said before; other ones not at all.

    Never by their ids: a host may give the same message a new one.
    """
    thread, before = session(), ""
    for message in spoken:
        text = str(message.text)
        if is_human(message) and text.strip():
            said = "\x1f".join((by, user, thread, before, text))
            yield hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]
        else:
            yield ""
        before = text or before
