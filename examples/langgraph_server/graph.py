"""An agent for LangGraph Server: its own store is the memory, and nothing else is set up.

`langgraph dev` in this folder serves it. MODEL_URL names an OpenAI-compatible endpoint, MODEL_NAME
a model there; without them the answers are "Fine.", and the memory works all the same.
"""

import os
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from prefmem_langchain import PreferenceMiddleware


class Context(TypedDict, total=False):
    """What a run is given: read only where no authentication is set up."""

    user_id: str


def user(runtime: Runtime[Any]) -> str | None:
    """Give the authenticated user; clients write the context themselves, so that is for trying."""
    server = getattr(runtime, "server_info", None)
    known = getattr(getattr(server, "user", None), "identity", None)
    return known or (runtime.context or {}).get("user_id")


def model() -> BaseChatModel:
    """Give the endpoint of the environment, or a model that says "Fine."."""
    url = os.environ.get("MODEL_URL")  # noqa: TID251  # a program of its own
    if not url:
        return GenericFakeChatModel(messages=iter(lambda: AIMessage("Fine."), None))
    name = os.environ.get("MODEL_NAME", "gpt-4o-mini")  # noqa: TID251  # as above
    return ChatOpenAI(base_url=url, model=name)


graph = create_agent(
    model(),
    context_schema=Context,
    # A server may stop a worker at any time, so a run ends when it has learned.
    middleware=[PreferenceMiddleware(user_id=user, learn="inline")],
)
