"""`prefmem serve`, as a process and as a command."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

import prefmem_server
from prefmem import MissingExtraError, PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_server.command import serve
from prefmem_server.keys import read_keys

# The command with the memory on fakes; it says on stdout where it listens.
PROGRAM = dedent("""
    import sys
    import typer
    import uvicorn
    from prefmem import PreferenceMemory
    from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
    from prefmem_server.command import serve

    started = uvicorn.Server.startup

    async def startup(self, sockets=None):
        await started(self, sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

    uvicorn.Server.startup = startup

    def opener(db, tenant):
        return PreferenceMemory(
            db, tenant=tenant, extractor=PhraseExtractor(), embedder=HashEmbedder(),
            relater=TableRelater(), reranker="none", judge="none",
        )

    app = typer.Typer()
    app.command()(serve)
    app(obj=opener)
""")


def run(*arguments: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(serve)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    db = tmp_path / "prefs.db"
    arguments = ("--no-auth", "--port", "0", "--db", str(db))
    environment = {name: value for name, value in os.environ.items() if "PREFMEM" not in name}  # noqa: TID251  # handed on to a child
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port, process.communicate()[1]
    yield process, f"http://127.0.0.1:{port}", db
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_stopped_server_has_learned_what_it_took(
    server: tuple[subprocess.Popen[str], str, Path],
) -> None:
    process, address, db = server
    said = [{"role": "user", "content": "When writing SQL, always use capitals."}]
    with httpx.Client(base_url=address, headers={"Prefmem-User": "ann"}, timeout=30) as client:
        assert client.post("/v1/learn", json={"messages": said}).status_code == 202
        assert "server" not in client.get("/healthz").headers
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert "learn 202" in errors
    assert "SQL" not in errors
    with PreferenceMemory(
        db, extractor=PhraseExtractor(), embedder=HashEmbedder(), relater=TableRelater(),
        reranker="none", judge="none",
    ) as memory:  # fmt: skip
        assert [card.text for card in memory.list(user_id="ann")] == [
            "When writing SQL, use capitals."
        ]
        assert memory.backlog().waiting == 0


def test_a_new_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = run("--keys", str(path), "--new-key", "backend")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert key.startswith("pm_")
    assert len(key) == 46  # pm_ and 32 bytes in base64url
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    user = run(
        "--keys", str(path), "--new-key", "ann", "--user", "ann@example.org", "--tenant", "shop",
        "--scope", "read", "--scope", "admin",
    )  # fmt: skip
    assert user.exit_code == 0, user.output
    first, second = read_keys(path)
    assert (first.name, first.tenant, first.user, first.scopes) == (
        "backend", "", None, ("read", "write"),
    )  # fmt: skip
    assert (second.name, second.tenant, second.user, second.scopes) == (
        "ann", "shop", "ann@example.org", ("read", "admin"),
    )  # fmt: skip
    assert json.loads(path.read_text())["keys"][0]["sha256"] == first.sha256


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--new-key", "a"), "--keys FILE"),
        (("--keys", "KEYS", "--new-key", "taken"), "two keys have the same name"),
        (("--keys", "KEYS", "--new-key", "a b"), "name"),
        (("--no-auth", "--host", "0.0.0.0"), "127.0.0.1"),
        ((), "--new-key"),
        (("--jwt-issuer", "me"), "an issuer and an audience"),
        (("--jwt-issuer", "me", "--jwt-audience", "us"), "exactly one"),
        (("--keys", "none.json"), "cannot read"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    path, db = tmp_path / "keys.json", tmp_path / "prefs.db"
    assert run("--keys", str(path), "--new-key", "taken").exit_code == 0
    given = [str(path) if argument == "KEYS" else argument for argument in arguments]
    refused = run("--db", str(db), *given)
    assert refused.exit_code != 0
    assert why in f"{refused.output} {refused.exception}"
    assert not db.exists()


def test_a_key_that_cannot_be_kept_is_not_made(tmp_path: Path) -> None:
    refused = run("--keys", str(tmp_path / "no" / "such" / "keys.json"), "--new-key", "a")
    assert refused.exit_code != 0
    assert refused.stdout == ""
    assert "no key was made" in str(refused.exception)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    for name in ("app", "metrics"):
        monkeypatch.delitem(sys.modules, f"prefmem_server.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=r'pip install "prefmem\[server\]"'):
        _ = prefmem_server.create_app
    with pytest.raises(AttributeError, match="nothing"):
        _ = prefmem_server.nothing
    assert dir(prefmem_server) == prefmem_server.__all__
