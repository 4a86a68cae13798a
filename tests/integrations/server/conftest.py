"""The REST service on a port of its own, over a memory on fakes."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem_server import ServerSettings, create_app

KEYS: tuple[dict[str, Any], ...] = (
    {"name": "backend", "key": "key-backend", "scopes": ["read", "write"]},
    {"name": "ops", "key": "key-ops", "scopes": ["read", "write", "admin"]},
    {"name": "reader", "key": "key-reader", "scopes": ["read"]},
    {"name": "ann", "key": "key-ann", "user": "ann"},
    {"name": "shop", "key": "key-shop", "tenant": "shop"},
)


@dataclass
class Door:
    """A running service, and the memory behind it."""

    address: str
    memory: PreferenceMemory
    app: FastAPI
    stack: ExitStack

    def client(self, user: str | None = None, key: str | None = "key-backend") -> httpx.Client:
        """Make a client with a key, for a user."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        if user is not None:
            headers["Prefmem-User"] = quote(user, safe="")
        made = httpx.Client(base_url=self.address, headers=headers, timeout=60, verify=False)
        return self.stack.enter_context(made)


@contextmanager
def serving(app: FastAPI) -> Generator[str]:
    """Serve an app on a free port; at the end it is stopped as by SIGTERM."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def write_keys(path: Path) -> Path:
    """Write a keys file with the keys above."""
    entries = [
        {name: value for name, value in entry.items() if name != "key"}
        | {"sha256": sha256(entry["key"].encode()).hexdigest()}
        for entry in KEYS
    ]
    path.write_text(dumps({"keys": entries}), encoding="utf-8")
    return path


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Give a keys file with the keys above."""
    return write_keys(tmp_path / "keys.json")


@pytest.fixture
def serve(
    open_memory: Callable[..., PreferenceMemory], keys_file: Path
) -> Iterator[Callable[..., Door]]:
    """Open doors: with the keys above unless settings are given, on a memory on fakes."""
    with ExitStack() as stack:

        def make(
            settings: ServerSettings | None = None,
            *,
            limits: dict[str, Any] | None = None,
            **parts: Any,  # noqa: ANN401  # the arguments of PreferenceMemory
        ) -> Door:
            memory = open_memory(**parts)
            settings = settings or ServerSettings(keys=keys_file, **(limits or {}))
            app = create_app(memory, settings=settings)
            return Door(stack.enter_context(serving(app)), memory, app, stack)

        yield make


@pytest.fixture
def door(serve: Callable[..., Door]) -> Door:
    """Give a running service."""
    return serve()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Give a running service that the tests of a module share; what they store stays."""
    folder = tmp_path_factory.mktemp("shared")
    memory = PreferenceMemory(
        folder / "prefs.db", extractor=PhraseExtractor(), embedder=HashEmbedder(),
        relater=TableRelater(), reranker="none", judge=WordJudge(),
    )  # fmt: skip
    app = create_app(memory, settings=ServerSettings(keys=write_keys(folder / "keys.json")))
    with ExitStack() as stack:
        yield Door(stack.enter_context(serving(app)), memory, app, stack)
