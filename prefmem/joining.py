"""Which of the rules that a preference agent wrote join the cards of a recall.

What the user said wins: a rule that says otherwise than an active card stays out, whether the card
is injected or not, and so does one that says what the user wants to go without. The rest fills the
places and the tokens that the cards left.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prefmem.cards.authority import claims_authority
from prefmem.cards.record import Draft
from prefmem.defence.privacy import PIIPolicy, is_private, secrets_in
from prefmem.extract.support import polarity_of
from prefmem.ids import fold_text
from prefmem.messages import clean
from prefmem.render_check import Check, check_of
from prefmem.retrieve.select import alike
from prefmem.types import (
    Candidate,
    Card,
    Preference,
    Recall,
    Rule,
    Verdict,
    Written,
)

MOST = 24  # rules of an answer that are looked at
_BY_A_MODEL = frozenset({"inferred", "distilled"})
_GONE_WITHOUT = frozenset({"paused", "doubted", "other audience"})
_OPPOSITES = (
    frozenset({"bullets", "no bullets"}),
    frozenset({"numbered steps", "no bullets"}),
    frozenset({"headings", "no headings"}),
    frozenset({"lower case", "upper case"}),
    frozenset({"ends with a question", "ends without a question"}),
)
_WORD_FORMS = frozenset({"with a word", "without a word"})
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a rule is held against.

    Attributes:
        recall: What the cards gave.
        cards: Active cards near one of the rules, by id.
        verdicts: What was decided about the candidates of the recall, by card id.
    """

    recall: Recall
    cards: Mapping[str, Card]
    verdicts: Mapping[str, Verdict] = field(init=False)

    def __post_init__(self) -> None:
        """Look up what was decided."""
        found = zip(self.recall.candidates, self.recall.verdicts, strict=True)
        object.__setattr__(self, "verdicts", {c.card.id: verdict for c, verdict in found})

    @property
    def active(self) -> Sequence[Card]:
        """The active cards that a rule may say the same as, or the contrary of."""
        offered = {c.card.id: c.card for c in self.recall.candidates if c.card.status == "active"}
        return tuple((dict(self.cards) | offered).values())

    @property
    def injected(self) -> Sequence[Candidate]:
        """What is injected."""
        return [self.recall.candidates[i] for i in self.recall.chosen]

    def binds(self, card: Card) -> bool:
        """Whether a rule that says otherwise than this card stays out."""
        verdict = self.verdicts.get(card.id)
        if verdict is not None and verdict.reason in _GONE_WITHOUT:
            return False
        return card.source not in _BY_A_MODEL or (verdict is not None and verdict.injected)


@dataclass(frozen=True, slots=True)
class Places:
    """What the cards left of the prompt.

    Attributes:
        count: Rules at most.
        size: Size of all of them at most, in the unit of `cost`.
        cost: Size of a rule.
    """

    count: int
    size: float = math.inf
    cost: Callable[[Rule], float] = lambda _rule: 0.0


def rule_in(text: str, *, longest: int, pii: PIIPolicy) -> Preference | None:
    """Read a line of an agent as a rule; None for what is none, or must not get into a prompt.

    Args:
        text: The line.
        longest: Length of a rule, in characters.
        pii: What happens to secrets and special categories of personal data; here what would wait
            for the user's confirmation is left out.
    """
    said = _SPACE.sub(" ", clean(text)).strip()
    if not said or len(said) > longest or secrets_in(said):
        return None
    rule = Preference("", said, polarity_of(said))
    if (pii != "allow" and is_private(said)) or (check_of(said) is None and claims_authority(rule)):
        return None
    return rule


