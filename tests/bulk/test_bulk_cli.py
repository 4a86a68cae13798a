"""`prefmem extract` as people call it."""

import json
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

import prefmem
from prefmem.cli import app
from prefmem.cli.extractors import ExtractorName
from prefmem.errors import ConfigError
from prefmem.models.onnx import WEIGHTS

SQL = "When you write SQL, always put the keywords in capitals."


def extract(*args: object) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    env = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", "RAY_ADDRESS": None}
    return CliRunner().invoke(
        app, ["extract", *map(str, args)], env=env, catch_exceptions=False
    )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    rows = [
        {"who": "ann", "messages": [{"role": "user", "content": text}]}
        for text in (SQL, "What time is it in Lima?")
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "{\n", encoding="utf-8")
    return path


@pytest.mark.model
def test_the_packaged_extractor_reads_a_log(log: Path) -> None:
    out = log.with_name("rules")
    args = (log, "--out", out, "--field", "user_id=who", "--workers", 1)
    result = extract(*args)
    assert (result.exit_code, result.stdout) == (0, "")
    said = result.stderr.splitlines()
    assert said[0].startswith("2 windows in 1 shard read, 1 with 1 rule; ")
    assert said[1] == f"1 row could not be read: {out / 'errors.jsonl'} names them."
    (found,) = (out / "rules" / "000000.jsonl").read_text("utf-8").splitlines()
    assert json.loads(found)["user_id"] == "ann"
    assert json.loads(found)["rules"][0]["evidence"][0]["quote"] in SQL
    again = json.loads(extract(*args, "--json").stdout)
    assert {name: again[name] for name in ("windows", "with_rules", "rules", "bad")} == {
        "windows": 2, "with_rules": 1, "rules": 1, "bad": 1,
    }  # fmt: skip
    assert (again["resumed"], again["fresh"], again["out"]) == (1, 0, str(out))


class Answers(BaseHTTPRequestHandler):
    """An endpoint that finds the same rule in everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        rule = {"condition": "writing SQL", "action": "put keywords in capitals", "confidence": 0.9}
        answer = {"message": {"content": json.dumps({"preferences": [rule]})}}
        body = json.dumps({"choices": [{**answer, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_an_endpoint_reads_a_log_and_what_the_user_did_not_say_is_no_rule(log: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        out = log.with_name("rules")
        args = (log, "--out", out, "--field", "user_id=who", "--extractor", address)
        summary = json.loads(extract(*args, "--api-key", "a-secret", "--json").stdout)
        server.shutdown()
    assert (summary["windows"], summary["rules"]) == (2, 1)
    assert not any(b"a-secret" in p.read_bytes() for p in out.rglob("*") if p.is_file())


def test_refusals_are_messages(log: Path) -> None:
    out = log.with_name("rules")
    for args, reason in (
        ((log, "--out", out, "--extractor", "gpt"), "extractor 'gpt' is unknown"),
        ((log.with_name("b.jsonl"), "--out", out), "there is no file"),
        ((log.parent, "--out", log.parent / "rules"), "whose logs are read"),
    ):
        result = extract(*args)
        assert (result.exit_code, reason in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("--field", "user=who"), "is not NAME=COLUMN"),
        (("--field", "user_id="), "is not NAME=COLUMN"),
        (("--gpus", "1"), "needs --engine ray"),
        (("--shard-rows", "0"), "--shard-rows"),
        (("--engine", "spark"), "--engine"),
    ],
)
def test_wrong_usage_is_named(log: Path, args: tuple[str, ...], reason: str) -> None:
    result = extract(log, "--out", log.with_name("rules"), *args)
    assert (result.exit_code, reason in result.stderr) == (2, True)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="extractor 'gpt' is unknown; pass local, qwen3"):
        ExtractorName("gpt")


def test_the_weights_are_part_of_the_identity(tmp_path: Path) -> None:
    packaged = ExtractorName().identity()
    assert sorted(packaged) == ["extractor", "gate", "prefmem"]
    assert packaged["prefmem"] == prefmem.__version__
    shutil.copy(WEIGHTS / "tagger.json", tmp_path)
    # one file of the same name and bytes gives the same digest, another byte another one
    assert ExtractorName(str(tmp_path)).identity()["weights"] == packaged["gate"]
    with (tmp_path / "tagger.json").open("a") as file:
        file.write(" ")
    assert ExtractorName(str(tmp_path)).identity()["weights"] != packaged["gate"]


def test_what_changes_the_answers_is_part_of_the_identity_and_the_key_is_not() -> None:
    name = ExtractorName("http://localhost:1/v1", "card", "rules-1", "a-secret")
    assert name.identity() == {
        "prefmem": prefmem.__version__, "extractor": "http://localhost:1/v1", "prompt": "card",
        "model": "rules-1", "gate": ExtractorName().identity()["gate"],
    }  # fmt: skip
    assert "a-secret" not in repr(name)


@pytest.mark.slow
def test_a_model_on_ray_gives_what_it_gives_here(log: Path, tiny_qwen3_folder: Path) -> None:
    pytest.importorskip("ray")
    model = ["--extractor", str(tiny_qwen3_folder), "--field", "user_id=who"]
    command = [sys.executable, "-m", "prefmem", "extract", str(log), "--json", *model]
    files: list[dict[str, bytes]] = []
    for engine in ("local", "ray"):
        out = log.with_name(engine)
        ended = subprocess.run(
            [*command, "--engine", engine, "--out", str(out)], stdout=subprocess.PIPE, check=True
        )
        assert json.loads(ended.stdout)["rules"] == 1
        found = (path for path in out.rglob("*") if path.is_file())
        files.append({path.relative_to(out).as_posix(): path.read_bytes() for path in found})
    assert files[0] == files[1]
