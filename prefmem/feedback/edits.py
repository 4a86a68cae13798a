"""Style rules from what a user changes in drafts, without a model.

As in CIPHER (arXiv:2404.15269), what was learned in similar contexts is put together; as in PROSE
(arXiv:2505.23815), a rule has to bear out on the other texts of the user. A rule is proposed when
several edits change towards it and the finals keep to it; facts never enter one.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefmem.errors import InputError
from prefmem.feedback.align import distance, tokenise
from prefmem.feedback.aligned import Edit
from prefmem.feedback.evidence import Nearness, Verdict, judge
from prefmem.feedback.features import features
from prefmem.feedback.measure import Vote
from prefmem.feedback.passage import MAX_CHARS, passage, words
from prefmem.feedback.phrases import Phrases, phrase_votes, phrases
from prefmem.feedback.sift import Extent, is_repeated, maximal, sift, unexplained
from prefmem.feedback.wordlists import stop_words
from prefmem.types import Polarity

MOST_RULES = 12
_MOST_EDITS = 64  # nearest edits that are put together
_MOST_PHRASES = 3  # rules about single words and phrases
_QUOTES = 3  # spans of finals that are shown for a rule
_ALIKE = 0.5  # share of words from which two contexts name one kind of text
# Rules with words of the user's texts in them; the others' words are all our own.
_QUOTING = re.compile(r"(?:swap|gone|new):(.+)")


@dataclass(frozen=True, slots=True)
class EditPair:
    """What a user was shown, and what the user made of it.

    Attributes:
        context: What kind of text it is and what for, in free words, such as "a mail to a
            customer"; empty when unknown.
        draft: The text that was shown.
        final: The text as the user left it.
    """

    context: str
    draft: str
    final: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What an edit took.

    Attributes:
        tokens: Token Levenshtein distance: words, numbers, marks and line breaks put in, left out
            or replaced.
        share: The same as a share of the longer text, in [0, 1].
    """

    tokens: int
    share: float


@dataclass(frozen=True, slots=True)
class Induced:
    """A rule that edits bear out.

    Attributes:
        condition: Kind of text that it holds for, as it would follow "When"; empty where it held in
            every text.
        action: The rule in plain words, an instruction that can stand alone.
        polarity: `avoid` when it keeps away from something.
        confidence: Lower bound of the share of texts that it holds for, in [0, 1].
        evidence: Verbatim spans of finals.
    """

    condition: str
    action: str
    polarity: Polarity
    confidence: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """One edit as measured; it may be kept instead of being measured again.

    Attributes:
        context: Of the edit.
        votes: What it says of each rule, by the rule's name.
        phrases: The words that it changed.
        facts: Numbers and names of draft and final.
        extent: How much it took away.
    """

    context: str
    votes: Mapping[str, Vote]
    phrases: Phrases
    facts: frozenset[str]
    extent: Extent


def cost(draft: str, final: str) -> Cost:
    """Count what it takes to make the final of the draft."""
    before, after = ([t.text for t in tokenise(text)] for text in (draft, final))
    tokens = distance(before, after)
    return Cost(tokens, tokens / max(len(before), len(after), 1))


class FeatureInducer:
    """Finds style rules by measured features and repeated words; needs no model."""

    def observe(self, pair: EditPair) -> Observed:
        """Measure one edit.

        Raises:
            InputError: A text is empty or too long.
        """
        checked(pair)
        edit = Edit(passage(pair.draft), passage(pair.final))
        votes = {vote.wish.name: vote for feature in features() for vote in feature.votes(edit)}
        facts = edit.draft.facts | edit.final.facts
        extent = Extent(len(words(edit.final.text)), edit.gone)
        return Observed(pair.context, votes, phrases(edit), facts, extent)

    def combine(self, observed: Sequence[Observed], context: str) -> tuple[Induced, ...]:
        """Propose the rules that hold for a context, the surest first, at most 12.

        Args:
            observed: Measured edits, oldest first.
            context: What is to be written; empty for any text.
        """
        if not observed:
            return ()
        observed, near = _nearest(observed, context)
        plain = sift(judge(_votes_by_rule(observed), near), [o.extent for o in observed])
        changed = phrase_votes([o.phrases for o in observed])
        left = (unexplained(votes, plain) for votes in changed)
        phrased = maximal(judge([votes for votes in left if is_repeated(votes)], near))
        found = sorted((*plain, *phrased[:_MOST_PHRASES]), key=lambda v: -v.sure)
        facts = frozenset(f.lower() for o in observed for f in o.facts)
        rules = (_induced(verdict, observed, context, facts) for verdict in found)
        return tuple(rule for rule in rules if rule is not None)[:MOST_RULES]

    def learned(self, earlier: Sequence[EditPair], edit: EditPair) -> tuple[Induced, ...]:
        """Give the rules that hold with an edit and did not without it, for its context.

        A rule with another limit of words is the same rule.

        Raises:
            InputError: A text is empty or too long.
        """
        new, old = self.observe(edit), [self.observe(pair) for pair in earlier]
        before = {_unlimited(rule.action) for rule in self.combine(old, edit.context)}
        found = self.combine([*old, new], edit.context)
        return tuple(rule for rule in found if _unlimited(rule.action) not in before)


