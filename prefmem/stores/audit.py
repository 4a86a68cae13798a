"""The audit log: who did what, to whom, never what a rule says.

Lines are appended and never changed. Users and cards stand in them as keyed hashes, which outlive
an erasure and tell nothing without the key. Each line carries a hash of itself and of the line
before: a changed or missing line breaks the chain.
"""

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from prefmem.errors import InputError
from prefmem.messages import clean
from prefmem.stores.base import Connection
from prefmem.types import Action, UserKey

NOBODY = b""  # whom a line is about that is about the whole store
_COLUMNS = "id, at, actor, action, who, card_id, n, chain"
_CARD_DIGITS = 16
_LONGEST_ACTOR = 128  # bytes


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the audit log.

    Attributes:
        seq: Its place in the log.
        at: When, UTC.
        actor: Who did it, as the host said; `user` for the users themselves.
        action: What was done.
        who: Keyed hash of the user it was about; empty where it was about the whole store.
        card: Keyed hash of the card, 16 hexadecimal digits; empty where it was about no single one.
        n: How many cards, users or lines it was about.
    """

    seq: int
    at: datetime
    actor: str
    action: str
    who: bytes
    card: str
    n: int


def write_act(
    db: Connection, secret: str, action: Action, *, user: UserKey | None, actor: str, at: datetime,
    card_id: str = "", n: int = 1,
) -> None:  # fmt: skip
    """Append a line, within a transaction that nobody else appends in meanwhile.

    Args:
        db: The open transaction.
        secret: Key of the hashes.
        action: What was done.
        user: To whom; None for the whole store.
        actor: By whom.
        at: When, UTC.
        card_id: The card, if it was one.
        n: How many.

    Raises:
        InputError: The actor is no short line of text.
    """
    who = NOBODY if user is None else token_of(secret, user)
    actor = _checked(actor, user)
    card = card_name(secret, user, card_id) if user and card_id else ""
    when = at.astimezone(UTC).isoformat()
    last = db.execute("select chain from audit order by id desc limit 1").fetchone()
    before = bytes(last[0]) if last else b""
    db.execute(
        "insert into audit (at, actor, action, who, card_id, n, chain) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (when, actor, action, who, card, n, _link(before, when, actor, action, who, card, n)),
    )


def read_acts(db: Connection, who: bytes | None = None) -> tuple[Act, ...]:
    """Read the log in order; only the lines about one user."""
    asked = f"select {_COLUMNS} from audit"  # noqa: S608  # fixed names
    rows = (
        db.execute(f"{asked} order by id")
        if who is None
        else db.execute(f"{asked} where who = ? order by id", (who,))
    )
    return tuple(
        Act(seq, datetime.fromisoformat(at), actor, action, bytes(who), card, n)
        for seq, at, actor, action, who, card, n, _ in rows.fetchall()
    )


def broken_at(db: Connection) -> int | None:
    """Give the place of the first line that does not follow from the one before; None if all do."""
    before = b""
    for seq, at, actor, action, who, card, n, chain in _lines(db):
        before = _link(before, at, actor, action, bytes(who), card, n)
        if before != bytes(chain):
            return seq
    return None


def token_of(secret: str, user: UserKey) -> bytes:
    """Name a user so that without the key the name tells nothing, (32,) bytes."""
    return hmac.digest(secret.encode(), f"{user.tenant}\0{user.user_id}".encode(), "sha256")


def card_name(secret: str, user: UserKey, card_id: str) -> str:
    """Name a card of a user so that without the key the name tells nothing."""
    key = hmac.digest(token_of(secret, user), card_id.encode(), "sha256")
    return key.hex()[:_CARD_DIGITS]


def _lines(db: Connection) -> Iterator[tuple[int, str, str, str, bytes, str, int, bytes]]:
    last = -1
    while rows := db.execute(
        f"select {_COLUMNS} from audit where id > ? order by id limit 1000",  # noqa: S608  # fixed names
        (last,),
    ).fetchall():
        yield from rows
        last = rows[-1][0]


def _link(before: bytes, at: str, actor: str, action: str, who: bytes, card: str, n: int) -> bytes:
    told = json.dumps([at, actor, action, who.hex(), card, n], separators=(",", ":"))
    return sha256(before + told.encode()).digest()


def _checked(actor: str, user: UserKey | None) -> str:
    fits = isinstance(actor, str) and clean(actor) == actor and actor.strip() == actor  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may pass anything
    if not fits or not actor or len(actor.encode()) > _LONGEST_ACTOR or not actor.isprintable():
        raise InputError(
            f"actor={actor!r:.80}: a name of 1 to {_LONGEST_ACTOR} bytes on one line is needed, as "
            "'support' or 'admin:7'"
        )
    return "user" if user is not None and actor == user.user_id else actor
