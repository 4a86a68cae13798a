"""The sentences of a turn, each of which may be about another rule."""

import re

_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*|\n+")
MOST = 8


def sentences(text: str) -> tuple[str, ...]:
    """Give the first 8 sentences of a turn; none of a blank one."""
    return tuple(s.strip() for s in _ENDS.split(text) if s.strip())[:MOST]
