"""Markers with a word or a number of the user's own: length, greeting, sign-off, words."""

from collections.abc import Iterator

from prefmem.agent.anatomy import Text, words_of
from prefmem.agent.vocabulary import Marker

_OPENERS = "i we you he she it they the a an this that there my our your"
_EMPTY_OPENERS = frozenset(_OPENERS.split())


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


def _usual_most(words: int) -> float:
    """How often a neutral text has at most so many words: half of them have 120."""
    return min(0.99, max(0.01, words**2 / (words**2 + 120**2)))


def greeting(phrase: str) -> Marker:
    """Give the marker of a greeting, such as `hi`."""
    known = phrase.casefold()
    return Marker(
        f"greeting: {known}", f'Open with "{known.capitalize()}".', "greeting",
        lambda text: text.greeting == known,
        usual=0.3 if known in ("hi", "dear", "hello") else 0.03,
    )  # fmt: skip


def sign_off(phrase: str) -> Marker:
    """Give the marker of a sign-off, such as `best wishes`."""
    known = phrase.casefold()
    usual = 0.4 if known in ("best regards", "best", "kind regards") else 0.05
    return Marker(
        f"sign-off: {known}", f'Close with "{known.capitalize()}".', "sign-off",
        lambda text: text.farewell.casefold() == known, usual=usual,
    )  # fmt: skip


def name(name: str) -> Marker:
    """Give the marker of the name under a text."""
    return Marker(
        f"name: {name.casefold()}", f"Sign with {name}.", "name",
        lambda text: text.name.casefold() == name.casefold(), usual=0.01,
    )  # fmt: skip


def opening(phrase: str) -> Marker:
    """Give the marker of what a body begins with."""
    wanted = words_of(phrase)
    return Marker(
        f"opening words: {phrase}", f'Begin the text with "{phrase.capitalize()}".',
        "opening words", lambda text: words_of(_first(text))[: len(wanted)] == wanted,
        usual=0.05,
    )  # fmt: skip


def closing(phrase: str) -> Marker:
    """Give the marker of what a body ends with."""
    wanted = words_of(phrase)
    return Marker(
        f"closing words: {phrase}", f'Finish the text with "{phrase.capitalize()}".',
        "closing words", lambda text: words_of(_last(text))[-len(wanted) :] == wanted, usual=0.03,
    )  # fmt: skip


def word(word: str) -> Marker:
    """Give the marker of a word in the text."""
    return Marker(
        f"word: {word}", f"Use the word {word}.", "word",
        lambda text: word in words_of(text.whole), usual=0.1 if word != "please" else 0.3,
    )  # fmt: skip


def _first(text: Text) -> str:
    return text.sentences[0] if text.sentences else ""


def _last(text: Text) -> str:
    return text.sentences[-1] if text.sentences else ""


def prefixes(text: Text) -> Iterator[str]:
    """Give what a body begins with: one to four words."""
    first = words_of(_first(text)[:200])
    for number in range(1, min(4, len(first)) + 1):
        if number > 1 or first[0] not in _EMPTY_OPENERS:
            yield " ".join(first[:number])


def last_words(text: Text) -> str:
    """Give the last sentence of a body that has others, where it has at most five words."""
    last = words_of(_last(text)[:200])
    known = 1 <= len(last) <= 5 and len(text.sentences) > 1 and (len(last) > 1 or len(last[0]) > 3)
    return " ".join(last) if known else ""
