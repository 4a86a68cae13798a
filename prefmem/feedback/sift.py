"""Of the rules that edits bear out, those that say something of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prefmem.feedback.evidence import Verdict
from prefmem.feedback.measure import Vote
from prefmem.feedback.passage import words
from prefmem.feedback.wordlists import stop_words

_UNTOLD = 0.2  # share of a draft that is gone without another reason, from which brevity is one
_COVERED = 0.7  # share of what a rule leaves out that others leave out, from which it is theirs
_KINDS = frozenset({"gone", "new", "swap"})


@dataclass(frozen=True, slots=True)
class Extent:
    """How much one edit took away.

    Attributes:
        words: Words of the final.
        gone: 1 for each character of the draft that was changed, else 0.
    """

    words: int
    gone: bytes


def sift(verdicts: Sequence[Verdict], extents: Sequence[Extent]) -> list[Verdict]:
    """Keep of the rules that one change would explain the one that explains it best."""
    kept: list[Verdict] = []
    taken: set[str] = set()
    for verdict in sorted(verdicts, key=_strength, reverse=True):
        groups = set(verdict.wish.groups.split())
        if not groups & taken:
            kept.append(verdict)
            taken |= groups
    while kept:
        share, at = max((_covered(v, kept), i) for i, v in enumerate(kept))
        if share <= _COVERED:
            break
        kept.pop(at)
    return _without_side_effects(kept, extents)


def unexplained(votes: Mapping[int, Vote], verdicts: Sequence[Verdict]) -> dict[int, Vote]:
    """Leave out what was changed of a phrase for the sake of a rule that is found already."""
    found: dict[int, Vote] = {}
    for n, vote in votes.items():
        others = [other for v in verdicts if (other := v.votes.get(n)) and other.moved]
        spans = [span for other in others for span in other.explains]
        if not _within(vote, others) and not any(
            a < d and c < b for a, b in vote.explains for c, d in spans
        ):
            found[n] = vote
    return found


def is_repeated(votes: Mapping[int, Vote]) -> bool:
    """Whether enough edits changed a phrase: a word may go twice by chance."""
    moved = [vote for vote in votes.values() if vote.moved]
    if not moved:
        return False
    kind, phrase = moved[0].wish.name.split(":", 1)
    if kind == "swap":
        return len(moved) > 1
    return len(moved) > (2 if " " in phrase else 3)


def maximal(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Keep of phrases that share words the one that more edits bear out, then the longer."""
    kept: list[Verdict] = []
    taken: set[str] = set()
    for verdict in sorted(verdicts, key=lambda v: (-len(v.moved), -v.sure, -len(v.wish.action))):
        mine = set(words(verdict.wish.name)) - stop_words() - _KINDS
        if not mine & taken:
            kept.append(verdict)
            taken |= mine
    return kept


def _strength(verdict: Verdict) -> tuple[float, float, int, bool]:
    moved = [verdict.votes[n] for n in verdict.moved]
    explained = sum(b - a for vote in moved for a, b in vote.explains)
    special = verdict.wish.name.startswith(("lead:", "tail:"))
    return round(verdict.sure, 3), sum(vote.weight for vote in moved), explained, special


def _covered(verdict: Verdict, kept: Sequence[Verdict]) -> float:
    """Give the share of what a rule leaves out that others leave out, too."""
    mine = covered = 0
    for n in verdict.moved:
        votes = (v.votes.get(n) for v in kept if v is not verdict)
        spans = [span for vote in votes if vote for span in vote.explains]
        for a, b in verdict.votes[n].explains:
            mine += 1
            covered += any(c <= a and b <= d for c, d in spans)
    return covered / mine if mine else 0.0


def _without_side_effects(verdicts: list[Verdict], extents: Sequence[Extent]) -> list[Verdict]:
    """Leave out brevity where other rules account for what is gone; put both kinds of it in one."""
    by_name = {v.wish.name: v for v in verdicts}
    short, brief = by_name.get("length:short"), by_name.get("sentences:short")
    if short is None:
        return verdicts
    others = [v for v in verdicts if v is not short]
    left = [_left(extents[n].gone, n, others) for n in short.moved]
    if sum(share > _UNTOLD for share in left) <= len(left) / 2:
        return others
    if brief is None:
        return verdicts
    both = replace(short.wish, action="Keep it short{limit}, in short sentences.")
    return [replace(v, wish=both) if v is short else v for v in verdicts if v is not brief]


def _left(gone: bytes, n: int, verdicts: Sequence[Verdict]) -> float:
    """Give the share of a draft that is gone and that no rule accounts for."""
    rest = bytearray(gone)
    for verdict in verdicts:
        vote = verdict.votes.get(n)
        for start, end in vote.explains if vote else ():
            rest[start:end] = bytes(end - start)
    return sum(rest) / max(len(rest), 1)


def _within(vote: Vote, others: Sequence[Vote]) -> bool:
    """Whether a phrase was put in as part of a sentence that another rule asks for."""
    if not vote.wish.name.startswith("new:") or not vote.evidence:
        return False
    return any(
        vote.evidence in other.evidence
        for other in others
        if other.explains
        or other.wish.name.startswith(("lead:", "tail:"))
        or ":add" in other.wish.name
    )
