"""Connections to PostgreSQL: taken from a pool, bound to one user, retried until work begins.

Acknowledged means committed. A connection that broke before the work began is replaced without
notice; one that breaks later raises, and nobody knows whether the commit came through: repeating
a call that has an idempotency key is safe.
"""

import os
import re
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from time import monotonic, sleep
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from prefmem.errors import InputError, StoreClosedError, StoreError, StoreUnavailableError
from prefmem.stores.base import Cursor

_PAUSE = 0.05  # seconds between two tries
_PASSING = re.compile("starting up|shutting down|in recovery|too many|remaining connection")
T = TypeVar("T")


class PgConnection:
    """A connection within a transaction, for statements with question marks."""

    def __init__(self, raw: Connection[Any], *, began_with_row: bool = False) -> None:
        """Use a connection."""
        self.raw, self.began_with_row = raw, began_with_row

    def execute(self, text: str, given: Sequence[Any] = (), /) -> Cursor:
        """Run a statement."""
        return self.raw.execute(_translated(text), given)

    def executemany(self, text: str, given: Sequence[Sequence[Any]], /) -> object:
        """Run a statement for each of several rows."""
        if given:
            with self.raw.cursor() as cursor:
                cursor.executemany(_translated(text), given)
        return None


class OneStatement:
    """Runs one statement in a transaction of its own, begun and committed in the same message.

    Args:
        run: Gives the rows of a statement.
    """

    def __init__(self, run: Callable[[str, Sequence[Any]], "Rows"]) -> None:
        """Run nothing yet."""
        self._run = run
        self._done = False

    def execute(self, text: str, given: Sequence[Any] = (), /) -> Cursor:
        """Run the statement.

        Raises:
            StoreError: It is the second one.
        """
        if self._done:
            raise StoreError("a read of one statement runs a second one")
        self._done = True
        return self._run(text, given)

    def executemany(self, text: str, given: Sequence[Sequence[Any]], /) -> object:
        """Refuse: this reads.

        Raises:
            StoreError: Always.
        """
        del text, given
        raise StoreError("a read of one statement writes")


class Rows:
    """Rows that were fetched.

    Args:
        rows: All of them.
    """

    def __init__(self, rows: list[Any]) -> None:
        """Begin before the first."""
        self._rows = iter(rows)
        self.rowcount = len(rows)

    def fetchone(self) -> Any:  # noqa: ANN401  # a row of anything
        """Give the next row; None after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Give all rows that are left."""
        return list(self._rows)


