"""What a dialogue asks for now, and the request before it that a follow-up refers back to."""

import re
from collections.abc import Sequence

from prefmem.types import Turn

_FOLLOW_UP_WORDS = 15
_MORE = (
    r"(?:shorter|longer|simpler|briefer|clearer|easier|harder|stricter|softer|kinder|nicer|warmer"
    r"|friendlier|funnier|firmer|politer|ruder|tighter|looser|cheaper|faster|quicker|slower|smaller"
    r"|bigger|larger|earlier|better|lighter|darker|healthier|spicier|milder|cooler|quieter"
    r"|fewer|(?:more|less)(?:\s+[\w-]+)?(?!\s*:))"
)
_EDGE = r"(?=\s*(?:[.!?;]|$|,?\s*please\b|pls\b|and\b|but\b|though\b|then\b))"
_THAT = r"(?:it|that|this|these|those|them)"
_EDIT = (
    r"(?:make|turn|put|translate|rewrite|rephrase|shorten|change|redo|expand|fix|keep|write|say|do"
    r"|give|send|try|move|cut|add|remove|use|swap|drop|summari[sz]e|polish|format)"
)
_REFERS_BACK = re.compile(
    r"^(?:please\s+|pls\s+|(?:and|also|but|or|then|now|so|ok(?:ay)?|no|yes|hm+|thanks)[,:]?\s+){0,3}"
    rf"(?:(?:(?:a (?:bit|little)|much|even|still|slightly|way)\s+){{0,2}}{_MORE}{_EDGE}"
    r"|(?:in|into)\s+[A-Za-z]+(?:,?\s+(?:please|pls|instead|too|now|this time))*\s*[.!?]*$"
    r"|(?:shorten|something else|try again|rewrite|rephrase|again|continue|go on|expand|redo)"
    r"(?:,?\s+(?:please|pls))?\s*[.!?]*$"
    r"|(?:any\s+)?(?:other|another|different|further|more|new)\s+(?:\w+)?\s*(?:,?\s+please)?[.!?]*$"
    r"|(?:what|how) about\b|the same\b|same\b|another one\b|one more\b|(?:only|without)\b[^?]*$)"
    r"|^(?:and|also|but|or|now|then)\b[^?]*$"
    r"|^(?:and|but)\b"
    rf"|\b{_EDIT}\s+{_THAT}\b(?!\s+\w+['’]s)"
    r"|\b(?:instead|the (?:first|second|third|last|other) one|that one|this one)\b",
    re.I,
)


def question_of(turns: Sequence[Turn]) -> tuple[str, str]:
    """Give the user's last request, and the one that it refers back to; empty where there is none.

    "And shorter, please" needs the earlier one; a request that stands by itself would only be
    blurred by it. A chain of such turns leads to the first before it that is none.
    """
    said = [turn.text for turn in turns if turn.role == "user" and turn.text.strip()]
    if not said:
        return "", ""
    at = len(said) - 1
    while at > 0 and _refers_back(said[at]):
        at -= 1
    return said[-1], "" if at == len(said) - 1 or _refers_back(said[at]) else said[at]


def _refers_back(text: str) -> bool:
    words = text.split(maxsplit=_FOLLOW_UP_WORDS)
    return len(words) <= _FOLLOW_UP_WORDS and _REFERS_BACK.search(" ".join(words)) is not None
