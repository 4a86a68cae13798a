"""Which parts of a user's turn are not the user's own words: fences, quotes, quoted mail, links."""

import re

_FOREIGN = (
    re.compile(r"```.*?(?:```|\Z)", re.S),  # fenced code or text, closed or not
    re.compile(r"^[ \t]*>.*$", re.M),  # lines quoted as in mail
    re.compile(r"\bhttps?://\S+"),
    re.compile(r'"[^"\n]{0,2000}+"|“[^”]{0,2000}+”|«[^»]{0,2000}+»'),  # `+`: no way back is tried
)
_WORDS_OF_A_QUOTE = 6
_QUOTED_MESSAGE = 300  # characters; a short message in quotation marks was typed, not pasted


def mask_foreign(text: str) -> str:
    """Blank out what the user only quotes; the length, and so every offset, stays the same.

    A quotation of fewer than six words stays: it is mostly a wording that the user asks for ("sign
    with 'Cheers, T.'"). So does a short message that stands in quotation marks as a whole. Line
    breaks stay.
    """
    said = text.strip()
    if len(said) <= _QUOTED_MESSAGE and _FOREIGN[-1].fullmatch(said):
        return text
    for pattern in _FOREIGN:
        text = pattern.sub(_blank, text)
    return text


def _blank(match: re.Match[str]) -> str:
    found = match.group(0)
    if found[0] in '"“«' and len(found.split()) < _WORDS_OF_A_QUOTE:
        return found
    return re.sub(r"[^\n]", " ", found)
