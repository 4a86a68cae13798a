"""Places in a text that no single pattern finds; features name these functions."""

import re
from collections.abc import Callable, Mapping
from functools import partial

from prefmem.feedback.passage import Passage, Span, words
from prefmem.feedback.wordlists import listed, wordlist

_SMALL = re.compile(r"(?<![\w.,:/$€£#+–-])\d{1,2}(?![\w:/%°$€£–-]|[.,]\d|\)| ?[ap]\.?m\b)", re.I)
_LABEL = re.compile(r"[ \t]*(?:[-*•] )?\**[A-Z][\w/&-]*(?: [\w/&-]+){0,2}\**:\**[ \t]+\S")
_LEAD_IN = re.compile(r"^[\W\d_]+(?=\w)|^(?:please|then|next|now|also),? ", re.I)
_NAMED = re.compile(r"(?:^|\s)[A-ZÀ-Þ][\w'’.-]+")
_FIRST = re.compile(r"(?:[-*•–\d.)\[\]\t ]*[ \t])?[\W_]*([^\W\d_])")


def bullets(text: Passage, *, numbered: bool) -> tuple[Span, ...]:
    """Give the items of bulleted or of numbered lists."""
    return tuple(s for s in text.items if text.cut(s).strip()[0].isdigit() == numbered)


def greeting(text: Passage) -> tuple[Span, ...]:
    """Give the greeting."""
    return (text.greeting.span(),) if text.greeting else ()


def greeted(text: Passage, *, named: bool) -> tuple[Span, ...]:
    """Give the greeting if it has a name, or if it has none."""
    if text.greeting is None:
        return ()
    return (text.greeting.span(),) if named == bool(_NAMED.search(text.greeting["who"])) else ()


def signed(text: Passage, *, short: bool) -> tuple[Span, ...]:
    """Give the signature if it is of initials, or if it is a name."""
    if text.signature is None:
        return ()
    name = re.sub(r"[\W\d_]", "", text.cut(text.signature))
    return (text.signature,) if short == (name.isupper() and len(name) < 4) else ()


def sign_off(text: Passage) -> tuple[Span, ...]:
    """Give the parting words."""
    return (text.sign_off.span(),) if text.sign_off else ()


def signature(text: Passage) -> tuple[Span, ...]:
    """Give the name under the text."""
    return (text.signature,) if text.signature else ()


def headings(text: Passage) -> tuple[Span, ...]:
    """Give the headings."""
    return text.headings


def title_line(text: Passage) -> tuple[Span, ...]:
    """Give the heading over the whole text."""
    return text.headings[:1] if text.headings and text.headings[0][0] == text.lines[0][0] else ()


def labels(text: Passage) -> tuple[Span, ...]:
    """Give lines that begin with a label, if there are at least two."""
    found = tuple(s for s in text.lines if _LABEL.match(text.text, *s))
    return found if len(found) > 1 else ()


def digits(text: Passage) -> tuple[Span, ...]:
    """Give numbers below 100 in digits that are neither dates, times, amounts nor list marks."""
    months = listed(wordlist("months"))
    marks = {a for a, _ in text.items}
    found: list[Span] = []
    for match in _SMALL.finditer(text.text):
        a, b = match.span()
        line = text.text.rfind("\n", 0, a) + 1
        dated = months.match(text.text, b + 1) or months.search(text.text, max(0, a - 11), a)
        if not dated and not (line in marks and not text.text[line:a].strip()):
            found.append((a, b))
    return tuple(found)


def adverbs(text: Passage) -> tuple[Span, ...]:
    """Give words that end in -ly and are adverbs."""
    others = frozenset(wordlist("not_adverbs").split())
    return tuple(
        (t.start, t.end)
        for t in text.tokens
        if len(t.text) > 4 and t.text.endswith("ly") and t.text.lower() not in others
    )


def starts(text: Passage, *, upper: bool) -> tuple[Span, ...]:
    """Give the first letters of sentences that are capital, or small."""
    after_comma = text.body[0] if text.greeting and text.greeting["mark"] == "," else -1
    marked = set(text.items)
    firsts = (
        _FIRST.match(text.text, *span)
        for span in text.told
        if span[0] != after_comma and (span in marked or not text.text[span[0]].isdigit())
    )
    return tuple(m.span(1) for m in firsts if m and m[1].isupper() == upper)


def imperatives(text: Passage) -> tuple[Span, ...]:
    """Give the sentences that begin with a command."""
    command = listed(wordlist("commands"))
    return tuple(s for s in text.told if command.match(_LEAD_IN.sub("", text.cut(s))))


def items(text: Passage, *, closed: bool) -> tuple[Span, ...]:
    """Give the last characters of list items that end with a stop, or without."""
    return tuple((b - 1, b) for _, b in text.items if (text.text[b - 1] in ".;") == closed)


def line_ends(text: Passage, *, closed: bool) -> tuple[Span, ...]:
    """Give the last characters of the lines of the body, lists apart, that end so."""
    start, end = text.body
    listed_ = set(text.items) | set(text.headings)
    ends = (b for a, b in text.lines if start <= a < end and (a, b) not in listed_)
    return tuple(
        (b - 1, b)
        for b in (min(b, end) for b in ends)
        if (text.text[b - 1] == "." if closed else text.text[b - 1].isalnum())
    )


def cased_headings(text: Passage, *, title: bool) -> tuple[Span, ...]:
    """Give headings of several words in title case, or in sentence case."""
    found: list[Span] = []
    for span in text.headings:
        later = re.findall(r"[^\W\d_]{4,}", text.cut(span))[1:]
        if later and all(word[0].isupper() for word in later) == title:
            found.append(span)
    return tuple(found)


PARTS: Mapping[str, Callable[[Passage], tuple[Span, ...]]] = {
    "bullets": partial(bullets, numbered=False),
    "numbered": partial(bullets, numbered=True),
    "greeting": greeting,
    "sign_off": sign_off,
    "named_greeting": partial(greeted, named=True),
    "bare_greeting": partial(greeted, named=False),
    "initials": partial(signed, short=True),
    "written_name": partial(signed, short=False),
    "signature": signature,
    "headings": headings,
    "labels": labels,
    "title_line": title_line,
    "digits": digits,
    "adverbs": adverbs,
    "upper_starts": partial(starts, upper=True),
    "lower_starts": partial(starts, upper=False),
    "imperatives": imperatives,
    "closed_items": partial(items, closed=True),
    "open_items": partial(items, closed=False),
    "closed_lines": partial(line_ends, closed=True),
    "open_lines": partial(line_ends, closed=False),
    "title_headings": partial(cased_headings, title=True),
    "sentence_headings": partial(cased_headings, title=False),
}


def length(text: Passage) -> float:
    """Words and numbers of the whole text."""
    return float(len(words(text.text)))


def sentence_length(text: Passage) -> float:
    """Words in a sentence of the body, on average."""
    told = text.told
    return sum(len(words(text.cut(s))) for s in told) / len(told) if told else 0.0


def article_share(text: Passage) -> float:
    """Articles in 100 words, at least a half."""
    found = words(text.cut(text.body))
    return 100 * (sum(w in ("a", "an", "the") for w in found) + 0.5) / len(found) if found else 0.0