def induce(pairs: Sequence[EditPair], context: str) -> tuple[Induced, ...]:
    """Propose the rules that a user's edits bear out for a context; see `FeatureInducer`.

    Raises:
        InputError: A text is empty or too long.
    """
    inducer = FeatureInducer()
    return inducer.combine([inducer.observe(p) for p in pairs], context)


def shared_words(contexts: Sequence[str], context: str) -> list[float]:
    """Give the share of words that contexts have in common with one, each in [0, 1].

    A word that several contexts hold names a kind of text and counts more than a topic.
    """
    held = [_kind_words(c) for c in contexts]
    counts = Counter(w for found in set(held) for w in found)
    mine = _kind_words(context)

    def size(found: frozenset[str]) -> float:
        return sum(1.0 if counts[w] > 1 else 0.25 for w in found)

    return [
        size(mine & found) / (size(mine) * size(found)) ** 0.5 if mine and found else 0.0
        for found in held
    ]


def kind_of(contexts: Sequence[str], context: str) -> str:
    """Name the kind of text, as it would follow "When", if all contexts are of that of one."""
    alike = bool(context.strip()) and min(shared_words(contexts, context)) >= _ALIKE
    return f"writing {context.strip()}" if alike else ""


def checked(pair: EditPair) -> None:
    """Refuse an edit that nothing can be learned from.

    Raises:
        InputError: A text is empty or too long.
    """
    if not pair.final.strip() or not pair.draft.strip():
        raise InputError(
            f"draft={pair.draft[:20]!r}, final={pair.final[:20]!r}: nothing can be learned from an "
            "empty text; pass the draft as it was shown and the final as the user left it"
        )
    longest = max(len(pair.draft), len(pair.final))
    if longest > MAX_CHARS:
        raise InputError(
            f"a text of {longest!r} characters; at most {MAX_CHARS!r} are read, pass a part of it"
        )


def _unlimited(action: str) -> str:
    return re.sub(r", under \d+ words", "", action)


def _nearest(observed: Sequence[Observed], context: str) -> tuple[list[Observed], Nearness]:
    """Choose the edits whose contexts are nearest, and compare these with each other."""
    if not context.strip():
        chosen = list(observed[-_MOST_EDITS:])
        return chosen, Nearness(np.ones(len(chosen)), np.ones((len(chosen), len(chosen))))
    here = np.array(shared_words([o.context for o in observed], context))
    order = sorted(range(len(observed)), key=lambda i: (-here[i], -i))[:_MOST_EDITS]
    order.sort()
    chosen = [observed[i] for i in order]
    contexts = [o.context for o in chosen]
    rows = {c: np.array(shared_words(contexts, c)) for c in dict.fromkeys(contexts)}
    return chosen, Nearness(here[order], np.stack([rows[c] for c in contexts]))


def _votes_by_rule(observed: Sequence[Observed]) -> list[dict[int, Vote]]:
    """Give the votes of each edit by rule; in a family the follower of another rule is against."""
    by_name: dict[str, dict[int, Vote]] = {}
    families: dict[str, dict[int, str]] = {}
    for i, one in enumerate(observed):
        for name, vote in one.votes.items():
            if vote.wish.action:
                by_name.setdefault(name, {})[i] = vote
            if vote.wish.family:
                families.setdefault(vote.wish.family, {})[i] = name
    for name, votes in by_name.items():
        wish = next(iter(votes.values())).wish
        for i, other in families.get(wish.family, {}).items():
            if other != name:
                votes[i] = Vote(wish, -1.0)
    return list(by_name.values())


def _induced(
    verdict: Verdict, observed: Sequence[Observed], context: str, facts: frozenset[str]
) -> Induced | None:
    """Word a rule; None when it would carry a fact of the texts."""
    most = max(observed[n].extent.words for n in verdict.moved)
    limit = str(-(-most // 10) * 10)
    under = "" if limit in facts else f", under {limit} words"
    action = verdict.wish.action.replace("{limit}", under)
    quoted = _QUOTING.fullmatch(verdict.wish.name)
    if quoted and not facts.isdisjoint(words(quoted[1])):
        return None
    shown = (verdict.votes[n].evidence for n in verdict.moved)
    evidence = tuple(dict.fromkeys(e for e in shown if e))[:_QUOTES]
    condition = _condition(verdict, observed, context)
    return Induced(condition, action, verdict.wish.polarity, verdict.sure, evidence)


def _condition(verdict: Verdict, observed: Sequence[Observed], context: str) -> str:
    """Name the kind of text, if the rule held for some texts and not for others.

    It is the words that the contexts where it held share and the others lack.
    """
    if not context.strip() or len(verdict.against) < 0.2 * len(verdict.moved):
        return ""
    held = [_kind_words(observed[n].context) for n in verdict.moved]
    against = [_kind_words(observed[n].context) for n in verdict.against]
    telling = {
        word
        for word in _kind_words(context)
        if sum(word in c for c in held) > 0.3 * len(held)
        and sum(word in c for c in against) < 0.1 * len(against)
    }
    if telling:
        return f"writing {' '.join(dict.fromkeys(w for w in words(context) if w in telling))}"
    return "" if verdict.wide else f"writing {context.strip()}"


def _kind_words(context: str) -> frozenset[str]:
    return frozenset(words(context)) - stop_words()
