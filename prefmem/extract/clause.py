"""Whole phrases from tagged words: where one starts is sure, where it ends less so."""

import re
from collections.abc import Sequence
from dataclasses import replace

from prefmem.models.tagger import TaggedSpan, TaggedTurn

_BOUNDARY = re.compile(
    r"""
    [.,;:!?\n()—–] | \s-\s
    | \s(?:because|since|but|so|although|though|while|whereas|unless|otherwise|which|when|whenever
        |if|until|thanks|please|cheers|over|rather\ than|instead\ of)\b
    | \s(?:and|or)\s+(?:\w+ly\s+)?(?:i|i'm|i'd|i've|we|it|it's|that|they|he|she|prefer|avoid|love
        |like|enjoy|hate|dislike|favou?r|tend|try|always|never|don't|do\ not|no|not|only|would
        |can't|cannot)\b
    """,
    re.I | re.X,
)
# Words after which a phrase cannot end, and words with which it goes on.
_OPEN_END = re.compile(
    r"(?:\b(?:a|an|the|any|some|my|your|our|their|his|her|of|to|for|with|without|in|on|at|from|by|about|and|or|"
    r"other|use|eat|offer|include|watch|read|be|being|have|having)|\w{2,}ing)$",
    re.I,
)
_GOES_ON = re.compile(
    r"\s+(?:that|who|with|without|in|on|at|of|for|to|from|about|under|by|like|near|around|into|"
    r"between|per|as)\b",
    re.I,
)
_LIST_GAP = re.compile(
    r"^(?:\s*,\s*(?:and|or)?|\s+(?:and|or|&)|\s*/)?\s*$|^\s+(?:[\w'-]+\s+){0,2}$", re.I
)
_OWN_ORDER = re.compile(
    r"^(?:no|not|never|don'?t|do not|always|only|skip|avoid|stop|keep|use|put|give|write|make|drop|"
    r"leave)\b",
    re.I,
)
_LONGEST = 200


def actions(text: str, tagged: TaggedTurn) -> tuple[TaggedSpan, ...]:
    """Give the action spans of a turn, joined and completed.

    Neighbours of one polarity that are parts of one list or phrase become one span. A phrase that
    breaks off ("using", "devices" before "that are compatible with ...") runs on to the next clause
    boundary, condition or action.
    """
    joined: list[TaggedSpan] = []
    for span in (s for s in tagged.spans if s.label == "action"):
        if joined and _one_phrase(text, joined[-1], span):
            joined[-1] = _union(joined[-1], span)
        else:
            joined.append(span)
    starts = [s.start for s in tagged.spans]
    return tuple(
        replace(s, stop=_end(text, s, starts, _is_open(text, s.stop, s.start))) for s in joined
    )


def conditions(text: str, tagged: TaggedTurn) -> tuple[TaggedSpan, ...]:
    """Give the condition spans of a turn, each up to the next boundary or action."""
    starts = [s.start for s in tagged.spans]
    return tuple(
        replace(s, stop=_end(text, s, starts, open_=True, words=5))
        for s in tagged.spans
        if s.label == "condition"
    )


def _one_phrase(text: str, a: TaggedSpan, b: TaggedSpan) -> bool:
    gap = text[a.stop : b.start]
    return (
        (a.avoid > 0) == (b.avoid > 0)
        and _LIST_GAP.match(gap) is not None
        and not re.search(r"[.;:!?\n]", gap)
        and _OWN_ORDER.match(text[b.start : b.stop]) is None
        and not ("," in gap and _OWN_ORDER.match(text[a.start : a.stop]))
    )


def _union(a: TaggedSpan, b: TaggedSpan) -> TaggedSpan:
    return TaggedSpan(
        "action", a.start, b.stop, max(a.score, b.score), (a.avoid + b.avoid) / 2,
        max(a.everywhere, b.everywhere),
    )  # fmt: skip


def _is_open(text: str, stop: int, start: int) -> bool:
    return bool(_OPEN_END.search(text[start:stop]) or _GOES_ON.match(text[stop:]))


def _end(text: str, span: TaggedSpan, starts: Sequence[int], open_: bool, words: int = 12) -> int:
    """Find where a span really ends: where it does, or at the boundary after an open end."""
    if not open_:
        return span.stop
    limit = min((s for s in starts if s >= span.stop), default=len(text))
    limit = min(limit, span.start + _LONGEST)
    boundary = _BOUNDARY.search(text, span.stop, limit)
    rest = text[span.stop : boundary.start() if boundary else limit].rstrip()
    if len(rest.split()) > words:
        return span.stop
    return span.stop + len(rest)
