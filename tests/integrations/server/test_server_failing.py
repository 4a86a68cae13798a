"""A memory that fails, hangs or falls behind: the service says so and leaks nothing."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prefmem import EndpointError, Preference, PreferenceMemory, Window
from prefmem.errors import StoreUnavailableError
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder, PhraseExtractor
from prefmem.types import Card, Matrix, Status, UserKey
from tests.integrations.server.conftest import Door

SECRET = "the launch code is 0000"
SAID = [{"role": "user", "content": f"Always remember that {SECRET}."}]


class BrokenEmbedder(HashEmbedder):
    """Fails with the text in its message, as libraries do."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        if any(SECRET in text for text in texts):
            raise RuntimeError(f"cannot embed {texts!r}")
        return super().embed(texts)


class SilentExtractor(PhraseExtractor):
    """Asks an endpoint that is down."""

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        raise EndpointError(f"http://10.0.0.7/v1 refuses {window.query!r}")


class SlowExtractor(PhraseExtractor):
    """Waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        self.begun.set()
        assert self.go.wait(30)
        return super().extract(window, turn_ids)


class FailingStore(SQLiteStore):
    """A store that can be switched off."""

    off = False

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        if self.off:
            raise StoreUnavailableError(f"/srv/{SECRET}.db is locked")
        return super().cards(user, ids=ids, status=status)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="prefmem")
    return caplog


def test_a_failure_of_ours_tells_neither_text_nor_place(
    serve: Callable[..., Door], log: pytest.LogCaptureFixture
) -> None:
    door = serve(embedder=BrokenEmbedder())
    client = door.client("ann")
    client.post("/v1/cards", json={"action": "sign as Ann"})
    answer = client.post("/v1/cards", json={"action": f"say {SECRET}"})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:prefmem:internal"
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    assert SECRET not in log.text
    (line,) = (r.getMessage() for r in log.records if r.name == "prefmem.server")
    assert line.startswith(f"{problem['request_id']}: failed with RuntimeError in embed, line ")

    figures = door.client(key="key-ops").get("/metrics").text
    assert 'prefmem_failures_total{error="RuntimeError"} 1.0' in figures
    assert client.post("/v1/recall", json={"query": "hello"}).status_code == 200


def test_a_recall_does_without_what_fails_and_says_so(
    serve: Callable[..., Door], log: pytest.LogCaptureFixture
) -> None:
    door = serve(embedder=BrokenEmbedder())
    client = door.client("ann")
    client.post("/v1/cards", json={"action": "sign as Ann"})
    for _ in range(6):
        answer = client.post("/v1/recall", json={"query": SECRET})
        assert answer.status_code == 200
        assert [rule["text"] for rule in answer.json()["rules"]] == ["Sign as Ann."]
        assert answer.json()["missing"] == ["embedder"]
    assert SECRET not in log.text
    assert client.get("/readyz").json() == {"status": "ready", "left_alone": ["embedder"]}
    figures = door.client(key="key-ops").get("/metrics").text.splitlines()
    for line in (
        'prefmem_breaker_state{part="embedder"} 2.0',
        'prefmem_breaker_state{part="store"} 0.0',
        'prefmem_part_failures_total{part="embedder"} 5.0',
        'prefmem_part_refused_total{part="embedder"} 1.0',
        'prefmem_degraded_total{part="recall without embedder"} 6.0',
        'prefmem_recall_seconds_bucket{le="+Inf"} 6.0',
        "prefmem_hanging_calls 0.0",
    ):
        assert line in figures, line


def test_a_model_that_does_not_answer_is_worth_another_try(
    serve: Callable[..., Door], log: pytest.LogCaptureFixture
) -> None:
    client = serve(extractor=SilentExtractor()).client("ann")
    answer = client.post("/v1/learn", json={"messages": SAID, "mode": "inline"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["type"] == "urn:prefmem:model-unavailable"
    assert "10.0.0.7" not in answer.text
    assert SECRET not in answer.text + log.text
    assert client.get("/v1/cards").json() == {"cards": []}


def test_a_store_that_does_not_answer(
    serve: Callable[..., Door], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    store = FailingStore(tmp_path / "own.db")
    door = serve(store=store)
    client = door.client("ann")
    store.off = True
    answer = client.get("/v1/cards")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["type"] == "urn:prefmem:store-unavailable"
    assert SECRET not in answer.text + log.text
    store.off = False
    assert client.get("/v1/cards").json() == {"cards": []}


def test_a_slow_request_holds_up_no_other(serve: Callable[..., Door]) -> None:
    slow = SlowExtractor()
    door = serve(extractor=slow)
    client = door.client("ann")
    with ThreadPoolExecutor(1) as pool:
        told = {"messages": SAID, "mode": "inline"}
        waiting = pool.submit(door.client("bob").post, "/v1/learn", json=told)
        assert slow.begun.wait(30)
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.post("/v1/recall", json={"query": "hello"}).status_code == 200
        assert not waiting.done()
        slow.go.set()
        assert waiting.result(30).status_code == 200


def test_not_ready_while_too_much_waits(serve: Callable[..., Door]) -> None:
    slow = SlowExtractor()
    door = serve(limits={"max_backlog": 0}, extractor=slow)
    client = door.client("ann")
    assert client.get("/readyz").status_code == 200
    for number in range(2):
        said = [{"role": "user", "content": f"Always count to {number}."}]
        told = {"messages": said, "session_id": str(number)}
        assert client.post("/v1/learn", json=told).status_code == 202
    assert slow.begun.wait(30)  # one is being learned, the other waits for its turn
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "too much waits" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200
    slow.go.set()
    assert door.client(key="key-ops").post("/v1/flush", json={"timeout": 30}).json()["drained"]
    assert client.get("/readyz").status_code == 200


def test_a_store_that_is_gone_is_not_ready_but_alive(serve: Callable[..., Door]) -> None:
    door = serve()
    client = door.client("ann")
    door.memory.close()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["detail"] == "not ready: the store does not answer"
    assert client.get("/healthz").status_code == 200
    for method, path in (("GET", "/v1/cards"), ("GET", "/v1/export"), ("DELETE", "/v1/user")):
        told = door.client("ann", key="key-ops").request(method, path)
        assert told.status_code == 503, path
    figures = door.client(key="key-ops").get("/metrics").text
    assert "prefmem_store_up 0.0" in figures.splitlines()
    assert 'prefmem_failures_total{error="StoreClosedError"} 3.0' in figures.splitlines()


def test_what_waits_is_learned_before_the_service_ends(
    serve: Callable[..., Door], open_memory: Callable[..., PreferenceMemory]
) -> None:
    door = serve()
    for user in ("ann", "bob"):
        told = {"messages": [{"role": "user", "content": f"Always greet {user}."}]}
        assert door.client(user).post("/v1/learn", json=told).status_code == 202
    door.stack.close()
    after = open_memory()  # the same file
    assert after.backlog().waiting == 0
    for user in ("ann", "bob"):
        assert [card.text for card in after.list(user_id=user)] == [f"Greet {user}."]


@pytest.fixture(autouse=True)
def _no_other_logs() -> Iterator[None]:
    """Keep uvicorn's own lines out of what is looked at."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    yield
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)
