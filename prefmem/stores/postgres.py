"""The PostgreSQL store, to outgrow one machine: exact search within the user, no index on vectors.

Acknowledged means committed. Every transaction names its user, and row-level security shows it no
other's rows. Deleted rows leave PostgreSQL's files with its vacuum, its write-ahead log with the
log's recycling, and replicas and backups in their own time: what must be gone at once wants a key
for each user.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import LiteralString, TypeVar, cast
from uuid import UUID

import numpy as np
import psycopg
from psycopg import sql

from prefmem.errors import ConfigError, StoreError, StoreVersionError
from prefmem.interaction import Entry
from prefmem.stores import codec, pgschema
from prefmem.stores.base import Connection, Uid, Vectors
from prefmem.stores.pgpool import PgPool, retried
from prefmem.stores.pgschema import APP_ROLE, VectorType
from prefmem.stores.rows import append
from prefmem.stores.rowstore import RowStore
from prefmem.stores.seal import OPEN, Seal
from prefmem.stores.sqlite import HalfBytes
from prefmem.types import Erasure, Matrix, UserKey, Vector

_NOTE_WAIT = 0.05  # seconds that a note waits for a connection, and for another writer
T = TypeVar("T")


class PostgresStore(RowStore):
    """Keeps cards, events and states of many users in a PostgreSQL database, 15 or newer.

    The tables are made with the first use, where the DSN's role may; else by `prefmem migrate`.
    Safe to use from threads, forks and any number of machines.

    Args:
        dsn: A connection string, `postgresql://...`.
        schema: Where the tables are.
        vectors: The type of vectors, for new tables: `bytea` needs no extension, `halfvec`
            pgvector 0.7.
        connections: Connections of this process at most.
        wait: Seconds to wait for a connection, and for a server that is restarting.
        prepare: Whether statements are prepared; False behind a pooler that cannot.

    Raises:
        ConfigError: Row-level security would not hold, or pgvector is missing.
        StoreVersionError: A newer prefmem made the tables.
        StoreUnavailableError: The server cannot be reached, or the tables cannot be made.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "prefmem",
        vectors: VectorType = "bytea",
        connections: int = 10,
        wait: float = 15.0,
        prepare: bool = True,
    ) -> None:
        """Connect, and make what is missing."""
        self._pool = PgPool(dsn, most=connections, wait=wait, prepare=prepare)
        self._postgres = _Postgres(self._pool, schema)
        super().__init__(self._postgres, self._pool.name)
        try:
            self._postgres.prepare(vectors)
        except BaseException:
            self._pool.close()
            raise

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        It may be lost in a crash of the server, and it is dropped where the user's rows are being
        written, no connection is free, or the user is unknown.
        """
        begin, uid = self._postgres.note_of(user)
        with (
            suppress(psycopg.Error, StoreError),
            self._pool.transaction(begin, uid, wait=_NOTE_WAIT) as db,
        ):
            return append(self._rows(db, user, uid), entry)
        return False

    def forget_user(self, user: UserKey) -> Erasure:
        """Remove everything held about a user; the bytes leave with PostgreSQL's vacuum."""
        removed: dict[str, int] = {}
        with self._postgres.write(user) as (db, uid):
            for table in ("cards", "events", "interactions", "users"):
                done = db.execute(f"delete from {table} where uid = ?", (uid,))  # noqa: S608  # fixed names
                removed[table] = done.rowcount
        return Erasure(removed["cards"], removed["events"] + removed["interactions"], False)

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        return self._postgres.listed(tenant)

    def check(self) -> Mapping[str, str | int]:
        """Report the store's health: schema, server, basis, and how much waits."""

        def look(db: Connection) -> Mapping[str, str | int]:
            meta = dict(
                db.execute("select key, value from meta where key <> 'secret'").fetchall()
            )
            server = db.execute("show server_version").fetchone()[0]
            jobs = int(db.execute("select count(*) from jobs").fetchone()[0])
            return {**meta, "schema": int(meta["schema"]), "server": str(server), "jobs": jobs}

        return self._postgres.read_all(look)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        self._pool.close()


