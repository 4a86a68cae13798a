"""What those who run the service see: figures, logs, the OpenAPI document."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from prefmem import PreferenceMemory
from prefmem_server import ProxySettings, ServerSettings, create_app, proxy_router
from tests.integrations.server.conftest import Door, serving

CANARY = "zanzibar"


def test_figures_have_no_users_and_no_texts(door: Door) -> None:
    client = door.client(f"{CANARY}@example.org")
    client.post("/v1/cards", json={"condition": "writing SQL", "action": f"use {CANARY}"})
    for _ in range(3):
        client.post("/v1/recall", json={"query": f"writing SQL {CANARY}"})
    client.get("/v1/cards/nosuchcard")
    answer = door.client(key="key-ops").get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    figures = answer.text
    assert CANARY not in figures
    for line in (
        "prefmem_recall_seconds_count 3.0",
        "prefmem_rules_total 3.0",
        'prefmem_requests_total{operation="recall",status="200"} 3.0',
        'prefmem_requests_total{operation="add",status="201"} 1.0',
        'prefmem_requests_total{operation="get",status="404"} 1.0',
        'prefmem_request_seconds_count{operation="recall"} 3.0',
        "prefmem_store_up 1.0",
        "prefmem_queue_waiting 0.0",
        "prefmem_queue_dead 0.0",
        "prefmem_queue_oldest_seconds 0.0",
    ):
        assert line in figures.splitlines(), line


def test_two_services_on_one_file_count_apart(serve: Callable[..., Door]) -> None:
    one, two = serve(), serve()
    one.client("ann").post("/v1/cards", json={"action": "sign as Ann"})
    assert len(two.client("ann").post("/v1/recall", json={"query": "hello"}).json()["rules"]) == 1
    two.client("ann").post("/v1/cards", json={"action": "be brief"})
    assert len(one.client("ann").get("/v1/cards").json()["cards"]) == 2
    counted = 'prefmem_requests_total{operation="list",status="200"} 1.0'
    assert counted in one.client(key="key-ops").get("/metrics").text
    assert counted not in two.client(key="key-ops").get("/metrics").text


def test_the_log_has_neither_users_nor_paths_nor_texts(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="prefmem")
    client = door.client(f"{CANARY}@example.org")
    client.post("/v1/recall", json={"query": CANARY}, headers={"X-Request-ID": "mine"})
    client.get(f"/v1/cards/{CANARY}", params={"status": CANARY, CANARY: CANARY})
    client.get(f"/{CANARY}")
    client.post("/v1/learn", json={CANARY: CANARY})
    door.stack.close()  # a line is written when its answer is out
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("prefmem")]
    assert CANARY not in "\n".join(lines)
    shapes = [re.sub(r"[\d.]+ ms", "T", line.partition(" ")[2]) for line in lines]
    assert shapes == [
        "recall 200 T key=backend", "get 404 T key=backend", "none 404 T key=-",
        "learn 422 T key=backend",
    ]  # fmt: skip
    assert lines[0].startswith("mine ")


def test_the_document_says_everything(shared: Door) -> None:
    document: dict[str, Any] = shared.client(key=None).get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    names: list[str] = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["description"], path
            if not path.endswith("z"):
                assert operation["security"] == [{"bearer": []}, {"key": []}]
            for status, told in operation["responses"].items():
                if status >= "400":
                    assert list(told["content"]) == ["application/problem+json"], (path, status)
                elif status != "204":
                    (content,) = told["content"].values()
                    assert content["schema"], path
    assert sorted(names) == sorted([
        "add", "alive", "command", "edit", "export", "feedback", "flush", "forget", "forget_user",
        "get", "get_user", "history", "learn", "learn_from_edit", "list", "load", "metrics",
        "ready", "recall", "render", "replay", "undo",
    ])  # fmt: skip
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(("Request", "In", "Patch")) and name != "MessageIn":
            assert schema["additionalProperties"] is False, name
            assert schema.get("examples") or name == "FlushRequest", name
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_eight_users_at_once_see_only_their_own(door: Door) -> None:
    users = [f"user{number}" for number in range(8)]

    def live(user: str) -> list[str]:
        client, seen = door.client(user), list[str]()
        for number in range(12):
            said = [{"role": "user", "content": f"When writing {number}, always greet {user}."}]
            mode = "inline" if number % 2 else "background"
            told = {"messages": said, "session_id": f"s{number}", "mode": mode}
            assert client.post("/v1/learn", json=told).status_code in (200, 202)
            seen.append(client.post("/v1/recall", json={"query": f"writing {number}"}).text)
            seen.append(client.get("/v1/cards").text)
        return seen

    with ThreadPoolExecutor(8) as pool:
        seen = dict(zip(users, pool.map(live, users), strict=True))
    assert door.client(key="key-ops").post("/v1/flush", json={"timeout": 60}).json()["drained"]
    for user in users:
        everything = "".join(seen[user])
        assert user in everything
        assert not any(other in everything for other in users if other != user)
        cards = door.client(user).get("/v1/cards").json()["cards"]
        assert sorted(card["condition"] for card in cards) == sorted(
            f"writing {number}" for number in range(12)
        )
        assert {card["action"] for card in cards} == {f"greet {user}"}


def test_the_proxy_stands_beside_the_service(
    open_memory: Callable[..., PreferenceMemory], keys_file: Path
) -> None:
    memory, counts = open_memory(), Counter[str]()
    nowhere = ProxySettings(upstream="http://127.0.0.1:9/v1")  # nobody listens there
    app = create_app(
        memory, settings=ServerSettings(keys=keys_file),
        routers=[proxy_router(memory, nowhere, counts=counts)], counts=counts,
    )  # fmt: skip
    headers = {"Authorization": "Bearer key-ops", "Prefmem-User": "ann"}
    with serving(app) as address, httpx.Client(base_url=address, headers=headers) as client:
        assert client.post("/v1/cards", json={"action": "sign as Ann"}).status_code == 201
        said = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        answer = client.post("/v1/chat/completions", json=said)
        assert answer.status_code == 502
        assert answer.json()["error"]["message"]
        assert answer.headers["X-Request-ID"]
        nobody = client.post("/v1/chat/completions", json=said, headers={"Authorization": ""})
        assert nobody.status_code == 401
        assert nobody.json()["error"]["code"] == "invalid_api_key"
        assert len(client.get("/v1/cards").json()["cards"]) == 1
        figures = client.get("/metrics").text
        assert 'operation="/v1/chat/completions",status="502"} 1.0' in figures
        assert "prefmem_proxy_degraded_total{what=" in figures
        assert "/v1/chat/completions" not in client.get("/openapi.json").json()["paths"]
