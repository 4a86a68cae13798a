"""A writer without a model that keeps to every rule it knows: what rules could do at most."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from prefmem.agent.lesson import Task
from prefmem.agent.markers import Marker, named
from prefmem.evaluate.agent.authors import Content, Style, text_of

_WORDS_OF_A_SENTENCE = 8
# What a rule on a marker changes; markers with words or numbers of their own are read apart.
_FIXED = {
    "no greeting": Style(greeting=None),
    "no sign-off": Style(sign_off=""),
    "lower case": Style(lower=True),
    "bullets": Style(layout="bullets"),
    "numbered lists": Style(layout="numbered"),
    "a line for each sentence": Style(layout="paragraphs"),
    "exclamation marks": Style(mark="!"),
    "ellipses": Style(mark="..."),
    "semicolons": Style(joint="; "),
    "dashes": Style(joint=" - "),
    "emojis": Style(emoji="\U0001f642"),
    "headings": Style(heading=True),
    "contractions": Style(contracts=True),
    "no contractions": Style(contracts=False),
}
_FIELDS = ("lower", "layout", "mark", "joint", "emoji", "heading", "contracts")
_PLAIN = Style()


class Obedient:
    """Writes contents, following rules in words as far as `prefmem.agent.markers` reads them.

    Args:
        contents: All that it can be asked to write.
    """

    def __init__(self, contents: Iterable[Content]) -> None:
        """Know the contents by their tasks."""
        self._contents = {content.task: content for content in contents}

    def __call__(self, asked: Sequence[tuple[Task, tuple[str, ...]]]) -> list[str]:
        """Write each task by its rules."""
        return [text_of(self._contents[task], style_of(rules, task.kind)) for task, rules in asked]


def style_of(rules: Iterable[str], kind: str) -> Style:
    """Give the style that rules ask for, beyond that of a plain text of the kind."""
    mail = kind == "mail"
    style = Style(greeting="Hello {to}," if mail else "", sign_off="Regards" if mail else "")
    for rule in rules:
        marker = named(rule)
        if marker is not None:
            style = _changed(style, marker, mail=mail)
    return style


def _changed(style: Style, marker: Marker, *, mail: bool) -> Style:
    if marker.name in _FIXED:
        return _fixed(style, marker.name)
    _, _, said = marker.name.partition(": ")
    first, _, second = style.sign_off.partition(",\n")
    match marker.family:
        case "at most words" | "at most sentences":
            number = int(marker.name.split()[2])
            each = _WORDS_OF_A_SENTENCE if marker.family == "at most words" else 1
            style = replace(style, keeps=max(1, min(style.keeps, number // each)))
        case "greeting" if mail:
            style = replace(style, greeting=f"{said.capitalize()} {{to}},")
        case "sign-off":
            style = replace(style, sign_off=f"{said.capitalize()},\n{second}".removesuffix(",\n"))
        case "name":
            style = replace(style, sign_off=f"{first},\n{said.title()}")
        case "opening words":
            style = replace(style, opening=f"{said.capitalize()},")
        case "closing words":
            end = "?" if style.closing == "?" else style.mark
            style = replace(style, closing=f"{said.capitalize()}{end}")
        case "question at the end" if not marker.name.startswith("no "):
            style = replace(style, closing=f"{style.closing.rstrip('.!')}?")
        case _:
            pass
    return style


def _fixed(style: Style, name: str) -> Style:
    if name == "no greeting":
        return replace(style, greeting=None)
    if name == "no sign-off":
        return replace(style, sign_off="")
    wanted = _FIXED[name]
    if name == "a line for each sentence" and style.layout != "prose":
        return style
    changes = {
        field: getattr(wanted, field)
        for field in _FIELDS
        if getattr(wanted, field) != getattr(_PLAIN, field)
    }
    return replace(style, **changes)
