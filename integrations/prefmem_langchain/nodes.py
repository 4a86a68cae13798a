"""Memory as two LangGraph nodes: recall before the chat node, learn after it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.runnables import Runnable, RunnableConfig
from typing_extensions import TypedDict  # as MessagesState: two kinds do not mix

from prefmem_langchain.border import Border, OnError, refuse
from prefmem_langchain.convert import last_human, messages_of, requests
from prefmem_langchain.identity import OnMissing, UserId, inside_tool, session
from prefmem_langchain.learning import LEARN, Learn, learn_from
from prefmem_langchain.tracing import Run, Trace

if TYPE_CHECKING:
    from prefmem import PreferenceMemory


def newest(old: list[str], new: list[str]) -> list[str]:
    """Keep the newest write, so that parallel branches may all write."""
    del old
    return new


class PreferenceState(TypedDict):
    """Part of a graph's state: `class State(MessagesState, PreferenceState)`.

    Attributes:
        preferences: Ids of the cards that apply; ids alone, so that no checkpoint and no stream
            holds a rule, and none that was forgotten comes back.
    """

    preferences: Annotated[list[str], newest]


class RecallNode(Runnable[Any, dict[str, list[str]]]):
    """Finds the cards that apply to the user's last message, and writes their ids to the state.

    The chat node renders them, `memory.render(state["preferences"], user_id=...)`, and gives them
    to its model by `with_rules(state["messages"], block, placement=...)`, never to the state.

    Args:
        memory: The memory; None for the one on the store that the graph was compiled with.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` recalls nothing, with one warning; `raise` fails the run.
        on_error: `log` recalls nothing after a failure; `raise` fails the run.
        trace: What the node's run holds in a tracer such as LangSmith: `ids` and counts, or
            `content`, the query and the rules, too.
    """

    def __init__(
        self,
        memory: "PreferenceMemory | None" = None,
        *,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
        trace: Trace = "ids",
    ) -> None:
        """Tie the node to a memory."""
        self._border = Border(
            "RecallNode", memory, user_id=user_id, on_missing_user=on_missing_user,
            on_error=on_error, trace=trace,
        )  # fmt: skip

    def invoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Recall for the state's last message of the user; no ids when there is none."""
        del kwargs

        def step(memory: "PreferenceMemory", user: str) -> list[str]:
            return self._border.traced(
                "RecallNode", lambda run: _recall(input, memory, user, self._border, run), config
            )

        found = self._border.cross("recall", step, otherwise=list[str]())
        return {"preferences": found}

    async def ainvoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Do the same on a worker thread."""
        return await asyncio.to_thread(self.invoke, input, config, **kwargs)


class LearnNode(Runnable[Any, dict[str, list[str]]]):
    """Learns from what the user and the assistant said; changes nothing in the state.

    Put it after the chat node. It sees the whole thread every time; the memory learns a turn once.
    Inside a tool call it learns nothing, since the words there are not the user's.

    Args:
        memory: The memory; None for the one on the store that the graph was compiled with.
        learn: `background` puts what is new in the memory's outbox, a durable one, and a worker
            learns it; `inline` learns it before the node ends.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` learns nothing, with one warning; `raise` fails the run.
        on_error: `log` learns nothing after a failure; `raise` fails the run.
        trace: What the node's run holds in a tracer such as LangSmith: `ids` and counts, or
            `content`, the rules, too.

    Raises:
        ConfigError: A setting is none of its values.
    """

    def __init__(
        self,
        memory: "PreferenceMemory | None" = None,
        *,
        learn: Learn = "background",
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
        trace: Trace = "ids",
    ) -> None:
        """Tie the node to a memory."""
        refuse("learn", learn, LEARN)
        self._learns: Learn = learn
        self._border = Border(
            "LearnNode", memory, user_id=user_id, on_missing_user=on_missing_user,
            on_error=on_error, wakes=learn == "background", trace=trace,
        )  # fmt: skip

    def invoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Learn from the state's messages."""
        del kwargs

        def step(memory: "PreferenceMemory", user: str) -> str:
            messages, how = messages_of(input), self._learns
            return self._border.traced(
                "LearnNode", lambda run: learn_from(memory, messages, how=how, user=user, run=run),
                config,
            )  # fmt: skip

        if not inside_tool():
            self._border.cross("learn", step, otherwise="")
        return {}

    async def ainvoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Do the same on a worker thread."""
        return await asyncio.to_thread(self.invoke, input, config, **kwargs)


def _recall(
    state: object, memory: "PreferenceMemory", user: str, border: Border, run: Run
) -> list[str]:
    messages = messages_of(state)
    position = last_human(messages)
    if position is None:
        return []
    asked = requests(messages, position, max_chars=memory.config.max_turn_chars)
    recall = memory.recall(asked, user_id=user, session_id=session(), strict=border.strict)
    run.recalled(recall)
    return list(border.recalled(recall))
