"""What a pick among the assistant's options shows: "the second one, please".

The user's words only point; what they point at stands in the reply. A pick becomes a rule in words
of the reply: the chosen option, and what the rejected ones have in common, or else the rejected
options themselves.
"""

import re
from collections import Counter
from dataclasses import dataclass

_MARKED = re.compile(r"(?:^|(?<=\s))(?:\(?(?:[1-9]|[A-Ha-h])[.):]\)?|[-•*–])\s+(?=\S)", re.M)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
_PARTS = re.compile(r"\s*;\s*(?:or\s+|and\s+)?|\s*,\s*(?:(?:or|and)\s+)?|\s+or\s+")
_ORDINALS = {
    "first": 0, "1st": 0, "former": 0, "one": 0, "a": 0, "second": 1, "2nd": 1, "two": 1, "b": 1,
    "third": 2, "3rd": 2, "three": 2, "c": 2, "fourth": 3, "4th": 3, "four": 3, "d": 3,
    "fifth": 4, "five": 4, "e": 4, "last": -1, "latter": -1, "final": -1,
}  # fmt: skip
_PLACE = re.compile(
    r"(?:\b(?:option|number|choice|no\.|nr\.?)|#)\s*\(?([1-9]|[a-e]|one|two|three|four|five)\b"
    r"|\bplan\s+([1-9]|[b-e])\b"
    r"|\b(first|second|third|fourth|fifth|1st|2nd|3rd|4th|former|latter|final"
    r"|last(?!\s+(?:year|month|week|night|time|summer|winter)))\b"
    r"|^\W*([1-9]|[a-e])\b(?!\s+(?!please|is\b|it\b|for\ me|sounds|looks|seems|would)\w)",
    re.I,
)
_AGAINST = re.compile(r"\b(?:not|no|never|without|rather than|instead of|other than|but)\b", re.I)
_LEAD = re.compile(
    r"""^(?:(?:how\ about|what\ about|there(?:'s|\ is|\ are)|you\ (?:could|can|might|may)
    |i(?:'d|\ would|\ can)?|we|maybe|perhaps|try|consider|suggest|recommend|either|also
    |alternatively|or|and|then(?:\ there)?|if\ you\ (?:like|prefer)|one\ option\ is
    |another\ (?:option|idea)\ is|finally|lastly|for\ \w+)\b[,:\s]*)+
    (?:(?:suggest|recommend|offer|propose|try|going\ (?:to|for)|go\ (?:to|for)|have|a\ few)\b\s*)*
    """,
    re.I | re.X,
)
_WORD = re.compile(r"[a-z][a-z'-]{2,}")
_ENDING = re.compile(r"(?<=\w\w\w)(?:ings|ing|ies|ed|es|s|ly)$")
_SMALL = frozenset(
    {
        "about", "all", "also", "and", "any", "appeal", "are", "been", "being", "best", "but",
        "can", "for", "from", "going", "good", "great", "had", "has", "have", "her", "here",
        "his", "how", "into", "its", "just", "like", "more", "most", "much", "new", "not", "one",
        "ones", "option", "options", "other", "others", "our", "out", "over", "really", "seem",
        "seems", "some", "sounds", "than", "that", "the", "their", "them", "then", "there",
        "these", "they", "think", "this", "those", "very", "was", "were", "what", "when", "where",
        "which", "who", "why", "will", "with", "would", "you", "your",
    }
)  # fmt: skip
# "The rest is all too loud for me."
_REJECTED = re.compile(
    r"\b(?:the\s+(?:other|rest|remaining)|others)\b[^.!?\n]{0,80}?"
    r"\b(?:don'?t|do not|doesn'?t|aren'?t|are not|isn'?t|seems?|are (?:a bit )?too|involves?)\b"
    r"[^.!?\n]{0,120}[.!?]?",
    re.I,
)
_MOST_CHARS = 90  # of one option in a rule


@dataclass(frozen=True, slots=True)
class Pick:
    """An option that was chosen, and the others, in their order."""

    chosen: str
    rejected: tuple[str, ...]


