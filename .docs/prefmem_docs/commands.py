"""The page of the command line, as the commands themselves tell it."""

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from prefmem.cli import app

_TYPES = {"str": "text", "int": "number", "float": "number", "Path": "path", "bool": ""}


def command_pages() -> dict[str, str]:
    """Give the page of all commands, by its path below `pages`."""
    parts = [
        "# Command line",
        "This page is made from the commands when the site is built. Data goes to "
        "stdout, messages to stderr. Exit codes: 0 fine, 1 prefmem refused, 2 wrong "
        "usage. `--json` gives a form for programs.",
    ]
    for name, command in commands():
        parts.append(f"{'#' * min(name.count(' ') + 1, 3)} {name}")
        parts += _told(name, command)
    return {"reference/cli.md": "\n\n".join(parts) + "\n"}


def commands() -> Iterator[tuple[str, Any]]:
    """Give every command below `prefmem` with its whole name, groups before what is in them."""
    yield from _below("prefmem", get_command(app))


def options(command: Any) -> set[str]:  # noqa: ANN401  # typer carries its own click or not
    """Give the names of a command's options, `--no-` forms included."""
    names = [*(n for p in command.params for n in (*p.opts, *p.secondary_opts)), "--help"]
    return {name for name in names if name.startswith("-")}


def _below(name: str, group: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # as above
    for part in group.list_commands(None):
        command = group.get_command(None, part)
        yield f"{name} {part}", command
        if hasattr(command, "list_commands"):
            yield from _below(f"{name} {part}", command)


def _told(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401  # as above
    yield plain(command.help or "")
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p for p in shown if not p.opts[0].startswith("-")]
    given = [p for p in shown if p.opts[0].startswith("-")]
    if arguments or given:
        words = [_argument(p) for p in arguments]
        line = " ".join([name, *words, *(["[options]"] if given else [])])
        yield f"```text\n{line}\n```"
    rows = [_row(p) for p in [*arguments, *given]]
    if rows:
        lines = ["| | takes | unless given | meaning |", "|---|---|---|---|", *rows]
        yield "\n".join(lines)


def _argument(param: Any) -> str:  # noqa: ANN401  # as above
    name = param.metavar or param.name.upper()
    return f"{name}{'...' if param.nargs != 1 else ''}" if param.required else f"[{name}]"


def _row(param: Any) -> str:  # noqa: ANN401  # as above
    is_option = param.opts[0].startswith("-")
    names = (
        [*param.opts, *param.secondary_opts] if is_option else [param.metavar or param.name.upper()]
    )
    default = "must be given" if param.required else _default(param)
    meaning = plain(param.help or "")
    if param.envvar:
        variables = [param.envvar] if isinstance(param.envvar, str) else param.envvar
        meaning = f"{meaning} In the environment: {', '.join(f'`{v}`' for v in variables)}.".strip()
    cells = (", ".join(f"`{n}`" for n in names), _takes(param), default, meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _takes(param: Any) -> str:  # noqa: ANN401  # as above
    if getattr(param, "is_flag", False):
        return ""
    annotation = param.type_descriptor.annotation
    choices = getattr(annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        words = ", ".join(f"`{choice}`" for choice in choices)
    else:
        kind = getattr(annotation, "__name__", str(annotation))
        words = _TYPES.get(kind, param.metavar or kind)
    low, high = param.min, param.max
    if low is not None and high is not None:
        words += f", {low} to {high}"
    elif low is not None:
        words += f", from {low}"
    return f"{words}; may be repeated" if param.multiple else words


def _default(param: Any) -> str:  # noqa: ANN401  # as above
    value = param.default
    if callable(value) or value is None or value == "" or (value is False and param.is_flag):
        return ""
    return f"`{value}`"


def plain(help_text: str) -> str:
    """Give a help text as Markdown: one paragraph for each, without the marks of the terminal."""
    return "\n\n".join(
        " ".join(p.split()) for p in re.split(r"\n\s*\n", help_text.replace("\b", ""))
    )
