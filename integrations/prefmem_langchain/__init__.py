"""prefmem in LangChain and LangGraph: a middleware for agents, nodes for graphs, and more.

agent = create_agent(model, tools, middleware=[PreferenceMiddleware(memory)])
agent.invoke({"messages": [("user", "hi")]}, config, context={"user_id": "ann"})
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prefmem import MissingExtraError

if TYPE_CHECKING:
    from prefmem_langchain.confirm import ConfirmationState, ConfirmNode
    from prefmem_langchain.elicit import ElicitationState, ElicitNode
    from prefmem_langchain.generator import PreferenceChatModel
    from prefmem_langchain.middleware import PreferenceMiddleware
    from prefmem_langchain.nodes import LearnNode, PreferenceState, RecallNode
    from prefmem_langchain.placing import with_rules
    from prefmem_langchain.retriever import PreferenceRetriever
    from prefmem_langchain.store import BaseStoreStorage
    from prefmem_langchain.store_memory import memory_on
    from prefmem_langchain.tools import preference_tools

_HOME = {
    "PreferenceMiddleware": ("middleware", "langchain"),
    "RecallNode": ("nodes", "langgraph"),
    "LearnNode": ("nodes", "langgraph"),
    "PreferenceState": ("nodes", "langgraph"),
    "ElicitNode": ("elicit", "langgraph"),
    "ElicitationState": ("elicit", "langgraph"),
    "ConfirmNode": ("confirm", "langgraph"),
    "ConfirmationState": ("confirm", "langgraph"),
    "PreferenceRetriever": ("retriever", "langgraph"),
    "PreferenceChatModel": ("generator", "langgraph"),
    "preference_tools": ("tools", "langgraph"),
    "BaseStoreStorage": ("store", "langgraph"),
    "memory_on": ("store_memory", "langgraph"),
    "with_rules": ("placing", "langgraph"),
}
_NEEDED = {"langchain", "langchain_core", "langgraph"}

__all__ = [
    "BaseStoreStorage",
    "ConfirmNode",
    "ConfirmationState",
    "ElicitNode",
    "ElicitationState",
    "LearnNode",
    "PreferenceChatModel",
    "PreferenceMiddleware",
    "PreferenceRetriever",
    "PreferenceState",
    "RecallNode",
    "memory_on",
    "preference_tools",
    "with_rules",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        MissingExtraError: The package that it needs is not installed.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'prefmem_langchain' has no attribute {name!r}")
    home, extra = _HOME[name]
    try:
        return getattr(import_module(f"prefmem_langchain.{home}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MissingExtraError(
            f'prefmem_langchain.{name} needs {extra}: pip install "prefmem[{extra}]"'
        ) from error


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
