"""Whole phrases from tagged words: where one starts is mostly sure, where it ends less so."""

import re
from collections.abc import Sequence
from dataclasses import replace

from prefmem.extract.grammar import (
    AGAINST,
    BOUNDARY,
    EXCLUSIVE,
    FOR,
    HABIT,
    INSTEAD,
    LINK,
    LIST_GAP,
    NOT_TO,
    OBJECT_LEAD,
    OPEN_END,
    OWN_ORDER,
    REASON,
    RELATIVE,
    SENTENCE_END,
)
from prefmem.models.tagger import TaggedSpan, TaggedTurn

_LONGEST, _MOST_WORDS = 220, 16
_CUE_WEIGHT = 3.0  # log-odds that a verb of liking or disliking adds to the tagger's
_NEAR_CUE_WEIGHT = 8.0  # the same, right before the thing
_NEAR_WORDS = 4


def actions(text: str, tagged: TaggedTurn) -> tuple[TaggedSpan, ...]:
    """Give the action spans of a turn, joined and completed.

    Neighbours of one polarity that are parts of one list or phrase become one span. The object of a
    liking ("I only use devices ...") and an order run on to the end of their clause, or to the next
    condition or action; a thing that is its clause's subject ("chain hotels give me hives") ends
    where the tagger says. A verb of liking or disliking before the thing counts for its polarity.
    """
    spans = [_leaning(text, _whole(text, s)) for s in tagged.spans if s.label == "action"]
    when = [s.start for s in tagged.spans if s.label == "condition"]
    joined: list[TaggedSpan] = []
    for span in spans:
        apart = joined and any(joined[-1].stop <= place <= span.start for place in when)
        if joined and not apart and _one_phrase(text, joined[-1], span):
            joined[-1] = _union(joined[-1], span)
        else:
            joined.append(span)
    joined = _other_sides(text, joined, tagged.evidence)
    starts = when + [s.start for s in joined]
    done = [_against_what(text, _completed(text, span, starts), starts) for span in joined]
    done = _apart(done)
    return tuple(
        s for s in done if len(done) == 1 or not REASON.search(text[max(0, s.start - 60) : s.start])
    )


def _apart(spans: Sequence[TaggedSpan]) -> list[TaggedSpan]:
    """Keep one of spans that share words: the longest, as what is shared is said once."""
    kept: list[TaggedSpan] = []
    for span in sorted(spans, key=lambda s: s.start - s.stop):
        if all(span.stop <= other.start or other.stop <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)


def condition(text: str, span: TaggedSpan, tagged: TaggedTurn) -> TaggedSpan:
    """Complete a condition span up to the next boundary or action."""
    starts = [s.start for s in tagged.spans]
    return replace(span, stop=_clause_end(text, span, starts, words=5))


def _other_sides(
    text: str, spans: Sequence[TaggedSpan], evidence: Sequence[tuple[int, int]]
) -> list[TaggedSpan]:
    """Add the side of a taste that the tagger passed over: X in "I dislike X and prefer Y".

    Its verb must lie in the evidence and have no action of its own.
    """
    found: list[TaggedSpan] = []
    before = 0
    for span in spans:
        begin = _clause_start(text, span.start)
        far = max(before, begin - _LONGEST)
        sentence = max([far, *(m.end() for m in SENTENCE_END.finditer(text, far, begin))])
        against = [m.span() for m in AGAINST.finditer(text, sentence, begin)]
        if against and span.avoid <= 0 and any(a <= against[-1][0] < b for a, b in evidence):
            start = against[-1][1]
            link = LINK.match(text, start)
            start = link.end() if link else start
            if start < begin:
                stop = start + len(text[start:begin].split(maxsplit=1)[0])
                found.append(replace(span, start=start, stop=stop, avoid=_NEAR_CUE_WEIGHT))
        found.append(span)
        before = span.stop
    return found


def _whole(text: str, span: TaggedSpan) -> TaggedSpan:
    """Move the ends of a span to those of its words, hyphens and apostrophes included."""
    start, stop = span.start, span.stop
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "-'’"):
        start -= 1
    while stop < len(text) and (
        text[stop].isalnum() or (text[stop] in "-'’" and text[stop + 1 : stop + 2].isalnum())
    ):
        stop += 1
    return replace(span, start=start, stop=stop)


def _leaning(text: str, span: TaggedSpan) -> TaggedSpan:
    """Let the verb of liking before a thing speak for its polarity and its start."""
    begin = _clause_start(text, span.start)
    turned = NOT_TO.match(text, span.start)
    if turned and re.search(r"\b(?:prefer|rather)\s+$", text[begin : span.start], re.I):
        stop = max(span.stop, turned.end())
        return replace(span, start=turned.end(), stop=stop, avoid=span.avoid + _NEAR_CUE_WEIGHT)
    lead = text[begin : span.start]
    against = [m.span() for m in AGAINST.finditer(lead)]
    masked = list(lead)
    for start, stop in against:
        masked[start:stop] = "#" * (stop - start)
    liked = [m.span() for m in FOR.finditer("".join(masked))]
    if not against and not liked:
        return span
    last = max([*against, *liked], key=lambda m: m[1])
    between = lead[last[1] :]
    near = len(between.split()) <= _NEAR_WORDS
    weight = _NEAR_CUE_WEIGHT if near else _CUE_WEIGHT
    avoid = span.avoid + (weight if last in against else -weight)
    if near and not OWN_ORDER.match(text[span.start : span.stop]):
        link = LINK.match(between)
        return replace(span, avoid=avoid, start=begin + last[1] + (link.end() if link else 0))
    return replace(span, avoid=avoid)


