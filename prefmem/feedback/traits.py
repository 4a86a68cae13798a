"""Traits of a follow-up that are worked out: cues, similarities, shape, a bag of words."""

import re
import zlib
from collections import Counter
from itertools import pairwise

import numpy as np

from prefmem.feedback.cues import Cues
from prefmem.interaction import Followup
from prefmem.types import Matrix, Vector

WORDS = 2048  # places of the bag of words
TURN = 19
RULE = 26
_TOKENS = re.compile(r"[^\W\d_\u3040-\u9fff]+(?:'[a-z]+)?|[\u3040-\u9fff]|[?!]|\d+")
_STEM = 5  # letters by which words of rule and turn are compared
_MOST_CHARS = 2_000


def turn_traits(followup: Followup, found: Cues, to_reply: float) -> Vector:
    """Describe a turn, (19,).

    Args:
        followup: The turn.
        found: Its cues.
        to_reply: Cosine of the turn with the reply.
    """
    text, reply = followup.text, followup.reply.rstrip()
    shown = followup.cosines[followup.shown]
    others = followup.cosines[~followup.shown]
    letters = max(1, sum(c.isalpha() for c in text))
    return np.array(
        [
            found.positive, found.negative, found.rejection, found.repetition,
            found.positive * found.negative, followup.similarity, to_reply,
            shown.max(initial=0.0), others.max(initial=0.0), followup.shown.any(),
            min(len(text), 600) / 100, "?" in text, text.rstrip().endswith(("?", "？")),
            "!" in text, reply.endswith(("?", "？")), "..." in text or "…" in text,
            sum(c.isupper() for c in text) / letters, "\n" in text, any(c.isdigit() for c in text),
        ],
        dtype=np.float32,
    )  # fmt: skip


def rule_traits(followup: Followup, found: Cues) -> Matrix:
    """Describe each rule beside the turn, (j, 26)."""
    best, shown = followup.cosines.astype(np.float64), followup.shown.astype(np.float64)
    ranks = np.argsort(np.argsort(-best, kind="stable"), kind="stable")
    beaten = np.array([np.delete(best, i).max(initial=0.0) for i in range(len(best))])
    said = _stems(followup.text)
    asked = followup.to_query.astype(np.float64)
    fits = np.array([np.delete(asked, i).max(initial=0.0) for i in range(len(asked))])
    shared = np.array([_shared(said, _stems(rule)) for rule in followup.rules])
    every = np.ones(len(best))
    columns = (
        best, best - beaten, ranks == 0, ranks == 1, shared, shown, every * shown.max(initial=0.0),
        every * found.positive, every * found.negative, every * found.rejection,
        every * found.repetition, best * found.positive, best * found.negative,
        best * found.repetition, shown * best, shown * found.negative, shown * found.rejection,
        (1 - shown) * found.negative, (1 - shown) * found.repetition, shown * (ranks == 0),
        asked, asked - fits, best - asked, shown * asked, (1 - shown) * asked,
        asked * found.negative,
    )  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


def bag(text: str) -> Vector:
    """Hash words and pairs of words, (2048,): unit length, each count as 1 + its logarithm."""
    tokens = _TOKENS.findall(text[:_MOST_CHARS].lower().replace("\u2019", "'"))
    terms = Counter([*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))])
    row = np.zeros(WORDS, dtype=np.float32)
    for term, count in terms.items():
        row[zlib.crc32(term.encode()) % WORDS] += 1 + np.log(count)
    return row / max(float(np.linalg.norm(row)), 1e-9)


def _stems(text: str) -> frozenset[str]:
    words = _TOKENS.findall(text[:_MOST_CHARS].lower())
    return frozenset(w[:_STEM] for w in words if len(w) > 2 or w > "\u3040")


def _shared(said: frozenset[str], rule: frozenset[str]) -> float:
    share: float = len(said & rule) / (1 + len(rule)) ** 0.5
    return share
