"""Deterministic fakes and contract checks, for prefmem's tests and for yours."""

from prefmem.testing.contracts import check_embedder, check_extractor, check_reranker, check_store
from prefmem.testing.fakes import (
    Clock,
    Counter,
    HashEmbedder,
    PhraseExtractor,
    ScriptedAgent,
    TableRelater,
    WordJudge,
)

__all__ = [
    "Clock",
    "Counter",
    "HashEmbedder",
    "PhraseExtractor",
    "ScriptedAgent",
    "TableRelater",
    "WordJudge",
    "check_embedder",
    "check_extractor",
    "check_reranker",
    "check_store",
]
