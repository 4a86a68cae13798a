"""What was recalled for the questions under way: ids and notes, held in this process alone."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

from langchain_core.messages import BaseMessage

from prefmem_langchain.convert import is_human
from prefmem_langchain.identity import session

Question: TypeAlias = tuple[str, str, int, str]  # user, thread, its number, hash of its text
_QUESTIONS_HELD = 512


def question_of(messages: Sequence[BaseMessage], position: int, user: str) -> Question:
    """Name a question of a thread by its number and its words."""
    number = sum(is_human(m) for m in messages[: position + 1])
    said = str(messages[position].text).encode(errors="replace")
    return user, session(), number, hashlib.sha256(said).hexdigest()


class Recalled:
    """What was found for questions under way, as texts; the oldest leave first."""

    def __init__(self) -> None:
        """Start empty."""
        self._found: OrderedDict[Question, tuple[str, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: Question) -> tuple[str, ...] | None:
        """Give what was found; None where nobody has looked."""
        with self._lock:
            if question in self._found:
                self._found.move_to_end(question)
            return self._found.get(question)

    def put(self, question: Question, found: tuple[str, ...]) -> None:
        """Hold what was found."""
        with self._lock:
            self._found[question] = found
            while len(self._found) > _QUESTIONS_HELD:
                self._found.popitem(last=False)

    def drop(self, user: str, thread: str) -> None:
        """Forget what was found for a user in a thread."""
        with self._lock:
            for question in [q for q in self._found if q[:2] == (user, thread)]:
                del self._found[question]
