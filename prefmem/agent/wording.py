"""What a rule in words asks for, as a marker."""

import re
from collections.abc import Callable
from functools import partial

from prefmem.agent import own
from prefmem.agent.anatomy import Text, farewell_in, greeting_in, words_of
from prefmem.agent.vocabulary import ENTRIES, NAME_ALONE, NO_GREETING, NO_SIGN_OFF, Marker
from prefmem.render_check import check_of

_NUMBERS = {
    "one": 1, "a single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30,
    "forty": 40, "fifty": 50, "sixty": 60, "eighty": 80, "a hundred": 100, "one hundred": 100,
}  # fmt: skip
_MAX_RULE = 300  # characters of a rule that are read
_N = rf"(?P<n>\d{{1,4}}|{'|'.join(_NUMBERS)})"
_MOST = re.compile(
    r"\b(?:at most|no more than|not more than|a maximum of|maximum(?: of)?|max|up to|within|"
    r"(?P<less>under|below|fewer than|less than|shorter than)|never (?:write |use )?more than|"
    r"(?:keep|limit|cut) (?:it|(?:\w+ ){1,4})?(?:down )?to(?: about| around| roughly)?) "
    rf"{_N} (?P<unit>word|sentence)s?\b|"
    rf"\b{_N.replace('<n>', '<m>')} (?P<u>word|sentence)s? "
    r"(?:or (?:less|fewer)|at most|max(?:imum)?)\b",
    re.I,
)
_LEAST = re.compile(
    r"\b(?:at least|no (?:less|fewer) than|a minimum of|minimum(?: of)?|"
    rf"(?P<more>more than|over|above|longer than)) {_N} words\b",
    re.I,
)
_OF_A_PART = re.compile(r"\b(?:sentences?|paragraphs?|bullets?|points?|lines?|titles?)\b", re.I)
_QUOTED = re.compile(r"[\"“”‘]([^\"“”‘’\n]{1,60})[\"“”’]|(?<!\w)'([^'\n]{1,60})'(?!\w)")
_NEGATED = re.compile(
    r"\b(?:no|not|never|avoid\w*|without|don['’]t|skip|omit\w*|leave out|leav\w+ off|drop|refrain|"
    r"free of|instead of|rather than|nor|exclude|stop|cut out|do without)\b",
    re.I,
)
_HEDGED = re.compile(
    r"\b(?:sparing\w*|rare\w*|occasional\w*|sometimes|few|fewer|unless|except|limited?|overus\w+|"
    r"excessive\w*|too many|more than|only (?:when|where|if|for|in|on)|at most|at least|"
    r"if |mix|either)\b",
    re.I,
)
_OVER = re.compile(r"\bprefer\b.{0,60}\b(?:over|to)\b", re.I)
_OPENS = re.compile(r"\b(?:open|start|begin|greet|address|salut\w+)\w*\b", re.I)
_CLOSES = re.compile(r"\b(?:close|sign|end|finish|conclude)\w*\b", re.I)
_SIGNS = re.compile(
    r"\bsign(?: off)?(?: \w+)? with (?:just |only )?(?:the |my |your )?(?:first )?"
    r"(?:name |initials? |nickname )?[\"“‘']?"
    r"(?P<name>[^\W\d_][\w'’.-]{0,20}(?: (?-i:[A-Z])[\w.-]{0,20}){0,2})[\"”’']?\W*",
    re.I,
)
_SIGN = re.compile(r"\bsign\w*\b", re.I)
_OF_TEXT = re.compile(r"\bthe text\b", re.I)
_GREETS = re.compile(
    r"\b(?:open|start|begin|greet)\w*\b[^\"“]{0,30}? with (?:an? |the )?(?:\w+ )?", re.I
)
_NO_GREETING = re.compile(r"\b(?:greetings?|salutations?)\b", re.I)
_NO_SIGN_OFF = re.compile(
    r"\b(?:sign[- ]?offs?|valedictions?|closing (?:line|phrase|formula|salutation)s?|"
    r"signatures?)\b",
    re.I,
)
_ALONE = re.compile(r"\bname (?:alone|only)\b|\bonly the (?:first )?name\b", re.I)
_USES = re.compile(r"\b(?:use|say|include|mention|write)\b[^\"“]{0,20}\b(?:word|phrase)s?\b", re.I)
_ONE_WORD = re.compile(r"(?:use|say|include) the word (?P<word>[^\W\d_][\w-]{0,29})\.?", re.I)


