"""Rules that a user's lessons share, as cards of the memory: one memory serves both paths."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prefmem.agent.leak import words
from prefmem.agent.lesson import Lesson
from prefmem.agent.wording import named
from prefmem.errors import InputError
from prefmem.memory import PreferenceMemory
from prefmem.render_check import check_of
from prefmem.types import Card, Polarity

SHARE, FEWEST, MOST = 0.6, 3, 24
_ALIKE = 0.6  # share of their words that two wordings of a rule have in common
_TELLING = 3  # letters of a word that tells wordings apart
_CONDITIONS = {
    "mail": "writing mails", "article": "writing articles", "review": "writing reviews",
    "chat": "writing chat messages", "note": "writing notes", "letter": "writing letters",
}  # fmt: skip
_ANY = "writing a text in the user's name"
_AVOIDS = re.compile(r"(?:never|avoid|do not|don't|don’t|no|use no|skip|leave out|omit)\b", re.I)
_QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]|(?<!\w)['‘]([^'‘’]+)['’](?!\w)")
_NUMBER = re.compile(r"\d+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Habit:
    """A rule that many of a user's documents lead to.

    Attributes:
        condition: What the user writes by it, as of a card.
        rule: The instruction.
        share: Of the documents of that kind, those that lead to it, in [0, 1].
    """

    condition: str
    rule: str
    share: float


def habits(
    lessons: Iterable[Lesson], *, share: float = SHARE, fewest: int = FEWEST
) -> tuple[Habit, ...]:
    """Find the rules that recur in the lessons of many documents, the steadiest first.

    Two rules are the same where they ask for the same marker, such as a greeting, or use mostly the
    same words, quote the same and both ask for or both avoid something. Of limits in numbers the
    one that four documents in five keep within is taken, of other wordings the commonest.

    Args:
        lessons: Of one user; those of one document count once.
        share: Of the documents of a kind that a rule needs, above 0.
        fewest: Documents that it needs.

    Returns:
        With a condition for one kind of document, or for all where it is steady in each of several.
    """
    documents: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    groups = _Groups()
    for number, lesson in enumerate(lessons):
        document = lesson.document_id or f"#{number}"
        said = documents[lesson.task.kind][document]
        said.update(groups.add(rule) for rule in lesson.rules)
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for kind, by_document in documents.items():
        counts = Counter(key for keys in by_document.values() for key in keys)
        for key, count in counts.items():
            if count >= fewest and count >= share * len(by_document):
                shares[key][kind] = count / len(by_document)
    found = [
        Habit(condition, groups.wording(key), held)
        for key, kinds in shares.items()
        for condition, held in _conditions(kinds, len(documents))
    ]
    return tuple(sorted(found, key=lambda habit: -habit.share))


def to_cards(
    memory: PreferenceMemory,
    lessons: Iterable[Lesson],
    *,
    user_id: str,
    share: float = SHARE,
    fewest: int = FEWEST,
    actor: str = "user",
) -> tuple[Card, ...]:
    """Store the user's habits as cards with the source `distilled`, at most 24.

    What the user said stays as it is. A rule that the memory refuses, as for private data or where
    there is no room, is left out and counted in the log.

    Args:
        memory: The memory.
        lessons: Of this user.
        user_id: The user, as authenticated by the host.
        share: As of `habits`.
        fewest: As of `habits`.
        actor: As of `PreferenceMemory.add`.

    Returns:
        The cards, those that were there already among them, the steadiest first.
    """
    cards: list[Card] = []
    refused = 0
    for habit in habits(lessons, share=share, fewest=fewest)[:MOST]:
        action = _lowered(habit.rule.rstrip(". "))
        polarity: Polarity = "avoid" if _AVOIDS.match(action) else "do"
        try:
            card = memory.add(
                habit.condition, action, user_id=user_id, polarity=polarity, source="distilled",
                actor=actor,
            )  # fmt: skip
        except InputError:
            refused += 1
        else:
            cards.append(card)
    if refused:
        _log.warning("%d distilled rules were refused by the memory", refused)
    return tuple(cards)


class _Groups:
    """Sorts rules by what they ask for."""

    def __init__(self) -> None:
        self._wordings: dict[str, Counter[str]] = defaultdict(Counter)
        self._known: dict[str, str] = {}
        self._loose: dict[str, tuple[frozenset[str], tuple[object, ...]]] = {}

    def add(self, rule: str) -> str:
        """Count a rule, and give the key of its group."""
        if rule not in self._known:
            self._known[rule] = self._key(rule)
        key = self._known[rule]
        self._wordings[key][rule] += 1
        return key

    def wording(self, key: str) -> str:
        """Give the wording that stands for a group."""
        counted = self._wordings[key]
        if not key.startswith(("at most", "at least")):
            return min(counted, key=lambda rule: (-counted[rule], len(rule), rule))
        rules = sorted(counted.elements(), key=_limit)
        fifth = len(rules) // 5
        return rules[-1 - fifth] if key.startswith("at most") else rules[fifth]

    def _key(self, rule: str) -> str:
        marker = named(rule)
        if marker is not None:
            limit = marker.name.startswith(("at most", "at least"))
            return _NUMBER.sub("#", marker.name) if limit else marker.name
        check = check_of(rule)
        if check is not None:
            return check.wish
        said = frozenset(word for word in words(rule) if len(word) >= _TELLING)
        form = (bool(_AVOIDS.match(rule)), *sorted("".join(q) for q in _QUOTED.findall(rule)))
        for key, (other, its_form) in self._loose.items():
            if form == its_form and len(said & other) >= _ALIKE * len(said | other):
                return key
        self._loose[rule] = said, form
        return rule


def _limit(rule: str) -> int:
    marker = named(rule)
    found = _NUMBER.search(marker.name) if marker else None
    return int(found[0]) if found else 0


def _conditions(kinds: dict[str, float], all_kinds: int) -> Sequence[tuple[str, float]]:
    if len(kinds) == all_kinds > 1:
        return [(_ANY, min(kinds.values()))]
    return [(_CONDITIONS.get(kind, _ANY), held) for kind, held in kinds.items()]


def _lowered(rule: str) -> str:
    """Begin a rule in lower case, unless its first word is one in capitals or "I"."""
    return rule[:1].lower() + rule[1:] if rule[1:2].islower() else rule
