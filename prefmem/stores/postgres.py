"""The PostgreSQL store, to outgrow one machine: exact search within the user, no index on vectors.

Acknowledged means committed. Every transaction names its user, and row-level security shows it no
other's rows. Deleted rows leave PostgreSQL's files with its vacuum, its write-ahead log with the
log's recycling, and replicas and backups in their own time: what must be gone at once wants a key
for each user.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Final, TypeVar
from uuid import UUID

import numpy as np
import psycopg
from psycopg import sql

from prefmem.errors import ConfigError, StoreError, StoreVersionError
from prefmem.interaction import Entry
from prefmem.stores import codec, pgschema
from prefmem.stores.base import Connection, Uid, Vectors
from prefmem.stores.erasures import note_erasure
from prefmem.stores.keys import UserKeys, seal_of
from prefmem.stores.pgpool import OneStatement, PgPool, fixed, retried
from prefmem.stores.pgschema import APP_ROLE, VectorType
from prefmem.stores.places import MovedError
from prefmem.stores.rows import append
from prefmem.stores.rowstore import RowStore
from prefmem.stores.seal import Seal
from prefmem.stores.sealed import check_seal, drop_keys, gone_users, seal_store, swept
from prefmem.stores.sqlite import HalfBytes
from prefmem.types import Action, Erasure, Matrix, UserKey, Vector

_NOTE_WAIT = 0.05  # seconds that a note waits for a connection, and for another writer
_LOCKED: Final = "select 1 from users where moved = '' and uid ="
_FOR_UPDATE: Final = " for update"
_HELD: Final = "select 1 from users where uid = ? for update"  # wherever the rows are
_AUDIT_LOCK = 0x70726561  # of the end of the audit log, for the whole database
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
        encryption: Keys that seal what is held about a user, one for each; the caller closes them.
            Vectors must be `bytea`.
        convert: Whether a plain store is sealed now, as the tables' owner; nobody else may use it
            meanwhile.

    Raises:
        ConfigError: Row-level security would not hold, pgvector is missing, or the store is sealed
            and no keys are given, or other ones, or the other way round.
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
        encryption: UserKeys | None = None,
        convert: bool = False,
    ) -> None:
        """Connect, and make what is missing."""
        self._pool = PgPool(dsn, most=connections, wait=wait, prepare=prepare)
        self._postgres, self._keys = _Postgres(self._pool, schema, encryption), encryption
        super().__init__(self._postgres, self._pool.name)
        try:
            self._postgres.prepare(vectors)
            if encryption is not None and convert:
                rewrite = self._postgres.rewrite
                seal_store(self._postgres, encryption, self._name, rewrite=rewrite)
            check_seal(self._postgres, encryption, self._name)
            self._sweep()
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
            return append(self._rows(db, user, uid, writing=True), entry)
        return False

    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about a user; the bytes leave with PostgreSQL's vacuum."""
        when = at or datetime.now(UTC)
        return self._remove((user,), action="forget_user", actor=actor, at=when)

    def _sweep(self) -> None:
        """Erase whose key was dropped, as after a restore, before any answer."""
        if self._keys is None:
            return
        for users, number in gone_users(self._postgres, self._keys):
            self._remove(users, action="replay", actor="prefmem", at=datetime.now(UTC))
            swept(self._postgres, number)

    def _remove(
        self, users: Sequence[UserKey], *, action: Action, actor: str, at: datetime
    ) -> Erasure:
        """Remove everything held about users, and write down that they are erased."""
        removed = Counter[str]()
        for user in users:
            with self._postgres.hold(user) as (db, uid):
                learned = "select count(*) from users where uid = ? and state is not null"
                gone = Counter(states=int(db.execute(learned, (uid,)).fetchone()[0]))
                drop_keys(db, self._keys, (uid,))
                for table in ("cards", "events", "interactions", "edits", "jobs", "users"):
                    done = db.execute(f"delete from {table} where uid = ?", (uid,))  # noqa: S608  # fixed names
                    gone[table] = done.rowcount
                self._postgres.audit_turn(db)
                secret = self._postgres.secret(db)
                note_erasure(db, secret, user, action=action, actor=actor, at=at, n=gone["cards"])
            removed += gone
        return Erasure(
            removed["cards"], removed["events"] + removed["interactions"], False,
            removed["interactions"], removed["edits"], removed["jobs"], removed["states"],
        )  # fmt: skip

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        return self._postgres.listed(tenant)

    def check(self) -> Mapping[str, str | int]:
        """Report the store's health: schema, server, basis, and how much waits."""

        def look(db: Connection) -> Mapping[str, str | int]:
            meta = dict(db.execute("select key, value from meta where key <> 'secret'").fetchall())
            server = db.execute("show server_version").fetchone()[0]
            jobs = int(db.execute("select count(*) from jobs").fetchone()[0])
            return {**meta, "schema": int(meta["schema"]), "server": str(server), "jobs": jobs}

        return self._postgres.read_all(look)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        self._pool.close()


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a schema is after a migration.

    Attributes:
        version: Of the schema.
        vectors: The type of its vectors.
    """

    version: int
    vectors: VectorType


def migrate(
    dsn: str,
    *,
    schema: str = "prefmem",
    vectors: VectorType = "bytea",
    role: str | None = None,
    wait: float = 15.0,
) -> Migrated:
    """Make the tables or bring them up to date, as their owner, and let a role use them.

    Args:
        dsn: A connection string of the owner.
        schema: Where the tables are; it is made if missing.
        vectors: The type of vectors, for new tables.
        role: Whom to allow to use the tables, as an application that owns nothing.
        wait: Seconds to wait for the server.

    Raises:
        ConfigError: pgvector is missing, or the role is, or row-level security would not bind it.
        StoreVersionError: A newer prefmem made the tables, or the DSN's role may not make them.
        StoreUnavailableError: The server cannot be reached.
    """
    pool = PgPool(dsn, most=1, wait=wait, prepare=True)
    try:
        with pool.explained("migrate"), pool.alone() as db:
            reached = _migrated(pool, db, schema, vectors, role)
            return Migrated(reached, pgschema.vectors_of(db, schema))
    finally:
        pool.close()


def _migrated(
    pool: PgPool,
    db: psycopg.Connection[object],
    schema: str,
    vectors: VectorType,
    role: str | None = None,
) -> int:
    try:
        return pgschema.migrate(db, schema, vectors=vectors, role=role)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreVersionError(
            f"{pool.name} has no tables of this version, and this role may not make them; let the "
            "owner run `prefmem migrate DSN --role ROLE`"
        ) from error


class _Postgres:
    """The database, as rows want it."""

    duplicate = psycopg.errors.UniqueViolation
    locking = " for update of jobs skip locked"
    sharing = " for share"

    def __init__(self, pool: PgPool, schema: str, keys: UserKeys | None) -> None:
        self._pool, self._schema, self._keys = pool, schema, keys
        self._role = self.shard = ""
        self.vectors: Vectors = HalfBytes()

    def prepare(self, vectors: VectorType) -> None:
        """Make the tables where they are missing, and see that row-level security holds."""
        with self._pool.explained("open"), self._pool.alone() as db:
            if pgschema.version(db, self._schema) < len(pgschema.STEPS):
                _migrated(self._pool, db, self._schema, vectors)
            if pgschema.exempt(db):
                self._role = APP_ROLE
                if not pgschema.may_be(db, APP_ROLE):
                    raise ConfigError(
                        f"row-level security does not bind the role of {self._pool.name}, and it "
                        f"cannot work as {APP_ROLE!r}; connect as another role, and let the owner "
                        "run `prefmem migrate DSN --role ROLE`"
                    )
            if pgschema.vectors_of(db, self._schema) == "halfvec":
                if self._keys is not None:
                    raise ConfigError(
                        f"{self._pool.name} holds vectors of pgvector, which cannot be encrypted; "
                        "export the users, and load them into a schema with vectors='bytea'"
                    )
                self.vectors = HalfVec()

    def rewrite(self) -> bool:
        """Rewrite the tables without the bytes of what was replaced, where this role owns them."""
        with self._pool.explained("write"), self._pool.alone() as db:
            for table in ("users", "events", "cards", "interactions", "edits", "jobs"):
                db.execute(sql.SQL("vacuum (full) {}").format(sql.Identifier(self._schema, table)))
        return True

    def read(self, work: Callable[[Connection, Uid], T], user: UserKey, *, one: bool = False) -> T:
        uid = uid_of(user)
        here = self._pool.open_here
        with self._pool.explained("read"):
            if here is not None and here[1] == uid:
                return work(here[0], uid)
            begin = self._begin("begin isolation level repeatable read read only", uid=uid)

            def once() -> T:
                if one and self._keys is None:
                    run = partial(self._pool.once, begin)
                    return work(OneStatement(run), uid)
                with self._pool.transaction(begin, uid) as db:
                    return work(db, uid)

            return retried(self._pool, once)

    @contextmanager
    def write(self, user: UserKey) -> Generator[tuple[Connection, Uid], None, None]:
        if self._pool.open_here is not None:
            raise StoreError("a transaction is open already; finish it before the next")
        uid = uid_of(user)
        begin = self._begin("begin", uid=uid, locked=True)
        with self._pool.explained("write"), self._pool.transaction(begin, uid) as db:
            if not db.began_with_row:
                self._make(db, user, uid)
            yield db, uid

    @contextmanager
    def hold(self, user: UserKey) -> Generator[tuple[Connection, Uid], None, None]:
        uid = uid_of(user)
        with (
            self._pool.explained("write"),
            self._pool.transaction(self._begin("begin", uid=uid), uid) as db,
        ):
            db.execute(_HELD, (uid,)).fetchone()
            yield db, uid

    def make(self, db: Connection, user: UserKey, mark: str) -> Uid:
        uid = uid_of(user)
        db.execute(
            "insert into users (uid, tenant, ext_id, moved) values (?, ?, ?, ?) "
            "on conflict do nothing",
            (uid, user.tenant, user.user_id, mark),
        )
        db.execute(_HELD, (uid,)).fetchone()
        return uid

    def columns(self, db: Connection, table: str) -> tuple[str, ...]:
        rows = db.execute(
            "select attname from pg_attribute where attrelid = to_regclass(?) and attnum > 0 "
            "and not attisdropped order by attnum",
            (table,),
        ).fetchall()
        return tuple(row[0] for row in rows)

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
        if db.execute(f"{_LOCKED} ?{_FOR_UPDATE}", (uid,)).fetchone() is None:
            self._make(db, user, uid)
        return uid

    def seal(self, db: Connection, user: UserKey, uid: Uid, *, writing: bool = False) -> Seal:
        return seal_of(self._keys, db, user, uid, writing=writing)

    def secret(self, db: Connection) -> str:
        return str(db.execute("select value from meta where key = 'secret'").fetchone()[0])

    def audit_turn(self, db: Connection) -> None:
        db.execute("select pg_advisory_xact_lock(?)", (_AUDIT_LOCK,))

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

    def _make(self, db: Connection, user: UserKey, uid: Uid) -> None:
        """Make a user's row, unless another does, and lock it."""
        if not self.shard:
            self.make(db, user, "")
        if db.execute(f"{_LOCKED} ?{_FOR_UPDATE}", (uid,)).fetchone() is None:
            raise MovedError(self._pool.name)

    def _begin(self, begin: str, *, locked: bool = False, **settings: object) -> sql.Composed:
        """Give the statements that begin a transaction, in one message to the server.

        With `locked`, the last one locks the row of the user, and gives it if there is one.
        """
        parts = [
            sql.SQL(fixed(begin)),
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
        if locked:
            of = sql.Literal(str(settings["uid"]))
            parts.append(sql.SQL(f"{_LOCKED} {{}}{_FOR_UPDATE}").format(of))
        return sql.SQL("; ").join(parts)


class HalfVec:
    """Vectors of pgvector's half precision."""

    column = "halfvec_send(vec)"
    mark = "?::halfvec"

    def write(self, vector: Vector, card_id: str, seal: Seal) -> object:
        """Give a card's unit vector, (e,), as pgvector writes it; it is never sealed."""
        del card_id, seal
        half = vector.astype(np.float16).astype(np.float32)
        return "[" + ",".join(map(repr, half.tolist())) + "]"

    def read(self, found: Sequence[tuple[str, bytes]], width: int, seal: Seal) -> Matrix:
        """Read the vectors of cards, by card id, into (n, e) float32 unit rows.

        Raises:
            StoreUnavailableError: A vector has another width.
        """
        del seal
        rows = (np.frombuffer(blob, dtype=">f2", offset=4) for _, blob in found)  # after the width
        return codec.read_vectors([row.astype("<f2").tobytes() for row in rows], width)


def uid_of(user: UserKey) -> UUID:
    """Give what stands for tenant and user in every key: 16 bytes of a hash, the same anywhere."""
    told = f"{user.tenant}\0{user.user_id}".encode()
    return UUID(bytes=blake2b(told, digest_size=16, person=b"prefmem uid").digest())
