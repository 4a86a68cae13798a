"""The embedded default: what a memory uses where the caller gives nothing.

Its parts are imported when they are needed.
"""

from pathlib import Path

from prefmem.config import Config
from prefmem.errors import ConfigError
from prefmem.models.compressor import Compressor
from prefmem.models.runnable import ChatModel
from prefmem.protocols import Embedder, Extractor, Reranker, Store


def embedder() -> Embedder:
    """Make the packaged MiniLM embedder; its weights load with the first text."""
    from prefmem.models.embed import MiniLMEmbedder

    return MiniLMEmbedder()


def reranker(config: Config, choice: Reranker | Compressor | str | None = None) -> Reranker | None:
    """Make the reranker that was chosen; its weights load with the first pair.

    Args:
        config: Settings; with `rerank` off there is none.
        choice: The packaged one unless given, if it is there; `"none"` for none; a document
            compressor of LangChain. A reranker is given back as it is.

    Raises:
        ConfigError: It is none of these.
    """
    if choice is not None and choice != "none" and not isinstance(choice, Reranker | Compressor):
        raise ConfigError(
            f"reranker={choice!r}; known is 'none', or pass a reranker, or a document compressor "
            "of LangChain"
        )
    if not config.rerank or choice == "none":
        return None
    if isinstance(choice, Reranker):
        return choice
    if isinstance(choice, Compressor):
        from prefmem.models.compressor import CompressorReranker

        return CompressorReranker(choice)
    from prefmem.models.onnx import WEIGHTS
    from prefmem.models.rerank import Reranker as PackagedReranker

    return PackagedReranker() if (WEIGHTS / "reranker.json").is_file() else None


def extractor(config: Config, choice: Extractor | ChatModel | str | None = None) -> Extractor:
    """Make the extractor that was chosen; its weights load with the first turn.

    Args:
        config: Settings.
        choice: The packaged gate and tagger unless given; `"qwen3"` for the published Qwen3
            extractor; a chat model of LangChain; the address of an OpenAI-compatible endpoint, as
            `"http://localhost:8000/v1"`, that needs neither a model's name nor a key. The packaged
            gate checks what a language model finds. An extractor is given back as it is.

    Raises:
        ConfigError: It is none of these.
    """
    if choice == "qwen3":
        from prefmem.extract.qwen3 import Qwen3Extractor

        return verified(Qwen3Extractor(), config)
    if isinstance(choice, str) and choice.lower().startswith(("http://", "https://")):
        from prefmem.extract.chat import ChatExtractor
        from prefmem.models.endpoint import OpenAIChat

        return verified(ChatExtractor(OpenAIChat(choice)), config)
    if isinstance(choice, Extractor):
        return choice
    if isinstance(choice, ChatModel):
        from prefmem.extract.chat import ChatExtractor

        return verified(ChatExtractor(choice), config)
    if choice is not None:
        raise ConfigError(
            f"extractor={choice!r}; known is 'qwen3', or pass an extractor, a chat model of "
            "LangChain, or the http address of an OpenAI-compatible endpoint"
        )
    from prefmem.extract.local import LocalExtractor

    return LocalExtractor(min_confidence=config.min_confidence, max_chars=config.max_slot_chars)


def verified(found_by: Extractor, config: Config) -> Extractor:
    """Let the packaged gate check what an extractor finds; a doubtful rule stays a candidate."""
    from prefmem.extract.verify import VerifiedExtractor

    return VerifiedExtractor(found_by, floor=config.min_confidence)


def store(path: str | Path) -> Store:
    """Open the SQLite store."""
    from prefmem.stores.sqlite import SQLiteStore

    return SQLiteStore(path)
