"""`prefmem serve --me`: who gets the page, and what is refused before anything is opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from prefmem import ConfigError, PreferenceMemory
from prefmem_server.command import serve


@pytest.fixture
def served(
    open_memory: Callable[..., PreferenceMemory], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[Result, list[FastAPI]]]:
    """Run `serve` up to the point where it would listen."""
    apps: list[FastAPI] = []

    def listen(app: FastAPI, **_: object) -> None:
        apps.append(app)

    monkeypatch.setattr(uvicorn, "run", listen)

    def opener(db: str, tenant: str) -> PreferenceMemory:
        return open_memory(path=db, tenant=tenant)

    def run(*arguments: str) -> tuple[Result, list[FastAPI]]:
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(serve)
        given: list[Any] = ["--no-auth", "--db", str(tmp_path / "prefs.db"), *arguments]
        return CliRunner().invoke(app, given, obj=opener), apps

    return run


def test_the_page_is_there_where_it_is_asked_for(
    served: Callable[..., tuple[Result, list[FastAPI]]],
) -> None:
    without, apps = served()
    assert without.exit_code == 0, without.output
    assert TestClient(apps[0]).get("/me/").status_code == 404
    for given in (("--me",), ("--embed", "https://app.example")):
        done, apps = served(*given)
        assert done.exit_code == 0, done.output
        answer = TestClient(apps[-1]).get("/me/")
        assert answer.status_code == 200
        framed = "https://app.example" if "--embed" in given else "'none'"
        assert f"frame-ancestors {framed};" in f"{answer.headers['content-security-policy']};"


def test_the_links_lead_where_they_are_told_to(
    served: Callable[..., tuple[Result, list[FastAPI]]], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789abcdef0123456789abcdef")
    _, apps = served(
        "--me", "--link-secret-file", str(secret), "--public-url", "https://app.example/memory/"
    )
    client = TestClient(apps[0], base_url="http://localhost", client=("127.0.0.1", 50_000))
    made = client.post("/v1/me/link", headers={"Prefmem-User": "ann"})
    assert made.json()["url"].startswith("https://app.example/memory/me/#link=")


def test_what_cannot_be_is_refused_at_once(
    served: Callable[..., tuple[Result, list[FastAPI]]], tmp_path: Path
) -> None:
    for given in (("--embed", "app.example"), ("--me", "--link-secret-file", str(tmp_path / "no"))):
        done, apps = served(*given)
        assert isinstance(done.exception, ConfigError)
        assert apps == []
    assert not (tmp_path / "prefs.db").exists()
