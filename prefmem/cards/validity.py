"""Until when a rule holds: "until Friday", "this month", "for the next two weeks".

English. A day that is named is included, days are those of UTC. What names no date ("until the
draft is done", "while I'm in Lisbon", "until Friday's demo") stays in the rule and ends nothing,
and so does a date that the rule is about ("walk me through March", "asking what to cook tonight").
"""

import re
from calendar import isleap, monthrange
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from prefmem.types import Preference

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple of": 2, "three": 3, "few": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip

_Where = Literal["slot", "quote", "beside"]  # beside: the quote's sentence, around it

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)  # stores' range
_READ = 2_000  # characters of a text that are looked at

# Patterns. Each repetition of words is bounded, and dates are atomic: no part of one is a date.

_DAY = "|".join(_DAYS)
_MONTH = "|".join(f"{m}|{m[:3]}" for m in _MONTHS) + "|sept"
_UNIT = r"day|week|weekend|month|quarter|year"
_PERSON = (  # "until Jan replies"
    r"(?:jan|april|may|june|august)\s+(?:had|can|will|(?!always\b)\w{1,20}[^\W\ds]s)\b"
)
_OVER = r"(?:is|are|was|were|comes|arrives|begins|starts|ends|passes)\b"
_DATE = rf"""
    (?:(?:(?:this|next)\s+)?(?:{_DAY}),?\s+)?(?:
        (?P<iso>\d{{4}}-\d\d-\d\d)\b
      | (?:the\s+)?(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_MONTH})\b\.?
        (?:,?\s+(?P<y1>\d{{4,}})\b)?
      | (?P<m2>{_MONTH})\b\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*(?:am|pm|:))
        (?:,?\s+(?P<y2>\d{{4,}})\b)?)
  | (?:the\s+)?end\s+of\s+(?:(?P<m3>{_MONTH})\b(?:\s+(?P<y3>\d{{4,}})\b)?|(?P<year>\d{{4}})\b
      |(?P<endnext>next\s+)?(?:(?:the|this)\s+)?(?P<end>{_UNIT})\b)
  | (?!{_PERSON})
    (?P<m4>{_MONTH})\b(?:\s+(?P<y4>\d{{4,}})\b|(?!\s*\d))
  | (?P<next>next\s+)?(?P<this>this\s+)?(?P<weekday>{_DAY})\b
    (?:,?\s+(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)\b|(?P<ofnext>\s+(?:of\s+)?next\s+week)\b)?
  | (?P<today>today|tonight|this\s+evening)\b | (?P<tomorrow>tomorrow)\b
  | (?:the|this)\s+(?P<weekend>weekend)\b | next\s+(?P<nextunit>{_UNIT})\b
  | (?P<christmas>christmas|xmas)\b
  | (?:the\s+)?(?P<newyear>new\s+year(?:['’]s(?:\s+eve)?)?)\b
"""
_TIME = r"""
    \s+(?:in\s+the\s+)?(?:morning|midday|lunchtime|afternoon|evening|night)\b
  | ,?\s+(?:(?:at|around)\s+)?
    (?:noon\b|midnight\b|\d{1,2}(?:[:.]\d\d)?\s*(?:[ap]m\b|[ap]\.m\.|o['’]clock\b)|\d{1,2}:\d\d\b)
  | \s+at\s+\d{1,2}\b
"""
_NOT_ITS = r"(?!['’-]\w)"  # "until Friday's demo"
_GUIDED = rf"""(?:
    (?:me|us|him|her|them|(?:go|walk|talk|read|run|look|work|step|skim|scroll)(?:e?s|ed|[mnp]?ing)?
      |(?:walk|talk|tak|take|guid|guide|lead)(?:s|ing)?\s+(?:the|my|our|an?)\s+\w{{1,30}}
      |(?:{_DAY})s?|{_MONTH})\s+
    (?=thr(?:ough|u)\b))
"""
_NUMBER = r"\d{1,3}|" + "|".join(_NUMBERS)
_BOUND = re.compile(
    rf"\b(?P<content>{_GUIDED})?"  # "go through March", "Monday through Friday"
    rf"(?:(?:only|just|up|at\s+least|from\s+now(?:\s+on)?|for\s+now)\s+){{0,3}}"
    rf"\b(?P<word>until|till?|through|thru)\s+(?P<after>after\s+)?"
    rf"(?>{_DATE})(?>(?:{_TIME}){{0,2}}){_NOT_ITS}(?!\s+{_OVER})",
    re.I | re.X,
)
_SPAN = re.compile(
    rf"\b(?:(?:only|just)\s+)?(?:for|over|during)\s+(?:(?:about|only|just)\s+)?(?:the\s+)?"
    rf"(?:(?:next|coming|following)\s+(?:(?P<n1>{_NUMBER})\s+)?"
    rf"|another\s+(?:(?P<n2>{_NUMBER})\s+)?|(?P<rest>rest\s+of\s+(?:the|this)\s+))"
    rf"(?P<unit>{_UNIT})s?\b{_NOT_ITS}",
    re.I,
)
_COUNT = re.compile(
    rf"^\W*for\s+(?:(?:the|a)\s+)?(?P<n>{_NUMBER})\s+(?P<unit>day|week|month)s?\b"
    r"(?=\s*(?:[,;:.!?]|$))",
    re.I,
)
_THIS = re.compile(
    rf"\b(?P<only>(?:(?:for|only|just)\s+){{1,3}})?"
    rf"\b(?:(?P<today>today|tonight)|this\s+(?P<unit>{_UNIT}))\b{_NOT_ITS}",
    re.I,
)
# Before "this week" or "for the next week": words that make it what a rule is about, or a report.
_ABOUT = re.compile(
    r"""\b(?:asking|asked|plan(?:s|ning)?|talking|wondering|discussing|deciding|choosing|reviewing
        |comparing|describing|summari[sz]ing|what|where|which|who|how|whether)\b
    | \b(?:about|as\s+of|by|from|in|like|of|on|since|starting|than|use|with)\s*$
    | \b(?:i|we)(?:['’]ve\s+|\s+(?:have\s+)?)(?:just\s+)?(?:went|gone|became|become|got|began|quit
        |was|were|(?!need)\w{2,20}ed)\b""",
    re.I | re.X,
)
_CLAUSE = re.compile(r"[,;:.!?(–—]")
_CLAUSE_END = re.compile(r"\s*(?:[,;:.!?)–—]|-\s|$)")
_TEXT_END = re.compile(r"[\s,.!?)\"'’”]*$")
_PART = re.compile(r",\s*and\b|\bbut\b|;", re.I)
_WORD = re.compile(r"\w+")
_EDGES = " \t,;:.!?-–—"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def dated(preference: Preference, said: str, at: datetime) -> tuple[Preference, datetime | None]:
    """Find until when a rule holds, and take the words for it out of the rule.

    Looked for in the condition, in the action, in the quote, and, where the limit is plain
    ("until", "for the next"), beside the quote in its sentence. Of a sentence with several parts
    ("..., and ...") only the rule's own counts.

    Args:
        preference: The rule; left as it is.
        said: The user turn that the first quote is from; empty for none.
        at: When it was said.

    Returns:
        The rule, and its end, UTC, from 1970 on; None for no end, or for one after the year 8999. A
        date that has passed gives an end that has.
    """
    at = _utc(at)
    for slot in (preference.condition, preference.action):
        found = _found(slot, at, "slot")
        if found is not None:
            end, start, stop = found
            return _without(preference, slot, _joined(slot[:start], slot[stop:])), _storable(end)
    quote = preference.evidence[0].quote if preference.evidence else ""
    found = _found(_own_part(quote[:_READ], preference), at, "quote")
    found = found or _found(_part_around(quote, said), at, "beside")
    return preference, _storable(found[0]) if found else None


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:  # within hours of the calendar's ends
        return at.replace(tzinfo=UTC)


