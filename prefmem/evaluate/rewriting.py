"""Changes of style that the edit benchmark's user makes, and that its writer makes on a rule.

Each takes a text and gives the text in that style; a text that is in it already stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

Change: TypeAlias = Callable[[str], str]

_SHORT = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't",
    "are not": "aren't", "was not": "wasn't", "were not": "weren't", "has not": "hasn't",
    "have not": "haven't", "cannot": "can't", "could not": "couldn't", "will not": "won't",
    "would not": "wouldn't", "it is": "it's", "that is": "that's", "there is": "there's",
    "i am": "I'm", "we are": "we're", "they are": "they're", "you are": "you're",
    "i will": "I'll", "we will": "we'll", "he will": "he'll", "you will": "you'll",
    "they will": "they'll", "i would": "I'd", "we would": "we'd",
}  # fmt: skip
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_HALF = re.compile(r"\b(\d{1,2}):(\d\d) ([ap])m\b")
_WHOLE = re.compile(r"\b(\d{1,2}):(\d\d)\b(?! [ap]m)")
_DIGIT = re.compile(r"(?<![\w:.,])(?<!May )(\d{1,2})\b(?![:.,]\d| [ap]m)")
_STOP = re.compile(r"(?<=[.!?])\s+")


def contract(text: str) -> str:
    """Write "do not" as "don't", and so on."""
    for long, short in _SHORT.items():
        text = _swapped(text, long, short)
    return text


def expand(text: str) -> str:
    """Write "don't" as "do not", and so on."""
    for long, short in _SHORT.items():
        text = _swapped(text, short, long)
    return text


def greet(text: str, word: str) -> str:
    """Greet with a word."""
    return re.sub(r"^(?:Hello|Hi|Hey|Dear)\b", word.capitalize(), text)


def sign_off(text: str, word: str) -> str:
    """Sign off with a word."""
    return re.sub(
        r"\n\n(?:Kind regards|Cheers|Best wishes|Best),\n", f"\n\n{word.capitalize()},\n", text
    )


def without_opener(text: str) -> str:
    """Leave out a polite first sentence."""
    return re.sub(r"(?m)^I (?:hope|trust) [^.\n]*\. ?", "", text)


def without_offer(text: str) -> str:
    """Leave out an offer of help on a line of its own."""
    offer = (
        r"\n\n(?:Please do(?: not|n't) hesitate|Let me know if|Feel free|I(?: am|'m) happy)[^\n]*"
    )
    return re.sub(offer, "", text)


def without(text: str, words: str) -> str:
    """Leave out words, given as alternatives of a pattern."""
    return re.sub(rf"\b(?:{words}) ", "", text)


def in_digits(text: str) -> str:
    """Write numbers from two to twelve as digits."""
    numbers = {word: str(value) for value, word in enumerate(_NUMBERS) if value > 1}
    return re.sub(
        rf"\b(?:{'|'.join(numbers)})\b", lambda m: numbers[m[0].lower()], text, flags=re.I
    )


def in_words(text: str) -> str:
    """Write numbers from two to twelve in words; dates and times stay."""

    def word(match: re.Match[str]) -> str:
        value = int(match[1])
        before = text[: match.start()]
        dated = re.search(rf"(?:{_MONTH}) $", before) or re.match(
            rf" (?:{_MONTH})", text[match.end() :]
        )
        if dated or not 2 <= value < len(_NUMBERS):
            return match[0]
        begins = not before or before.endswith((". ", "! ", "? ", "\n"))
        return _NUMBERS[value].capitalize() if begins else _NUMBERS[value]

    return _DIGIT.sub(word, text)


def on_24(text: str) -> str:
    """Write times with 24 hours."""
    return _HALF.sub(lambda m: f"{int(m[1]) % 12 + 12 * (m[3] == 'p')}:{m[2]}", text)


def on_12(text: str) -> str:
    """Write times with am and pm."""
    return _WHOLE.sub(
        lambda m: f"{(int(m[1]) - 1) % 12 + 1}:{m[2]} {'pm' if int(m[1]) >= 12 else 'am'}", text
    )


def day_first(text: str) -> str:
    """Write dates with the day before the month."""
    return re.sub(rf"\b({_MONTH}) (\d{{1,2}})\b", r"\2 \1", text)


def month_first(text: str) -> str:
    """Write dates with the month before the day."""
    return re.sub(rf"\b(\d{{1,2}}) ({_MONTH})\b", r"\2 \1", text)


def in_bullets(text: str) -> str:
    """Put each sentence of a text of one paragraph into an item of a list."""
    if "\n" in text:
        return text
    return "\n".join(f"- {sentence}" for sentence in _STOP.split(text))


def without_stops(text: str) -> str:
    """Leave out the full stop at the end of list items."""
    return re.sub(r"(?m)^(- .*)\.$", r"\1", text)


def with_cheer(text: str) -> str:
    """End with an exclamation mark."""
    return re.sub(r"\.$", "!", text)


def with_ampersands(text: str) -> str:
    """Write & for "and"."""
    return re.sub(r"(?<= )and(?= )", "&", text)


CHANGES: Mapping[str, Change] = {
    "contract": contract,
    "expand": expand,
    "hi": partial(greet, word="hi"),
    "cheers": partial(sign_off, word="cheers"),
    "no opener": without_opener,
    "no offer": without_offer,
    "no hedges": partial(without, words="perhaps|probably|possibly|maybe"),
    "no intensifiers": partial(without, words="very|really|extremely"),
    "digits": in_digits,
    "words": in_words,
    "24 hours": on_24,
    "12 hours": on_12,
    "day first": day_first,
    "month first": month_first,
    "bullets": in_bullets,
    "open items": without_stops,
    "cheer": with_cheer,
    "ampersands": with_ampersands,
}
# How the writer understands a rule: the first of these that is found in it.
_UNDERSTOOD: tuple[tuple[str, str], ...] = (
    (r"no contractions", "expand"), (r"use contractions", "contract"),
    (r"small talk|polite opening", "no opener"), (r"not offer further help", "no offer"),
    (r"leave out hedges", "no hedges"), (r"leave out intensifiers", "no intensifiers"),
    (r"(?:numbers as|amounts in) digits", "digits"), (r"spell out numbers", "words"),
    (r"\b24h", "24 hours"), (r"\b12h", "12 hours"),
    (r"day before the month|as day, month", "day first"),
    (r"month name before the day|as month name, day", "month first"),
    (r"use bullet points", "bullets"), (r"items without a full stop", "open items"),
    (r"end with an exclamation|use exclamation marks", "cheer"), (r"ampersand \(&\)", "ampersands"),
)  # fmt: skip
_QUOTED = (
    (re.compile(r'greet with "([a-z ]+)"'), greet),
    (re.compile(r'sign off with "([a-z ]+)"'), sign_off),
)


@dataclass(frozen=True, slots=True)
class Understood:
    """What a writer makes of a rule.

    Attributes:
        style: Its name in `CHANGES`; for a greeting or parting word, that word.
        change: What is done to a text.
    """

    style: str
    change: Change


def understood(rule: str) -> Understood | None:
    """Give what a writer does on a rule; None for nothing."""
    said = rule.lower()
    for pattern, change in _QUOTED:
        if match := pattern.search(said):
            return Understood(match[1], partial(change, word=match[1]))
    name = next((name for pattern, name in _UNDERSTOOD if re.search(pattern, said)), None)
    return None if name is None else Understood(name, CHANGES[name])


def _swapped(text: str, old: str, new: str) -> str:
    """Replace whole words, with a capital letter where there was one."""

    def like(match: re.Match[str]) -> str:
        return new[0].upper() + new[1:] if match[0][0].isupper() else new

    return re.sub(rf"\b{re.escape(old)}\b", like, text, flags=re.I)
