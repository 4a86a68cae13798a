"""The service with the user's own page, called without a port."""

from collections.abc import Callable
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from prefmem import PreferenceMemory
from prefmem_server import ServerSettings, create_app
from prefmem_server.inspector import add_inspector
from prefmem_server.me import MeSettings, add_me

KEYS: tuple[dict[str, Any], ...] = (
    {"name": "backend", "key": "key-backend", "scopes": ["read", "write"]},
    {"name": "writer", "key": "key-writer", "scopes": ["write"]},
    {"name": "reader", "key": "key-reader", "scopes": ["read"]},
    {"name": "ops", "key": "key-ops", "scopes": ["read", "write", "admin"]},
    {"name": "shop", "key": "key-shop", "tenant": "shop", "scopes": ["read", "write", "admin"]},
    {"name": "ben", "key": "key-ben", "user": "ben"},
)


class Desk:
    """The service, and the memory behind it."""

    def __init__(self, memory: PreferenceMemory, client: TestClient) -> None:
        self.memory, self.client = memory, client

    def link(self, user: str = "ann", key: str = "key-backend", **asked: Any) -> Any:  # noqa: ANN401  # JSON, and httpx or what takes its place
        headers = {"Authorization": f"Bearer {key}"}
        if user:
            headers["Prefmem-User"] = quote(user, safe="")
        return self.client.post("/v1/me/link", headers=headers, json=asked)

    def token(self, user: str = "ann", key: str = "key-backend", **asked: Any) -> str:  # noqa: ANN401  # JSON
        answer = self.link(user, key, **asked)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"]).partition("#link=")[2]

    def ask(self, token: str, path: str, method: str = "GET", **given: Any) -> Any:  # noqa: ANN401  # as above
        headers = {"Authorization": f"Bearer {token}", **given.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **given)


@pytest.fixture
def open_desk(open_memory: Callable[..., PreferenceMemory], tmp_path: Path) -> Callable[..., Desk]:
    """Make services with the keys above."""

    def make(**me: Any) -> Desk:  # noqa: ANN401  # the arguments of MeSettings
        memory, keys = open_memory(), tmp_path / "keys.json"
        entries = [
            {name: value for name, value in entry.items() if name != "key"}
            | {"sha256": sha256(entry["key"].encode()).hexdigest()}
            for entry in KEYS
        ]
        keys.write_text(dumps({"keys": entries}), encoding="utf-8")
        app = create_app(memory, settings=ServerSettings(keys=keys))
        add_inspector(app)
        add_me(app, settings=MeSettings(**me))
        return Desk(memory, TestClient(app, base_url="http://memory.example"))

    return make


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """Give a service with the keys above."""
    return open_desk()