def _storable(end: datetime) -> datetime | None:
    return None if end >= _LAST else max(end, _FIRST)


def _without(preference: Preference, slot: str, rest: str) -> Preference:
    """Replace the condition or the action by what is left of it; an action never gets empty."""
    if slot == preference.condition:
        return replace(preference, condition=rest)
    return replace(preference, action=rest or slot)


def _found(text: str, at: datetime, where: _Where) -> tuple[datetime, int, int] | None:
    """Find the first limit in a text: its end, and where its words start and stop."""
    for pattern in (_BOUND, _SPAN) if where == "beside" else (_BOUND, _SPAN, _COUNT, _THIS):
        for match in pattern.finditer(text[:_READ]):
            end = _read(match, at) if _limits(match, where) else None
            if end is not None:
                return end, match.start(), match.end()
    return None


def _limits(match: re.Match[str], where: _Where) -> bool:
    """Whether the words say how long a rule holds, not what it is about."""
    text, stop = match.string, match.end()
    if match.re is _BOUND:
        return match["content"] is None
    if _ABOUT.search(_CLAUSE.split(text[: match.start()])[-1]):
        return False
    if match.re is not _THIS:
        return True
    if where == "slot":
        return _CLAUSE_END.match(text, stop) is not None
    return match["only"] is not None or _TEXT_END.match(text, stop) is not None


def _read(match: re.Match[str], at: datetime) -> datetime | None:
    """Give the end that the words name; None where there is no such day."""
    readers = {_BOUND: _bound, _SPAN: _span, _COUNT: _count, _THIS: _this}
    try:
        return readers[match.re](match, at)
    except OverflowError:  # after the last day of the calendar
        return _LAST
    except (ValueError, KeyError):
        return None


def _bound(match: re.Match[str], at: datetime) -> datetime:
    """Read "until ..."; the day that is named is included, a month only after "through"."""
    included = match["word"].lower() in ("through", "thru") or bool(match["after"])
    return _date(match, _midnight(at), included=included)


