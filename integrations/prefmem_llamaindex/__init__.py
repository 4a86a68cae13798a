"""prefmem in LlamaIndex: a block of its `Memory` that recalls and learns.

block = PreferenceBlock(memory, user_id="ann")
await agent.run("hi", memory=Memory.from_defaults(session_id="monday", memory_blocks=[block]))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prefmem import MissingExtraError

if TYPE_CHECKING:
    from prefmem_llamaindex.block import PreferenceBlock

_EXTRA = "llama-index"
_NEEDED = {"llama_index"}

__all__ = ["PreferenceBlock"]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        MissingExtraError: LlamaIndex is not installed.
    """
    if name not in __all__:
        raise AttributeError(f"module 'prefmem_llamaindex' has no attribute {name!r}")
    try:
        return getattr(import_module("prefmem_llamaindex.block"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MissingExtraError(
            f'prefmem_llamaindex.{name} needs {_EXTRA}: pip install "prefmem[{_EXTRA}]"'
        ) from error


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
