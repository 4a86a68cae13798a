"""`prefmem mcp`: its options, and what it refuses before it starts."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from prefmem_mcp import KeyVerifier, TokenUser
from prefmem_mcp.command import mcp

SERVER = Path(__file__).with_name("serve_on_fakes.py")
app = typer.Typer()
app.command()(mcp)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "whose preferences? There is no default user"),
        (["--user", " "], "whose preferences? There is no default user"),
        (["--user", "x" * 300], "user_id has 300 bytes, at most 256 fit"),
        (["--transport", "http"], "over http each user needs a key"),
        (["--transport", "http", "--user", "ann"], "over http each user needs a key"),
        (["--transport", "http", "--keys", "missing.json"], "cannot read the keys file"),
        (["--transport", "http", "--jwt-issuer", "me"], "tokens need an issuer and an audience"),
        (
            ["--transport", "http", "--keys", "keys.json", "--host", "0.0.0.0"],
            "--host 0.0.0.0 is reachable from elsewhere: pass --allow-host",
        ),
        (
            ["--transport", "http", "--keys", "keys.json", "--public-url", "https://p.example"],
            "issuer and public_url go together",
        ),
        (["--new-key", "ann"], "--new-key needs --keys FILE and --user USER"),
    ],
)
def test_it_refuses_to_start(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFMEM_USER", raising=False)
    assert keys.name == "keys.json"
    run = CliRunner().invoke(app, ["--db", str(tmp_path / "p.db"), *options])
    assert run.exit_code != 0
    assert told in str(run.exception)
    assert run.stdout == ""


async def test_it_makes_keys(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    given = ["--keys", str(path), "--new-key", "phone", "--user", "ann@x.org", "--tenant", "acme"]
    run = CliRunner().invoke(app, given)
    assert run.exit_code == 0
    found = await KeyVerifier(path).verify_token(run.stdout.strip())
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.tenant) == ("ann@x.org", "acme")
    assert not list(tmp_path.glob("*.db"))


def test_the_user_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFMEM_USER", "ann")
    hello = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
        b'"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}\n'
    )
    run = subprocess.run(
        [sys.executable, str(SERVER), str(tmp_path / "p.db")],
        input=hello, capture_output=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0  # it ends when the client is gone
    (reply,) = run.stdout.splitlines()  # and says nothing else on stdout
    assert b'"name":"prefmem"' in reply


async def test_it_serves_over_http_until_it_is_stopped(
    tmp_path: Path, keys: Path, over_http: Callable[..., Any], mode: str
) -> None:
    if mode != "legacy":
        pytest.skip("once is enough")
    command = [
        sys.executable, str(SERVER), str(tmp_path / "p.db"), "--transport", "http",
        "--keys", str(keys), "--port", "0",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, "")
        told = next(line for line in lines if "running on" in line)
        address = next(word for word in told.split() if word.startswith("http://127.0.0.1:"))
        async with over_http(f"{address}/mcp", "pm_bob") as bob:
            assert not (await bob.call("add_preference", action="be brief")).error
        server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
        server.wait(30)
    assert "Traceback" not in rest
    assert "be brief" not in rest


@pytest.mark.model
async def test_with_the_packaged_weights(over_stdio: Callable[..., Any], mode: str) -> None:
    if mode != "legacy":
        pytest.skip("once is enough")
    async with over_stdio("ann", "--packaged") as line:
        await line.call("add_preference", condition="writing mails", action="sign as A.")
        await line.call("add_preference", condition="cooking", action="leave out nuts")
        found = await line.call("recall_preferences", query="A short mail to my landlord, please.")
        assert [rule["rule"] for rule in found.data["rules"]] == ["When writing mails, sign as A."]
