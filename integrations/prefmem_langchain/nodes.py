"""Memory as two LangGraph nodes: recall before the chat node, learn after it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict  # as MessagesState: two kinds do not mix

from prefmem_langchain.border import Border, OnError
from prefmem_langchain.convert import dialogue, earlier, last_human, messages_of
from prefmem_langchain.identity import OnMissing, UserId, inside_tool, session

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
        memory: The memory.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` recalls nothing, with one warning; `raise` fails the run.
        on_error: `log` recalls nothing after a failure; `raise` fails the run.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the node to a memory."""
        self._memory = memory
        self._border = Border(
            "RecallNode", user_id=user_id, on_missing_user=on_missing_user, on_error=on_error
        )

    def invoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Recall for the state's last message of the user; no ids when there is none."""
        del config, kwargs
        found = self._border.cross(
            "recall", get_runtime(), lambda user: self._recall(input, user), otherwise=list[str]()
        )
        return {"preferences": found}

    async def ainvoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Do the same on a worker thread."""
        return await asyncio.to_thread(self.invoke, input, config, **kwargs)

    def _recall(self, state: object, user: str) -> list[str]:
        messages = messages_of(state)
        position = last_human(messages)
        if position is None:
            return []
        query = str(messages[position].text)
        recall = self._memory.recall(
            query, user_id=user, session_id=session(), context=earlier(messages, position)
        )
        return [card_id for rule in recall.rules for card_id in rule.card_ids]


class LearnNode(Runnable[Any, dict[str, list[str]]]):
    """Learns from what the user and the assistant said; changes nothing in the state.

    Put it after the chat node. It sees the whole thread every time; the memory learns a turn once.
    Inside a tool call it learns nothing, since the words there are not the user's.

    Args:
        memory: The memory.
        user_id: The user, or what computes it from the runtime; see `resolve_user`.
        on_missing_user: `skip` learns nothing, with one warning; `raise` fails the run.
        on_error: `log` learns nothing after a failure; `raise` fails the run.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        user_id: UserId | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
    ) -> None:
        """Tie the node to a memory."""
        self._memory = memory
        self._border = Border(
            "LearnNode", user_id=user_id, on_missing_user=on_missing_user, on_error=on_error
        )

    def invoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Learn from the state's messages."""
        del config, kwargs
        if not inside_tool():
            self._border.cross(
                "learn", get_runtime(), lambda user: self._learn(input, user), otherwise=None
            )
        return {}

    async def ainvoke(
        self,
        input: Any,  # noqa: ANN401  # a graph's state has any shape
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in Runnable
    ) -> dict[str, list[str]]:
        """Do the same on a worker thread."""
        return await asyncio.to_thread(self.invoke, input, config, **kwargs)

    def _learn(self, state: object, user: str) -> None:
        spoken = dialogue(messages_of(state), max_chars=self._memory.config.max_turn_chars)
        self._memory.learn(spoken, user_id=user, session_id=session())
