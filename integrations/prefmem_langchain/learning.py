"""Learning from a thread: what is new in it, and where it is learned."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from langchain_core.messages import BaseMessage

from prefmem_langchain.convert import dialogue, is_human
from prefmem_langchain.identity import session

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

Learn: TypeAlias = Literal["background", "inline"]
LEARN = ("background", "inline")
_CONTEXT = 6  # messages before what is new that are passed on with it


def learn_from(
    memory: "PreferenceMemory",
    messages: Sequence[BaseMessage],
    *,
    how: Learn,
    user: str,
    by: str = "",
    after: str = "",
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
    window = spoken[max(0, known + 1 - _CONTEXT) :] if known >= 0 else spoken
    if how == "inline":
        memory.learn(window, user_id=user, session_id=session())
    else:
        memory.learn_later(window, user_id=user, session_id=session())
    return newest


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
