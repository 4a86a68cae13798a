"""The embedded default: what a memory uses where the caller gives nothing.

Its parts are imported when they are needed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from prefmem.cards.compare import Unrelated
from prefmem.config import Config
from prefmem.errors import ConfigError, MissingExtraError
from prefmem.feedback.kept import Inducer
from prefmem.models.compressor import Compressor
from prefmem.models.runnable import ChatModel
from prefmem.protocols import Embedder, Extractor, Judge, Relater, Reranker, Store, UserModel

if TYPE_CHECKING:
    from prefmem.stores.keys import UserKeys
    from prefmem.stores.rowstore import RowStore
    from prefmem.stores.sharded import ShardedStore

Where: TypeAlias = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


def embedder() -> Embedder:
    """Make the packaged MiniLM embedder; its weights load with the first text."""
    from prefmem.models.embed import MiniLMEmbedder

    return MiniLMEmbedder()


def reranker(config: Config, choice: Reranker | Compressor | str | None = None) -> Reranker | None:
    """Make the reranker that was chosen; its weights load with the first pair.

    Args:
        config: Settings; with `rerank` off there is none.
        choice: The packaged one unless given; `"none"` for none; a document compressor of
            LangChain. A reranker is given back as it is.

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
    from prefmem.models.pairs import packaged
    from prefmem.models.rerank import Reranker as PackagedReranker

    return PackagedReranker(packaged())


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


def relater(choice: Relater | str | None = None) -> Relater:
    """Make the relater that was chosen; the packaged one's weights load with the first pair.

    Args:
        choice: The packaged one unless given; `"none"` for one that compares nothing; a relater is
            given back as it is.

    Raises:
        ConfigError: The name is unknown.
    """
    if choice == "none":
        return Unrelated()
    if isinstance(choice, str):
        raise ConfigError(f"relater={choice!r}; known is 'none', or pass a relater")
    if choice is not None:
        return choice
    from prefmem.cards.relate import PairRelater
    from prefmem.models.pairs import packaged

    return PairRelater(packaged())


def user_model(choice: UserModel | str | None = None) -> UserModel:
    """Make the user model that was chosen.

    Args:
        choice: `"ledger"` unless given, `"vars"`, or `"none"`; a user model is given back as it is.

    Raises:
        ConfigError: It is none of these.
    """
    if choice is None or choice == "ledger":
        from prefmem.usermodel.ledger import Ledger

        return Ledger()
    if choice == "vars":
        from prefmem.usermodel.vars import Vars

        return Vars()
    if choice == "none":
        from prefmem.usermodel.none import NoModel

        return NoModel()
    if isinstance(choice, str):
        raise ConfigError(
            f"user_model={choice!r}; known are 'ledger', 'vars' and 'none', or pass a user model"
        )
    return choice


def judge(choice: Judge | ChatModel | str | None = None) -> Judge | None:
    """Make the judge of follow-ups that was chosen; its weights load with the first follow-up.

    Args:
        choice: The packaged one unless given; `"none"` for none; a chat model of LangChain is asked
            with the packaged one behind it. A judge is given back as it is.

    Raises:
        ConfigError: It is none of these.
    """
    if choice == "none":
        return None
    if isinstance(choice, Judge):
        return choice
    if choice is not None and not isinstance(choice, ChatModel):
        raise ConfigError(
            f"judge={choice!r}; known is 'none', or pass a judge, or a chat model of LangChain"
        )
    from prefmem.feedback.judge import PackagedJudge

    if choice is None:
        return PackagedJudge()
    from prefmem.feedback.chatjudge import ChatJudge

    return ChatJudge(choice, PackagedJudge())


def inducer(choice: Inducer | ChatModel | None = None) -> Inducer:
    """Make the inducer of rules from edits that was chosen.

    Args:
        choice: The one that measures features of style, without a model, unless given; a chat model
            of LangChain is asked about the edits. An inducer is given back as it is.

    Raises:
        ConfigError: It is none of these.
    """
    if isinstance(choice, Inducer):
        return choice
    if isinstance(choice, ChatModel):
        from prefmem.feedback.chatedits import ChatInducer

        return ChatInducer(choice)
    if choice is not None:
        raise ConfigError(f"inducer={choice!r}; pass an inducer, or a chat model of LangChain")
    from prefmem.feedback.edits import FeatureInducer

    return FeatureInducer()


def store(
    path: Where,
    *,
    encryption: "UserKeys | None" = None,
    convert: bool = False,
    passphrase: str | bytes | None = None,
) -> Store:
    """Open the store that a path names.

    Args:
        path: A file for SQLite; `postgresql://...` for PostgreSQL; several of them for shards.
        encryption: Keys that seal what is held about a user, one for each.
        convert: Whether a plain store is sealed now.
        passphrase: For SQLite: opens the file with SQLCipher.

    Raises:
        ConfigError: The store is sealed and no keys are given, or other ones; or the other way
            round. Or there is a passphrase for PostgreSQL.
        MissingExtraError: PostgreSQL was named, and its driver is missing.
    """
    if not isinstance(path, str | Path):
        return shards(path, encryption=encryption, convert=convert, passphrase=passphrase)
    if is_dsn(path):
        if passphrase is not None:
            raise ConfigError("a passphrase is for SQLite; pass encryption for PostgreSQL")
        try:
            from prefmem.stores.postgres import PostgresStore
        except ImportError:
            raise MissingExtraError(
                'PostgreSQL needs its driver: pip install "prefmem[postgres]"'
            ) from None
        return PostgresStore(str(path), encryption=encryption, convert=convert)
    from prefmem.stores.sqlite import SQLiteStore

    return SQLiteStore(path, encryption=encryption, convert=convert, passphrase=passphrase)


def shards(
    addresses: Sequence[str | Path] | Mapping[str, str | Path],
    *,
    encryption: "UserKeys | None" = None,
    convert: bool = False,
    passphrase: str | bytes | None = None,
) -> "ShardedStore":
    """Open several stores as one, each user's rows in one of them.

    Args:
        addresses: Paths for `store`, by the names of the shards; those of a list are called `0`,
            `1`, and so on, so its order stays, and what is new comes last.
        encryption: Keys of all shards.
        convert: Whether plain stores are sealed now.
        passphrase: Of all shards, where they are files.

    Raises:
        ConfigError: A shard is missing, or belongs to another memory.
        StoreUnavailableError: No shard can be opened, or not all of a new set.
    """
    from prefmem.stores.sharded import ShardedStore

    if not isinstance(addresses, Mapping):
        addresses = {str(number): address for number, address in enumerate(addresses)}
    given: dict[str, Any] = {"encryption": encryption, "convert": convert, "passphrase": passphrase}
    makers = {name: partial(store, address, **given) for name, address in addresses.items()}
    return ShardedStore(cast("Mapping[str, Callable[[], RowStore]]", makers))


def is_dsn(path: str | Path) -> bool:
    """Whether a path names a PostgreSQL database."""
    return isinstance(path, str) and path.startswith(("postgresql://", "postgres://"))
