"""The parts of a text: greeting, body, sign-off, name; its words, sentences and paragraphs."""

import re
from dataclasses import dataclass
from itertools import takewhile

from prefmem.render_check import check_of

MAX_CHARS = 20_000  # of a text are looked at

_GREETINGS = (
    r"good (?:morning|afternoon|evening|day)|morning|hi there|hello there|hey there|"
    r"hi|hello|hey|hiya|howdy|yo|dear|greetings|sehr geehrte[rs]?|guten (?:tag|morgen|abend)|hallo|"
    r"liebe[rs]?|moin|servus|bonjour|bonsoir|salut|coucou|ch(?:er|ère)s?|hola|buen(?:os|as) "
    r"(?:días|tardes|noches)|estimad[oa]s?|querid[oa]s?|ciao|buongiorno|buonasera|salve|gentile|"
    r"car[oa]|olá|oi|bom dia|boa (?:tarde|noite)|prezad[oa]s?|hoi|goedemorgen|beste|geachte"
)
_FAREWELLS = (
    r"(?:(?:with|my|many|all my|all the|all) )?(?:very )?(?:kind|kindest|best|warm|warmest) "
    r"(?:regards|wishes)|with thanks|(?:many )?thanks(?: (?:again|a lot|so much|a million|"
    r"in advance|and (?:best|kind) regards|and regards))?|thank you(?: (?:very|so) much)?|thx|ta|"
    r"regards|best|all the best|warmly|cheers|yours(?: (?:sincerely|faithfully|truly|ever))?|"
    r"sincerely(?: yours)?|faithfully|respectfully|cordially|love|lots of love|hugs|xo(?:xo)?|"
    r"x{1,3}|take care|talk soon|see you(?: (?:soon|then|there))?|see ya|speak soon|more soon|"
    r"until soon|until then|later|ciao|bye(?: for now)?|onwards?|peace|in haste|over and out|ttyl|"
    r"(?:mit )?(?:freundliche[nr]?|herzliche[nr]?|liebe[nr]?|viele[nr]?|beste[nr]?|schöne[nr]?) "
    r"gr[üu](?:ß|ss)en?|lg|vg|mfg|gruß|tschüss|bis bald|cordialement|bien (?:cordialement|à vous)|"
    r"amicalement|à bientôt|bisous|bises|(?:un )?(?:cordial )?saludos?(?: cordiales)?|atentamente|"
    r"un abrazo|abrazos|besos|(?:cordiali|distinti) saluti|saluti|un abbraccio|a presto|"
    r"(?:com os melhores )?cumprimentos|atenciosamente|abraços|beijos|"
    r"(?:met )?(?:vriendelijke|hartelijke) groeten?|groet(?:en|jes)|mvg"
)
_GREETING = re.compile(rf"\s*(?P<phrase>{_GREETINGS})(?![\w'’-])", re.I)
_ADDRESSEE = re.compile(r"[^\S\n]*[^\n,.!?:;–—]{0,60}(?:[,.!:;–—]+|(?=\n)|\Z)(?![\w])")
_NAME_LINE = re.compile(r"\s*(?P<name>[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){0,2}) ?[,:–—-]\s*\n")
_FAREWELL = re.compile(
    rf"[\s–—-]*(?P<phrase>{_FAREWELLS})[ ]*(?P<mark>[,.!–—-]*)[ ]*"
    r"(?P<name>[^\n,.!?;:]{0,40}?)[ .]*",
    re.I,
)
_NAME = re.compile(r"[–—~/-]{0,2}[ ]?(?P<name>[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){0,2})[ .]*")
_POSTSCRIPT = re.compile(r"p\.? ?s\b\.?", re.I)
_LIST = re.compile(r"\A[ \t]*(?:[-*+•–#>]+|\d{1,2}[.):])[ \t]+")
_WORD = re.compile(r"\w[\w'’.,-]*")
_SHORTENED = re.compile(r"\b(?:e\.g|i\.e|a\.m|p\.m|etc|vs|mr|mrs|ms|dr|st|no|approx)\.", re.I)
_STOP = re.compile(r"(?<![.!?…])[.!?…]+(?=[\s\"”')*]|\Z)|[。！？]+")
_BLANK = re.compile(r"\n[ \t]*\n")
_LANGUAGES = ("english", "german", "french", "spanish", "italian", "portuguese", "dutch")
_TONGUES = tuple(
    (name, check) for name in _LANGUAGES if (check := check_of(f"answer in {name}")) is not None
)
_SHORT_LINE = 80  # characters of a line that may sign off
_TASTE = 500  # characters by which a language is known


