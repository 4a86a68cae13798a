"""Rules that code can check: recognised by their words, and tested against a reply.

Only a rule that says one of the known forms and nothing else is recognised; what it holds beside
the form is left to the model. The checks lean towards a reply that keeps the rule.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

_NUMBERS = {
    "one": 1, "a single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "twenty": 20, "thirty": 30, "forty": 40,
    "fifty": 50,
}  # fmt: skip
_COMMON = {
    "english": "the and of to is are that it with for you this was as be by which",
    "german": "der die das und ist nicht ein eine mit für auf von den sie es sich auch zu",
    "french": "le la les des et est une dans pour que qui pas sur avec vous du au",
    "spanish": "el los las y es una en para que por con del se su como más",
    "italian": "il gli che è di per una con non sono del della si nel anche più",
    "portuguese": "os as e é uma em para que não com do da se por mais dos",
    "dutch": "de het een en is van dat niet met voor op zijn die te aan ook",
}
_WORDS_OF = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_LANGUAGES = "|".join(_COMMON)

_LEAD = r"(?:(?:please|always|make sure to|you should|you must|try to|i prefer|i want) )*"
_REPLY = r"(?:(?:all|any|your|my|the|every|each) )*(?:answers?|repl(?:y|ies)|responses?|messages?)"
_TAIL = rf"(?: (?:(?:in|for|of|with|to) {_REPLY}|to me|for me|please|at all|ever))*"
_NO = (
    r"(?:no|never|without|(?:do not|don't|never)(?: use| add| write| include| give)|use no|skip|"
    r"avoid(?: using)?|leave out|omit|stop using) (?:any |the |an? )?"
)
_YES = (
    r"(?:(?:use|add|include)|(?:answer|reply|respond|write) (?:in|with|as)|"
    rf"format {_REPLY} (?:as|in|with)) (?:an? )?"
)
_SAY = rf"(?:(?:answer|reply|respond|write|speak)(?: to me)? |keep {_REPLY} )"
_LIMIT = (
    rf"(?P<how>(?:keep|limit|make) (?:it|{_REPLY}) (?:to )?|(?:answer|reply|respond|write) "
    r"(?:in |with )?|use )?(?P<limit>(?:at most|no more than|a maximum of|maximum|max|up to|within|"
    r"under|below|fewer than|less than|shorter than|only|never (?:write |use )?more than) )?"
    rf"(?P<n>\d{{1,4}}|{'|'.join(_NUMBERS)}) "
)
_OR_LESS = r"(?: or (?:less|fewer)| at most| max(?:imum)?| long)*"
_BULLETS = r"(?:bullet(?:s|[ -]points?|ed lists?)|lists)(?: or lists)?"
_HEADINGS = r"(?:headings?|headers?|section titles?)"
_PREAMBLE = r"(?:preambles?|introductions?|intros?|opening phrases?|pleasantries)"
_WORD = r"[\"'“‘]?(?P<word>[^\W\d_][\w-]{0,29})[\"'”’]?"

_FILLER = re.compile(
    r"\W*(?:sure|certainly|of course|absolutely|(?:great|good) (?:question|idea|choice)|thanks|"
    r"thank you|hello|hi there|hey|okay|i'd be|i would be|i'm happy|i am happy|i can help|here is|"
    r"here are|here's|let me|let's|as an ai)\b",
    re.I,
)
_EMOJI = re.compile("[\u203c\u2049\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]")
_BULLET = re.compile(r"^[ \t]*[-*+•–][ \t]+\S", re.M)
_NUMBERED = re.compile(r"^[ \t]*(?:step )?\d{1,2}[.):][ \t]+\S", re.M | re.I)
_HEADING = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+\S|\*\*[^*\n]+\*\*:?[ \t]*$)", re.M)
_CODE = re.compile(r"```.*?(?:```|\Z)", re.S)
_MARK = re.compile(r"^[ \t]*(?:[-*+•–#]+|\d{1,2}[.):])[ \t]+", re.M)
_STOP = re.compile(r"(?<![.!?…])[.!?…]+(?=[\s\"”')*]|\Z)|\n")
_SHORTENED = re.compile(r"\b(?:e\.g|i\.e|etc|vs|mr|mrs|ms|dr|st|no|approx)\.", re.I)


@dataclass(frozen=True, slots=True)
class Check:
    """A rule that code can check.

    Attributes:
        form: Name of the form, such as `words`.
        wish: The rule as an imperative in plain words, phrased positively where that is possible;
            of the user's own words it holds at most a number and one or two short words.
        keeps: Whether a reply keeps the rule; given without its code blocks.
        yields: What a request has to speak of for the rule to step back behind it.
    """

    form: str
    wish: str
    keeps: Callable[[str], bool]
    yields: re.Pattern[str]


def check_of(rule: str) -> Check | None:
    """Recognise a rule, or what stands after its condition's comma; None when it is no known form.

    Args:
        rule: An action, or a whole rule such as "When writing mails, use no emojis."
    """
    text = " ".join(rule.replace("’", "'").split()).rstrip(".! ")
    for action in (text, text.rpartition(", ")[2]):
        for pattern, yields, build in _FORMS:
            match = pattern.fullmatch(action)
            check = build(match, re.compile(yields, re.I)) if match else None
            if check is not None:
                return check
    return None


def broken_rules(rules: Iterable[str], reply: str, *, request: str = "") -> tuple[str, ...]:
    """Say which rules a reply breaks, among those that code can check.

    Args:
        rules: Texts of rules that were given for the request.
        reply: What the assistant answered; code blocks in it are not looked at.
        request: What the user asked. A rule about something that the request speaks of itself, such
            as its length or its language, is not checked: the request wins.

    Returns:
        What the reply should have kept to, one plain imperative for each broken rule, in order.
    """
    prose = _CODE.sub(" ", reply)
    checks = (check_of(rule) for rule in rules)
    return tuple(
        dict.fromkeys(
            check.wish
            for check in checks
            if check and not check.yields.search(request) and not check.keeps(prose)
        )
    )


def _at_most(unit: str, match: re.Match[str], yields: re.Pattern[str]) -> Check | None:
    if not (match["how"] or match["limit"]):  # a bare number is no limit
        return None
    said = match["n"].lower()
    number = _NUMBERS[said] if said in _NUMBERS else int(said)
    number -= (
        (match["limit"] or "").lower().startswith(("under", "below", "fewer", "less", "short"))
    )
    if number < 1:
        return None
    count = _words if unit == "word" else _sentences
    wish = f"Answer in at most {number} {unit}{'s' * (number > 1)}"
    return Check(f"{unit}s", wish, lambda reply: count(reply) <= number, yields)


def _language(match: re.Match[str], yields: re.Pattern[str]) -> Check:
    name = match["language"].lower()
    return Check("language", f"Answer in {name.title()}", partial(_speaks, name), yields)


def _speaks(name: str, reply: str) -> bool:
    """Whether no other language has more frequent words in a reply; True below three known ones."""
    words = re.findall(r"[^\W\d_]+", reply.lower())
    counts = {n: sum(word in known for word in words) for n, known in _WORDS_OF.items()}
    return max(counts.values()) < 3 or counts[name] == max(counts.values())


def _sign_off(match: re.Match[str], yields: re.Pattern[str]) -> Check:
    name = match["name"]

    def keeps(reply: str) -> bool:
        return reply.rstrip(" .!\n").casefold().endswith(name.casefold())

    return Check("sign-off", f"End with the line {name}", keeps, yields)


def _word(wanted: bool, match: re.Match[str], yields: re.Pattern[str]) -> Check:
    word = match["word"]
    found = re.compile(rf"\b{re.escape(word)}\b", re.I)
    return Check(
        "with a word" if wanted else "without a word",
        f"Use the word {word}" if wanted else f"Avoid the word {word}",
        lambda reply: bool(found.search(reply)) == wanted,
        re.compile(rf"{yields.pattern}|\b{re.escape(word)}\b", re.I),
    )


def _fixed(form: str, wish: str, keeps: Callable[[str], bool]) -> "_Build":
    return lambda match, yields: Check(form, wish, keeps, yields)


def _words(reply: str) -> int:
    return len(re.findall(r"\w[\w'’.,-]*", reply))


def _sentences(reply: str) -> int:
    lines = (re.sub(r"^\s*(?:[-*+•–#]+|\d{1,2}[.):])\s+", "", li) for li in reply.splitlines())
    parts = (
        part for li in lines for part in re.split(r"(?<![.!?…])[.!?…]+(?=[\s\"”')*]|$)", _whole(li))
    )
    return sum(bool(re.search(r"\w", part)) for part in parts)


def _whole(line: str) -> str:
    return _SHORTENED.sub(lambda m: m[0].replace(".", ""), line)


def _direct(reply: str) -> bool:
    return not _FILLER.match(reply)


def _answers_first(reply: str) -> bool:
    first = next((line.strip() for line in reply.splitlines() if line.strip()), "")
    return _direct(reply) and not first.startswith("#") and not first.endswith((":", "?"))


def _asks_last(reply: str) -> bool:
    return reply.rstrip(" \n*_\"'”)").endswith("?")


def _share_upper(reply: str) -> float:
    cased = [c for c in reply if c.isupper() or c.islower()]
    return sum(c.isupper() for c in cased) / max(len(cased), 1)


_Build = Callable[[re.Match[str], re.Pattern[str]], Check | None]
_LENGTH = r"\b(?:words?|sentences?|paragraphs?|short|long|brief|detail|essay|pages?|summar)"
_LAYOUT = r"\b(?:bullet|list|number|steps?|table|outline|agenda)"
_SECTIONS = r"\b(?:head(?:ing|er)|section|title|report|outline|markdown)"
_TONGUE = rf"\b(?:{_LANGUAGES}|translat\w*|language)\b"
_OPENING = r"\b(?:introduc|intro\b|preamble|greet|mail|letter)"
_CLOSING = r"\b(?:questions?|quiz|interview|sign|mail|letter|clos)"
_CASE = r"\b(?:upper|lower)[ -]?case|\bcapital|\bcaps\b"
_EMOJIS = r"\b(?:emojis?|emoticons?|smileys?)\b"
_FORMS: tuple[tuple[re.Pattern[str], str, _Build], ...] = tuple(
    (re.compile(rf"{_LEAD}(?:{core}){_TAIL}", re.I), yields, build)
    for core, yields, build in (
        (rf"{_LIMIT}words?{_OR_LESS}", _LENGTH, partial(_at_most, "word")),
        (rf"{_LIMIT}sentences?{_OR_LESS}", _LENGTH, partial(_at_most, "sentence")),
        (
            rf"{_NO}{_BULLETS}", _LAYOUT,
            _fixed("no bullets", "Write in paragraphs instead of bullet points",
                   lambda reply: not _BULLET.search(reply)),
        ),
        (
            rf"{_YES}{_BULLETS}", _LAYOUT,
            _fixed("bullets", "Answer with bullet points",
                   lambda reply: bool(_BULLET.search(reply))),
        ),
        (
            rf"(?:{_YES}numbered (?:steps|lists?)|number the steps)", _LAYOUT,
            _fixed("numbered steps", "Answer with numbered steps",
                   lambda reply: bool(_NUMBERED.search(reply))),
        ),
        (
            rf"{_NO}{_HEADINGS}", _SECTIONS,
            _fixed("no headings", "Write plain text without headings",
                   lambda reply: not _HEADING.search(reply)),
        ),
        (
            rf"(?:{_YES}{_HEADINGS}|put a heading on top)", _SECTIONS,
            _fixed("headings", "Put a heading on top", lambda reply: bool(_HEADING.search(reply))),
        ),
        (rf"(?:{_SAY}|use )(?:only )?(?:in )?(?P<language>{_LANGUAGES})", _TONGUE, _language),
        (
            rf"{_NO}{_PREAMBLE}", _OPENING,
            _fixed("no preamble", "Begin with the substance, without an opening phrase", _direct),
        ),
        (
            r"(?:(?:start|begin|open) (?:\w+ )?with the answer|get (?:straight )?to the point|"
            r"(?:give|put) (?:me )?the answer first)",
            _OPENING,
            _fixed("answer first", "Start with the answer itself", _answers_first),
        ),
        (
            rf"(?:end|close|finish)(?: {_REPLY})? with a question", _CLOSING,
            _fixed("ends with a question", "End with a question", _asks_last),
        ),
        (
            rf"(?:(?:never|do not|don't) (?:end|close|finish)(?: {_REPLY})? with a question|"
            r"(?:avoid|no) (?:closing|follow-up|final) questions?)",
            _CLOSING,
            _fixed("ends without a question", "End with a statement",
                   lambda reply: not _asks_last(reply)),
        ),
        (
            rf"{_NO}(?:emojis?|emoticons?|smileys?)(?: or (?:emojis?|emoticons?|smileys?))?",
            _EMOJIS,
            _fixed("no emojis", "Use words only, without emojis",
                   lambda reply: not _EMOJI.search(reply)),
        ),
        (
            rf"(?:{_SAY}|use )(?:everything )?(?:only )?(?:in )?(?:all )?lower[ -]?case"
            r"(?: letters| only)?",
            _CASE,
            _fixed("lower case", "Write everything in lower case",
                   lambda reply: _share_upper(reply) <= 0.01),
        ),
        (
            rf"(?:{_SAY}|use )(?:everything )?(?:only )?(?:in )?(?:all )?"
            r"(?:upper[ -]?case|capitals|caps|capital letters)(?: letters| only)?",
            _CASE,
            _fixed("upper case", "Write everything in capital letters",
                   lambda reply: _share_upper(reply) >= 0.95),
        ),
        (
            rf"(?:sign off|sign|end)(?: {_REPLY})? with (?:just |the line |the words? )?"
            r"[\"'“‘]?(?P<name>(?-i:[A-Z])[^\W\d_]{0,14}(?: (?-i:[A-Z])[^\W\d_]{0,14})?)[\"'”’]?",
            _CLOSING, _sign_off,
        ),
        (rf"(?:use|mention|include) the word {_WORD}", r"\bwords?\b", partial(_word, True)),
        (
            rf"(?:never|do not|don't|avoid) (?:use |using |say |saying )?the word {_WORD}",
            r"\bwords?\b", partial(_word, False),
        ),
    )
)  # fmt: skip
