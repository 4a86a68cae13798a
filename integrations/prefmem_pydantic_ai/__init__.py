"""prefmem in pydantic-ai: a capability that recalls before each model request and learns after.

agent = Agent(model, deps_type=Deps, capabilities=[PreferenceCapability(memory)])
await agent.run("hi", deps=Deps(user_id="ann"))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prefmem import MissingExtraError

if TYPE_CHECKING:
    from prefmem_pydantic_ai.capability import PreferenceCapability

_EXTRA = "pydantic-ai"
_NEEDED = {"pydantic_ai"}

__all__ = ["PreferenceCapability"]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        MissingExtraError: pydantic-ai is not installed.
    """
    if name not in __all__:
        raise AttributeError(f"module 'prefmem_pydantic_ai' has no attribute {name!r}")
    try:
        return getattr(import_module("prefmem_pydantic_ai.capability"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MissingExtraError(
            f'prefmem_pydantic_ai.{name} needs {_EXTRA}: pip install "prefmem[{_EXTRA}]"'
        ) from error


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
