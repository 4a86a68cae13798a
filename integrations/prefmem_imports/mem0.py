"""Memories of mem0: what `get_all()` gives, of the library or of the platform, as JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import cast

from prefmem import InputError, PreferenceMemory
from prefmem_imports.entries import Entry, ImportReport, mapping, moment, take_in

_LISTS = ("results", "memories")


def import_mem0(
    memory: PreferenceMemory, data: object, *, user_id: str, owner: str | None = None
) -> ImportReport:
    """Take mem0's memories of a user in: those that are standing preferences.

    Args:
        memory: The memory.
        data: What `get_all()` gave, read from JSON: {"results": [...]}, or the list itself; each
            with `memory`, and `id`, `user_id`, `created_at`, `updated_at` where there are.
        user_id: The user, as authenticated by the host.
        owner: mem0's `user_id` of that user; the same unless given.

    Returns:
        The cards, and every entry that became none, with the reason.

    Raises:
        InputError: The data is something else, or holds nothing of this user; nothing was stored.
    """
    return take_in(memory, entries(data), source="mem0", user_id=user_id, owner=owner)


def entries(data: object) -> tuple[Entry, ...]:
    """Read mem0's memories.

    Raises:
        InputError: The data is something else; the message names the place.
    """
    rows = data
    if isinstance(data, Mapping):
        held = cast(Mapping[str, object], data)
        rows = next((held[name] for name in _LISTS if name in held), None)
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        raise InputError('no mem0 export: a list of memories, or {"results": [...]}, is needed')
    return tuple(_entry(row, number) for number, row in enumerate(cast(Sequence[object], rows)))


def _entry(row: object, number: int) -> Entry:
    fields = mapping(row)
    text = fields.get("memory", fields.get("data"))
    if not isinstance(text, str):
        raise InputError(f"no mem0 export: entry {number} has no text under 'memory'")
    owner = fields.get("user_id")
    return Entry(
        str(fields.get("id") or number),
        text,
        (owner,) if isinstance(owner, str) and owner else (),
        moment(fields.get("updated_at")) or moment(fields.get("created_at")),
        _reason(fields),
    )


def _reason(fields: Mapping[str, object]) -> str:
    """Say why a memory is none of the user's own in force."""
    if "assistant" in (fields.get("attributed_to"), fields.get("role")):
        return "said by the assistant, not by the user"
    if fields.get("agent_id") and not fields.get("user_id"):
        return "of an agent, not of a user"
    until = str(fields.get("expiration_date") or "")[:10]
    try:
        over = bool(until) and date.fromisoformat(until) < datetime.now(UTC).date()
    except ValueError:
        over = False
    return "expired" if over else ""
