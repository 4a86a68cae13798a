"""The inspector in a server with keys, over a memory on fakes."""

from collections.abc import Callable
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from prefmem import PreferenceMemory
from prefmem.stores.sqlite import SQLiteStore
from prefmem_server import ServerSettings, create_app
from prefmem_server.inspector import add_inspector

Knock: TypeAlias = Callable[..., TestClient]

KEYS: tuple[dict[str, Any], ...] = (
    {"name": "ops", "key": "key-ops", "scopes": ["read", "write", "admin"]},
    {"name": "reader", "key": "key-reader", "scopes": ["read"]},
    {"name": "ann", "key": "key-ann", "user": "ann"},
    {"name": "shop", "key": "key-shop", "tenant": "shop", "scopes": ["read", "write", "admin"]},
)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Give a keys file with the keys above."""
    entries = [
        {name: value for name, value in entry.items() if name != "key"}
        | {"sha256": sha256(entry["key"].encode()).hexdigest()}
        for entry in KEYS
    ]
    path = tmp_path / "keys.json"
    path.write_text(dumps({"keys": entries}), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    """Give the store of the memory, which closes it."""
    return SQLiteStore(tmp_path / "prefs.db")


@pytest.fixture
def memory(open_memory: Callable[..., PreferenceMemory], store: SQLiteStore) -> PreferenceMemory:
    """Give a memory on a store that can be looked into."""
    return open_memory(store=store)


@pytest.fixture
def app(memory: PreferenceMemory, keys_file: Path) -> FastAPI:
    """Give a server with the inspector, and with the keys above."""
    made = create_app(memory, settings=ServerSettings(keys=keys_file))
    add_inspector(made)
    return made


@pytest.fixture
def knock(app: FastAPI) -> Knock:
    """Make clients with a key, for a user."""

    def client(user: str | None = "ann", key: str | None = "key-ops") -> TestClient:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        if user is not None:
            headers["Prefmem-User"] = quote(user, safe="")
        return TestClient(app, base_url="http://localhost/inspect/", headers=headers)

    return client
