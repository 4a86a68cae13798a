"""The measured features of style, each with the rules in plain words that it stands for.

They were chosen from what people change in mails, reports, posts, notes, comments, recipes and
lesson plans, and are listed in features.toml. Names and contents are no features.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from prefmem.feedback import parts
from prefmem.feedback.measure import Choice, Feature, Finder, Mark, Scale, Wish
from prefmem.feedback.passage import Passage, Span
from prefmem.feedback.places import Placed, orders
from prefmem.feedback.shapes import shapes
from prefmem.feedback.wordlists import filled, listed, table, wordlist

_BULLET = r"[-*•–\d.)\[\]\t ]*+"


@cache
def features() -> tuple[Feature, ...]:
    """Give all features, in no particular order."""
    read = table("features")
    marks = cast(Sequence[Mapping[str, Any]], read["mark"])
    choices = cast(Sequence[Mapping[str, Any]], read["choice"])
    places = cast(Sequence[Mapping[str, Any]], read["place"])
    return (
        *map(_mark, marks), *map(_choice, choices), *map(_place, places), *_scales(), *shapes(),
        *orders(),
    )  # fmt: skip


def _mark(entry: Mapping[str, Any]) -> Mark:
    name, group = entry["name"], entry.get("group", "")
    drop, add = entry.get("drop"), entry.get("add")
    return Mark(
        _finder(entry),
        Wish(f"{name}:drop", drop, "avoid", group) if drop else None,
        Wish(f"{name}:add", add, "do", group) if add else None,
        always=entry.get("always", False),
        loose=entry.get("loose", False),
        whole=entry.get("whole", False),
    )


def _choice(entry: Mapping[str, Any]) -> Choice:
    name = entry["name"]
    group = entry.get("group", name)
    forms = cast(Mapping[str, Mapping[str, Any]], entry["forms"])
    return Choice(
        {
            form: (_finder(given), Wish(f"{name}:{form}", given["rule"], "do", group))
            for form, given in forms.items()
        }
    )


def _place(entry: Mapping[str, Any]) -> Placed:
    last = entry.get("last", False)
    groups = f"{'ending' if last else 'opening'} {entry.get('group', '')}"
    kind = listed(wordlist(entry["words"])) if "words" in entry else _compiled(entry["find"])
    name = f"{'tail' if last else 'lead'}:{entry['name']}"
    return Placed(Wish(name, entry["rule"], "do", groups), kind, last, entry.get("common", False))


def _scales() -> tuple[Scale, ...]:
    return (
        Scale(
            parts.length,
            Wish("length:short", "Keep it short{limit}."),
            Wish("length:long", "Write in more detail."),
            factor=0.6,
        ),
        Scale(
            parts.sentence_length,
            Wish("sentences:short", "Write short sentences."),
            Wish("sentences:long", "Write long, connected sentences."),
            factor=0.65,
        ),
        Scale(parts.article_share, Wish("articles:less", "Leave out articles."), factor=0.25),
    )


def _finder(entry: Mapping[str, Any]) -> Finder:
    if "part" in entry:
        return parts.PARTS[entry["part"]]
    if "words" in entry:
        return _found(listed(wordlist(entry["words"])))
    if "begins" in entry:
        return _begun(re.compile(_BULLET + f"(?:{_joined(entry['begins'])})", re.I))
    return _found(_compiled(entry["find"]))


def _compiled(expressions: Sequence[str]) -> re.Pattern[str]:
    return re.compile(_joined(expressions), re.I)


def _joined(expressions: Sequence[str]) -> str:
    """Join patterns; a flag that holds for all stands at the very beginning."""
    flag = "(?m)" if any(e.startswith("(?m)") for e in expressions) else ""
    return flag + "|".join(filled(e).removeprefix("(?m)") for e in expressions)


def _found(pattern: re.Pattern[str]) -> Finder:
    return lambda text: tuple(m.span() for m in pattern.finditer(text.text))


def _begun(pattern: re.Pattern[str]) -> Finder:
    """Find the sentences of the body that begin so."""

    def find(text: Passage) -> tuple[Span, ...]:
        return tuple(span for span in text.told if pattern.match(text.text, *span))

    return find
