"""For whom a text is: a rule about mails to the boss is none about mails to a sister.

English words for people who are written or spoken to, names after a word such as "mail to", and
languages that a text is to be written in. Who is only spoken about is not addressed.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile

from prefmem.retrieve.people import (
    FORMAL,
    LANGUAGES,
    MEMBERS,
    MINE,
    NAMELESS,
    NO_NAMES,
    NO_ROLE,
    ROLE_OF,
    ROLES,
)
from prefmem.types import Preference, Scope

_DET = r"(?:my|our|the|an?|his|her|their|your|all|any|some|each|both|every|one|two|three)"
_LITTLE = (
    r"(?:about|after|again|an?|and|as|asking|at|back|because|before|but|by|for|from|he|his|how|i"
    r"|i['’]\w+|if|in|instead|is|it|its|my|not|now|of|on|or|our|please|pls|saying|she|so|that|the"
    r"|their|them|then|they|this|to|today|tomorrow|too|was|has|we|what|when|where|whether|which"
    r"|who|why|with|you)"
)
_TITLE = r"(?:mr|mrs|ms|miss|mx|dr|prof|professor|frau|herr|sir|madam|sra?|senhora?|señora?)"
_TITLE_DOT = re.compile(rf"\b({_TITLE})\.(?=\s)", re.I)
_NAME = r"[^\W\d_a-z](?:[\w-]|['’](?=\w)(?!s\b))+(?![\w'’-])"
_WORDS = "|".join(sorted(map(re.escape, ROLE_OF), key=len, reverse=True))
_COMPOUND = (
    r"\s+(?:accounts?|association|base|building|care|churn|company|complaints?|council|data|dinner"
    r"|events?|feedback|holidays?|life|lists?|meetings?|office|portal|reasons?|reports?|service"
    r"|success|support|survey|trip|work)\b"
)
_ROLE = rf"(?:(?:\w+[- ])?in[- ]laws?|(?:{_WORDS})(?:e?s)?)(?![\w-])(?!{_COMPOUND})"
_ADJUNCT = r"(?:child|client|customer|family|parent|partner|student|team)"
_BEFORE = (  # words between "my" and the role: "old", "Mika's", "family" in "family doctor"
    rf"(?:(?!(?:{_LITTLE}|{_DET}|ex|business|tennis|training|sparring)\s"
    rf"|(?!{_ADJUNCT}\s){_ROLE}\s)[\w-]+(?:['’]s?)?\s+)"
)
_PERSON = re.compile(
    rf"(?P<det>(?i:{_DET}\s+){{0,3}})(?P<before>(?i:{_BEFORE}){{0,3}})(?P<role>(?i:{_ROLE}))"
    rf"(?P<owns>['’]s?(?!\w))?(?:(?:\s+|,\s+(?=(?i:{_TITLE})\s))(?i:(?P<mr>{_TITLE})\s+)?"
    rf"(?P<name>{_NAME}(?:\s+{_NAME})?))?"
)
_NAMED = re.compile(
    rf"(?P<the>(?i:the)\s+)?(?i:(?P<mr>{_TITLE})\s+)?(?P<name>{_NAME}(?:\s+{_NAME}){{0,2}})"
    rf"(?!\s+(?!{_LITTLE}\b)[a-z]{{2,}}(?(the)|s)\b)"  # "Brazilian" in "Brazilian relatives"
    rf"(?:,?\s+(?i:my|our)\s+(?i:{_BEFORE}){{0,2}}(?P<role>(?i:{_ROLE})))?"
)
_THING = (
    r"(?:above|answers?|attached|below|comments?|complaint|console|database|difference|disk"
    r"|e-?mails?|file|following|invitation|joke|letters?|log|mails?|message|next|offer|post"
    r"|questions?|request|reviews?|same|story|table|thread|tickets?|time|truth)"
)
_CROWD = r"(?:all|chat|everybody|everyone|group|guys|girls|boys|list|others|people|folks|rest)"
_SOMEBODY = re.compile(
    r"(?:(?:my|our|the|an?|his|their)\s+){1,2}"
    rf"(?!(?:\S+\s+)?{_THING}\b|(?:\w+\s+){{0,3}}{_CROWD}\b|(?-i:{_LITTLE})\b)(?:\w[\w'’-]+)",
    re.I,
)
_JOINED = re.compile(r"\s*(?:,|\band\b|\bor\b|&)\s+(?:(?:to|for|with)\s+)?", re.I)

_TOLD = (
    r"(?:e-?mails?|mails?|messages?|letters?|notes?|texts?|repl(?:y|ies)|cards?|invitations?"
    r"|calls?|whatsapps?|dms?)"
)
_FILL = r"(?:in\s+\w+\s+)?(?:(?!(?:about|and|for|from|how|in|of|on|to)\s)[\w-]+\s+){0,2}"
_INTRO = re.compile(
    rf"\b(?P<open>(?:{_TOLD}|writ(?:e|ing)|reports?|replying|answer(?:ing)?)\s+{_FILL}to\s+"
    r"|(?:tell(?:ing)?|ask(?:ing)?|text(?:ing)?|let(?=[^.:;!?\n]{1,60}\sknow\b))\s+)"
    rf"|\b(?P<named>(?:talk|speak|chat)(?:ing)?\s+{_FILL}(?:to|with)\s+"
    rf"|(?:explain(?:ing)?|say|send(?:ing)?|apologi[sz]e)\s+{_FILL}to\s+"
    rf"|(?:gifts?|presents?|cards?)\s+{_FILL}for\s+"
    rf"|(?:thank|ping|(?:e-?mail|message|call|answer)(?=\s+(?-i:{_NAME})\s*(?:$|[,:]|\s{_LITTLE}\b)))"
    r"\s+)"
    r"|\b(?P<told>(?:e-?mail|message|write|answer|call)(?:ing)?\s+)"
    r"|(?P<head>^\s*to\s+(?=[^:\n]{1,60}:))"
    r"|(?<!driving )(?<!going )(?<!drive )(?<!go )(?<!trip )(?<!visit )(?<!move )"
    r"\b(?P<weak>to|with|for)\s+",
    re.I,
)
_CONTENT = re.compile(
    r":|\b(?:about|regarding|concerning|that|what|why|how|whether|if|because|since|as|when|where"
    r"|who|which|until|while)\b",
    re.I,
)
_NEXT_TASK = re.compile(r",|\b(?:and|plus|then|also)\b", re.I)
_SENTENCE = re.compile(r"[.!?;]+(?:\s|$)|\n")
_WORD = re.compile(r"\w[\w-]*")

_LANGUAGE = rf"(?:(?i:{'|'.join(x for x in LANGUAGES if x != 'polish')})|Polish)"
_WRITTEN_IN = re.compile(
    r"\b(?i:in|into|to)\s+(?:(?i:simple|plain|easy|formal|good|proper|british|american|swiss)\s+)?"
    rf"(?P<a>{_LANGUAGE})(?:\s+(?i:and|or)\s+(?P<c>{_LANGUAGE}))?(?=\s*(?:$|[^\w\s-]|-\s|(?i:{_LITTLE})\b))"
    rf"|\b(?P<b>{_LANGUAGE})(?:-language)?\s+(?i:{_TOLD}|answers?|documents?|posts?|versions?)\b"
)
_END = 2_000  # characters of a request that are read, at each end


@dataclass(frozen=True, slots=True)
class _Person:
    """Who is addressed.

    Attributes:
        role: Plain word; `?` for somebody of whom no role is known, empty for a name alone.
        name: Without a title; may be empty.
        titled: The name has a title.
        owner: Only something's owner: `my boss's mail`.
        end: Where the words for the person end.
    """

    role: str
    name: str = ""
    titled: bool = False
    owner: bool = False
    end: int = 0

    @property
    def label(self) -> str:
        return f"{self.role} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class _Reading:
    people: tuple[_Person, ...]
    words: frozenset[str]
    languages: frozenset[str]


def addressed(preference: Preference) -> Preference:
    """Give a rule the audience and the language that its condition names, unless it has one.

    What it has is brought to one form: `my boss` to `boss`, `German` to `de`.
    """
    scope = preference.scope
    condition = "" if scope.kind == "global" else preference.condition
    language = _tag(scope.language) if scope.language else _written_in(condition)
    audience = _plain(scope.audience) if scope.audience else _audience(condition)
    return replace(preference, scope=replace(scope, audience=audience, language=language))


def audience_fits(scope: Scope, query: str, context: str = "") -> bool:
    """Whether a rule of this scope may speak to a request: not if that addresses somebody else.

    A request that addresses nobody, and names no language, fits every scope. Of long texts the
    beginning and the end are read.

    Args:
        scope: Of the rule.
        query: What the user asks for now; it decides.
        context: The request before it; counts where the query names nobody, or no language.
    """
    if scope.audience is None and scope.language is None:
        return True
    now, before = _read(_clipped(query)), _read(_clipped(context))
    people = now if now.people else replace(before, words=now.words | before.words)
    languages = now.languages or before.languages
    fits = _people_fit(scope.audience, people) or (
        not now.people and _mentions(now, scope.audience)  # "his mother should hear it too"
    )
    return fits and _language_fits(scope.language, languages)


def _clipped(text: str) -> str:
    return text if len(text) <= 2 * _END else f"{text[:_END]}\n{text[-_END:]}"


@lru_cache(maxsize=16)
def _read(text: str) -> _Reading:
    words = frozenset(_stem(word) for word in _WORD.findall(text))
    return _Reading(tuple(_people(text)), words, frozenset(_languages(text)))


def _people_fit(audience: str | None, reading: _Reading) -> bool:
    if audience is None or not reading.people:
        return True
    wanted = _wanted(audience)
    if wanted.role == "?":
        return any(_stem(w) in reading.words for w in _WORD.findall(audience) if len(w) > 1)
    if any(_stem(word) in reading.words for word in _WORD.findall(wanted.name)):
        return True
    return any(_is(wanted, person) for person in reading.people)


def _mentions(reading: _Reading, audience: str | None) -> bool:
    words = ROLES.get(_wanted(audience or "").role, ())
    return any(_stem(word) in reading.words for word in words)


def _is(wanted: _Person, person: _Person) -> bool:
    """Whether the person addressed may be the one that a rule is for; no name is in both."""
    if wanted.name and person.name:
        return False
    if person.titled and wanted.role in FORMAL:
        return True
    if not person.role:
        return bool(wanted.role) and wanted.role not in NAMELESS
    one, other = wanted.role, person.role
    return one == other or other in MEMBERS.get(one, ()) or one in MEMBERS.get(other, ())


def _language_fits(language: str | None, named: frozenset[str]) -> bool:
    if language is None or not named:
        return True
    return _tag(language).split("-")[0].lower() in named


def _audience(condition: str) -> str | None:
    """Name who is addressed, by role and name; nobody if there are several."""
    people = list(_people(condition))
    if any(person.owner or person.role == "?" for person in people):
        return None
    for labels in ({p.label for p in people}, {p.role for p in people}):
        if len(labels) == 1:
            return labels.pop() or None
    return None


def _plain(audience: str) -> str:
    """Bring what an extractor says to the form that conditions give."""
    wanted = _wanted(audience)
    bare = re.sub(rf"^(?:{_DET}\s+)+", "", audience, flags=re.I)
    return bare if wanted.role == "?" else wanted.label


def _wanted(audience: str) -> _Person:
    """Read an audience; its role is `?` where it is none of the known ones and no name."""
    text = _TITLE_DOT.sub(r"\1", audience.strip())
    person = _by_role(text) or _by_name(text)
    return _Person("?") if person is None or person.owner else person


def _people(text: str) -> Iterator[_Person]:
    for sentence in _SENTENCE.split(_TITLE_DOT.sub(r"\1", text)):
        yield from _heard(sentence)


def _heard(sentence: str) -> Iterator[_Person]:
    """Find who is addressed in a sentence; what it then says to them may name others."""
    content, tasks = _starts(_CONTENT, sentence), _starts(_NEXT_TASK, sentence)
    end, said, task = 0, len(sentence), 0
    for intro in _INTRO.finditer(sentence):
        at = intro.start()
        if at < end or (intro["weak"] and (at >= said or at < task)):
            continue
        found = list(_listed(sentence, intro))
        yield from found
        if found:
            end = found[-1].end
            said = content[bisect_left(content, end)]
            task = 0 if intro["weak"] else tasks[bisect_left(tasks, end)]


def _starts(pattern: re.Pattern[str], sentence: str) -> list[int]:
    return [*(match.start() for match in pattern.finditer(sentence)), len(sentence)]


def _listed(sentence: str, intro: re.Match[str]) -> Iterator[_Person]:
    """Read those who are named after a word such as "mail to"."""
    kind, at, first = intro.lastgroup, intro.end(), True
    while True:
        person = _by_role(sentence, at, kind or "")
        if person is None and kind in ("open", "named", "head"):
            person = _by_name(sentence, at)
        if person is None and first and kind in ("open", "head"):
            unknown = _SOMEBODY.match(sentence, at)
            person = unknown and _Person("?", end=unknown.end())
        if person is None:
            return
        yield person
        joined = _JOINED.match(sentence, person.end)
        if joined is None:
            return
        at, first = joined.end(), False


def _by_role(text: str, at: int = 0, kind: str = "") -> _Person | None:
    match = _PERSON.match(text, at)
    if match is None or match["role"].lower() in NO_ROLE:
        return None
    before, role = match["before"], match["role"].lower()
    if before and not match["det"] and not re.search("['’]", before):
        to = kind == "weak" and text[at - 3 : at].strip().lower() == "to"  # "to make friends"
        if to or (before[0].isupper() and not role.endswith("s")):  # "tell Tom mum is ill"
            return None
    name, plain = _names(match["name"] or ""), _role(role)
    if plain in MINE and re.search("['’]", before):
        plain = "?"
    alone = plain in ("aunt", "uncle", "professor") and not match["det"]  # as in "Auntie Esi"
    titled = bool(name and (match["mr"] or alone))
    return _Person(plain, name, titled, match["owns"] is not None, match.end())


def _by_name(text: str, at: int = 0) -> _Person | None:
    match = _NAMED.match(text, at)
    name = _names(match["name"]) if match else ""
    if match is None or not name:
        return None
    role = _role(match["role"].lower()) if match["role"] else ""
    return _Person(role, name, match["mr"] is not None, end=match.end())


def _names(text: str) -> str:
    """Keep the words that are a person's name: no weekdays, languages or abbreviations."""
    names = takewhile(lambda w: w.lower() not in NO_NAMES and not w.isupper(), text.split())
    return " ".join(name for name in names if not name[0].islower())


def _role(word: str) -> str:
    if re.search(r"in[- ]laws?$", word):
        return "in-law"
    return next(ROLE_OF[w] for w in (word, word[:-1], word[:-2]) if w in ROLE_OF)


def _written_in(condition: str) -> str | None:
    named = _languages(condition)
    return named.pop() if len(named) == 1 else None


def _languages(text: str) -> set[str]:
    """Tags of the languages that something is to be written in."""
    found = (m.group("a", "b", "c") for m in _WRITTEN_IN.finditer(text))
    return {LANGUAGES[name.lower()] for names in found for name in names if name}


def _tag(language: str) -> str:
    """Give the tag of a language that is called by its English name; else it stays."""
    named = {LANGUAGES[w] for w in _WORD.findall(language.lower()) if w in LANGUAGES}
    return named.pop() if len(named) == 1 else language


def _stem(word: str) -> str:
    return word.casefold().rstrip("s")
