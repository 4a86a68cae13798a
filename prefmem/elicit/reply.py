"""What a reply to a question means, by its words: one of the two options, a refusal, or unclear.

English. The words of the options count, turned round by a negation before them. A doubt is resolved
towards `unclear`, which stores nothing; whoever waves the question away is not asked again.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

from prefmem.elicit.dimensions import Dimension

Reading: TypeAlias = Literal[0, 1, "refused", "unclear"]

_LONGEST = 200  # characters; a longer text is a message of its own
_MOST_WORDS = 25
_BEFORE = 4  # words over which a negation reaches forward
_NEAR = 64  # characters that these words fit in
_SPACE = re.compile(r"\s+")
_PART = re.compile(r"[.,;:!?()\n]|\b(?:but|because|since|and)\b")
_BOUND = re.compile(r"\b(?:no|not) more than\b|\bat most\b")
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|avoid|skip|drop|stop|less|fewer|hate|dislike|leave out|rather than"
    r"|instead of|than|over|do(?:es)?n't|dont|don t|won't|can't|cannot)\b"
)
_WAVED_AWAY = re.compile(
    r"\b(?:(?:do(?:es)?n't|dont|do not|does not|couldn't|could not)(?: really)? (?:care|matter)"
    r"(?! for\b)"
    r"|(?:stop|quit) asking|no more questions|none of your business|leave me (?:alone|be)"
    r"|(?:rather|prefer) not (?:to )?(?:say|answer|tell)|not interested(?! in\b)"
    r"|(?:don't|dont|do not|stop) (?:bother(?:ing)?|ask(?:ing)?) me)\b"
)
_QUOTES = str.maketrans(
    {"’": "'", '"': None, "“": None, "”": None, "„": None, "«": None, "»": None}
)
_BUT = re.compile(r"\bbut\b")
_OPEN = re.compile(
    r"\b(?:either|neither|both|(?:it )?depends|no preference|not sure|unsure|no idea"
    r"|(?:do not|don't|dont) know|up to you|you (?:decide|choose|pick)|mixed|a mix)\b"
)
_POLITE = r"(?:please |just |let's |let us |i'd |i would |i'll |i |can we |ok |oh |no |um )*"
_PASSED = re.compile(
    rf"{_POLITE}(?:skip|pass|cancel|later|whatever|never ?mind|no comment|not now|not today|decline"
    r"|rather not|no,? thanks?(?: you)?|no|nope|nah|(?:do not|don't|dont|stop) ask(?:ing)?)"
    r"(?: (?:it|this|that|this one|that one|the question|please|thanks|thank you|again|now)){0,3}"
)
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|y|sure|ok|okay|please do|of course|definitely|absolutely|always|gladly"
    r"|you may|go ahead|by all means|why not|fine)\b"
)
_NO = re.compile(
    r"(?:no|nope|nah|n|never|not really|rather not|i'd rather not"
    r"|(?:please )?(?:do not|don't)(?! ask))\b"
)
_ORDINAL = re.compile(
    r"(?:the |option |number |no |answer )*(?:(?P<first>first|former|1st|1|one|a)"
    r"|(?P<second>second|latter|last|2nd|2|two|b))(?: one| option)?(?: please| thanks)?"
)


def read(dimension: Dimension, reply: str) -> Reading:
    """Say what a reply means.

    Args:
        dimension: What was asked.
        reply: The user's own words; time is linear in their number.

    Returns:
        0 or 1 for an option; `refused` when the user waves the question away; else `unclear`.
    """
    text = _plain(reply)
    if not text or len(text) > _LONGEST or len(text.split()) > _MOST_WORDS:
        return "unclear"
    if _WAVED_AWAY.search(text):
        return "refused"
    if _OPEN.search(text):
        return "unclear"
    found = _answered(dimension, text)
    if found is not None:
        return found
    return "refused" if _PASSED.fullmatch(_bare(text)) else "unclear"


def mentioned(dimension: Dimension, text: str) -> Literal[0, 1] | None:
    """Say which option the signs in a rule speak for; None where they speak for none, or both."""
    one, other = (option.signs for option in dimension.options)
    return _named(_plain(text), one, other)


def _answered(dimension: Dimension, text: str) -> Literal[0, 1] | None:
    """Find the option that a short reply names."""
    bare = _bare(text)
    one, other = dimension.options
    if bare == _bare(_plain(one.label)):
        return 0
    if bare == _bare(_plain(other.label)):
        return 1
    if dimension.yes is not None and _BUT.search(text) is None:
        if _NO.match(text):
            return 0 if dimension.yes else 1
        if _YES.match(text):
            return 1 if dimension.yes else 0
    place = _ORDINAL.fullmatch(bare)
    if place is not None:
        return 0 if place["first"] else 1
    return _named(text, one.signs + one.words, other.signs + other.words)


def _named(text: str, one: tuple[str, ...], other: tuple[str, ...]) -> Literal[0, 1] | None:
    """Say which words a text means; a negated one speaks for the other side."""
    text = _BOUND.sub(" ", text)
    votes = {not meant for meant in _meant(one, text)} | set(_meant(other, text))
    if len(votes) != 1:
        return None
    return 1 if votes.pop() else 0


def _meant(words: tuple[str, ...], text: str) -> Iterator[bool]:
    """Say of each of these words in a text whether it is meant, or negated."""
    if not words:
        return
    pattern = _pattern(words)
    for part in _PART.split(text):
        for match in pattern.finditer(part):
            near = part[max(0, match.start() - _NEAR) : match.start()]
            before = " ".join(near.split()[-_BEFORE:])
            yield len(_NEGATION.findall(before)) % 2 == 0


@lru_cache(maxsize=256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Make the longest words match first."""
    longest = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(longest)})(?![\w-])")


def _plain(text: str) -> str:
    """Give a text in lower case with single spaces, straight apostrophes and no quotation marks."""
    return _SPACE.sub(" ", text.lower().translate(_QUOTES)).strip()


def _bare(text: str) -> str:
    """Leave out the punctuation at the ends, and the article."""
    return text.strip(" .,;:!?()'").removeprefix("the ")
