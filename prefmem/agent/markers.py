"""Markers of a way of writing: measured in a text, and named by a rule. No model is asked."""

from collections.abc import Iterator

from prefmem.agent import own
from prefmem.agent.anatomy import Text, parts, words_of
from prefmem.agent.vocabulary import ENTRIES, NAME_ALONE, NO_GREETING, NO_SIGN_OFF, Marker
from prefmem.agent.wording import named

__all__ = ["Marker", "measured", "measures", "named"]

AT_MOST = (20, 30, 40, 60, 80, 100, 130, 160, 200, 250, 320, 400)  # words that rules are given in
AT_LEAST = (20, 40, 60, 80, 100, 130, 160, 200, 250, 320, 400, 600, 1000)
FEW_SENTENCES = (1, 2, 3, 4, 5, 6, 8, 10)
_TONE = (
    "basically actually honestly literally folks awesome absolutely indeed however moreover "
    "therefore furthermore hence anyway perhaps please thanks lovely brilliant super kindly "
    "frankly obviously definitely totally gonna wanna mate mates team friends quick briefly sadly "
    "happily hopefully simply truly alas regarding whilst nevertheless thus cool wow oops"
)
_SAID = frozenset(_TONE.split())


def measured(text: str, kind: str = "text") -> tuple[Marker, ...]:
    """Give the markers that a text shows, in a fixed order; none for an empty one.

    Args:
        text: What was written; its first 20,000 characters are looked at.
        kind: As `Document.kind`; only mails and letters tell by a missing greeting or sign-off.
    """
    read = parts(text)
    return tuple(m for m in measures(read) if m.tells(read, kind) and m.shows(read))


def measures(text: Text) -> Iterator[Marker]:
    """Give the markers that this text could show: all of the closed list, and its own words'."""
    if not text.words:
        return
    yield from (own.at_most("word", number) for number in AT_MOST)
    yield from (own.at_least(number) for number in AT_LEAST)
    yield from (own.at_most("sentence", number) for number in FEW_SENTENCES)
    yield from (NO_GREETING, NAME_ALONE, NO_SIGN_OFF)
    if text.greeting:
        yield own.greeting(text.greeting)
    if text.farewell:
        yield own.sign_off(text.farewell)
    if text.name:
        yield own.name(text.name)
    for entry in ENTRIES:
        yield from (m for m in (entry.wanted, entry.unwanted) if m)
    yield from map(own.opening, own.openings(text))
    if last := own.last_words(text):
        yield own.closing(last)
    yield from map(own.word, sorted(_SAID & set(words_of(text.body))))