def joined(
    texts: Sequence[str], drafts: Mapping[str, Draft], known: Known, places: Places, *, paused: bool
) -> tuple[Written, ...]:
    """Decide about the rules that an agent wrote, in their order.

    Args:
        texts: What it wrote.
        drafts: Those that may be rules, by text, embedded, each with what it is to cards near it.
        known: What they are held against.
        places: What the cards left.
        paused: Whether the user wants this conversation to go without what is known.
    """
    done: list[Written] = []
    taken: list[Draft] = []
    count, left = places.count, places.size
    for text in texts:
        draft = drafts.get(text)
        if draft is None:
            done.append(Written(text, Verdict("refused")))
            continue
        verdict = Verdict("paused") if paused else _met(draft, known) or _among(draft, taken)
        cost = places.cost(line_of(draft, known.recall))
        if verdict is None and count < 1:
            verdict = Verdict("over limit")
        if verdict is None and cost > left:
            verdict = Verdict("over budget")
        if verdict is None:
            count, left = count - 1, left - cost
            taken.append(draft)
            verdict = Verdict("relevant")
        done.append(Written(draft.preference.text, verdict))
    return tuple(done)


def line_of(draft: Draft, recall: Recall, mark: str = "") -> Rule:
    """Give an agent's rule as a line for the prompt, older than all that the user said."""
    since = min((rule.since for rule in recall.rules), default=recall.at)
    return Rule(draft.preference.text, "lora", (), _before(since), mark=mark)


def _before(time: datetime) -> datetime:
    return time - timedelta(seconds=1)


def _met(draft: Draft, known: Known) -> Verdict | None:
    """Say why what the user said keeps a rule out; None where nothing does."""
    links = {link.card_id: link.relation for link in draft.links}
    check = check_of(draft.preference.text)
    twins = {c.card.id for c in known.injected if alike(_as_candidate(draft), c)}
    against = ""
    for card in known.active:
        relation, form = links.get(card.id), check_of(card.text) if check else None
        same = card.id in twins or relation == "same" or _same_words(draft, card)
        if same or (check is not None and form is not None and _same_form(check, form)):
            verdict = known.verdicts.get(card.id)
            if verdict is not None and verdict.injected:
                return Verdict("duplicate", card.id)
            if verdict is not None and verdict.reason in _GONE_WITHOUT:
                return Verdict(verdict.reason, card.id)
            continue
        if relation == "widen" and card.id in {c.card.id for c in known.injected}:
            return Verdict("duplicate", card.id)
        contrary = check is not None and form is not None and _contrary(check, form)
        if (contrary or relation in ("supersede", "exception")) and known.binds(card):
            against = against or card.id
    return Verdict("contradicted", against) if against else None


def _among(draft: Draft, taken: Sequence[Draft]) -> Verdict | None:
    """Say why an earlier rule of the same answer keeps a rule out."""
    check = check_of(draft.preference.text)
    for other in taken:
        form = check_of(other.preference.text) if check else None
        if alike(_as_candidate(draft), _as_candidate(other)):
            return Verdict("duplicate")
        if check is not None and form is not None:
            if _same_form(check, form):
                return Verdict("duplicate")
            if _contrary(check, form):
                return Verdict("contradicted")
    return None


def _as_candidate(draft: Draft) -> Candidate:
    at = datetime.min
    card = Card(draft.id, "", draft.preference, "active", "distilled", "", at, at)
    return Candidate(card, draft.vector, 0.0, 0.0)


def _same_words(draft: Draft, card: Card) -> bool:
    said = fold_text(draft.preference.text)
    return said in (fold_text(card.text), fold_text(card.preference.action))


def _same_form(one: Check, other: Check) -> bool:
    return one.wish.casefold() == other.wish.casefold()


def _contrary(one: Check, other: Check) -> bool:
    """Whether two checks that are not the same cannot both be kept to.

    Two lengths, languages or signatures are for one answer, of which the user chooses.
    """
    if {one.form, other.form} <= _WORD_FORMS:
        words = {check.wish.rpartition(" ")[2].casefold() for check in (one, other)}
        return one.form != other.form and len(words) == 1
    return one.form == other.form or frozenset({one.form, other.form}) in _OPPOSITES