class _Postgres:
    """The database, as rows want it."""

    duplicate = psycopg.errors.UniqueViolation
    locking = " for update of jobs skip locked"

    def __init__(self, pool: PgPool, schema: str) -> None:
        self._pool, self._schema = pool, schema
        self._role = ""
        self.vectors: Vectors = HalfBytes()

    def prepare(self, vectors: VectorType) -> None:
        """Make the tables where they are missing, and see that row-level security holds."""
        with self._pool.explained("open"), self._pool.alone() as db:
            if pgschema.version(db, self._schema) < len(pgschema.STEPS):
                self._migrate(db, vectors)
            if pgschema.exempt(db):
                self._role = APP_ROLE
                found = db.execute(
                    "select pg_has_role(current_user, oid, 'member') from pg_roles "
                    "where rolname = %s",
                    (APP_ROLE,),
                ).fetchone()
                if not (found and found[0]):
                    raise ConfigError(
                        f"row-level security does not bind the role of {self._pool.name}, and it "
                        f"cannot work as {APP_ROLE!r}; connect as another role, and let the owner "
                        "run `prefmem migrate DSN --role ROLE`"
                    )
        kind = self.read_all(
            lambda db: db.execute("select value from meta where key = 'vectors'").fetchone()[0]
        )
        if kind == "halfvec":
            self.vectors = HalfVec()

    def _migrate(self, db: psycopg.Connection[object], vectors: VectorType) -> None:
        try:
            pgschema.migrate(db, self._schema, vectors=vectors)
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreVersionError(
                f"{self._pool.name} has no tables of this version, and this role may not make "
                "them; let the owner run `prefmem migrate DSN --role ROLE`"
            ) from error

    def read(self, work: Callable[[Connection, Uid], T], user: UserKey) -> T:
        uid = uid_of(user)
        here = self._pool.open_here
        with self._pool.explained("read"):
            if here is not None and here[1] == uid:
                return work(here[0], uid)

            def once() -> T:
                begin = self._begin("begin isolation level repeatable read read only", uid=uid)
                with self._pool.transaction(begin, uid) as db:
                    return work(db, uid)

            return retried(self._pool, once)

    @contextmanager
    def write(self, user: UserKey) -> Generator[tuple[Connection, Uid], None, None]:
        if self._pool.open_here is not None:
            raise StoreError("a transaction is open already; finish it before the next")
        uid = uid_of(user)
        with (
            self._pool.explained("write"),
            self._pool.transaction(self._begin("begin", uid=uid), uid) as db,
        ):
            yield db, self.enter(db, user)

    def read_all(self, work: Callable[[Connection], T]) -> T:
        def once() -> T:
            begin = self._begin("begin isolation level repeatable read read only", everyone="queue")
            with self._pool.transaction(begin, None) as db:
                return work(db)

        with self._pool.explained("read"):
            return retried(self._pool, once)

    @contextmanager
    def write_all(self) -> Generator[Connection, None, None]:
        begin = self._begin("begin", everyone="queue")
        with self._pool.explained("write"), self._pool.transaction(begin, None) as db:
            yield db

    def listed(self, tenant: str) -> tuple[str, ...]:
        """List the tenant's user ids."""

        def once() -> tuple[str, ...]:
            begin = self._begin("begin read only", tenant=f"of {tenant}")
            with self._pool.transaction(begin, None) as db:
                rows = db.execute(
                    "select ext_id from users where tenant = ? order by ext_id", (tenant,)
                ).fetchall()
                return tuple(row[0] for row in rows)

        with self._pool.explained("read"):
            return retried(self._pool, once)

    def note_of(self, user: UserKey) -> tuple[sql.Composed, UUID]:
        """Give what begins a transaction that waits for no disk, and whose it is."""
        uid = uid_of(user)
        hasty = f"set local lock_timeout = '{int(_NOTE_WAIT * 1000)}ms'"
        begin = self._begin(f"begin; set local synchronous_commit = off; {hasty}", uid=uid)
        return begin, uid

    def uid(self, db: Connection, user: UserKey) -> Uid:
        del db
        return uid_of(user)

    def enter(self, db: Connection, user: UserKey) -> Uid:
        uid = uid_of(user)
        db.execute("select set_config('prefmem.uid', ?, true)", (str(uid),))
        mine = "select tenant, ext_id from users where uid = ? for update"
        if db.execute(mine, (uid,)).fetchone() is None:
            db.execute(
                "insert into users (uid, tenant, ext_id) values (?, ?, ?) on conflict do nothing",
                (uid, user.tenant, user.user_id),
            )
            db.execute(mine, (uid,)).fetchone()
        return uid

    def seal(self, db: Connection, user: UserKey, uid: Uid) -> Seal:
        del db, user, uid
        return OPEN

    def next_revision(self, db: Connection) -> int:
        return int(db.execute("select nextval('revisions')").fetchone()[0])

    def bind(self, basis: str, width: int) -> tuple[str, str]:
        asked = "select key, value from meta where key in ('basis', 'width')"
        bound = dict(self.read_all(lambda db: db.execute(asked).fetchall()))
        if "basis" not in bound:
            with self.write_all() as db:
                db.executemany(
                    "insert into meta values (?, ?) on conflict do nothing",
                    [("basis", basis), ("width", str(width))],
                )
            bound = dict(self.read_all(lambda db: db.execute(asked).fetchall()))
        return bound["basis"], bound["width"]

    def forgot(self, db: Connection) -> None:
        del db

    def scrub(self) -> bool:
        return False

    def _begin(self, begin: str, **settings: object) -> sql.Composed:
        """Give the statements that begin a transaction, in one message to the server."""
        parts = [
            sql.SQL(cast(LiteralString, begin)),
            sql.SQL("set local search_path to {}, public").format(sql.Identifier(self._schema)),
        ]
        if self._role:
            parts.append(sql.SQL("set local role {}").format(sql.Identifier(self._role)))
        parts += [
            sql.SQL("select set_config({}, {}, true)").format(
                sql.Literal(f"prefmem.{name}"), sql.Literal(str(value))
            )
            for name, value in settings.items()
        ]
        return sql.SQL("; ").join(parts)


class HalfVec:
    """Vectors of pgvector's half precision."""

    column = "halfvec_send(vec)"
    mark = "?::halfvec"

    def write(self, vector: Vector, seal: Seal) -> object:
        """Give a unit vector, (e,), as pgvector writes it; it cannot be sealed."""
        if seal is not OPEN:
            raise ConfigError("encrypted vectors need vectors='bytea'; export, and make it anew")
        half = vector.astype(np.float16).astype(np.float32)
        return "[" + ",".join(map(repr, half.tolist())) + "]"

    def read(self, found: list[bytes], width: int, seal: Seal) -> Matrix:
        """Read vectors into (n, e) float32 unit rows.

        Raises:
            StoreUnavailableError: A vector has another width.
        """
        del seal
        rows = (np.frombuffer(blob, dtype=">f2", offset=4) for blob in found)  # after the width
        return codec.read_vectors([row.astype("<f2").tobytes() for row in rows], width)


def uid_of(user: UserKey) -> UUID:
    """Give what stands for tenant and user in every key: 16 bytes of a hash, the same anywhere."""
    told = f"{user.tenant}\0{user.user_id}".encode()
    return UUID(bytes=blake2b(told, digest_size=16, person=b"prefmem uid").digest())
