"""Asking a model once more when its answer breaks a rule that code can check."""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.callbacks import BaseCallbackManager
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.config import get_config

Request: TypeAlias = ModelRequest[Any]
R = TypeVar("R")

_NOTE = """A check finds that your answer may break what this user asked for earlier:
{wishes}
Write the whole answer again so that it keeps to this, and change nothing else. Where the present
request, or the condition of a preference, says otherwise, repeat your answer as it is. Do not
mention this check."""


def final_text(response: ModelResponse[R]) -> str | None:
    """Give the text of a response that ends a turn: no call of a tool, nothing structured."""
    last = response.result[-1] if response.result else None
    if not isinstance(last, AIMessage) or last.tool_calls or last.invalid_tool_calls:
        return None
    if response.structured_response is not None:
        return None
    return str(last.text) or None


def asked_again(request: Request, response: ModelResponse[R], wishes: Sequence[str]) -> Request:
    """Give the request with the answer and a note on what it breaks; the state never sees them."""
    note = HumanMessage(_NOTE.format(wishes="\n".join(f"- {wish}" for wish in wishes)))
    messages = list(request.messages)
    messages.extend(m for m in response.result if isinstance(m, AIMessage))
    messages.append(note)
    return request.override(messages=messages)


def streamed() -> bool:
    """Whether someone reads the tokens of this run as they come."""
    callbacks = get_config().get("callbacks")
    held = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or ()
    return any(hasattr(handler, "tap_output_iter") for handler in held)
