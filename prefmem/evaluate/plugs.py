"""The product's default parts in the shapes that outside benchmark runners call.

A runner that imports these measures what ships: the packaged weights, the default ranking, the
default extractor with the checks of `learn`.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from prefmem import defaults
from prefmem.config import Config
from prefmem.extract.windows import read_windows
from prefmem.ids import user_turn_keys
from prefmem.messages import to_turns
from prefmem.protocols import Embedder, Extractor
from prefmem.types import Preference, Window


def score(cards: list[str], queries: list[str]) -> npt.NDArray[np.float32]:
    """Give the default ranking's relevance of every card for every query, (q, c), in [0, 1]."""
    embedder = _embedder()
    cosines = embedder.embed(queries) @ embedder.embed(cards).T  # (q, e) @ (e, c) -> (q, c)
    return np.stack([embedder.relevance(row) for row in cosines])


def extract(windows: list[list[dict[str, str]]]) -> list[list[dict[str, object]]]:
    """Give what `learn` would store from each window of {"role", "content"} messages."""
    return [[_record(p) for p in extract_one(window)] for window in windows]


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


@cache
def _embedder() -> Embedder:
    return defaults.embedder()


@cache
def _extractor() -> Extractor:
    return defaults.extractor(Config())
