"""The Grafana dashboard asks for figures that there are; `prefmem top` reads a running server."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner

from prefmem import PreferenceMemory
from prefmem.cli import app
from prefmem.cli.figures import Figures, read_text
from prefmem_server import ServerSettings, create_app
from tests.integrations.server.conftest import Door

METRIC = re.compile(r"\b(?:prefmem|process)_\w+")
MATCHER = re.compile(r"(\w+)\{([^}]*)\}")
GIVEN_BY_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    done = CliRunner().invoke(app, ["serve", "--dashboard"], catch_exceptions=False)
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def expressions(board: dict[str, Any]) -> list[str]:
    return [t["expr"] for panel in board["panels"] for t in panel.get("targets", ())]


def busy(door: Door) -> Figures:
    """Do a bit of everything, and read the figures."""
    client = door.client("ann")
    client.post("/v1/recall", json={"query": "hello"})
    client.post("/v1/cards", json={"condition": "writing SQL", "action": "use CTEs"})
    found = client.post("/v1/recall", json={"query": "writing SQL"}).json()
    client.post("/v1/feedback", json={"recall_id": found["id"], "score": -1})
    turn = {"role": "user", "content": "Always be kind."}
    client.post("/v1/learn", json={"messages": [turn], "mode": "inline"})
    client.delete("/v1/cards/nosuchcard")
    assert door.client("ann", key="key-ops").delete("/v1/user").status_code == 200
    return Figures(read_text(door.client(key="key-ops").get("/metrics").text))


def test_every_figure_of_the_dashboard_is_there(door: Door, board: dict[str, Any]) -> None:
    figures = busy(door)
    declared = set(re.findall(r"# TYPE (\w+) ", door.client(key="key-ops").get("/metrics").text))
    known = set(figures.values) | declared
    asked = {name for expr in expressions(board) for name in METRIC.findall(expr)}
    assert len(asked) > 20
    # counters of what never happened here have no line, only their declaration
    assert sorted(name for name in asked if name not in known) == []


def test_every_label_of_the_dashboard_is_there(door: Door, board: dict[str, Any]) -> None:
    figures = busy(door)
    for expr in expressions(board):
        for name, matchers in MATCHER.findall(expr):
            labels = set(re.findall(r"(\w+)=", matchers)) - GIVEN_BY_PROMETHEUS
            grouped = re.search(r"by \(([\w, ]+)\)", expr)
            labels |= set((grouped[1] if grouped else "").split(", ")) - {"", "le", "instance"}
            lines = figures.values.get(name) or figures.values.get(name.removesuffix("_bucket"))
            if lines:
                assert labels <= {label for key in lines for label, _ in key}, expr


def test_the_dashboard_is_one_that_grafana_takes(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert {panel["type"] for panel in board["panels"]} == {"row", "stat", "timeseries"}
    assert [each["name"] for each in board["templating"]["list"]] == [
        "datasource", "job", "instance"
    ]  # fmt: skip
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for target in panel.get("targets", ()):
            assert target["expr"].count("(") == target["expr"].count(")")
            assert '{job=~"$job",instance=~"$instance"' in target["expr"]


def test_figures_say_what_happened(door: Door) -> None:
    figures = busy(door)
    assert figures.by("prefmem_recalls_total", "outcome") == {"empty": 1, "injected": 1}
    assert figures.by("prefmem_verdicts_total", "reason") == {"relevant": 1}
    assert figures.by("prefmem_followups_total", "label") == {"dissatisfied": 1}
    assert figures.by("prefmem_erased_total", "what") == {"users": 1, "cards": 2}
    assert figures.by("prefmem_verb_failures_total", "verb") == {"forget": 1}
    assert figures.total("prefmem_verb_seconds_count", verb="learn") == 1
    assert figures.total("prefmem_part_seconds_count", part="extractor") == 1
    assert figures.total("prefmem_info") == 1
    assert figures.total("process_resident_memory_bytes") > 0


@pytest.fixture
def running(open_memory: Callable[..., PreferenceMemory]) -> Iterator[str]:
    """Run a server without keys; gives its address."""
    memory = open_memory()
    memory.add("", "be brief", user_id="ann")
    memory.recall("hello", user_id="ann")
    config = uvicorn.Config(
        create_app(memory, settings=ServerSettings(no_auth=True)), port=0, log_config=None,
        ws="none",
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    for _ in range(1000):
        if server.started:
            break
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_top_reads_a_running_server(running: str) -> None:
    def top(*flags: str) -> Any:  # noqa: ANN401  # click's Result
        args = ["top", "--once", "--url", running, *flags]
        return CliRunner().invoke(app, args, env={"COLUMNS": "100"}, catch_exceptions=False)

    found = json.loads(top("--json").stdout)
    assert found["ready"] == "ready"
    assert found["recalls"]["count"] == 1
    assert found["recalls"]["outcomes"] == {"injected": 1}
    assert found["parts"]["store"]["state"] == "in use"
    assert found["verbs"]["recall"]["count"] == 1
    shown = top().stdout
    assert "Queue: 0 waiting, 0 being learned, 0 dead" in shown
    assert "Recalls since its start: 1" in shown
