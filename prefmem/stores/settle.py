"""At the opening of a file: erase whom the list beside it knows to be erased, before any answer.

A file that was put back from a copy knows fewer erasures than the list; one that lost its list, or
was killed before it wrote a line, knows more. Afterwards both know all of them.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from prefmem.errors import StoreUnavailableError
from prefmem.stores.audit import token_of
from prefmem.stores.erasures import Erased, ErasureFile, everyone, read_times, write_times
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.types import UserKey

UNSETTLED = "update meta set value = '' where key = 'listed'"  # the list is longer than was read
_NO_FILE = "none"  # mark of a list that is not there
_LOG = logging.getLogger("prefmem")

Remove = Callable[[sqlite3.Connection, Sequence[UserKey], datetime], None]


def settle(file: SQLiteFile, beside: ErasureFile, remove: Remove) -> int:
    """Make the list beside a file and the one in it the same, erasing whom that concerns.

    Args:
        file: The database, its schema up to date.
        beside: The list.
        remove: Removes everything held about users within a transaction, at a time.

    Returns:
        How many users were erased.

    Raises:
        StoreUnavailableError: The list cannot be read, is damaged, or belongs to another database.
    """
    listed = beside.read()
    held, secret, known = file.read(_known)
    if held is not None and held == _mark(listed):
        return 0
    erased = 0
    if listed and listed.times and (listed.secret != secret or listed.later_than(known)):
        erased = _erase(file, listed, str(beside.path), remove)
        secret, known = file.read(_known)[1:]
    if known and not (listed and listed.secret == secret and not _more(known, listed)):
        beside.append(secret, _more(known, listed))
    with (
        suppress(StoreUnavailableError),
        file.write() as db,
    ):  # else the next opening compares again
        db.execute("insert or ignore into meta values ('listed', '')")
        mark = _mark(beside.read())
        complete = mark != _NO_FILE or not known
        db.execute("update meta set value = ? where key = 'listed'", (mark if complete else "",))
    return erased


def _erase(file: SQLiteFile, listed: Erased, name: str, remove: Remove) -> int:
    """Erase whom the list knows to be erased later than the database does."""
    with file.write() as db:
        held, secret, known = _known(db)
        if listed.secret != secret:
            if held is not None:
                raise StoreUnavailableError(
                    f"the list of erasures {name} belongs to another database than {file.path}; "
                    f"if this is a backup that was put in its place, use `prefmem restore`, else "
                    "move the list away"
                )
            # made just now, or before there were lists: its hashes are the list's from now on
            db.execute("update meta set value = ? where key = 'secret'", (listed.secret,))
        news = listed.later_than(known)
        users = [user for user in everyone(db) if token_of(listed.secret, user) in news]
        remove(db, users, datetime.now(UTC))
        write_times(db, news)
    if users:
        _LOG.warning(
            "%d users had been erased and came back with a backup: erased again", len(users)
        )
    return len(users)


def _known(db: sqlite3.Connection) -> tuple[str | None, str, dict[bytes, str]]:
    """Give the mark of the list that was compared last, the key, and the database's own list."""
    meta = dict(db.execute("select key, value from meta").fetchall())
    return meta.get("listed"), str(meta["secret"]), dict(read_times(db))


def _more(known: dict[bytes, str], listed: Erased | None) -> dict[bytes, str]:
    """Give the erasures that the list beside the file does not know."""
    there = listed.times if listed else dict[bytes, str]()
    return {token: at for token, at in known.items() if there.get(token, "") < at}


def _mark(listed: Erased | None) -> str:
    return listed.mark if listed else _NO_FILE
