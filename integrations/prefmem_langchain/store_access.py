"""Calls of a langgraph store, with what its implementations do differently put right.

- A search has no order to rely on, so nothing is read page by page: a search asks for more than
  there is, and again for twice as much where it was given as much as it asked for.
- A store may give back its own objects: what comes from here is only read.
- Some stores match prefixes too widely, so items of other namespaces are left out.
- An item is never embedded by the store and never ends by itself: `index=False`, no `ttl`.
- `InMemoryStore` is not safe between threads: a read that met a write is tried again.
- An asynchronous store works on its own event loop, and that loop is never made to wait for it.
"""

import asyncio
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from langgraph.store.base import BaseStore, GetOp, Item, Op, PutOp, SearchItem, SearchOp
from langgraph.store.base.batch import AsyncBatchedBaseStore

from prefmem.errors import StoreError, StoreUnavailableError
from prefmem_langchain.store_names import Namespace

Place = tuple[Namespace, str]
Found = tuple[Place, Mapping[str, Any]]
Values = Mapping[Place, Mapping[str, Any] | None]

_AT_FIRST = 10_000  # items that a search asks for
_IN_A_BATCH = 500
_TRIES = 5  # of a read that meets a write in memory
_PATIENCE = 30.0  # seconds for a store that works on an event loop


class Access:
    """A langgraph store that is read and written.

    Args:
        store: Gives the store, or None where it is gone.
    """

    def __init__(self, store: Callable[[], BaseStore | None]) -> None:
        """Read nothing yet."""
        self._store = store
        self._closed = False

    @classmethod
    def to(cls, store: BaseStore) -> "Access":
        """Hold a store."""
        return cls(lambda: store)

    @classmethod
    def weakly_to(cls, store: BaseStore) -> "Access":
        """Use a store for as long as somebody else holds it."""
        return cls(weakref.ref(store))

    @property
    def name(self) -> str:
        """Kind of the store, for messages."""
        return type(self._store()).__name__

    def close(self) -> None:
        """Use the store no more; it stays open, as it is the host's."""
        self._closed = True

    def get(self, *places: Place) -> list[Mapping[str, Any] | None]:
        """Read the values at n places; None where nothing is."""
        ops = [GetOp(namespace, key, refresh_ttl=False) for namespace, key in places]
        items = cast("list[Item | None]", self._read(ops))
        return [None if item is None else _value(item) for item in items]

    def all(self, prefix: Namespace, **equal: str) -> list[Found]:
        """Read every item at or below a namespace, in no order; only those with equal fields."""
        limit = _AT_FIRST
        while True:
            op = SearchOp(prefix, dict(equal) or None, limit, 0, None, refresh_ttl=False)
            items = cast("list[SearchItem]", self._read([op])[0])
            if len(items) < limit:
                break
            limit *= 2
        found = (((item.namespace, item.key), _value(item)) for item in items)
        return [pair for pair in found if pair[0][0][: len(prefix)] == prefix]

    def put(self, values: Values) -> None:
        """Write values, and remove what is None, in the order given.

        A store may do a part of it and fail. Removing comes after writing, in a batch of its own.
        """
        written = {place: value for place, value in values.items() if value is not None}
        removed = [place for place, value in values.items() if value is None]
        ops: list[Op] = [
            PutOp(namespace, key, dict(value), index=False, ttl=None)
            for (namespace, key), value in written.items()
        ]
        for some in _pieces(ops):
            self._call(some, "write")
        gone: list[Op] = [PutOp(namespace, key, None) for namespace, key in removed]
        for some in _pieces(gone):
            self._call(some, "write")

    def _read(self, ops: Sequence[Op]) -> list[Any]:
        for _ in range(_TRIES - 1):
            try:
                return self._call(ops, "read")
            except StoreUnavailableError as error:
                if "changed size" not in str(error.__cause__):
                    raise
        return self._call(ops, "read")

    def _call(self, ops: Sequence[Op], doing: str) -> list[Any]:
        store = self._store()
        if self._closed:
            raise StoreError("the store of this memory is closed; open a new memory")
        if store is None:
            raise StoreError("the langgraph store of this memory is gone; open a new memory")
        try:
            if isinstance(store, AsyncBatchedBaseStore):
                return _on_its_loop(store, ops)
            return store.batch(ops)
        except StoreError:
            raise
        except asyncio.InvalidStateError as error:
            raise _own_loop(store) from error
        except Exception as error:  # a store raises what its driver does
            raise StoreUnavailableError(  # the driver's message may quote what is stored
                f"cannot {doing} {type(store).__name__}: {type(error).__name__}; check that its "
                "database can be reached and that its setup() was called"
            ) from error


def _on_its_loop(store: AsyncBatchedBaseStore, ops: Sequence[Op]) -> list[Any]:
    """Call an asynchronous store from another thread than its own."""
    loop: asyncio.AbstractEventLoop | None = getattr(store, "loop", None)
    if loop is None:
        return store.batch(ops)
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        raise _own_loop(store)
    if not loop.is_running():
        raise StoreError(
            f"the event loop of {type(store).__name__} has stopped; close the memory before it does"
        )
    waiting = asyncio.run_coroutine_threadsafe(store.abatch(ops), loop)
    try:
        return waiting.result(_PATIENCE)
    except TimeoutError:
        waiting.cancel()
        raise


def _own_loop(store: BaseStore) -> StoreError:
    return StoreError(
        f"{type(store).__name__} was asked on its own event loop, which would wait for itself; "
        "use the memory's async verbs (arecall, alearn, ...), or call it on a worker thread"
    )


def _value(item: Item) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", item.value)


def _pieces(ops: Sequence[Op]) -> list[Sequence[Op]]:
    return [ops[start : start + _IN_A_BATCH] for start in range(0, len(ops), _IN_A_BATCH)]
