"""Memories of langmem: the items of a LangGraph store's namespace, as JSON or JSON lines."""

from collections.abc import Iterable, Sequence
from typing import cast

from prefmem import InputError, PreferenceMemory
from prefmem_imports.entries import Entry, ImportReport, mapping, moment, take_in

_TEXTS = ("content", "preference", "memory", "text")  # fields of langmem's schemas that hold words


def import_langmem(
    memory: PreferenceMemory,
    items: Iterable[object],
    *,
    user_id: str,
    owner: str | None = None,
) -> ImportReport:
    """Take langmem's memories of a user in: those that are standing preferences.

    Args:
        memory: The memory.
        items: The store's items as `item.dict()` gives them: `namespace`, `key`, `value` with
            `kind` and `content`, `created_at`, `updated_at`; a bare value is taken, too.
        user_id: The user, as authenticated by the host.
        owner: A segment of that user's namespace, or the whole with "/" between; `user_id` unless
            given.

    Returns:
        The cards, and every item that became none, with the reason.

    Raises:
        InputError: An item is something else, or none is of this user; nothing was stored.
    """
    return take_in(memory, entries(items), source="langmem", user_id=user_id, owner=owner)


def entries(items: Iterable[object]) -> tuple[Entry, ...]:
    """Read langmem's memories.

    Raises:
        InputError: An item is something else; the message names its place.
    """
    return tuple(_entry(item, number) for number, item in enumerate(items))


def _entry(item: object, number: int) -> Entry:
    fields = mapping(item)
    held = fields.get("value", fields)
    value = mapping(held)
    if "content" not in value:
        raise InputError(f"no langmem export: item {number} has no 'content' in its value")
    text = _text(value["content"])
    namespace = fields.get("namespace")
    named = isinstance(namespace, Sequence) and not isinstance(namespace, str)
    owner = tuple(str(part) for part in cast(Sequence[object], namespace)) if named else ()
    return Entry(
        str(fields.get("key") or number),
        text or "",
        owner,
        moment(fields.get("updated_at")) or moment(fields.get("created_at")),
        "" if text is not None else f"a {value.get('kind') or 'structure'!s} without a sentence",
    )


def _text(content: object) -> str | None:
    """Give the sentence of a memory: of the plain schema, or of one with a field of words."""
    if isinstance(content, str):
        return content
    words = (mapping(content).get(name) for name in _TEXTS)
    return next((text for text in words if isinstance(text, str)), None)