def _date(match: re.Match[str], today: datetime, *, included: bool) -> datetime:
    day = timedelta(days=1)
    if match["iso"]:
        return datetime.fromisoformat(match["iso"]).replace(tzinfo=UTC) + day
    if match["m1"] or match["m2"]:
        number, month = match["d1"] or match["d2"], match["m1"] or match["m2"]
        return _day(int(number), _month(month), match["y1"] or match["y2"], today) + day
    if match["m3"] or match["m4"]:
        first = _day(1, _month(match["m3"] or match["m4"]), match["y3"] or match["y4"], today, 31)
        ends = match["m3"] or included or first <= today  # "until March" said in March is its end
        return _later_month(first, 1) if ends else first
    if match["year"]:
        return datetime(int(match["year"]) + 1, 1, 1, tzinfo=UTC)
    if match["end"] or match["nextunit"]:
        return _unit_date(match, today, included=included)
    return _near_date(match, today)


def _near_date(match: re.Match[str], today: datetime) -> datetime:
    day = timedelta(days=1)
    if match["weekday"]:
        number = _DAYS.index(match["weekday"].lower()) - today.weekday()
        ahead = number % 7 if match["this"] else number % 7 or 7
        if match["next"] or match["ofnext"]:  # of the week after this one
            ahead = 7 + number
        return today + (ahead + 1) * day
    if match["christmas"] or match["newyear"]:
        last = (26, 12) if match["christmas"] else (31, 12)
        return _day(*last, None, today) + day
    if match["weekend"]:
        return _end("weekend", today)
    return today + (2 if match["tomorrow"] else 1) * day


def _unit_date(match: re.Match[str], today: datetime, *, included: bool) -> datetime:
    if match["end"]:
        end = _end(match["end"].lower(), today)
        return _end(match["end"].lower(), end) if match["endnext"] else end
    begins = _end(match["nextunit"].lower(), today)  # next week begins where this one ends
    return _end(match["nextunit"].lower(), begins) if included else begins


def _span(match: re.Match[str], at: datetime) -> datetime:
    unit = match["unit"].lower()
    if match["rest"]:
        return _end(unit, _midnight(at))
    return _after(at, _number(match["n1"] or match["n2"]), unit)


def _count(match: re.Match[str], at: datetime) -> datetime:
    return _after(at, _number(match["n"]), match["unit"].lower())


def _this(match: re.Match[str], at: datetime) -> datetime:
    return _end((match["unit"] or "day").lower(), _midnight(at))


def _after(at: datetime, number: int, unit: str) -> datetime:
    months = {"month": 1, "quarter": 3, "year": 12}.get(unit)
    if months is not None:
        return _later_month(at, number * months)
    return at + timedelta(days=number * {"day": 1, "weekend": 7, "week": 7}[unit])


def _end(unit: str, today: datetime) -> datetime:
    """Give the first moment after the day, week, month ... that `today` lies in."""
    first = today.replace(day=1)
    return {
        "day": today + timedelta(days=1),
        "week": today + timedelta(days=7 - today.weekday()),
        "weekend": today + timedelta(days=7 - today.weekday()),
        "month": _later_month(first, 1),
        "quarter": _later_month(first, 3 - (today.month - 1) % 3),
        "year": _later_month(first, 13 - today.month),
    }[unit]


def _day(
    number: int, month: int, year: str | None, today: datetime, until: int | None = None
) -> datetime:
    """Give a day of a year that is named, or else the next such day; of 29 February, too.

    With `until` the day counts as still ahead up to that day of its month.
    """
    if year is not None:
        return datetime(int(year), month, number, tzinfo=UTC)
    last = until or number
    ahead = today.year + ((today.month, today.day) > (month, last))
    while (number, month) == (29, 2) and not isleap(ahead):
        ahead += 1
    return datetime(ahead, month, number, tzinfo=UTC)


def _later_month(at: datetime, months: int) -> datetime:
    count = at.year * 12 + at.month - 1 + months
    year, month = divmod(count, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _month(name: str) -> int:
    return [m[:3] for m in _MONTHS].index(name[:3].lower()) + 1


def _number(text: str | None) -> int:
    if text is None:
        return 1
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _own_part(quote: str, preference: Preference) -> str:
    """Give the part of a quote that shares most words with the rule; empty where none does."""
    parts = _PART.split(quote)
    if len(parts) == 1:
        return quote
    own = _words(f"{preference.condition} {preference.action}")
    shared = [len(own & _words(part)) for part in parts]
    return parts[shared.index(max(shared))] if any(shared) else ""


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _part_around(quote: str, said: str) -> str:
    """Give the part of a sentence that a quote stands in."""
    sentence = next((s for s in _SENTENCE.split(said) if quote and quote in s), "")
    return next((part for part in _PART.split(sentence) if quote in part), "")


def _joined(before: str, after: str) -> str:
    """Put together what is left around the words that were taken out."""
    parts = [part for part in (before.strip(_EDGES), after.strip(_EDGES)) if part]
    comma = before.rstrip().endswith((",", ";"))
    rest = re.sub(r"\( \) ?", "", (", " if comma else " ").join(parts)).strip(_EDGES)
    return re.sub(r"\b(?:and|but|or)$", "", rest, flags=re.I).strip(_EDGES)
