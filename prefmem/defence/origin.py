"""Which words of a user's turn are the user's own, and whether a rule rests on them.

What is fenced, quoted, forwarded, pasted, linked or told as somebody else's is not. Offsets stay
the same throughout, so that quotes and spans fit the turn. Time is linear in its length.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator

from prefmem.types import Preference, Turn

LONGEST_OWN = 1_000  # characters; a longer stretch of text is a paste
_FRAME = 400  # characters that a user says around a paste, at each end
_WORDS_OF_A_QUOTE = 6
_QUOTED_MESSAGE = 300  # characters; a short message in quotation marks was typed, not pasted
_PLACES = 20  # in a turn where the same words are looked up

_SPACELESS = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # Thai, kana, Han, Hangul
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+")  # in these each character counts

# Everything from here to the end is another one's mail, or another one's dialogue.
_TO_THE_END = re.compile(
    r"""^[ \t>]{0,20}(?:
      -{2,}[ ]?(?:original\ message|forwarded\ message|forwarded\ by\b.{0,200}|weitergeleitete
        \ nachricht|urspr.ngliche\ nachricht|message\ d'origine)[ ]?-{0,40}
    | begin\ forwarded\ message: | _{10,}[ \t]*$(?=\n[ \t]*from:)
    | (?:on|am|le|el)[ ].{5,200}[ ](?:wrote|schrieb|a\ .crit|escribi.)\b.{0,200}:[ \t]*$
    | from:[ \t].{1,200}\n[ \t>]*(?:sent|date|to|subject|cc|reply-to):[ \t]
    | (?:subject|von|betreff|de|objet):[ \t].{1,200}\n[ \t>]*(?:from|to|an|gesendet|date|envoy.)\b
    ) | <\|?(?:im_start|start_header_id|system|assistant|endoftext)\|?> | \[/?INST\] | <<SYS>>""",
    re.I | re.M | re.X,
)
_FOREIGN = (
    re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S),  # fenced code or text, closed or not
    re.compile(r"^[ \t]*>.*$", re.M),  # lines quoted as in mail
    re.compile(  # a pasted dialogue, up to the next empty line
        r"^[ \t]*(?:\W{0,4}(?:system|assistant|ai|bot|chatgpt|gpt|claude|gemini|copilot|tool|"
        r"developer|human|agent|model)(?:[ ](?:prompt|message|output|note|instructions?))?\W{0,4}"
        r"):(?:.|\n(?![ \t]*\n))*+",
        re.I | re.M,
    ),
    re.compile(r"!?\[[^\]\[\n]*+\]\([^()\n]*+\)"),  # a link, its text too
    re.compile(r"\b(?:[a-z][a-z0-9+.-]{1,20}://|www\.)\S+|\b[\w-]{1,60}\.\w{2,10}/\S+", re.I),
    re.compile(  # HTML of two tags and more is somebody's page; what lies between is its text
        r"<(?P<tag>[a-z][\w-]{0,30})\b[^<>]{0,500}>", re.I
    ),
    re.compile(  # "he said: ...", up to the line's end
        r"\b(?P<who>[\w'’.-]{1,40}(?:[ ](?:just|then|also|already|always|once))?)[ ]"
        r"(?:said|says|wrote|writes|replied|answered|reads|states|stated|told[ ]\w{2,20}"
        r"|tells[ ]\w{2,20}|goes|claims)(?:[ ](?:that|this|to[ ]me|back))?[ ]?:[ ]?(?P<what>.*)$",
        re.I | re.M,
    ),
)
_LINK, _TAG, _TOLD = _FOREIGN[-3], _FOREIGN[-2], _FOREIGN[-1]
# Quotation marks and code; `+`: no way back is tried.
_MARKED = re.compile(
    r'"[^"\n]*+"|``[^`\n]++``|`[^`\n]++`|「[^「」]*+」|『[^『』]*+』|《[^《》]*+》'
    r"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){1,2000}+'(?!\w)|(?<!\w)‘[^‘’\n]{1,2000}+’(?!\w)"
    r'|(?<!\S)"(?=\S)(?:[^"\n]|\n(?!\s*\n))++"'
)
_NESTED = (("“", "”"), ("«", "»"), ("„", "“”"))
_QUOTED_WHOLE = re.compile(r'"[^"\n]*+"|“[^”]*+”|«[^»]*+»')
# Somebody says what stands in quotation marks right behind.
_SAYS = re.compile(
    r"(?:\b(?:said|says|saying|told\s\w{1,20}|tells\s\w{1,20}|wrote|writes|replied|answered|asked"
    r"|reads|states|stated|claims|quotes?|titled|according\sto|instructions?|prompt|message|comment"
    r"|header|footer|banner)\b[^.!?\n\"“'`]{0,20})$",
    re.I,
)
_FIRST_PERSON = re.compile(r"\b(?:i|we|i['’]ve|i['’]d|me)\b[^.!?\n:;]{0,20}$", re.I)
_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
# A paste comes behind these: "Summarise this:", "Here is the mail I got".
_FRAMES = re.compile(
    r":\s*$|\b(?:this|these|the\s(?:following|text|mail|e-?mail|article|page|code|log|report"
    r"|document|transcript|thread|draft|paper|chapter|below)|below|attached|pasted|here(?:'s|\sis"
    r"|\sare))\b",
    re.I,
)
_SMALL = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "avoid", "be", "but", "by", "do", "don", "for", "from",
        "i", "if", "in", "is", "it", "me", "my", "never", "no", "not", "of", "on", "only", "or",
        "please", "prefer", "s", "t", "that", "the", "this", "to", "use", "when", "with", "you",
        "your", "always",
    }
)  # fmt: skip


def own_words(text: str) -> str:
    """Blank out what a user only quotes, forwards, pastes or links to.

    A quotation or a piece of code of fewer than six words stays, unless somebody is said to have
    said it: it is mostly a wording that the user asks for ("sign with 'Cheers, T.'"). So does a
    short message that stands in quotation marks as a whole. Of a turn with more than 1,000
    characters of text only what frames it stays: its first and its last paragraph, if short. Line
    breaks stay.
    """
    said = text.strip()
    if len(said) <= _QUOTED_MESSAGE and _QUOTED_WHOLE.fullmatch(said):
        return text
    end = _TO_THE_END.search(text)
    if end:
        text = text[: end.start()] + _blank(text[end.start() :])
    for pattern in _FOREIGN:
        if pattern is _TAG:
            text = _without_pages(text)
        elif pattern is _TOLD:
            text = pattern.sub(_told, text)
        else:
            text = pattern.sub(lambda m: _blank(m[0]), text)
    for mark, ends in _NESTED:
        text = _without_quoted(text, mark, ends)
    text = _MARKED.sub(_quoted, text)
    paste = _paste(text)
    return text[: paste[0]] + _blank(text[paste[0] : paste[1]]) + text[paste[1] :]


class OwnWords:
    """What of a turn is the user's own, read once for all rules that rest on it.

    Args:
        text: The turn.
    """

    def __init__(self, text: str) -> None:
        """Read the turn."""
        self._text, self._own = text, own_words(text)
        whole = self._own == text and _is_quoted(text)
        self._bare = self._own if whole else _MARKED.sub(lambda m: _blank(m[0]), self._own)

    def bear(self, rule: Preference, quote: str) -> bool:
        """Whether a quote of the turn, and what a rule makes of it, are the user's own words.

        Somewhere in the turn the quote must stand so that some of it is the user's own, and the
        rule's action must hold no word of what is not.
        """
        wanted = frozenset(_words(rule.action)) - _SMALL
        for start in _places(quote, self._text):
            stop = start + len(quote)
            mine = set(_words(self._own[start:stop]))
            bare = set(_words(self._bare[start:stop]))
            foreign = set(_words(self._text[start:stop])) - mine
            cited = len(wanted) > 2 and wanted <= mine - bare  # nothing but a short quotation
            if bare and not cited and wanted.isdisjoint(foreign):
                return self._is_own(rule.action)
        return False

    def _is_own(self, words: str) -> bool:
        """Whether words that stand in the turn stand there as the user's own somewhere."""
        places = list(_places(words, self._text))
        return not places or any(self._own.startswith(words, place) for place in places)


def is_doubtful(turn: Turn, quote: str) -> bool:
    """Whether a quote may be somebody else's although it stands among the user's own words.

    It is when the host says that the turn was filled in or pasted, and around a paste where nothing
    shows that the paragraph is the user's.
    """
    if turn.origin != "typed":
        return True
    start, stop = _paste(turn.text)
    if start == stop:
        return False
    place = turn.text.find(quote)
    return place >= start or not _FRAMES.search(turn.text[:start])


def _paste(text: str) -> tuple[int, int]:
    """Find a paste: all but a short first and a short last paragraph, if that is long."""
    visible = len(text.strip())
    if visible <= LONGEST_OWN:
        return 0, 0
    begin, end = len(text) - len(text.lstrip()), len(text.rstrip())
    gaps = [(m.start(), m.end()) for m in _BLANK_LINE.finditer(text, begin, end)]
    line = text.find("\n", begin, begin + _FRAME)
    start = begin
    if gaps and gaps[0][0] - begin <= _FRAME:
        start = gaps[0][1]
    elif line >= 0 and _FRAMES.search(text[begin:line]):
        start = line
    stop = gaps[-1][0] if gaps and gaps[-1][0] >= start and end - gaps[-1][1] <= _FRAME else end
    seen = sum(not c.isspace() for c in text[start:stop])
    return (start, stop) if seen > LONGEST_OWN * 4 // 5 else (0, 0)


def _places(quote: str, text: str) -> Iterator[int]:
    start = -1
    for _ in range(_PLACES):
        start = text.find(quote, start + 1)
        if start < 0:
            return
        if not (_within(text, start) or _within(text, start + len(quote))):
            yield start


def _within(text: str, place: int) -> bool:
    """Whether a place is inside a word, where words are written apart."""
    around = text[max(0, place - 1) : place + 1]
    return len(around) == 2 and place > 0 and around.isascii() and around.isalnum()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _is_quoted(text: str) -> bool:
    return _QUOTED_WHOLE.fullmatch(text.strip()) is not None


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _quoted(match: re.Match[str]) -> str:
    """Blank out a quotation that is long, or that somebody said."""
    return _quoted_text(match.string, match.start(), match.end())


def _quoted_text(text: str, start: int, stop: int) -> str:
    found = text[start:stop]
    long = len(_words(found)) >= _WORDS_OF_A_QUOTE if not found.isascii() else (
        len(found.split()) >= _WORDS_OF_A_QUOTE
    )  # fmt: skip
    return _blank(found) if long or _is_said(text, start) else found


def _without_quoted(text: str, mark: str, ends: str) -> str:
    """Blank out quotations that may lie in each other, from the outermost mark to its end.

    Where an end is missing, the last one of the text ends it.
    """
    done, start, depth, kept = 0, -1, 0, list[str]()
    last = max(text.rfind(end) for end in ends)
    for place in (i for i, c in enumerate(text) if c == mark or c in ends):
        if text[place] == mark and not (depth and mark in ends):
            start, depth = (start if depth else place), depth + 1
        elif depth:
            depth -= 1
            if depth == 0 or place == last:
                kept += [text[done:start], _quoted_text(text, start, place + 1)]
                done, depth = place + 1, 0
    return "".join([*kept, text[done:]])


def _is_said(text: str, place: int) -> bool:
    """Whether somebody else is said to say what begins at a place."""
    before = text[max(0, place - 80) : place]
    says = _SAYS.search(before)
    return says is not None and not _FIRST_PERSON.search(before[: says.start()])


def _told(match: re.Match[str]) -> str:
    text, start = match.string, match.start("what")
    who = match["who"].split()[0].lower().replace("’", "'")
    before = text[max(0, match.start() - 40) : match.start()]
    if who in ("i", "we", "i've", "i'd") or (who != match["who"] and _FIRST_PERSON.search(before)):
        return match[0]
    return match[0][: start - match.start()] + _blank(match["what"])


def _without_pages(text: str) -> str:
    """Blank out what stands between an HTML or XML tag and its end tag, six words or more."""
    closers: dict[str, list[int]] = {}
    for match in re.finditer(r"</(?P<tag>[a-z][\w-]{0,30})\s{0,9}>", text, re.I):
        closers.setdefault(match["tag"].lower(), []).append(match.end())
    done, kept = 0, list[str]()
    for match in _TAG.finditer(text):
        ends = closers.get(match["tag"].lower(), [])
        place = bisect_left(ends, match.end())
        if match.start() < done or place == len(ends):
            continue
        inside = text[match.start() : ends[place]]
        if len(inside.split()) >= _WORDS_OF_A_QUOTE:
            kept += [text[done : match.start()], _blank(inside)]
            done = ends[place]
    return "".join([*kept, text[done:]])
