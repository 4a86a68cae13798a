"""Where the rules stand in what a model reads: in the system message, or before the question."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from prefmem_langchain.border import refuse
from prefmem_langchain.convert import last_human

Placement: TypeAlias = Literal["system", "user"]
PLACEMENTS = ("system", "user")


def with_rules(
    messages: Sequence[BaseMessage], block: str, *, placement: Placement = "system"
) -> list[BaseMessage]:
    """Place a block of rules among messages, for the chat node of a graph.

    Args:
        messages: What the model would read without a memory; left as it is. A system message stands
            first, if there is one.
        block: From `memory.render`; where it is empty, nothing is placed.
        placement: `system` puts it last in the system message, `user` before the user's last
            message, as a message of its own.

    Returns:
        What to call the model with; it is not for the state, where rules would stay.

    Raises:
        ConfigError: The placement is unknown.
    """
    refuse("placement", placement, PLACEMENTS)
    placed = list(messages)
    if block and placement == "user":
        position = last_human(messages)
        placed.insert(len(placed) if position is None else position, HumanMessage(content=block))
    elif block:
        system = placed[0] if placed and isinstance(placed[0], SystemMessage) else None
        placed[: system is not None] = [appended(system, block)]
    return placed


def appended(system: SystemMessage | None, block: str) -> SystemMessage:
    """Add a text block at the end of a system message; what is there stays as it is."""
    last: dict[str, Any] = {"type": "text", "text": block}
    if system is None:
        return SystemMessage(content=[last])
    content = system.content
    held = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    return system.model_copy(update={"content": [*held, last]})
