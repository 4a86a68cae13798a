"""All rows of one user, taken out of one database and put into another, exactly as they are.

What is sealed stays sealed, so shards that encrypt share one key ring. Only the names of jobs and
the revision are given anew by the database that takes the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from prefmem.errors import StoreUnavailableError
from prefmem.stores import codec
from prefmem.stores.base import Base, Connection, Uid
from prefmem.stores.places import Mark
from prefmem.stores.seal import OPEN
from prefmem.types import UserKey

TABLES = ("events", "cards", "retired", "interactions", "edits", "jobs")
_OWN: Mapping[str, frozenset[str]] = {  # what the database gives itself, or the move does
    "users": frozenset({"uid", "tenant", "ext_id", "rev", "moved"}),
    "jobs": frozenset({"uid", "id"}),
}
_UID = frozenset({"uid"})
_HALVES = "vec"  # the column as it is where vectors are bytes
_HEADER = 4  # bytes before the halves, as pgvector sends them

Values: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """All rows of one user.

    Attributes:
        columns: Names of the columns of `users` and of each table.
        rows: Rows of each, in those columns; vectors as half precision, little endian, or sealed.
    """

    columns: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, Sequence[Values]]


def mark_of(db: Connection, uid: Uid) -> Mark:
    """Read the mark of a user's row."""
    row = db.execute("select moved from users where uid = ?", (uid,)).fetchone()
    return Mark.read(None if row is None else str(row[0]))


def name_of(db: Connection) -> str:
    """Read the name of a shard; empty where a store is none."""
    row = db.execute("select value from meta where key = 'shard'").fetchone()
    return str(row[0]) if row else ""


def pack(base: Base, db: Connection, uid: Uid) -> Packed:
    """Take a picture of all rows of a user, within one transaction."""
    columns: dict[str, tuple[str, ...]] = {}
    rows: dict[str, Sequence[Values]] = {}
    for table in ("users", *TABLES):
        names = _columns(base, db, table)
        read = [base.vectors.column if name == "vec" else name for name in names]
        order = " order by id" if table == "jobs" else ""
        columns[table] = names
        rows[table] = db.execute(
            f"select {', '.join(read)} from {table} where uid = ?{order}",  # noqa: S608  # names of the schema
            (uid,),
        ).fetchall()
    if base.vectors.column != _HALVES:
        place = columns["cards"].index("vec")
        rows["cards"] = [
            (*row[:place], _swapped(row[place]), *row[place + 1 :]) for row in rows["cards"]
        ]
    return Packed(columns, rows)


def unpack(base: Base, db: Connection, user: UserKey, packed: Packed, mark: str) -> None:
    """Put a user's rows in with a mark, in place of any that are there, within `Base.hold`.

    Raises:
        StoreUnavailableError: The schemas differ.
    """
    clear(db, base.uid(db, user))
    uid = base.make(db, user, mark)
    for table in ("users", *TABLES):
        if set(packed.columns[table]) != set(_columns(base, db, table)):
            raise StoreUnavailableError(
                f"two shards have different columns in {table}; upgrade every process, and open "
                "each shard once"
            )
    names = packed.columns["users"]
    given = ", ".join(f"{name} = ?" for name in names)
    db.executemany(
        f"update users set {given}, rev = ? where uid = ?",  # noqa: S608  # names of the schema
        [(*row, base.next_revision(db), uid) for row in packed.rows["users"]],
    )
    for table in TABLES:
        _insert(base, db, uid, table, packed)


def clear(db: Connection, uid: Uid) -> None:
    """Remove all rows of a user, within `Base.hold`."""
    for table in (*TABLES, "users"):
        db.execute(f"delete from {table} where uid = ?", (uid,))  # noqa: S608  # fixed names


def _insert(base: Base, db: Connection, uid: Uid, table: str, packed: Packed) -> None:
    names, rows = packed.columns[table], packed.rows[table]
    marks = [base.vectors.mark if name == "vec" else "?" for name in names]
    if base.vectors.column != _HALVES and "vec" in names:
        place, name = names.index("vec"), names.index("card_id")
        rows = [
            (*row[:place], _written(base, row[name], row[place]), *row[place + 1 :]) for row in rows
        ]
    db.executemany(
        f"insert into {table} (uid, {', '.join(names)}) values (?, {', '.join(marks)})",  # noqa: S608  # names of the schema
        [(uid, *row) for row in rows],
    )


def _written(base: Base, card_id: str, halves: bytes) -> object:
    vector = np.frombuffer(codec.halves(halves), dtype="<f2").astype(np.float32)
    return base.vectors.write(vector, card_id, OPEN)


def _swapped(sent: bytes) -> bytes:
    """Give a vector of pgvector as half precision, little endian."""
    return np.frombuffer(sent, dtype=">f2", offset=_HEADER).astype("<f2").tobytes()


def _columns(base: Base, db: Connection, table: str) -> tuple[str, ...]:
    left_out = _OWN.get(table, _UID)
    return tuple(name for name in base.columns(db, table) if name not in left_out)
