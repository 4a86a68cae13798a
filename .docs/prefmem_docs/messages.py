"""The page of errors: the tree as in the code, what to do, and every message that it raises."""

import ast
import inspect
from collections.abc import Iterator
from html import escape

from prefmem import errors
from prefmem_docs.text import ROOT

_HOLE = "…"
TO_DO = {
    "PrefmemError": (
        "Catch this one to catch all of them. No subclass means a defect of prefmem alone: "
        "each message says what happened and what to do."
    ),
    "ConfigError": (
        "Mend the setting that the message names; [Options](options.md) lists names, ranges "
        "and units. Raised where something is set up, never in the middle of a chat."
    ),
    "InputError": ("Mend what was passed in. Nothing was stored, so the call can be made again."),
    "UserRequiredError": (
        "Pass the id that your host has authenticated. There is no default user."
    ),
    "NotFoundError": (
        "Look with `memory.list(user_id=...)` or `prefmem list`: the card was forgotten, "
        "belongs to somebody else, or the id is cut off."
    ),
    "MissingExtraError": ("Run the install line in the message."),
    "WeightsError": (
        "Install prefmem again; `prefmem doctor` says which file. For a model of your own: "
        "give the whole folder."
    ),
    "AdapterError": (
        "`prefmem agent list` shows versions, `prefmem agent rollback` takes the one before; "
        "train anew where the base has changed. A recall goes on with the cards alone."
    ),
    "EndpointError": (
        "See to the endpoint, and call again: the same turns are tried again. In the "
        "background the queue does that by itself."
    ),
    "BasisMismatchError": (
        "Open the store with the embedder that it was made with, or embed anew by "
        "`memory.export`, a new store and `memory.load`."
    ),
    "StoreError": (
        "What was acknowledged before is safe. See the message; `prefmem verify` checks the "
        "whole store."
    ),
    "StoreVersionError": (
        "Use a prefmem at least as new as the one that wrote the file, or another path."
    ),
    "StoreClosedError": (
        "Open the memory again. At the end of a service close the memory last, after what calls it."
    ),
    "StoreUnavailableError": (
        "Free the disk, mend the permission, or wait for the one who holds the lock; for a "
        "damaged file `prefmem verify`, then `prefmem restore` or `prefmem rebuild`. Recalls "
        "give no rules meanwhile and do not raise."
    ),
    "ShardDownError": ("Bring the shard back; users of the others are served all the while."),
}


def errors_page() -> str:
    """Say of every error what happened, what to do, and which messages it comes with."""
    found = messages()
    parts = [
        "# Errors",
        "All errors that prefmem raises on purpose come from one tree, which this "
        "page shows as it is in the code. What is read of a message's holes (`…`) "
        "stands in quotation marks when it is raised. Over REST an error is a problem"
        " with a status: see [REST](../hosts/rest.md#errors).",
        f"```text\n{_tree()}\n```",
    ]
    for kind in tree():
        name = kind.__name__
        parts.append(f"## {name}")
        bases = [b.__name__ for b in kind.__bases__]
        parts.append(f"Is a {' and a '.join(f'`{b}`' for b in bases)}.")
        parts.append(f"**What happened.** {' '.join((inspect.getdoc(kind) or '').split())}")
        parts.append(f"**What to do.** {_advice(kind)}")
        if lines := found.get(name):
            told = "\n".join(f"    - {escape(line, quote=False)}" for line in lines)
            parts.append(f'??? info "Its messages ({len(lines)})"\n\n{told}')
    return "\n\n".join(parts) + "\n"


def tree() -> list[type[errors.PrefmemError]]:
    """Give the errors, each behind the one that it comes from."""

    def below(kind: type[errors.PrefmemError]) -> Iterator[type[errors.PrefmemError]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield from below(child)

    return list(below(errors.PrefmemError))


def messages() -> dict[str, list[str]]:
    """Collect what each error is raised with, by the name of its class; holes as `…`."""
    names = {kind.__name__ for kind in tree()}
    found: dict[str, set[str]] = {name: set() for name in names}
    folders = (ROOT / "prefmem", *(ROOT / "integrations").glob("prefmem_*"))
    for file in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                said = _words(node.args[0]) if node.func.id in names else ""
                if said.replace(_HOLE, "").strip():
                    found[node.func.id].add(said)
    return {name: sorted(lines, key=str.lower) for name, lines in found.items()}


def _words(node: ast.expr) -> str:
    """Read a text out of the code, with a hole wherever a value goes in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    return _HOLE


def _advice(kind: type[errors.PrefmemError]) -> str:
    """Say what to do about an error; one without advice of its own has that of what it is."""
    return next(TO_DO[one.__name__] for one in kind.__mro__ if one.__name__ in TO_DO)


def _tree() -> str:
    """Give the tree as the module's own docstring draws it."""
    doc = inspect.getdoc(errors) or ""
    return doc.partition("\n\n")[2].strip()
