"""prefmem in the OpenAI Agents SDK: instructions that recall, hooks that learn.

preferences = PreferenceHooks(memory)
agent = Agent("helper", instructions=preferences.instructions("You help with mails."))
await Runner.run(agent, "hi", context=Context(user_id="ann"), hooks=preferences)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prefmem import MissingExtraError

if TYPE_CHECKING:
    from prefmem_openai_agents.hooks import PreferenceHooks

_EXTRA = "openai-agents"
_NEEDED = {"agents"}

__all__ = ["PreferenceHooks"]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        MissingExtraError: The Agents SDK is not installed.
    """
    if name not in __all__:
        raise AttributeError(f"module 'prefmem_openai_agents' has no attribute {name!r}")
    try:
        return getattr(import_module("prefmem_openai_agents.hooks"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MissingExtraError(
            f'prefmem_openai_agents.{name} needs {_EXTRA}: pip install "prefmem[{_EXTRA}]"'
        ) from error


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
