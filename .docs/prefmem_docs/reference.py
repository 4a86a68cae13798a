"""Pages that are made from the code, so that they cannot say otherwise: options, errors."""

import dataclasses
import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from prefmem import Config, Elicitation
from prefmem.usermodel.ledger import Ledger
from prefmem_docs import text
from prefmem_docs.commands import command_pages
from prefmem_docs.messages import errors_page
from prefmem_server import JwtSettings, ProxySettings, Rate, ServerSettings

_UNITS = (  # by the first of these words in what an option is said to be
    (r"in milliseconds", "ms"),
    (r"^days\b", "days"),
    (r"^seconds\b|\bin seconds|^time to finish", "s"),
    (r"in tokens", "tokens"),
    (r"in bytes|^size of a request's body", "bytes"),
    (r"in characters", "characters"),
    (r"^(relevance|confidence|probability|share)\b", "probability"),
    (r"^(conditional|global) rules|^rules", "rules"),
    (r"^(cards|candidates|live cards)\b", "cards"),
    (r"^jobs", "jobs"),
    (r"^users", "users"),
    (r"^times", "tries"),
    (r"^(log-odds|evidence|weight)\b", "log-odds"),
    (r"^cosine", "cosine"),
    (r"^requests that come back", "requests/s"),
    (r"^requests\b", "requests"),
    (r"^questions\b", "questions"),
    (r"in nats", "nats"),
    (r"^connections", "connections"),
    (r"^windows", "windows"),
)
_LONGEST = 120  # letters of a default that are shown
_SIZES = ((2**20, "MiB"), (2**10, "KiB"))


def pages() -> dict[str, str]:
    """Give the generated pages by their path below `pages`."""
    made = {
        "reference/options.md": options_page(),
        "reference/errors.md": errors_page(),
        "reference/changelog.md": text.included("CHANGELOG.md", "reference/changelog.md"),
        "hosts/examples.md": examples_page(),
    }
    made["reference/changelog.md"] = "# Changelog\n\n" + made["reference/changelog.md"]
    return made | command_pages()


def options_page() -> str:
    """Say of every option what it is, its unit, its range and what it is unless given."""
    parts = [
        "# Options",
        "This page is made from the code when the site is built; a test compares the two.",
        "## Of the memory",
        "`PreferenceMemory(config=Config(...))`. Unknown names are refused, with the nearest known "
        "one in the message. The other arguments of `PreferenceMemory` are parts that can be "
        "exchanged: see the [Python API](api.md).",
        config_table(),
    ]
    for title, about, kind in _SETTINGS:
        parts += [f"## {title}\n\n{about}", settings_table(kind)]
    parts += [
        "## Of the command line and its environment",
        "See [Command line](cli.md); an option that an environment variable sets, "
        "too, names it there.",
    ]
    return "\n\n".join(parts) + "\n"


_SETTINGS: tuple[tuple[str, str, type[Any]], ...] = (
    (
        "Of the server",
        "`create_app(memory, settings=ServerSettings(...))`; `prefmem serve` sets "
        "them by its options.",
        ServerSettings,
    ),
    ("Of a limit on requests", "`ServerSettings(rate=Rate(...))`, for each key.", Rate),
    ("Of tokens", "`ServerSettings(jwt=JwtSettings(...))`.", JwtSettings),
    (
        "Of the proxy",
        "`proxy_router(memory, ProxySettings(...), counts=...)`; `prefmem serve "
        "--upstream` sets them.",
        ProxySettings,
    ),
    (
        "Of questions to new users",
        "`PreferenceMiddleware(memory, elicit=Elicitation(...))` and `ElicitNode`.",
        Elicitation,
    ),
    (
        "Of the default user model",
        "`PreferenceMemory(user_model=Ledger(...))`, from `prefmem.usermodel.ledger`."
        " The formulas: [The ledger](../method/ledger.md).",
        Ledger,
    ),
)


def config_table() -> str:
    """Say of every field of `Config` what it is."""
    rows = [
        (f"`{name}`", _shown(field.default), unit_of(field), _range(field), field.description or "")
        for name, field in Config.model_fields.items()
    ]
    return table(("option", "unless given", "unit", "range", "meaning"), rows)


def unit_of(field: FieldInfo) -> str:
    """Give the unit of a field; empty for a switch or a choice."""
    if field.annotation is bool or _choices(field):
        return ""
    return unit(field.description or "")


def unit(meaning: str) -> str:
    """Find the unit in what an option is said to be; empty where it has none."""
    return next((name for words, name in _UNITS if re.search(words, meaning, re.I)), "")


def settings_table(kind: type[Any]) -> str:
    """Say of every field of a dataclass of settings what it is, by its docstring."""
    told = attributes(kind)
    rows: list[tuple[str, ...]] = []
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            default = _shown(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            default = _shown(field.default_factory())
        else:
            default = "must be given"
        number = "int" in str(field.type) or "float" in str(field.type)
        meaning = told[field.name]
        rows.append((f"`{field.name}`", default, unit(meaning) if number else "", meaning))
    return table(("option", "unless given", "unit", "meaning"), rows)


def attributes(kind: type[Any]) -> dict[str, str]:
    """Read what a class's docstring says of its attributes, or of its arguments."""
    doc = inspect.getdoc(kind) or ""
    section = re.search(r"^(?:Attributes|Args):\n(.*?)(?=^\S|\Z)", doc, re.M | re.S)
    entries = re.findall(
        r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section[1] if section else "", re.M | re.S
    )
    return {name: " ".join(words.split()) for name, words in entries}


def examples_page() -> str:
    """Show the examples of the repository."""
    parts = [
        "# Examples",
        "Each runs as it stands, offline, against a stand-in that says the rules it "
        "was given; with `--endpoint http://127.0.0.1:11434/v1 --model llama3.2` "
        "against a real model. They lie in `examples/` and share "
        "`examples/shared.py`. A test runs every one of them.",
    ]
    for file in sorted((text.ROOT / "examples").glob("[0-9]*.py")):
        parts.append(f"## {file.stem}\n\n{text.program(f'examples/{file.name}')}")
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines
    )


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return tuple(c for c in get_args(field.annotation) if isinstance(c, str))


def _range(field: FieldInfo) -> str:
    if choices := _choices(field):
        return ", ".join(f'`"{choice}"`' for choice in choices)
    if field.annotation is bool:
        return "`True`, `False`"
    low, high = "", ""
    for bound in field.metadata:
        if isinstance(bound, Ge):
            low = f"from {_number(bound.ge)}"
        elif isinstance(bound, Gt):
            low = f"above {_number(bound.gt)}"
        elif isinstance(bound, Le):
            high = f"to {_number(bound.le)}"
        elif isinstance(bound, Lt):
            high = f"below {_number(bound.lt)}"
    none = "or `None`" if type(None) in get_args(field.annotation) else ""
    return " ".join(filter(None, (low, high, none)))


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _shown(value: object) -> str:
    """Write a default as in code; sizes in bytes also in the unit that people read."""
    shown = f"`{value!r}`"
    if len(shown) > _LONGEST:
        return "the packaged ones"
    if isinstance(value, int) and not isinstance(value, bool):
        for size, name in _SIZES:
            if value >= size and value % size == 0:
                return f"{shown} ({value // size} {name})"
    return shown
