"""LangGraph's stores with a vector index: `python for_langgraph.py memory|sqlite`."""

import sys
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from serve import Found, Vectors, sentence, serve  # type: ignore[import-not-found]


class Store:
    """A `BaseStore`; a user's memories lie in a namespace of their own.

    Args:
        store: It.
        held: Closed in the end.
    """

    def __init__(self, store: Any, held: ExitStack) -> None:  # noqa: ANN401
        """Use the store."""
        self._store, self._held = store, held

    def add(self, user: str, condition: str, action: str) -> str:
        """Put an item under a name of its own."""
        name = str(uuid.uuid4())
        self._store.put(("memories", user), name, {"text": sentence(condition, action)})
        return name

    def fill(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Put all in one batch."""
        put: Any = import_module("langgraph.store.base").PutOp
        self._store.batch(
            [
                put(("memories", user), str(uuid.uuid4()), {"text": sentence(condition, action)})
                for user, condition, action in memories
            ]
        )

    def search(self, user: str, query: str, k: int) -> Found:
        """Search the user's namespace."""
        found = self._store.search(("memories", user), query=query, limit=k)
        return [(str(one.key), str(one.value["text"])) for one in found]

    def delete(self, user: str, name: str) -> None:
        """Delete an item."""
        self._store.delete(("memories", user), name)

    def close(self) -> None:
        """Close the connection."""
        self._held.close()


class Maker:
    """`InMemoryStore` or `SqliteStore`."""

    def __init__(self, kind: str) -> None:
        """Choose the store."""
        self._kind = kind
        self.keeps = "memory" if kind == "memory" else "disk"
        self.durability = "none" if kind == "memory" else "SQLite, rollback journal, fsync"
        own = () if kind == "memory" else ("langgraph-checkpoint-sqlite", "sqlite-vec")
        self.packages = ("langgraph", "langgraph-checkpoint", *own)

    def load(self) -> None:
        """Import the store as its documentation says.

        Its vector index is an extension of SQLite. Where Python's own was built to load none, the
        package pysqlite3 stands in for it.
        """
        own = import_module("sqlite3")
        if self._kind == "sqlite" and not hasattr(own.Connection, "enable_load_extension"):
            sys.modules["sqlite3"] = import_module("pysqlite3")
        import_module(f"langgraph.store.{self._kind}")

    def open(self, folder: Path, vectors: Vectors) -> Store:
        """Open it with an index over the field `text`."""
        module: Any = import_module(f"langgraph.store.{self._kind}")
        index: dict[str, Any] = {"dims": vectors.width, "embed": vectors.lists}
        held = ExitStack()
        if self._kind == "memory":
            return Store(module.InMemoryStore(index={**index, "fields": ["text"]}), held)
        index["text_fields"] = ["text"]  # SqliteStore's name for `fields`
        opened = module.SqliteStore.from_conn_string(str(folder / "store.db"), index=index)
        store = held.enter_context(opened)
        store.setup()
        return Store(store, held)


if __name__ == "__main__":
    serve(Maker(sys.argv[1]))
