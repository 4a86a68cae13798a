"""The product's default parts in the shapes that outside benchmark runners call.

A runner that imports these measures what ships: the packaged weights, the default ranking, the
default extractor with the checks of `learn`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from prefmem import defaults
from prefmem.config import Config
from prefmem.evaluate.histories import HistorySystem
from prefmem.extract.windows import read_windows
from prefmem.ids import user_turn_keys
from prefmem.memory import PreferenceMemory
from prefmem.messages import to_turns
from prefmem.protocols import Embedder, Extractor
from prefmem.retrieve.rerank import Reranking
from prefmem.train.risk import Apart
from prefmem.types import (
    Candidate,
    Card,
    Matrix,
    Polarity,
    Preference,
    ScopeKind,
    Vector,
    Window,
)


def score(cards: list[str], queries: list[str]) -> npt.NDArray[np.float32]:
    """Give the default ranking's relevance of every card for every query, (q, c), in [0, 1].

    As in a recall, the nearest cards are reranked and the others keep what their cosine says.
    """
    embedder, reranking = _embedder(), _reranking()
    rows = embedder.embed(cards)
    cosines = embedder.embed(queries) @ rows.T  # (q, e) @ (e, c) -> (q, c)
    dense = np.stack([embedder.relevance(row) for row in cosines])
    if reranking is None:
        return dense
    for query, row, cosine in zip(queries, dense, cosines, strict=True):
        found = reranking(query, _candidates(cards, rows, cosine, row))
        row[[int(c.card.id) for c in found]] = [c.relevance for c in found]
    return dense


def select(user: Mapping[str, Any], query: Mapping[str, str]) -> list[str]:
    """Give the ids of the rules that a memory with default parts injects, in order.

    Args:
        user: Has `rules`, each with `id`, `condition`, `action`, `polarity`, and `scope`: `global`
            or `conditional`.
        query: Has `q`, and `context` for a follow-up.
    """
    memory, names = _memory_of(_hashable(user["rules"]))
    found = memory.recall(query["q"], user_id="u", context=query.get("context") or "", strict=True)
    return [names[rule.card_ids[0]] for rule in found.rules]


def extract(windows: list[list[dict[str, str]]]) -> list[list[dict[str, object]]]:
    """Give what `learn` would store from each window of {"role", "content"} messages."""
    return [[_record(p) for p in extract_one(window)] for window in windows]


def history_system() -> HistorySystem:
    """Make a memory that lives through the dated sessions of one user."""
    return HistorySystem()


def judge(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judge follow-ups as `learn` does: satisfaction, restates, rejects, command, topic_shift."""
    from prefmem.evaluate.followups import judge as judged

    return judged(rows)


def learner(items: Sequence[Mapping[str, str]], context: str) -> list[str]:
    """Give the rules that `learn_from_edit` has learned from edits, for one more context."""
    from prefmem.evaluate.edits import learner as learned

    return learned(items, context)


def extract_one(messages: Sequence[Mapping[str, object]]) -> tuple[Preference, ...]:
    """Extract from one window as `learn` does, the check of the evidence included."""
    config = Config()
    turns = to_turns(messages, max_chars=config.max_turn_chars)
    keys = user_turn_keys(turns, "")
    (found,) = read_windows(_extractor(), [(Window("", "", turns), list(keys))], config=config)
    return found


def _record(preference: Preference) -> dict[str, object]:
    everywhere = preference.scope.kind == "global"
    return {
        "condition": preference.condition or ("general" if everywhere else ""),
        "action": preference.action,
        "polarity": preference.polarity,
        "confidence": preference.confidence,
        "evidence": preference.evidence[0].quote,
    }


def _candidates(
    cards: Sequence[str], rows: Matrix, cosines: Vector, relevance: Vector
) -> list[Candidate]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Candidate(
            Card(str(i), "u", Preference("", text), "active", "said", "", at, at), rows[i],
            float(cosines[i]), float(relevance[i]),
        )
        for i, text in enumerate(cards)
    ]  # fmt: skip


def _hashable(rules: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], ...]:
    names = ("id", "condition", "action", "polarity", "scope")
    return tuple(tuple(str(rule[name]) for name in names) for rule in rules)


@lru_cache(maxsize=8)
def _memory_of(rules: tuple[tuple[str, ...], ...]) -> tuple[PreferenceMemory, dict[str, str]]:
    """Make a memory of rules as they are, with the rule's id for each card's."""
    memory = PreferenceMemory(":memory:", relater=Apart())
    names: dict[str, str] = {}
    for name, condition, action, polarity, scope in rules:
        everywhere = scope == "global"
        card = memory.add(
            "" if everywhere else condition, action, user_id="u",
            polarity=cast(Polarity, polarity), scope=cast(ScopeKind, scope),
        )  # fmt: skip
        names[card.id] = name
    return memory, names


@cache
def _reranking() -> Reranking | None:
    config = Config()
    reranker = defaults.reranker(config)
    return None if reranker is None else Reranking(reranker, most=config.rerank_candidates)


@cache
def _embedder() -> Embedder:
    return defaults.embedder()


@cache
def _extractor() -> Extractor:
    return defaults.extractor(Config())
