"""The embedded default: what a memory uses where the caller gives nothing.

Its parts are imported when they are needed.
"""

from pathlib import Path

from prefmem.config import Config
from prefmem.errors import ConfigError
from prefmem.protocols import Embedder, Extractor, Store


def embedder() -> Embedder:
    """Make the packaged MiniLM embedder; its weights load with the first text."""
    from prefmem.models.embed import MiniLMEmbedder

    return MiniLMEmbedder()


def extractor(config: Config, choice: Extractor | str | None = None) -> Extractor:
    """Make the extractor that was chosen; its weights load with the first turn.

    Args:
        config: Settings.
        choice: The packaged gate and tagger unless given; `"qwen3"` for the published Qwen3
            extractor; an extractor is given back as it is.

    Raises:
        ConfigError: The name is unknown.
    """
    if choice is not None and not isinstance(choice, str):
        return choice
    if choice == "qwen3":
        from prefmem.extract.qwen3 import Qwen3Extractor

        return Qwen3Extractor()
    if choice is not None:
        raise ConfigError(f"extractor={choice!r}; known is 'qwen3', or pass an extractor")
    from prefmem.extract.local import LocalExtractor

    return LocalExtractor(min_confidence=config.min_confidence, max_chars=config.max_slot_chars)


def store(path: str | Path) -> Store:
    """Open the SQLite store."""
    from prefmem.stores.sqlite import SQLiteStore

    return SQLiteStore(path)