def options(reply: str) -> tuple[str, ...]:
    """Find the options of a reply: marked items, or the parts of a listing, or its sentences."""
    marks = list(_MARKED.finditer(reply))
    if len(marks) >= 2:
        stops = [m.start() for m in marks[1:]] + [len(reply)]
        items = [reply[m.end() : stop] for m, stop in zip(marks, stops, strict=True)]
        items[-1] = items[-1].split("\n\n")[0]
        return _clean(items)
    sentences = [s for s in _SENTENCE.findall(reply) if s.strip() and not s.strip().endswith("?")]
    asked = [s for s in _SENTENCE.findall(reply) if s.strip().endswith("?")]
    listed = max(
        (_clean(_PARTS.split(_after_colon(s))) for s in [*sentences, *asked]), key=len, default=()
    )
    if len(listed) >= 2 and len(listed) >= len(sentences):
        return listed
    return _clean(sentences) if len(sentences) >= 2 else listed


def pick(said: str, reply: str) -> Pick | None:
    """Find which option of a reply the user's words point at; None where that is not clear.

    Args:
        said: The words that point, such as "option 3, the lake house".
        reply: The assistant's turn before.
    """
    found = options(reply)
    if len(found) < 2:
        return None
    place = _placed(said, len(found))
    if place is None:
        place = _named(said, found)
    if place is None:
        return None
    return Pick(found[place], tuple(o for n, o in enumerate(found) if n != place))


def rejection(said: str) -> str:
    """Give the sentences that pick an option and turn the others down; empty if there are none."""
    found = _REJECTED.search(said)
    return said[: found.end()].strip() if found else ""


def action(picked: Pick) -> str:
    """Say what a pick shows, as the action of a rule."""
    chosen = _short(picked.chosen)
    common = _common(picked)
    if common:
        return f"prefer {chosen}; avoid {' '.join(common)}"
    return f"prefer {chosen} over {' or '.join(_short(r) for r in picked.rejected[:3])}"


def _placed(said: str, count: int) -> int | None:
    """Read an ordinal that is not denied ("not the first one" chooses nothing by itself)."""
    for match in _PLACE.finditer(said):
        if _AGAINST.search(said[max(0, match.start() - 14) : match.start()]):
            continue
        name = next(group for group in match.groups() if group).lower()
        place = int(name) - 1 if name.isdigit() else _ORDINALS[name]
        if -1 <= place < count:
            return place % count
    return None


def _named(said: str, found: tuple[str, ...]) -> int | None:
    """Find the one option whose words are named most, by share of its own words."""
    words = _stems(said)
    own = [_stems(o) for o in found]
    shares = [len(w & words) / max(1, len(w)) ** 0.5 for w in own]
    ranked = sorted(range(len(found)), key=lambda n: -shares[n])
    best, second = ranked[0], ranked[1]
    return best if shares[best] > 0 and shares[best] > 1.2 * shares[second] else None


def _common(picked: Pick) -> list[str]:
    """Give the words that most of the rejected options share and the chosen one lacks."""
    if len(picked.rejected) < 2:
        return []
    forms: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for option in picked.rejected:
        for word in _WORD.findall(option.lower()):
            forms.setdefault(_ENDING.sub("", word), word)
        counts.update(_stems(option))
    chosen = _stems(picked.chosen)
    enough = max(2, (len(picked.rejected) + 1) // 2)
    return [word for s, word in forms.items() if counts[s] >= enough and s not in chosen][:4]


def _stems(text: str) -> set[str]:
    words = (w for w in _WORD.findall(text.lower()) if w not in _SMALL)
    return {_ENDING.sub("", w) for w in words}


def _after_colon(sentence: str) -> str:
    return sentence.rpartition(":")[2]


def _clean(items: list[str]) -> tuple[str, ...]:
    cut = (_LEAD.sub("", " ".join(item.split())).strip(" .;,:!?") for item in items)
    return tuple(item for item in cut if item)


def _short(option: str) -> str:
    """Give the head of an option, at most 90 characters, without a closing explanation."""
    head = re.split(r"\s+[-–—]\s+|\s+\(|[.:;](?:\s|$)", option)[0].strip(" ,(")
    if len(head) > _MOST_CHARS:
        head = head[:_MOST_CHARS].rsplit(" ", 1)[0]
    return head[:1].lower() + head[1:] if head[1:2].islower() or head[:2] == "A " else head
