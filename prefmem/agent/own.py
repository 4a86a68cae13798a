"""Markers with a word or a number of the user's own: length, greeting, sign-off, words."""

import re
from collections.abc import Iterator

from prefmem.agent.anatomy import Text, words_of
from prefmem.agent.vocabulary import Marker

_UNTELLING = (
    "i we you he she it they the a an this that there my our your to of in on at and or is was"
)
_EMPTY = frozenset(_UNTELLING.split())  # words that no opening ends with
_EDGES = " \t,;:–—-"
_MARKS = re.compile(r"^\W+")
_OPENING_WORDS = 4
_CLOSING_WORDS = 5
_QUOTED_CHARS = 60  # of a phrase that a rule quotes


def at_most(unit: str, number: int) -> Marker:
    """Give the marker of a text with at most so many words or sentences."""
    many = f"{number} {unit}{'s' * (number > 1)}"
    return Marker(
        f"at most {many}", f"Write at most {many}.", f"at most {unit}s",
        (lambda text: 0 < text.words <= number)
        if unit == "word"
        else (lambda text: 0 < len(text.sentences) <= number),
        usual=_usual_most(number if unit == "word" else 15 * number),
    )  # fmt: skip


def at_least(number: int) -> Marker:
    """Give the marker of a text with at least so many words."""
    return Marker(
        f"at least {number} words", f"Write at least {number} words.", "at least words",
        lambda text: text.words >= number, usual=1 - _usual_most(number),
    )  # fmt: skip


def greeting(phrase: str) -> Marker:
    """Give the marker of a greeting, such as `Hi`."""
    known = phrase.casefold()
    return Marker(
        f"greeting: {known}", f'Open with "{phrase}".', "greeting",
        lambda text: text.greeting.casefold() == known,
        usual=0.3 if known in ("hi", "dear", "hello") else 0.03,
    )  # fmt: skip


def sign_off(phrase: str) -> Marker:
    """Give the marker of a sign-off, such as `Best wishes`."""
    known = phrase.casefold()
    usual = 0.4 if known in ("best regards", "best", "kind regards") else 0.05
    return Marker(
        f"sign-off: {known}", f'Close with "{phrase}".', "sign-off",
        lambda text: text.farewell.casefold() == known, usual=usual,
    )  # fmt: skip


def name(said: str) -> Marker:
    """Give the marker of the name under a text."""
    known = said.casefold()
    shown = said if all(part[0].isupper() for part in said.split()) else f'"{said}"'
    return Marker(
        f"name: {known}", f"Sign with {shown}.", "name",
        lambda text: text.name.casefold() == known, usual=0.01,
    )  # fmt: skip


def opening(phrase: str) -> Marker:
    """Give the marker of what a body begins with."""
    wanted = words_of(phrase)
    return Marker(
        f"opening words: {' '.join(wanted)}", f'Begin the text with "{phrase}".', "opening words",
        lambda text: words_of(_first(text))[: len(wanted)] == wanted, usual=0.05,
    )  # fmt: skip


def closing(phrase: str) -> Marker:
    """Give the marker of what a body ends with."""
    wanted = words_of(phrase)
    return Marker(
        f"closing words: {' '.join(wanted)}", f'Finish the text with "{phrase}".', "closing words",
        lambda text: words_of(_last(text))[-len(wanted) :] == wanted, usual=0.03,
    )  # fmt: skip


def word(said: str) -> Marker:
    """Give the marker of a word in the text."""
    known = said.casefold()
    return Marker(
        f"word: {known}", f"Use the word {known}.", "word",
        lambda text: known in words_of(text.whole), usual=0.3 if known == "please" else 0.1,
    )  # fmt: skip


def openings(text: Text) -> Iterator[str]:
    """Give what a body begins with, as written: one to four words that say something."""
    first = _quotable(_first(text)).split()
    for number in range(1, min(_OPENING_WORDS, len(first)) + 1):
        phrase = " ".join(first[:number]).strip(_EDGES).rstrip(".!?…")
        said = words_of(phrase)
        if len(said) == number and said[-1] not in _EMPTY and len(phrase) <= _QUOTED_CHARS:
            yield phrase


def last_words(text: Text) -> str:
    """Give the last sentence of a body that has others, as written; empty above five words."""
    last = _MARKS.sub("", _quotable(_last(text)))
    if last.endswith(".") and not last.endswith(".."):
        last = last[:-1]
    said = words_of(last)
    short = 1 <= len(said) <= _CLOSING_WORDS and len(last) <= _QUOTED_CHARS
    return last if short and len(text.sentences) > 1 and len("".join(said)) > 3 else ""


def _quotable(said: str) -> str:
    """Leave out what would end a quotation."""
    return " ".join("".join(c for c in said[:200] if c not in '"“”‘').replace("’", "'").split())


def _usual_most(words: int) -> float:
    """How often a neutral text has at most so many words: half of them have 120."""
    return min(0.99, max(0.01, words**2 / (words**2 + 120**2)))


def _first(text: Text) -> str:
    return text.sentences[0] if text.sentences else ""


def _last(text: Text) -> str:
    return text.sentences[-1] if text.sentences else ""
