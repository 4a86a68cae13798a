"""What a marker is, and the closed list of them: each with its rule, its test, and how it is asked.

A marker is a feature of a text that code can see, and that a rule can ask for.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from prefmem.agent.anatomy import Text, parts

LETTERS = frozenset({"mail", "email", "letter"})


@dataclass(frozen=True, slots=True)
class Marker:
    """A feature of a text that code can see.

    Attributes:
        name: What tells it from others, such as `greeting: hi` or `at most 60 words`.
        rule: The instruction that asks for it; it stands alone.
        family: What it is about, such as `words`; two markers of one family may exclude each other.
        shows: Whether a text in its parts has it.
        tells: Whether a text of a kind tells anything about it: a German text nothing about English
            contractions, an article nothing about a missing greeting.
        usual: How often a neutral text has it, from 0 to 1.
    """

    name: str
    rule: str
    family: str
    shows: Callable[[Text], bool]
    tells: Callable[[Text, str], bool] = lambda text, kind: True
    usual: float = 0.1

    def holds(self, text: str) -> bool:
        """Whether a text keeps the rule."""
        return self.shows(parts(text))


@dataclass(frozen=True, slots=True)
class Entry:
    """A pair of markers that exclude each other, and the words by which rules speak of them.

    Attributes:
        asks: The words.
        wanted: What a rule with the words asks for.
        unwanted: What it asks for when it says no; None where that is no marker.
    """

    asks: re.Pattern[str]
    wanted: Marker
    unwanted: Marker | None


_EMOJI = re.compile(
    r"[\u203c\u2049\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]|"
    r"[:;]-?[)(]|\B[:;]-?[DP]\b"
)
_BULLET = re.compile(r"^[ \t]*[-*+•–][ \t]+\S", re.M)
_NUMBERED = re.compile(r"^[ \t]*\d{1,2}[.):][ \t]+\S", re.M)
_HEADING = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+\S|\*\*[^*\n]+\*\*:?[ \t]*$)", re.M)
_DASH = re.compile(r"[—–](?!\d)|(?<=\w) --? (?=\w)|(?<=\w)--(?=\w)")
_ELLIPSIS = re.compile(r"\.\.\.|…")
_BRACKETS = re.compile(r"\([^()\n]{2,200}\)")
_CONTRACTED = re.compile(
    r"\b(?:(?:i|you|we|they|he|she|it|that|there|who|what|let)['’](?:m|re|ve|ll|d|s)|"
    r"(?:do|does|did|is|are|was|were|have|has|had|wo|would|ca|could|should|must|need)n['’]t)\b",
    re.I,
)
_IN_FULL = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|have|has|had|will|would|could|should) not|cannot|"
    r"i am|i have|i will|i would|(?:you|we|they) (?:are|have|will)|(?:it|that|there|he|she) is|"
    r"let us)\b",
    re.I,
)
_EMPHATIC = (
    "ALL NOT NEVER ALWAYS VERY SO PLEASE NOW URGENT MUST DO REALLY TODAY MORE MOST BEST ONLY ANY "
    "EVERY WHY STOP READ LOVE GREAT THIS THAT YES ASAP"
)
_LOUD = frozenset(_EMPHATIC.split())
_SHOUTED = re.compile(r"\b[A-Z]{2,}\b")
_CAPITALS = re.compile(r"\b[A-Z]{3,} [A-Z]{3,}\b")


def _in_letters(text: Text, kind: str) -> bool:
    return kind in LETTERS and bool(text.language or _plain_latin(text.whole))


def _plain_latin(text: str) -> bool:
    """Whether nearly all letters are those of English."""
    letters = [c for c in text if c.isalpha()]
    return bool(letters) and sum(c.isascii() for c in letters) >= 0.99 * len(letters)


def _in_english(text: Text, kind: str) -> bool:
    del kind
    return text.language in ("", "english") and bool(
        _CONTRACTED.search(text.whole) or _IN_FULL.search(text.whole)
    )


def _cased(text: Text, kind: str = "") -> bool:
    """Whether there are enough letters to tell by: 20, of an alphabet that has capitals."""
    del kind
    return sum(c.isupper() or c.islower() for c in text.whole) >= 20


def _lower(text: Text) -> bool:
    cased = [c for c in text.whole if c.isupper() or c.islower()]
    return sum(c.isupper() for c in cased) <= 0.01 * len(cased)


def _shouts(text: Text) -> bool:
    found = _SHOUTED.findall(text.whole)
    return any(word in _LOUD for word in found) or bool(_CAPITALS.search(text.whole))


def _asks_last(text: Text) -> bool:
    return bool(text.sentences) and text.sentences[-1].rstrip(" *_\"'”)").endswith("?")


def _mean_words(text: Text) -> float:
    lengths = [len(s.split()) for s in text.sentences]
    return sum(lengths) / max(len(lengths), 1)


def _alone(text: Text) -> bool:
    """Whether each sentence stands on a line of its own."""
    lines = [line for line in text.body.splitlines() if any(c.isalnum() for c in line)]
    return len(text.sentences) >= 3 and len(lines) >= len(text.sentences)


def _some(found: re.Pattern[str]) -> Callable[[Text], bool]:
    return lambda text: bool(found.search(text.body))


def _not(shows: Callable[[Text], bool]) -> Callable[[Text], bool]:
    return lambda text: not shows(text)


def _entry(
    family: str, asks: str, shows: Callable[[Text], bool], yes: str, no: str, usual: float,
    rare: float | None = None, tells: Callable[[Text, str], bool] = lambda text, kind: True,
) -> Entry:  # fmt: skip
    """Make an entry of a feature that is there or not.

    Args:
        family: What it is about; it names the marker, and `no` before it the other one.
        asks: Expression for the words that speak of it.
        shows: Whether a text has it.
        yes: The rule that asks for it.
        no: The rule that turns it down; empty where there is none.
        usual: How often a neutral text has it.
        rare: How often it has not; what is left over without it.
        tells: Whether a text tells anything about it.
    """
    without = (
        Marker(f"no {family}", no, family, _not(shows), tells, 1 - usual if rare is None else rare)
        if no
        else None
    )
    return Entry(
        re.compile(rf"\b(?:{asks})\b", re.I),
        Marker(family, yes, family, shows, tells, usual), without,
    )  # fmt: skip


ENTRIES: tuple[Entry, ...] = (
    _entry(
        "numbered lists", r"numbered (?:lists?|steps?|points?|items?)|number the (?:steps|points)",
        _some(_NUMBERED), "Use numbered lists.", "Use no numbered lists.", 0.1,
    ),
    _entry(
        "bullets", r"bullet(?:s|ed)?(?:[ -]?(?:points?|lists?))?|dash(?:ed)? lists?|lists",
        _some(_BULLET), "Use bullet points.", "Use no bullet points.", 0.3, 0.75,
    ),
    _entry(
        "headings", r"head(?:ings?|ers?|lines?)|section titles?", _some(_HEADING),
        "Use headings.", "Use no headings.", 0.15, 0.9,
    ),
    _entry(
        "contractions", r"contractions?|contracted forms?", _some(_CONTRACTED),
        "Use contractions.", "Use no contractions.", 0.5, tells=_in_english,
    ),
    _entry(
        "lower case", r"(?:all )?lower[- ]?case", _lower,
        "Write everything in lower case.", "", 0.01,
        tells=_cased,
    ),
    _entry(
        "shouting", r"all[- ]caps|(?:in|all) (?:upper[- ]?case|capitals|caps)|shout(?:ing)?|"
        r"capitali[sz]ed words|capitals for (?:stress|emphasis)",
        _shouts, "Put words in all capitals for stress.", "Put no word in all capitals.",
        0.03, 0.97, tells=_cased,
    ),
    _entry(
        "exclamation marks", r"exclamation (?:marks?|points?)|exclamations?",
        lambda text: "!" in text.whole or "！" in text.whole,
        "Use exclamation marks.", "Use no exclamation marks.", 0.45,
    ),
    _entry(
        "semicolons", r"semi-?colons?", lambda text: ";" in _EMOJI.sub("", text.whole),
        "Use semicolons.", "Use no semicolons.", 0.1, 0.9,
    ),
    _entry(
        "dashes", r"(?:(?:em|en|long)[ -])?dashes|em[ -]dash|dash between", _some(_DASH),
        "Use dashes.", "Use no dashes.", 0.3,
    ),
    _entry(
        "ellipses", r"ellips[ei]s|three dots|(?:trailing|suspension) (?:dots|points)",
        _some(_ELLIPSIS), "Use ellipses.", "Use no ellipses.", 0.03, 0.97,
    ),
    _entry(
        "brackets", r"brackets|parenthes[ei]s|parenthetical(?:s| asides?)", _some(_BRACKETS),
        "Put asides in brackets.", "Use no brackets.", 0.2, 0.8,
    ),
    _entry(
        "emojis", r"emojis?|emoticons?|smileys?|smiley faces?", _some(_EMOJI),
        "Use emojis.", "Use no emojis.", 0.05, 0.95,
    ),
    _entry(
        "question at the end",
        r"(?:end|close|finish|conclude)\w*\b(?! off\b)[^.;\"“]{0,40}\bquestions?|"
        r"(?:closing|final) questions?",
        _asks_last, "End with a question.", "Never end with a question.", 0.1, 0.9,
    ),
    _entry(
        "postscript", r"p\.?s\.?|postscripts?", lambda text: text.postscript,
        "Add a P.S.", "Add no P.S.", 0.01, 0.99,
    ),
    _entry(
        "one paragraph", r"(?:(?:a )?single|one) paragraph(?! per)(?! for)",
        lambda text: len(text.paragraphs) == 1,
        "Write one paragraph.", "", 0.25,
        tells=lambda text, kind: len(text.sentences) >= 3,
    ),
    _entry(
        "a line for each sentence",
        r"(?:(?:every|each) sentence|sentences) (?:\w+ )?on (?:its|their|an?|separate) (?:own )?"
        r"(?:new )?lines?|(?:a|one) (?:line|sentence) (?:for|per) (?:each |every )?"
        r"(?:sentence|line)",
        _alone, "Put every sentence on its own line.", "",
        0.03, tells=lambda text, kind: len(text.sentences) >= 3,
    ),
    _entry(
        "short sentences", r"(?:short|brief|clipped|terse) sentences",
        lambda text: 0 < _mean_words(text) <= 9,
        "Write short sentences.", "", 0.1,
    ),
    _entry(
        "long sentences", r"long(?:er)? sentences", lambda text: _mean_words(text) >= 20,
        "Write long sentences.", "", 0.2,
    ),
    _entry(
        "short paragraphs", r"short paragraphs",
        lambda text: bool(text.paragraphs) and max(text.paragraphs) <= 2,
        "Write short paragraphs.", "", 0.3,
        tells=lambda text, kind: len(text.sentences) >= 4,
    ),
)  # fmt: skip
NO_GREETING = Marker(
    "no greeting", "Leave out the greeting.", "greeting",
    lambda text: not text.greeting and not text.named, _in_letters, 0.03,
)  # fmt: skip
NAME_ALONE = Marker(
    "greeting: the name alone", "Open with the name alone.", "greeting", lambda text: text.named
)
NO_SIGN_OFF = Marker(
    "no sign-off", "Leave out the sign-off.", "sign-off",
    lambda text: not text.farewell and not text.name, _in_letters, 0.05,
)  # fmt: skip