def _one_phrase(text: str, a: TaggedSpan, b: TaggedSpan) -> bool:
    gap = text[a.stop : b.start]
    if b.start <= a.stop:
        return True
    first, second = text[a.start : a.stop], text[b.start : b.stop]
    if re.fullmatch(r",\s*", gap) and len(first.split()) == 1 and not OWN_ORDER.match(second):
        return True  # two adjectives: "modern, minimalist designs"
    if re.search(r"[.;:!?\n]", gap) or (a.avoid > 0) != (b.avoid > 0):
        return False
    if OPEN_END.search(first) or re.fullmatch(r"\s+(?:that|who)(?:\s+\w+)*\s+", gap):
        return len(gap.split()) <= 6
    return (
        LIST_GAP.match(gap) is not None
        and OWN_ORDER.match(second) is None
        and not ("," in gap and OWN_ORDER.match(first))
    )


def contrast(text: str, a: TaggedSpan, b: TaggedSpan) -> bool:
    """Whether two actions are the two sides of one taste: "I dislike X and prefer Y".

    That is so for two bare things of opposite polarity in one sentence, with a verb of liking or
    disliking before each.
    """
    between = text[a.stop : b.start]
    first = text[_clause_start(text, a.start) : a.start]
    return (
        (a.avoid > 0) != (b.avoid > 0)
        and len(between.split()) <= _NEAR_WORDS + 1
        and not re.search(r"[.!?\n:()]", between)
        and bool(FOR.search(between) or AGAINST.search(between))
        and bool(FOR.search(first) or AGAINST.search(first))
    )


def is_exclusive(text: str, span: TaggedSpan) -> bool:
    """Whether the user said "only" of a thing: "I only buy ..."."""
    lead = text[_clause_start(text, span.start) : span.start]
    return EXCLUSIVE.search(lead) is not None


def _union(a: TaggedSpan, b: TaggedSpan) -> TaggedSpan:
    return replace(
        a if a.score >= b.score else b,
        start=a.start,
        stop=b.stop,
        avoid=(a.avoid + b.avoid) / 2,
        everywhere=max(a.everywhere, b.everywhere),
    )


def _completed(text: str, span: TaggedSpan, starts: Sequence[int]) -> TaggedSpan:
    begin = _clause_start(text, span.start)
    relative = RELATIVE.search(text[begin : span.start])
    if relative and not FOR.search(relative[1]) and not AGAINST.search(relative[1]):
        span = replace(span, start=begin + relative.start(1))
    said = text[span.start : span.stop]
    runs_on = (
        OBJECT_LEAD.search(text[begin : span.start])
        or OWN_ORDER.match(said)
        or OPEN_END.search(said)
    )
    if not runs_on:
        return span
    habit = HABIT.search(text[begin : span.start])
    if habit and span.avoid <= 0 and not is_exclusive(text, span):
        span = replace(span, start=begin + habit.start())
    return replace(span, stop=_clause_end(text, span, starts, _MOST_WORDS))


def _against_what(text: str, span: TaggedSpan, starts: Sequence[int]) -> TaggedSpan:
    """Take in what a thing is preferred to: "tables rather than bullet points"."""
    other = INSTEAD.match(text, span.stop) if span.avoid <= 0 else None
    if other is None or any(span.stop <= start < other.end() for start in starts):
        return span
    beyond = replace(span, stop=other.end())
    return replace(span, stop=_clause_end(text, beyond, starts, _MOST_WORDS + 8))


def _clause_start(text: str, place: int) -> int:
    """Find where the clause of a place begins."""
    first = max(0, place - _LONGEST)
    ends = [m.end() for m in BOUNDARY.finditer(text, first, place)]
    starts = [
        m.start() for m in re.finditer(r"(?<=\band )(?:i|prefer|avoid)\b", text[first:place], re.I)
    ]
    return max([first, *ends, *(first + s for s in starts)])


def _clause_end(text: str, span: TaggedSpan, starts: Sequence[int], words: int) -> int:
    """Find the boundary, condition or action after a span; its own end if that is too far."""
    limit = min((s for s in starts if s >= span.stop and s > span.start), default=len(text))
    limit = min(limit, span.start + _LONGEST)
    boundary = BOUNDARY.search(text, span.stop, limit)
    rest = text[span.stop : boundary.start() if boundary else limit].rstrip(" ,\t")
    if len(rest.split()) > words:
        return span.stop
    rest = re.sub(r"\s+(?:and|or|the|a|an)$", "", rest, flags=re.I)
    return span.stop + len(rest)
