"""Asking the user by an interrupt: one question at a time, and none that nobody answers."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, StateGraph  # pyright: ignore[reportMissingTypeStubs]
from langgraph.types import interrupt
from typing_extensions import TypedDict  # as MessagesState: two kinds do not mix

from prefmem_langchain.border import Border
from prefmem_langchain.convert import is_human, messages_of
from prefmem_langchain.identity import askable, session

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

Held = dict[str, Any]
_OPEN_HELD = 4096  # threads with an open question that are remembered


def latest(old: Held | None, new: Held | None) -> Held:
    """Keep the newest write, so that parallel branches may all write."""
    return new or old or {}


class Asker(Protocol):
    """Knows what to ask, and what to do with the reply; plain data goes in and out.

    Attributes:
        key: Where the state keeps what was asked.
    """

    key: str

    def question(self, held: Held, turn: int, memory: "PreferenceMemory", user: str) -> Held:
        """Give the next question, with its `kind`; empty when there is none.

        Args:
            held: What the state keeps.
            turn: Number of the user's messages so far.
            memory: The memory.
            user: The user.
        """
        ...

    def learn(
        self,
        held: Held,
        question: Held,
        reply: object,
        turn: int,
        memory: "PreferenceMemory",
        user: str,
    ) -> Held:
        """Take in the reply; gives what the state is to keep."""
        ...

    def asked(self, held: Held, question: Held) -> Held:
        """Give what the state is to keep of a question whose reply could not be taken in."""
        ...


class _Step(TypedDict, total=False):
    """What passes between choosing a question and asking it."""

    held: Held
    turn: int
    by: str
    pending: Held


class AskNode(Runnable[Any, Held]):
    """Asks the first question that one of its askers has; a base of public nodes.

    The graph needs a checkpointer; without one, without a thread id, and inside a tool call nothing
    is asked. A thread whose question waits for its reply gets no other one: a host that does not
    know interrupts sees one, and goes on.

    Args:
        askers: Who may ask, the most urgent first.
        border: The border to the memory.
    """

    def __init__(self, askers: Sequence[Asker], border: Border) -> None:
        """Build the two steps.

        A node that resumes begins anew. Two steps keep the question that was asked, whatever the
        memory has learned meanwhile.
        """
        self._askers = {asker.key: asker for asker in askers}
        self._border = border
        self._open: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        steps: Any = StateGraph(_Step)
        steps.add_node("choose", self._choose)
        steps.add_node("ask", self._ask)
        steps.add_edge(START, "choose")
        steps.add_conditional_edges("choose", _next, ["ask", END])
        self._steps = steps.compile()

    def invoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> Held:
        """Ask if it is worth it; writes to the state only after a reply."""
        del kwargs
        if not askable():
            return {}
        return _written(self._steps.invoke(self._start(input), config))

    async def ainvoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> Held:
        """Do the same on worker threads."""
        del kwargs
        if not askable():
            return {}
        return _written(await self._steps.ainvoke(self._start(input), config))

    def _start(self, state: object) -> _Step:
        held = {key: found for key in self._askers if (found := _saved(state, key))}
        return {"held": held, "turn": sum(map(is_human, messages_of(state)))}

    def _choose(self, state: _Step) -> _Step:
        held, turn = state.get("held", {}), state.get("turn", 0)

        def first(memory: "PreferenceMemory", user: str) -> _Step:
            if self._waits():
                return {}
            for key, asker in self._askers.items():
                if found := asker.question(held.get(key, {}), turn, memory, user):
                    self._wait()
                    return {"pending": found, "by": key}
            return {}

        nothing: _Step = {}
        return self._border.cross("choosing a question", first, otherwise=nothing)

    def _ask(self, state: _Step) -> _Step:
        question, key = state.get("pending", {}), state.get("by", "")
        asker, held = self._askers[key], state.get("held", {}).get(key, {})
        reply: object = interrupt(question)  # outside the border, which would take it for a failure
        with self._lock:
            self._open.pop(session(), None)
        after = self._border.cross(
            "learning an answer",
            lambda memory, user: asker.learn(
                held, question, reply, state.get("turn", 0), memory, user
            ),
            otherwise=asker.asked(held, question),
        )
        return {"held": {key: after}}

    def _waits(self) -> bool:
        """Whether a question of this thread waits for its reply, as far as this process knows."""
        with self._lock:
            return session() in self._open

    def _wait(self) -> None:
        with self._lock:
            self._open[session()] = None
            while len(self._open) > _OPEN_HELD:
                self._open.popitem(last=False)


def _saved(state: object, key: str) -> Held:
    """Read a key of a state: a mapping, or an object with the attribute."""
    if isinstance(state, Mapping):
        held = cast(Mapping[str, Any], state).get(key)
    else:
        held = getattr(state, key, None)
    return held or {}


def _next(state: _Step) -> str:
    return "ask" if state.get("pending") else END


def _written(state: _Step) -> Held:
    """Give the host's part of the state, if a question was asked."""
    return state.get("held", {}) if state.get("pending") else {}
