"""The embedded default: what a memory uses where the caller gives nothing.

Its parts are imported when they are needed.
"""

from pathlib import Path

from prefmem.config import Config
from prefmem.protocols import Embedder, Extractor, Store


def embedder() -> Embedder:
    """Make the packaged MiniLM embedder; its weights load with the first text."""
    from prefmem.models.embed import MiniLMEmbedder

    return MiniLMEmbedder()


def extractor(config: Config) -> Extractor:
    """Make the packaged gate and tagger; its weights load with the first turn."""
    from prefmem.extract.local import LocalExtractor

    return LocalExtractor(min_confidence=config.min_confidence, max_chars=config.max_slot_chars)


def store(path: str | Path) -> Store:
    """Open the SQLite store."""
    from prefmem.stores.sqlite import SQLiteStore

    return SQLiteStore(path)
