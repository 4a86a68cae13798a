"""A text cut into its parts: lines, paragraphs, sentences, greeting, sign-off, names."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from prefmem.feedback.align import Token, tokenise

MAX_CHARS = 20_000  # what follows is not looked at
Span: TypeAlias = tuple[int, int]

_LINE = re.compile(r"[^\n]*\S[^\n]*")
_BREAK = re.compile(r"\n[ \t]*\n")
_ENDS = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)*]*+(?=\s)")
_SHORTENED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|no|approx|etc|e\.g|i\.e|jan|feb|mar|apr|jun|jul|aug|sept?|oct"
    r"|nov|dec|min|max|dept|fig|inc|ltd|a\.m|p\.m)|\b[A-Z])\.$",
    re.I,
)
_SHORT = 8  # characters of the longest of these
_ITEM = re.compile(r"[ \t]*(?:[-*•–▪·]|\d{1,2}[.)]|\[[ xX]?\])[ \t]+")
_HEADING = re.compile(r"#{1,6}[ \t]")
_GREETING = re.compile(
    r"\s*(?:\**)(?P<word>hi there|hello there|hey there|hi|hello|hey|hiya|dear|greetings|howdy"
    r"|good (?:morning|afternoon|evening|day)|morning(?=[ ,!])|to whom it may concern)"
    r"(?P<who>(?:[ \t]+[^\s,.!?:;]+){0,4})[ \t]*(?P<mark>[,!.:;–—-]|(?=\n)|$)",
    re.I,
)
_SIGN_OFF = re.compile(
    r"(?:[-–—][ \t]*)?(?P<word>best wishes|best regards|best|all the best|all best|with best wishes"
    r"|kind regards|kindest regards|warm regards|warmest regards|with kind regards|regards"
    r"|warm wishes|warmest wishes|warmly|yours sincerely|yours faithfully|yours truly|yours"
    r"|sincerely yours|sincerely|respectfully|cordially|faithfully|cheers|ciao|bye|goodbye"
    r"|many thanks|thanks again|thanks a lot|thanks so much|thanks in advance|with thanks|thanks"
    r"|thank you in advance|thank you very much|thank you|much appreciated|take care|love"
    r"|lots of love|hugs|xx|xo|talk soon|speak soon|talk to you soon|see you soon|see you then"
    r"|see you there|see you|until then|till then|have a (?:good|great|nice|lovely|wonderful) "
    r"(?:day|weekend|evening|week|one))(?P<rest>[,.!]*(?:[ \t]+[^\s,.!?]+){0,4}[.!]*)",
    re.I,
)
_SIGNED = re.compile(
    r"[-–—~ \t]*[A-Z](?:\.(?:[A-Z]\.?)?|[\w'’-]*)(?:[ \t]+[A-Z](?:\.|[\w'’-]*)){0,2}[ \t]*"
)
_AFTER = re.compile(r"(?:#\w+\s*)+|p\.?[ ]?s\.?[:,. ]", re.I)
_WORD = re.compile(r"[^\W_]")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_NAME = re.compile(r"[A-ZÀ-Þ][\w'’]*")


@dataclass(frozen=True)
class Passage:
    """A text and where its parts stand, as half-open character spans."""

    text: str

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Words, numbers, marks and line breaks."""
        return tokenise(self.text)

    @cached_property
    def token_starts(self) -> tuple[int, ...]:
        """Where each token starts."""
        return tuple(t.start for t in self.tokens)

    @cached_property
    def token_ends(self) -> tuple[int, ...]:
        """Where each token ends."""
        return tuple(t.end for t in self.tokens)

    @cached_property
    def lines(self) -> tuple[Span, ...]:
        """Lines that hold something."""
        return tuple(m.span() for m in _LINE.finditer(self.text))

    @cached_property
    def blocks(self) -> tuple[Span, ...]:
        """Paragraphs: what blank lines set apart."""
        edges = [m.end() for m in _BREAK.finditer(self.text)]
        spans = zip([0, *edges], [*edges, len(self.text)], strict=True)
        return tuple((a, b) for a, b in spans if self.text[a:b].strip())

    @cached_property
    def sentences(self) -> tuple[Span, ...]:
        """Sentences and list items; a line break ends one."""
        found: list[Span] = []
        for start, end in self.lines:
            line, at = self.text[start:end], 0
            mark = _ITEM.match(line)
            for match in _ENDS.finditer(line, mark.end() if mark else 0):
                last = max(at, match.end() - _SHORT)
                if not _SHORTENED.search(line, last, match.end()):
                    found.append((start + at, start + match.end()))
                    at = match.end()
            found.append((start + at, end))
        trimmed = (_trimmed(self.text, span) for span in found)
        return tuple((a, b) for a, b in trimmed if any(c.isalnum() for c in self.text[a:b]))

    @cached_property
    def items(self) -> tuple[Span, ...]:
        """Lines of a list, bulleted or numbered."""
        return tuple((a, b) for a, b in self.lines if _ITEM.match(self.text, a, b))

    @cached_property
    def headings(self) -> tuple[Span, ...]:
        """Marked headings, and short lines without a closing mark that stand over others."""
        return tuple(
            line
            for line, following in zip(self.lines, self.lines[1:], strict=False)
            if self._heads(line, following)
        )

    @cached_property
    def greeting(self) -> re.Match[str] | None:
        """The greeting at the start, with its `word` and `who` is greeted."""
        return _GREETING.match(self.text)

    @cached_property
    def sign_off(self) -> re.Match[str] | None:
        """The parting words at the end, with their `word` and the `rest` of the line."""
        for start, end in (*self.lines[1:][-3:], *self.sentences[1:][-1:]):
            match = _SIGN_OFF.fullmatch(self.text, start, len(self.text[:end].rstrip()))
            below = self.text[end:].split()
            if match and len(below) <= 6:
                return match
        return None

    @cached_property
    def signature(self) -> Span | None:
        """The name under the text, without parting words."""
        parting = self.sign_off
        if parting is not None:
            rest = parting["rest"].strip(" \t,.!")
            if rest[:1].isupper():
                at = parting.start("rest") + parting["rest"].index(rest)
                return at, at + len(rest)
        below = self.lines[1:] if parting is None else self._under(parting.end())
        listed = len(self.items) > 1 and below[-1:] == self.items[-1:]
        if below and not listed and _SIGNED.fullmatch(self.text, *below[-1]):
            return _trimmed(self.text, below[-1])
        return None

    @cached_property
    def body(self) -> Span:
        """What stands between greeting and sign-off."""
        start = self.greeting.end() if self.greeting else 0
        ends = [
            span
            for span in (
                self.sign_off.start() if self.sign_off else None,
                self.signature[0] if self.signature else None,
            )
            if span is not None
        ]
        return _trimmed(self.text, (start, max(start, min([len(self.text), *ends]))))

    @cached_property
    def told(self) -> tuple[Span, ...]:
        """The sentences of the body that are no headings, hashtags or postscript."""
        start, end = self.body
        heads = set(self.headings)
        return tuple(
            (max(a, start), b)
            for a, b in self.sentences
            if max(a, start) < b <= end
            and (a, b) not in heads
            and not _AFTER.match(self.text, a, b)
        )

    @cached_property
    def begins(self) -> frozenset[int]:
        """Where the first words of sentences and list items start."""
        found = (_WORD.search(self.text, *self._after_mark(s)) for s in self.sentences)
        return frozenset(m.start() for m in found if m)

    @cached_property
    def facts(self) -> frozenset[str]:
        """Numbers and names, as they are written.

        Names are capitalised words that do not begin a sentence, or stand in the signature.
        """
        signed = self.signature or (0, 0)
        numbers = set(_NUMBER.findall(self.text))
        names = {
            token.text
            for token in self.tokens
            if (token.start not in self.begins or signed[0] <= token.start < signed[1])
            and len(token.text) > 1
            and _NAME.fullmatch(token.text)
        }
        return frozenset(numbers | names)

    @cached_property
    def firsts(self) -> frozenset[str]:
        """Capitalised words that begin a sentence, in lower case: some are names."""
        return frozenset(
            token.text.lower()
            for token in self.tokens
            if token.start in self.begins and len(token.text) > 1 and _NAME.fullmatch(token.text)
        )

    def cut(self, span: Span) -> str:
        """Give the text of a span."""
        return self.text[span[0] : span[1]]

    def sentence_at(self, offset: int) -> Span:
        """Give the sentence that holds a character, or the nearest before it."""
        if not self.sentences:
            return 0, len(self.text)
        return self.sentences[max(0, bisect_right(self.sentences, (offset, len(self.text))) - 1)]

    def _after_mark(self, span: Span) -> Span:
        mark = _ITEM.match(self.text, *span)
        return (mark.end() if mark else span[0], span[1])

    def _heads(self, line: Span, following: Span) -> bool:
        text = self.cut(line).strip()
        if _HEADING.match(text):
            return True
        if _ITEM.match(self.text, *line) or not self.body[0] <= line[0] < self.body[1]:
            return False
        if len(text.split()) > 6 or not any(c.isalpha() for c in text):
            return False
        if text.startswith("**") and text.endswith(("**", "**:")):
            return True
        opens = following in self.items or len(self.cut(following).split()) > 6
        return opens and (text[-1] == ":" or (text[-1].isalnum() and text[0].isupper()))

    def _under(self, offset: int) -> tuple[Span, ...]:
        return tuple(line for line in self.lines if line[0] >= offset)


def passage(text: str) -> Passage:
    """Cut a text, of which the first 20,000 characters count, with line ends made plain."""
    return Passage(text[:MAX_CHARS].replace("\r\n", "\n").strip())


def words(text: str) -> list[str]:
    """Give the words and numbers of a text, in lower case."""
    return [t.text.lower() for t in tokenise(text) if t.text[0].isalnum()]


def _trimmed(text: str, span: Span) -> Span:
    start, end = span
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