def named(rule: str) -> Marker | None:
    """Give the marker that a rule in words asks for; None where it asks for none, or for several.

    Rules of `measured` give their own marker. Others are understood by their words, as far as they
    speak of one thing plainly: "Keep it under 60 words", "Avoid emojis", "Start with 'Hi'".
    """
    text = " ".join(rule[: _MAX_RULE + 1].replace("’", "'").split())
    if not text or len(text) > _MAX_RULE:
        return None
    for read in (_phrase, _length, _plain_greeting, _absent, _listed, _checked):
        marker = read(text)
        if marker is not None:
            return marker
    return None


def _length(rule: str) -> Marker | None:
    found = _MOST.search(rule)
    if found and not _part_named(rule, found):
        number = _number(found["n"] or found["m"]) - bool(found["less"])
        return own.at_most((found["unit"] or found["u"]).lower(), number) if number > 0 else None
    found = _LEAST.search(rule)
    if found and not _part_named(rule, found):
        return own.at_least(_number(found["n"]) + bool(found["more"]))
    return None


def _part_named(rule: str, found: re.Match[str]) -> bool:
    """Whether a length is one of sentences, paragraphs or the like, not of the text."""
    return bool(_OF_A_PART.search(rule[: found.start()] + rule[found.end() :]))


def _number(said: str) -> int:
    return _NUMBERS[said.lower()] if said.lower() in _NUMBERS else int(said)


def _phrase(rule: str) -> Marker | None:
    """Read a rule that quotes the words it asks for."""
    quoted = _QUOTED.search(rule)
    if quoted is None or _NEGATED.search(rule[: quoted.start()]):
        return None
    said, before = (quoted[1] or quoted[2]).strip(), rule[: quoted.start()]
    count, of_text = len(words_of(said)), bool(_OF_TEXT.search(before))
    if not count:
        return None
    if _OPENS.search(before):
        greeting = "" if of_text else greeting_in(said)
        return own.greeting(greeting) if greeting else own.opening(said)
    if _CLOSES.search(before):
        farewell = "" if of_text else farewell_in(said) or farewell_in(said.split(",")[0])
        if farewell:
            return own.sign_off(farewell)
        return own.name(said) if _SIGN.search(before) and count <= 3 else own.closing(said)
    return own.word(said) if _USES.search(before) and count == 1 else None


def _plain_greeting(rule: str) -> Marker | None:
    """Read a rule that asks for a greeting, a sign-off or a name without quotes."""
    if _NEGATED.search(rule):
        return None
    if _OPENS.search(rule):
        if _ALONE.search(rule):
            return NAME_ALONE
        found = _GREETS.match(rule)
        for start in (found.end(), rule.rfind(" with ") + 6) if found else ():
            if greeting := greeting_in(rule[start:]):
                return own.greeting(greeting)
    if _CLOSES.match(rule) and " with " in rule:
        farewell = farewell_in(rule.partition(" with ")[2].rstrip(". "))
        if farewell:
            return own.sign_off(farewell)
    signs = _SIGNS.fullmatch(rule)
    if signs and (signs["name"][:1].isupper() or len(signs["name"]) == 1):
        return own.name(signs["name"].rstrip("."))
    word = _ONE_WORD.fullmatch(rule)
    return own.word(word["word"].casefold()) if word else None


def _absent(rule: str) -> Marker | None:
    if not _NEGATED.search(rule):
        return None
    if _NO_GREETING.search(rule):
        return NO_GREETING if not _NO_SIGN_OFF.search(rule) else None
    return NO_SIGN_OFF if _NO_SIGN_OFF.search(rule) else None


def _listed(rule: str) -> Marker | None:
    """Read a rule that speaks of one thing of the closed list."""
    if _HEDGED.search(rule):
        return None
    for entry in ENTRIES:
        places = list(entry.asks.finditer(rule))
        if places:
            before = rule[: places[-1].end()]
            turned_down = _NEGATED.search(before) or _OVER.search(before)
            return entry.unwanted if turned_down else entry.wanted
    return None


def _checked(rule: str) -> Marker | None:
    check = check_of(rule)
    if check is None:
        return None
    wish: Callable[[Text], bool] = partial(_keeps, check.keeps)
    return Marker(check.wish.casefold(), f"{check.wish}.", check.form, wish)


def _keeps(keeps: Callable[[str], bool], text: Text) -> bool:
    return keeps(text.whole)
