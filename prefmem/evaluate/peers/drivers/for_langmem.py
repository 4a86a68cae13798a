"""langmem's tools over LangGraph's InMemoryStore, the store of its own quick start."""

import uuid
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from serve import Found, Vectors, sentence, serve  # type: ignore[import-not-found]

_NAMESPACE = ("memories", "{langgraph_user_id}")


class Tools:
    """The tools that an agent would call to manage and to search memories.

    Args:
        store: Where they keep them.
    """

    def __init__(self, store: Any) -> None:  # noqa: ANN401
        """Make the tools."""
        langmem: Any = import_module("langmem")
        self._store = store
        self._manage = langmem.create_manage_memory_tool(namespace=_NAMESPACE, store=store)
        self._search = langmem.create_search_memory_tool(
            namespace=_NAMESPACE, store=store, response_format="content_and_artifact"
        )

    def add(self, user: str, condition: str, action: str) -> str:
        """Call the tool that manages memories; it answers with the name."""
        told = {"content": sentence(condition, action), "action": "create"}
        return str(self._manage.invoke(told, _of(user))).rpartition(" ")[2]

    def fill(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Put all into the store in one batch, as the tool would."""
        put: Any = import_module("langgraph.store.base").PutOp
        self._store.batch(
            [
                put(("memories", user), str(uuid.uuid4()), {"content": sentence(condition, action)})
                for user, condition, action in memories
            ]
        )

    def search(self, user: str, query: str, k: int) -> Found:
        """Call the tool that searches, as an agent would, with the items beside its text."""
        call = {
            "name": "search_memory", "type": "tool_call", "id": "1",
            "args": {"query": query, "limit": k},
        }  # fmt: skip
        found = self._search.invoke(call, _of(user)).artifact
        return [(str(one.key), str(one.value["content"])) for one in found]

    def delete(self, user: str, name: str) -> None:
        """Call the tool that manages memories."""
        self._manage.invoke({"action": "delete", "id": name}, _of(user))

    def close(self) -> None:
        """Nothing is open."""


class Maker:
    """langmem's tools."""

    keeps = "memory"
    durability = "none"
    packages = ("langmem", "langgraph")

    def load(self) -> None:
        """Import as the quick start does."""
        import_module("langgraph.store.memory")
        import_module("langmem")

    def open(self, folder: Path, vectors: Vectors) -> Tools:
        """Make the store and the tools."""
        del folder
        module: Any = import_module("langgraph.store.memory")
        index = {"dims": vectors.width, "embed": vectors.lists, "fields": ["content"]}
        return Tools(module.InMemoryStore(index=index))


def _of(user: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"langgraph_user_id": user}}


if __name__ == "__main__":
    serve(Maker())
