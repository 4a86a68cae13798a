"""One row of a log as a window, and what was found in it as a record."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, cast

from prefmem.config import Config
from prefmem.errors import InputError, UserRequiredError
from prefmem.ids import user_turn_keys
from prefmem.messages import Message, clean, to_turns
from prefmem.types import MAX_ID_BYTES, Preference, UserKey, Window

Record: TypeAlias = dict[str, Any]

FIELDS = {
    "id": "id",
    "user_id": "user_id",
    "session_id": "session_id",
    "messages": "messages",
    "role": "role",
    "content": "content",
}
ROW = ("id", "user_id", "session_id", "messages")  # the others are fields of a message
REQUIRED = ("user_id", "messages")


@dataclass(frozen=True, slots=True)
class Entry:
    """A window of a log.

    Attributes:
        id: Its name in the log, or else file and row.
        row: Number of its row, from 1.
        window: The dialogue; its turns are named by position, from 0.
        turn_ids: The user turns that hold text.
    """

    id: str
    row: int
    window: Window
    turn_ids: tuple[str, ...]


def entry(fields: Mapping[str, Any], row: int, *, log: str, names: Mapping[str, str]) -> Entry:
    """Read a row as `learn` reads its arguments.

    Args:
        fields: The row.
        row: Its number, from 1.
        log: Name of its log.
        names: What the fields of `FIELDS` are called in the log.

    Raises:
        InputError: The row holds no window; the message repeats nothing of the row.
    """
    user = _text(fields, names["user_id"])
    session = _text(fields, names["session_id"])
    try:
        UserKey(user)
    except UserRequiredError:
        raise InputError(f"{names['user_id']} is missing, or cannot be a key") from None
    if len(session.encode(errors="replace")) > MAX_ID_BYTES or clean(session) != session:
        raise InputError(f"{names['session_id']} cannot be a key")
    given: object = fields.get(names["messages"])
    if not isinstance(given, list):
        raise InputError(f"{names['messages']} is no list")
    messages = [_message(m, n, names) for n, m in enumerate(cast(list[object], given))]
    turns = to_turns(messages, max_chars=Config().max_turn_chars)
    name = clean(_text(fields, names["id"])) or f"{log}:{row}"
    return Entry(name, row, Window(user, session, turns), tuple(user_turn_keys(turns, session)))


def record(found: Entry, preferences: Iterable[Preference]) -> Record:
    """Give a window's rules as plain data; a turn is named by its position in the window."""
    return {
        "id": found.id,
        "user_id": found.window.user_id,
        "session_id": found.window.session_id,
        "rules": [_rule(preference) for preference in preferences],
    }


def _rule(preference: Preference) -> Record:
    return {
        "condition": preference.condition,
        "action": preference.action,
        "polarity": preference.polarity,
        "confidence": round(preference.confidence, 6),
        "scope": asdict(preference.scope),
        "evidence": [{"turn": int(e.turn_id), "quote": e.quote} for e in preference.evidence],
    }


def _text(fields: Mapping[str, Any], name: str) -> str:
    """Give a field as text; a whole number is taken for one, and a missing field is empty."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{name} is no text")
    return str(value)


def _message(given: object, position: int, names: Mapping[str, str]) -> Message:
    """Bring a message to the names that `learn` knows, and refuse one that it would refuse."""
    try:
        if not isinstance(given, dict):
            raise InputError("no object")
        fields = cast(dict[str, object], given)
        renamed = {
            field: fields[names[field]] for field in ("role", "content") if names[field] in fields
        }
        message: Message = {**fields, **renamed}
        to_turns([message], max_chars=Config().max_turn_chars)
    except InputError:
        raise InputError(
            f"message {position} cannot be read: its role, its content, or over "
            f"{Config().max_turn_chars:,} characters"
        ) from None
    return message