@dataclass(frozen=True, slots=True)
class Text:
    """A text in its parts.

    Attributes:
        whole: The text, at most 20,000 characters of it.
        greeting: The words that greet, such as `Hi`, as written; empty for none.
        named: Whether it opens with a name alone, on a line of its own.
        body: What stands between greeting and sign-off.
        farewell: The words that sign off, such as `best wishes`, as written; empty for none.
        name: The name under it, as written; empty for none.
        postscript: Whether a P.S. follows.
        words: How many words the whole has.
        sentences: The body's sentences, in order, list items among them.
        paragraphs: How many sentences each paragraph of the body has.
        language: English name of its language, of seven; empty where that is not plain.
    """

    whole: str
    greeting: str
    named: bool
    body: str
    farewell: str
    name: str
    postscript: bool
    words: int
    sentences: tuple[str, ...]
    paragraphs: tuple[int, ...]
    language: str


def parts(text: str) -> Text:
    """Take a text apart; the time it takes grows with its length alone."""
    whole = text[:MAX_CHARS].replace("\r\n", "\n").strip()
    greeting, named, start = _opening(whole)
    body, farewell, name, postscript = _ending(whole[start:])
    blocks = [found for block in _BLANK.split(body) if (found := sentences_of(block))]
    return Text(
        whole=whole, greeting=greeting, named=named, body=body, farewell=farewell, name=name,
        postscript=postscript, words=len(_WORD.findall(whole)),
        sentences=tuple(sentence for block in blocks for sentence in block),
        paragraphs=tuple(map(len, blocks)), language=_language(whole),
    )  # fmt: skip


def sentences_of(text: str) -> tuple[str, ...]:
    """Cut text into sentences, with their marks; a line ends one."""
    found: list[str] = []
    for line in text.splitlines():
        line = _LIST.sub("", line, count=1)
        plain = _SHORTENED.sub(lambda m: m[0].replace(".", " "), line)  # as long as the line
        start = 0
        for stop in [m.end() for m in _STOP.finditer(plain)] + [len(line)]:
            sentence = line[start:stop].strip()
            if any(c.isalnum() for c in sentence):
                found.append(sentence)
            start = stop
    return tuple(found)


def words_of(text: str) -> list[str]:
    """Give the words of a text, folded, without marks at their ends."""
    return [word.rstrip("'’.,-").casefold() for word in _WORD.findall(text)]


def greeting_in(phrase: str) -> str:
    """Give the greeting that words begin with; empty for none."""
    found = _GREETING.match(phrase)
    return found["phrase"] if found else ""


def farewell_in(phrase: str) -> str:
    """Give the words of a sign-off that a line consists of; empty for none."""
    found = _FAREWELL.fullmatch(phrase.strip())
    return found["phrase"] if found else ""


def _opening(whole: str) -> tuple[str, bool, int]:
    found = _GREETING.match(whole)
    if found:
        rest = _ADDRESSEE.match(whole, found.end())
        end = rest.end() if rest and rest[0].count(" ") <= 5 else found.end()
        return found["phrase"], False, end
    alone = _NAME_LINE.match(whole)
    return ("", True, alone.end()) if alone else ("", False, 0)


def _ending(text: str) -> tuple[str, str, str, bool]:
    lines = text.splitlines()
    postscript = False
    for place in range(len(lines) - 1, max(len(lines) - 8, -1), -1):
        if _POSTSCRIPT.match(lines[place].strip()):
            lines, postscript = lines[:place], True
            break
    while lines and not lines[-1].strip():
        lines.pop()
    tail = [n for n in range(len(lines) - 1, -1, -1) if lines[n].strip()][:4]  # last one first
    tail = list(takewhile(lambda n: len(lines[n]) <= _SHORT_LINE, tail))
    for after, place in enumerate(tail):
        found = _FAREWELL.fullmatch(lines[place])
        below = [lines[n].strip() for n in reversed(tail[:after])]
        if found and all(len(line.split()) <= 5 and line[-1:] not in "?!" for line in below):
            name = found["name"] if _is_name(found["name"], found["mark"]) else ""
            if found["name"] and not name:  # "Best pizza in town" signs nothing off
                continue
            below_name = _NAME.fullmatch(below[0]) if below else None
            return (
                "\n".join(lines[:place]), found["phrase"],
                name or (below_name["name"].rstrip(".") if below_name else ""), postscript,
            )  # fmt: skip
    if len(tail) > 1:
        last, before = lines[tail[0]].strip(), lines[tail[1]].rstrip()
        found = _NAME.fullmatch(last)
        if found and len(last.split()) <= 2 and before[-1:] in ".!?…" and last[-1:] != ".":
            return "\n".join(lines[: tail[0]]), "", found["name"], postscript
    return "\n".join(lines), "", "", postscript


def _is_name(said: str, mark: str) -> bool:
    return bool(said) and len(said.split()) <= 3 and (bool(mark) or said[:1].isupper())


def _language(whole: str) -> str:
    taste = whole[:_TASTE]
    found = [name for name, check in _TONGUES if check.keeps(taste)]
    return found[0] if len(found) == 1 else ""
