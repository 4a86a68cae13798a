"""How a feature of style is measured in one edit: what the draft had, and what the final has.

A feature is a mark that is there or not, a choice between forms, or a quantity. Each direction that
it can take stands for a rule in plain words.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from prefmem.feedback.aligned import Edit
from prefmem.feedback.passage import Passage, Span
from prefmem.types import Polarity

Finder: TypeAlias = Callable[[Passage], tuple[Span, ...]]

# How far a final speaks for a rule that it keeps to; what speaks against one is below 0.
MOVED, BY_THE_WAY, KEPT = 1.0, 0.4, 0.25
_COMPLIES = 0.75  # share of a form from which a text keeps to it


@dataclass(frozen=True, slots=True)
class Wish:
    """A rule that a feature stands for.

    Attributes:
        name: Of the feature and its direction.
        action: The rule in plain words, an instruction that can stand alone.
        polarity: `avoid` when it keeps away from something.
        groups: Of the wishes that share a group one change would explain all; the surest is kept.
            Names apart by spaces.
        family: Of the wishes of a family a text follows one: what speaks for one speaks against the
            others. A wish without an action stands for no rule, only against its family.
    """

    name: str
    action: str
    polarity: Polarity = "do"
    groups: str = ""
    family: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """What one edit says about a rule.

    Attributes:
        wish: The rule.
        weight: In [-1, 1]; above 0 when the final keeps to it.
        moved: Whether the user changed the draft towards it.
        evidence: A verbatim stretch of the final; empty for a vote against.
        explains: Spans of the draft that the rule accounts for.
    """

    wish: Wish
    weight: float
    moved: bool = False
    evidence: str = ""
    explains: tuple[Span, ...] = ()


class Feature(Protocol):
    """Says what an edit tells about the rules that a feature stands for."""

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Give at most one vote for each of its rules; none where the feature has no say."""
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that a text has or does without.

    Attributes:
        find: Its places in a text.
        drop: The rule to leave it out, if there is one.
        add: The rule to put it in, if there is one.
        always: Whether there is a place for it in every text, so that its absence says more.
        loose: Whether single words of a long list may stay.
        whole: Whether it stands for the whole sentence that it is in.
    """

    find: Finder
    drop: Wish | None = None
    add: Wish | None = None
    always: bool = False
    loose: bool = False
    whole: bool = False

    @property
    def _worth(self) -> float:
        """What a change says: of a long list, a word or two go in any edit."""
        return 0.7 if self.loose else 1.0

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare where it was with where it is."""
        before, after = self.find(edit.draft), self.find(edit.final)
        if self.drop is not None and (vote := self._dropped(self.drop, edit, before, after)):
            yield vote
        if self.add is not None and (vote := self._added(self.add, edit, before, after)):
            yield vote

    def _dropped(
        self, wish: Wish, edit: Edit, before: tuple[Span, ...], after: tuple[Span, ...]
    ) -> Vote | None:
        if not before:
            return Vote(wish, -0.3 if self.loose else -1.0) if after else None
        left = len(after) / len(before)
        if left > (0.5 if self.loose else 0.34):
            return Vote(wish, -0.5 if self.loose or left < 1 else -1.0)
        went = tuple(span for span in before if edit.was_changed(span))
        weight = max(edit.removal(went), 0.5 if self.whole else BY_THE_WAY) * (
            self._worth if self.loose else 1 - left
        )
        if self.whole:
            went = tuple(edit.draft.sentence_at(a) for a, _ in went)
        return Vote(wish, weight, weight > 0, edit.seen_at(went), went) if went else None

    def _added(
        self, wish: Wish, edit: Edit, before: tuple[Span, ...], after: tuple[Span, ...]
    ) -> Vote:
        if not after:
            return Vote(wish, -1.0 if self.always or before else -0.4)
        fresh = tuple(span for span in after if edit.is_new(span))
        if before and len(after) < 2 * len(before):
            return Vote(wish, KEPT, evidence=edit.final.cut(after[0]))
        shown = fresh[0] if fresh else after[0]
        weight = (0.6 if before else MOVED) * self._worth if fresh else KEPT
        return Vote(wish, weight, bool(fresh), edit.final.cut(_wide(edit.final, shown)))


@dataclass(frozen=True, slots=True)
class Choice:
    """Forms of one thing, of which a text uses one.

    Attributes:
        forms: Places of each form, and the rule to use it.
    """

    forms: Mapping[str, tuple[Finder, Wish]]

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare which forms were used with which are."""
        before = {name: find(edit.draft) for name, (find, _) in self.forms.items()}
        after = {name: find(edit.final) for name, (find, _) in self.forms.items()}
        if not any(after.values()):
            return
        for name, (_, wish) in self.forms.items():
            others = tuple(s for other, spans in before.items() if other != name for s in spans)
            less = _share(before, name) < _share(after, name)
            yield self._vote(wish, edit, others if less else (), after[name], _share(after, name))

    def _vote(
        self, wish: Wish, edit: Edit, others: tuple[Span, ...], mine: tuple[Span, ...], share: float
    ) -> Vote:
        """Vote on a form, given the places of the others in the draft, if there were more."""
        if share < _COMPLIES:
            return Vote(wish, -0.3 if share > 0.4 else -1.0)
        fresh = tuple(span for span in mine if edit.is_new(span))
        went = tuple(span for span in others if edit.was_changed(span))
        shown = fresh[0] if fresh else mine[0]
        evidence = edit.final.cut(_wide(edit.final, shown))
        if not others:
            return Vote(wish, KEPT, evidence=evidence)
        aimed = not went or edit.converted(went, fresh)  # a space between is no token
        return Vote(wish, share * (MOVED if aimed else BY_THE_WAY), True, evidence, went)


@dataclass(frozen=True, slots=True)
class Scale:
    """A quantity of a text, compared by its ratio.

    Attributes:
        measure: The quantity, above 0; 0 where it cannot be told.
        less: The rule for a final that has clearly less of it.
        more: The rule for one that has clearly more.
        factor: Ratio that is clearly less; its inverse is clearly more.
    """

    measure: Callable[[Passage], float]
    less: Wish | None = None
    more: Wish | None = None
    factor: float = 0.75

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare how much there was with how much there is."""
        before, after = self.measure(edit.draft), self.measure(edit.final)
        if not before or not after:
            return
        start, end = edit.final.body
        evidence = edit.final.cut(edit.final.sentence_at(start)) if end > start else ""
        for wish, ratio in ((self.less, after / before), (self.more, before / after)):
            if wish is None:
                continue
            if ratio <= self.factor:
                yield Vote(wish, MOVED, True, evidence)
            elif ratio <= (1 + self.factor) / 2:
                yield Vote(wish, KEPT, evidence=evidence)
            else:
                yield Vote(wish, -1.0 if ratio >= 0.97 else -0.4)


def _share(places: Mapping[str, tuple[Span, ...]], name: str) -> float:
    """Give the share of a form among all places; 1 where there are none."""
    total = sum(map(len, places.values()))
    return len(places[name]) / total if total else 1.0


def _wide(text: Passage, span: Span) -> Span:
    """Widen a short span to its sentence, so that it can be read as evidence."""
    if span[1] - span[0] >= 12:
        return span
    start, end = text.sentence_at(span[0])
    return (min(start, span[0]), max(end, span[1]))
