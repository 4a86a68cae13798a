"""Where two rules for the same situation cannot both hold, by their words.

They set a slot that takes one value to different ones ("three sentences", "five sentences"): a
length, a language, units, a spelling, a clock. Or one wants what the other rules out ("use tables,
not lists", "lists with numbers").
"""

import re

from prefmem.types import Preference

_NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen",
)  # fmt: skip
_NUMBER = rf"(?P<number>\d+|{'|'.join(_NUMBERS)}|a|an)"
_UNITS = (
    "word|character|sentence|paragraph|line|page|bullet|point|item|slide|step|minute|question|"
    "option|suggestion|example|section|hashtag|emoji"
)
_COUNT = re.compile(rf"\b{_NUMBER}(?:\s+[a-z-]+)?\s+(?P<unit>{_UNITS})s?\b", re.I)
_VALUES: dict[str, re.Pattern[str]] = {
    "language": re.compile(
        r"\b(?:in|into|to)\s+(?P<value>english|german|french|spanish|italian|dutch|portuguese|polish"
        r"|swedish|danish|norwegian|finnish|japanese|chinese|mandarin|korean|russian|ukrainian"
        r"|turkish|arabic|hebrew|hindi|greek|czech|hungarian|romanian|latin)\b",
        re.I,
    ),
    "units": re.compile(r"\b(?P<value>metric|imperial|celsius|fahrenheit)\b", re.I),
    "spelling": re.compile(r"\b(?P<value>british|american)\s+(?:english|spelling)\b", re.I),
    "clock": re.compile(r"\b(?P<value>12|24|twelve|twenty-four)[- ]hour\b", re.I),
    "indent": re.compile(r"\b(?P<value>tabs|spaces)\b", re.I),
}
_WORD = re.compile(r"[\w']+")
_RULES_OUT = re.compile(
    r"\b(?:not|no|never|without|avoid(?:ing)?|instead\s+of|rather\s+than|skip|leave\s+out|don't|stop)\b",
    re.I,
)
_CLAUSE = re.compile(r"[,;:.]")
_CARRIES_NOTHING = frozenset(
    {
        "a", "an", "the", "my", "me", "i", "you", "your", "it", "its", "this", "that", "any",
        "some", "more", "anymore", "longer", "always", "ever", "at", "all", "please", "to",
        "of", "on", "in", "for", "with", "by", "and", "or", "use", "using", "prefer", "do",
        "go", "be", "is", "are", "put", "keep", "make", "let", "want", "like", "have", "give",
        "stick", "pick", "choose", "take", "look", "suggest", "include", "add", "write",
    }
)  # fmt: skip
_EMPTY = frozenset({"a", "an", "the", "my", "any", "always", "when", "in", "for", "to", "of", "on"})


def clash(old: Preference, new: Preference) -> bool:
    """Whether two rules for the same situation cannot both hold.

    For different values of a slot both must be wishes to do something: what is to be avoided
    leaves all other values open.
    """
    if _situation(old) != _situation(new):
        return False
    if _forbids(old, new) or _forbids(new, old):
        return True
    if "avoid" in (old.polarity, new.polarity):
        return False
    before, now = _slots(old.action), _slots(new.action)
    shared = before.keys() & now.keys()
    return bool(shared) and all(before[slot].isdisjoint(now[slot]) for slot in shared)


def _forbids(one: Preference, other: Preference) -> bool:
    """Whether one rule rules out what the other one wants."""
    wanted, _ = _sides(other)
    return any(ruled_out <= wanted for ruled_out in _sides(one)[1])


def _sides(rule: Preference) -> tuple[frozenset[str], list[frozenset[str]]]:
    """Give the words for what a rule wants, and for each thing that it rules out."""
    head, *rest = _RULES_OUT.split(rule.action)
    if rule.polarity == "avoid":
        wanted: frozenset[str] = frozenset()
        ruled_out = [_content(head) or _content(" ".join(rest))]
    else:
        wanted = _content(head)
        ruled_out = [_content(_CLAUSE.split(part)[0]) for part in rest]
    return wanted, [words for words in ruled_out if words]


def _content(text: str) -> frozenset[str]:
    """Give the words that carry meaning, without the plural."""
    words = frozenset(_WORD.findall(text.lower())) - _CARRIES_NOTHING
    return frozenset(word.removesuffix("s") for word in words)


def _situation(rule: Preference) -> frozenset[str]:
    return frozenset(_WORD.findall(rule.condition.lower())) - _EMPTY


def _slots(action: str) -> dict[str, frozenset[str]]:
    """Give the values that an action sets, by slot."""
    found: dict[str, set[str]] = {}
    for match in _COUNT.finditer(action):
        found.setdefault(match["unit"].lower(), set()).add(_number(match["number"].lower()))
    for slot, pattern in _VALUES.items():
        for match in pattern.finditer(action):
            found.setdefault(slot, set()).add(match["value"].lower())
    return {slot: frozenset(values) for slot, values in found.items()}


def _number(word: str) -> str:
    if word in ("a", "an"):
        return "1"
    return str(_NUMBERS.index(word) + 1) if word in _NUMBERS else word
