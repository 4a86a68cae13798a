"""Features of single words and verbs: greeting and parting words, bold, capitals, tense."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prefmem.feedback.aligned import Edit
from prefmem.feedback.measure import KEPT, MOVED, Feature, Vote, Wish
from prefmem.feedback.passage import Passage, Span, words
from prefmem.feedback.wordlists import filled

_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_LOUD = re.compile(r"(?<![\w&])[A-Z]{3,}(?![\w&])")
_QUOTED = re.compile(r"[\"“][^\"”\n]{0,300}[\"”]")
_PAST = re.compile(
    r"\b(?:was|were|had|did|went|came|took|gave|saw|said|made|got|began|found|left|told|wrote"
    r"|(?<!is )(?<!are )(?<!be )\w{2,}ed)\b",
    re.I,
)
_PRESENT = re.compile(
    r"\b(?:is|are|am|has|have|does|do|goes|comes|takes|gives|says|makes|gets|begins|finds|leaves"
    r"|tells|writes|needs?|wants?|works?|stays?|seems?)\b",
    re.I,
)
_TENSE = 0.7  # share of verbs from which a text keeps to a tense


@dataclass(frozen=True, slots=True)
class Salute:
    """Which words a text greets with, or signs off with.

    Attributes:
        name: "greeting" or "sign-off".
        find: Gives the salute of a text, with its `word`.
        action: The rule, with a place for the word.
    """

    name: str
    find: Callable[[Passage], re.Match[str] | None]
    action: str

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare the words."""
        mine, old = self.find(edit.final), self.find(edit.draft)
        family = f"{self.name} word"
        if mine is None:
            yield Vote(_none(family), KEPT)
            return
        word = _plain(mine["word"])
        wish = Wish(f"{family}:{word}", self.action.format(word), "do", self.name, family)
        moved = old is None or _plain(old["word"]) != word
        yield _kept_or_moved(wish, moved, mine[0].strip(), () if old is None else (old.span(),))


@dataclass(frozen=True, slots=True)
class Bold:
    """Whether words are bold, and which."""

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare bold words, and tell dates and numbers from others."""
        before, after = (list(_BOLD.finditer(t.text)) for t in (edit.draft, edit.final))
        drop = Wish("bold:drop", "Use no bold text.", "avoid", "bold")
        if before:
            yield Vote(drop, -1.0 if after else MOVED, not after, edit.seen_at([before[0].span()]))
        if not after:
            yield Vote(_none("bold"), KEPT)
            return
        yield Vote(drop, -1.0)
        yield _kept_or_moved(_bold_wish([m[1] for m in after]), not before, after[0][0], ())


@dataclass(frozen=True, slots=True)
class Loud:
    """Whether words are put in capitals, or set back from them."""

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare words that stand in capitals in one text and not in the other."""
        drop = Wish("capitals:drop", "Write no words in all capitals.", "avoid")
        add = Wish("capitals:add", "Write words to stress in all capitals.")
        old, new = (set(_LOUD.findall(t.text)) for t in (edit.draft, edit.final))
        quiet = {w.upper() for w in words(edit.final.text)} - new
        calm = {w.upper() for w in words(edit.draft.text)} - old
        if old & quiet:
            at = next(m.span() for m in _LOUD.finditer(edit.draft.text) if m[0] in quiet)
            yield Vote(drop, MOVED, True, edit.seen_at([at]), (at,))
        elif new & calm:
            yield Vote(drop, -1.0)
        if new & calm:
            at = next(m.span() for m in _LOUD.finditer(edit.final.text) if m[0] in calm)
            yield Vote(add, MOVED, True, edit.final.cut(edit.final.sentence_at(at[0])))
        else:
            yield Vote(add, -0.6)


@dataclass(frozen=True, slots=True)
class Raised:
    """Whether common words within sentences got a capital letter, or lost it."""

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare aligned words that differ in their first letter only."""
        counts = {True: 0, False: 0}
        evidence = ""
        for change in edit.changes:
            if change.b - change.a != change.d - change.c:
                continue
            pairs = zip(
                edit.draft.tokens[change.a : change.b], edit.final.tokens[change.c : change.d],
                strict=True,
            )  # fmt: skip
            for one, other in pairs:
                a, b = one.text, other.text
                same = a[1:] == b[1:] and a[0] != b[0] and len(a) > 2 and a.lower() == b.lower()
                first = one.start in edit.draft.begins or other.start in edit.final.begins
                if same and not first:
                    counts[b[0].isupper()] += 1
                    evidence = evidence or edit.final.cut(edit.final.sentence_at(other.start))
        for up, action in ((True, "Capitalise key terms."), (False, "Write terms in lower case.")):
            wish = Wish(f"capitalised:{up}", action, "do", "capitals")
            if counts[up] > counts[not up]:
                yield Vote(wish, MOVED, True, evidence)
            elif counts[not up] or up:
                yield Vote(wish, -0.5)


@dataclass(frozen=True, slots=True)
class Tense:
    """Whether verbs moved from the past to the present, or back."""

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare the share of verbs in the past, quotations left aside."""
        before, after = _past(edit.draft), _past(edit.final)
        if before is None or after is None:
            return
        start = edit.final.told[0] if edit.final.told else edit.final.body
        for tense, old, now in (("past", before, after), ("present", 1 - before, 1 - after)):
            wish = Wish(f"tense:{tense}", f"Write in the {tense} tense.", "do", "tense")
            if now >= _TENSE and now - old >= 0.4:
                yield Vote(wish, MOVED, True, edit.final.cut(start))
            else:
                yield Vote(wish, KEPT if now >= _TENSE else -1.0, evidence=edit.final.cut(start))


def _kept_or_moved(wish: Wish, moved: bool, evidence: str, explains: tuple[Span, ...]) -> Vote:
    return Vote(wish, MOVED if moved else KEPT, moved, evidence, explains if moved else ())


def _none(family: str) -> Wish:
    """The vote of a text that has nothing of a family; it stands for no rule."""
    return Wish(f"{family}:none", "", family=family)


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" ,.!")


def _bold_wish(found: list[str]) -> Wish:
    dated = re.compile(filled("{dated}"), re.I)
    shares = {
        "Put dates and times in bold.": sum(bool(dated.search(b)) for b in found),
        "Put numbers and amounts in bold.": sum(any(c.isdigit() for c in b) for b in found),
        "Put headings and lead words in bold.": sum(b.rstrip().endswith(":") for b in found),
    }
    action = next((a for a, n in shares.items() if n > 0.6 * len(found)), "Put key words in bold.")
    return Wish(f"bold:{action}", action, "do", "bold", "bold")


def _past(text: Passage) -> float | None:
    """Give the share of the past among the verbs that tell their tense; None where none does."""
    told = _QUOTED.sub("", text.cut(text.body))
    past, present = len(_PAST.findall(told)), len(_PRESENT.findall(told))
    return past / (past + present) if past + present else None


def shapes() -> tuple[Feature, ...]:
    """Give these features."""
    greeting = Salute("greeting", lambda text: text.greeting, 'Greet with "{}".')
    parting = Salute("sign-off", lambda text: text.sign_off, 'Sign off with "{}".')
    return greeting, parting, Bold(), Loud(), Raised(), Tense()
