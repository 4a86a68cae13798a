"""The packaged word lists, and the patterns that they make."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_MONTHS_SHORT = r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
_UNITS = "kg|g|mg|ml|l|cm|mm|m|km|lbs?|oz|ft|mins?|h|hrs?|s|secs?|W|V|A|GB|MB|TB"
_LONG_UNITS = (
    "(?:kilo|milli)?grams?|(?:milli)?lit(?:re|er)s?|(?:centi|milli|kilo)?met(?:re|er)s?|pounds?"
    "|ounces?|feet|foot|inches|miles?|minutes?|hours?|seconds?|degrees?|tablespoons?|teaspoons?"
    "|gigabytes?|megabytes?|watts?|volts?|kilos?"
)


@cache
def table(name: str) -> Mapping[str, object]:
    """Read a packaged TOML file of this folder."""
    text = files("prefmem.feedback").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def wordlist(name: str) -> str:
    """Give a list of words.toml as it stands, its entries apart by white space."""
    return str(table("words")[name])


@cache
def listed(entries: str) -> re.Pattern[str]:
    """Make a pattern of whole words in any letter case from a list of words.toml."""
    return re.compile(rf"\b{alternatives(entries)}\b", re.I)


def alternatives(entries: str) -> str:
    """Make a group of the entries of a list, the longest first."""
    parts = entries.replace("'", "['’]").replace("_", r"\s+").split()
    return f"(?:{'|'.join(sorted(parts, key=len, reverse=True))})"


@cache
def filled(expression: str) -> str:
    """Fill in the alternatives that a pattern of features.toml names in braces."""
    months = wordlist("months").split()
    month = f"(?:{'|'.join(months)}|{_MONTHS_SHORT}\\.?)"
    names = {
        "month": month,
        "long_month": f"(?:{'|'.join(m for m in months if m != 'may')})",
        "short_month": _MONTHS_SHORT,
        "dated": (
            r"(?:\b\d{4}-\d\d-\d\d\b"
            rf"|\b\d{{1,2}}(?:st|nd|rd|th)? {month}(?!\w)|\b{month} \d{{1,2}}\b"
            r"|\b\d{1,2}[:.]\d\d\b|\b\d{1,2} ?[ap]\.?m\b|\b(?:today|tomorrow|tonight)\b"
            r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)"
        ),
        "asking": r"(?:\bplease\b|\b(?:could|can|would|will) you\b|\b(?:i|we) need\b)",
        "unit": f"(?:{_UNITS})",
        "long_unit": f"(?:{_LONG_UNITS})",
        "contracted": (
            r"\b(?:\w+(?:n['’]t|['’](?:re|ve|ll|d|m))"
            r"|(?:it|that|there|here|what|who|where|how|she|he|let)['’]s)\b"
        ),
        "numbers": alternatives(wordlist("number_words")),
        "participles": alternatives(wordlist("participles")),
        "commands": alternatives(wordlist("commands")),
    }
    expression = expression.replace("\\\n", "")
    for name, group in names.items():
        expression = expression.replace(f"{{{name}}}", group)
    return expression


@cache
def known_words() -> frozenset[str]:
    """Give all words of the lists: they are no names."""
    lists = (str(entries) for entries in table("words").values())
    return frozenset(word for entries in lists for word in re.findall(r"[a-z]+", entries))


@cache
def stop_words() -> frozenset[str]:
    """Give the words that carry no meaning of their own."""
    return frozenset(wordlist("stop").split())
