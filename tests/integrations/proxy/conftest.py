"""A proxy between a client and a fake upstream, each on a port of its own."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from openai import OpenAI

from prefmem import PreferenceMemory
from prefmem_server.auth import Gate, Principal
from prefmem_server.proxy import ProxySettings, proxy_router
from tests.integrations.proxy.fake_upstream import FakeUpstream, served

KEYS = {
    "key-all": Principal("all", "", None),
    "key-ann": Principal("ann", "", "ann"),
    "key-read": Principal("reads", "", None, frozenset({"read"})),
    "key-other": Principal("other", "acme", None),
}


@dataclass
class Door:
    """A running proxy."""

    address: str
    memory: PreferenceMemory
    upstream: FakeUpstream
    counts: Counter[str]
    proxy: ExitStack

    @property
    def base(self) -> str:
        return f"{self.address}/v1"

    def client(self, user: str | None = "ann", key: str = "key-all", **given: Any) -> OpenAI:  # noqa: ANN401  # the arguments of OpenAI
        headers = ({"X-Prefmem-User": user} if user else {}) | given.pop("default_headers", {})
        made = OpenAI(
            base_url=self.base, api_key=key, max_retries=0, default_headers=headers, **given
        )
        return self.proxy.enter_context(made)

    def settle(self) -> None:
        """Stop the proxy, and wait until all that it handed over is learned."""
        self.proxy.close()
        assert self.memory.flush(20)

    def rules(self, user: str = "ann", tenant: str = "") -> list[str]:
        memory = self.memory.in_tenant(tenant) if tenant else self.memory
        return [card.text for card in memory.list(user_id=user)]


def proxy_app(
    memory: PreferenceMemory, settings: ProxySettings, counts: Counter[str] | None = None
) -> FastAPI:
    app = FastAPI()
    app.state.gate = Gate([(sha256(k.encode()).digest(), p) for k, p in KEYS.items()])
    app.include_router(proxy_router(memory, settings, counts=counts))
    return app


@pytest.fixture
def open_door(open_memory: Callable[..., PreferenceMemory]) -> Iterator[Callable[..., Door]]:
    """Start a proxy; before the fake upstream unless another one is given."""
    with ExitStack() as stack:

        def make(**given: Any) -> Door:  # noqa: ANN401  # the arguments of ProxySettings
            fake, counts = FakeUpstream(), Counter[str]()
            memory = given.pop("memory", None) or open_memory()
            if "upstream" not in given:
                given["upstream"] = stack.enter_context(served(fake.app())) + "/v1"
            chosen: dict[str, Any] = {"api_key": "sk-upstream", "recall_timeout": 30.0}
            settings = ProxySettings(**(chosen | given))
            proxy = stack.enter_context(ExitStack())
            address = proxy.enter_context(served(proxy_app(memory, settings, counts)))
            return Door(address, memory, fake, counts, proxy)

        yield make


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    return open_door()