class PgPool:
    """Transactions on connections of a pool; a forked process makes a pool of its own.

    Args:
        dsn: A connection string.
        most: Connections at most.
        wait: Seconds to wait for a connection, and for a server that is restarting.
        prepare: Whether statements are prepared; a pooler in transaction mode may not allow it.
    """

    def __init__(self, dsn: str, *, most: int, wait: float, prepare: bool) -> None:
        """Open no connection yet."""
        self._dsn, self._most, self.wait, self._prepare = dsn, most, wait, prepare
        self.name = named(dsn)
        self._mine = threading.local()
        self._forking = threading.Lock()
        self._orphans: list[object] = []
        self._pool = self._made()
        self._pid = os.getpid()

    @property
    def open_here(self) -> tuple[PgConnection, UUID | None] | None:
        """The transaction of this thread, and whose rows it is about."""
        self._here()
        return getattr(self._mine, "open", None)

    @contextmanager
    def transaction(
        self, begin: sql.Composed, user: UUID | None, *, wait: float | None = None
    ) -> Generator[PgConnection, None, None]:
        """Lend a connection on which `begin` has run; commit afterwards, or undo all of it."""
        connection, row = self._begun(begin, self.wait if wait is None else wait)
        before = self.open_here
        self._mine.open = (PgConnection(connection, began_with_row=row), user)
        try:
            yield self._mine.open[0]
            connection.execute("commit")
        except BaseException:
            with suppress(psycopg.Error):
                connection.execute("rollback")
            raise
        finally:
            self._mine.open = before
            self._pool.putconn(connection)

    def once(self, begin: sql.Composed, text: str, given: Sequence[Any]) -> Rows:
        """Run one statement that reads between `begin` and a commit, in one message."""
        self._here()
        if self._pool.closed:
            raise StoreClosedError(f"{self.name} is closed; open a new memory")
        connection = self._pool.getconn(timeout=self.wait)
        try:
            asked = psycopg.ClientCursor(connection).mogrify(_translated(text), given)
            whole = f"{begin.as_string(connection)}; {asked}; commit"
            cursor = connection.execute(fixed(whole), prepare=False)
            rows: list[Any] = []
            more: bool | None = True
            while more:
                if cursor.description:  # of the last that gives rows
                    rows = cursor.fetchall()
                more = cursor.nextset()
            return Rows(rows)
        except BaseException:
            with suppress(psycopg.Error):
                connection.execute("rollback")
            raise
        finally:
            self._pool.putconn(connection)

    @contextmanager
    def alone(self) -> Generator[Connection[Any], None, None]:
        """Open a connection outside of a transaction, for upkeep; a refusal is said at once."""
        until = monotonic() + self.wait
        while True:
            try:
                connection = psycopg.connect(
                    self._dsn, autocommit=True, prepare_threshold=None,
                    connect_timeout=max(2, int(self.wait)),
                )  # fmt: skip
                break
            except psycopg.OperationalError as error:
                refused = "FATAL:" in str(error) and not _PASSING.search(str(error))
                if refused or monotonic() > until:
                    raise
                sleep(_PAUSE)
        with connection:
            yield connection

    @contextmanager
    def explained(self, doing: str) -> Generator[None, None, None]:
        """Say what happened, and what to do, where PostgreSQL fails."""
        try:
            yield
        except (psycopg.DataError, UnicodeEncodeError) as error:
            told = f"PostgreSQL cannot hold this text: {type(error).__name__}"
            raise InputError(f"{told}; NUL and lone surrogates must go") from None
        except psycopg.Error as error:
            told = f"cannot {doing} {self.name}: {type(error).__name__}; {_help(error)}"
            if doing in ("open", "migrate") and error.sqlstate is None:
                told += f" ({' '.join(str(error).split())})"  # libpq's, which shows no password
            raise StoreUnavailableError(told) from error

    def close(self) -> None:
        """Close all connections; closing twice is fine."""
        self._pool.close()

    def _begun(self, begin: sql.Composed, wait: float) -> tuple[Connection[Any], bool]:
        """Give a connection on which `begin` has run, and whether its last statement gave a row."""
        self._here()
        if self._pool.closed:
            raise StoreClosedError(f"{self.name} is closed; open a new memory")
        until = monotonic() + wait
        while True:
            connection = self._pool.getconn(timeout=max(0.01, until - monotonic()))
            try:
                cursor = connection.execute(begin)
                while cursor.nextset():
                    pass
                return connection, cursor.rowcount > 0
            except BaseException as error:
                with suppress(psycopg.Error):
                    connection.execute("rollback")
                self._pool.putconn(connection)  # which replaces a broken one
                lost = isinstance(error, psycopg.OperationalError) and connection.broken
                if not lost or monotonic() > until:
                    raise
            sleep(_PAUSE)

    def _here(self) -> None:
        """Make a pool anew in a process that was forked since."""
        if os.getpid() == self._pid:
            return
        with self._forking:
            if os.getpid() != self._pid:
                self._orphans.append(self._pool)
                self._mine = threading.local()
                self._pool = self._made()
                self._pid = os.getpid()

    def _made(self) -> ConnectionPool[Connection[Any]]:
        return ConnectionPool(
            self._dsn,
            min_size=0,
            max_size=self._most,
            kwargs={"autocommit": True, "prepare_threshold": 5 if self._prepare else None},
            name="prefmem",
            timeout=self.wait,
            open=True,
        )


def retried(pool: PgPool, work: Callable[[], T]) -> T:
    """Read, and once more where the connection broke meanwhile; nothing was changed by it."""
    until = monotonic() + pool.wait
    while True:
        try:
            return work()
        except psycopg.OperationalError as error:
            if isinstance(error, PoolTimeout) or monotonic() > until:
                raise
            sleep(_PAUSE)


def named(dsn: str) -> str:
    """Name a database without the password.

    Raises:
        InputError: It is no connection string.
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        raise InputError("the address of the database is no connection string") from None
    host, base = parts.get("host") or "local", parts.get("dbname") or "postgres"
    return f"PostgreSQL {base!r} at {host!r}"


@cache
def _translated(text: str) -> LiteralString:
    return fixed(text.replace("?", "%s"))


def fixed(text: str) -> LiteralString:
    """Vouch for a statement that nothing given has entered."""
    return text  # pyright: ignore[reportReturnType]  # that is what is vouched for


def _help(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "let the owner run `prefmem migrate DSN --role ROLE`"
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return "this server is a standby; add target_session_attrs=read-write to the address"
    if isinstance(error, psycopg.errors.DiskFull):
        return "free disk space; what was acknowledged is safe"
    if isinstance(error, PoolTimeout):
        return "no connection came free or the server is down; what was acknowledged is safe"
    if isinstance(error, psycopg.errors.UniqueViolation):
        return "nothing of this call was stored"
    if isinstance(error, psycopg.OperationalError):
        return "the server is down or the connection broke; repeat the call, which counts once"
    return "nothing of this call was stored"
