"""The page itself: what it is made of, what protects it, and the command that opens it."""

import asyncio
import re
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket
from stat import S_IMODE
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from prefmem import Config, PreferenceMemory
from prefmem.cli import app as cli
from prefmem_server.inspector import command
from prefmem_server.inspector.command import inspector_app
from prefmem_server.inspector.pages import STATIC

Knock: TypeAlias = Callable[..., TestClient]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PATIENT = Config(learn_delay=60)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.parametrize(
    "path", ["", "static/inspect.js", "static/nothing.js", "api/rules", "api/x"]
)
def test_every_answer_is_shielded(knock: Knock, path: str) -> None:
    answer = knock().get(path)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    kept = path == "static/inspect.js"
    assert answer.headers["cache-control"] == ("no-cache" if kept else "no-store")
    assert "set-cookie" not in answer.headers


def test_refusals_are_shielded_too(knock: Knock) -> None:
    for answer in (knock(key=None).get("api/rules"), knock().get("api/rules?most=0")):
        assert answer.status_code in (401, 422)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == POLICY


def test_a_root_path_takes_no_header_away(app: FastAPI) -> None:
    host = FastAPI()
    host.mount("/memory", app)
    mounted = TestClient(host, base_url="http://localhost/memory/")
    behind = TestClient(app, root_path="/memory", base_url="http://localhost/memory/")
    cut = TestClient(app, root_path="/memory", base_url="http://localhost/")  # by the proxy
    for client in (mounted, behind, cut):
        page, refused = client.get("inspect/"), client.get("inspect/api/rules")
        assert (page.status_code, refused.status_code) == (200, 401)
        for answer in (page, refused):
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] == "no-store"
        assert "content-security-policy" not in client.get("inspector").headers


def test_the_rest_of_the_server_stays_as_it_is(knock: Knock) -> None:
    assert "content-security-policy" not in knock().get("http://localhost/v1/cards").headers
    assert "content-security-policy" not in knock().get("http://localhost/inspector").headers


def test_the_page_needs_no_key_and_files_are_kept_by_their_tag(knock: Knock) -> None:
    page = knock(None, None)
    assert page.get("").headers["content-type"] == "text/html; charset=utf-8"
    script = page.get("static/inspect.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    again = page.get("static/inspect.js", headers={"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    moved = page.get("http://localhost/inspect", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (308, "inspect/")
    for path in ("static/index.html", "static/..%2Froutes.py", "static/%2Fetc%2Fpasswd"):
        assert page.get(path).status_code == 404


def test_nothing_comes_from_elsewhere_and_nothing_becomes_markup() -> None:
    files = sorted(STATIC.iterdir())
    assert {f.name for f in files} >= {"index.html", "inspect.js", "inspect.css", "dom.js"}
    for file in files:
        text = file.read_text(encoding="utf-8")
        bare = text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.[a-z]", bare), file.name
        if file.suffix == ".js":
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text
            )
            assert "localStorage" not in text
            assert "document.cookie" not in text
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=|style=|<style", page)


def test_hostile_words_travel_as_json_alone(knock: Knock, memory: PreferenceMemory) -> None:
    card = memory.add("answering", HOSTILE, user_id=HOSTILE)
    for path in ("api/rules", f"api/rules/{card.id}", "api/users"):
        answer = knock(HOSTILE).get(path)
        assert answer.headers["content-type"] == "application/json"
        assert "alert(1)" in answer.text
    refused = knock(HOSTILE).get("api/rules/nothing")
    assert refused.headers["content-type"] == "application/problem+json"


def test_the_command_s_server_knows_its_secret_and_its_own_name(memory: PreferenceMemory) -> None:
    memory.in_tenant("shop").add("", "use SI units", user_id="ann")
    app = inspector_app(memory.in_tenant("shop"), "sesame")
    client = TestClient(app, base_url="http://127.0.0.1:5000/inspect/")
    assert client.get("").status_code == 200
    assert client.get("api/who").status_code == 401
    client.headers["Authorization"] = "Bearer sesame"
    assert client.get("api/users").json() == {"users": ["ann"], "total": 1}
    assert client.get("api/rules", headers={"Prefmem-User": "ann"}).json()["total"] == 1
    assert client.get("api/who", headers={"Authorization": "Bearer sesam"}).status_code == 401
    rebound = {"Host": "evil.example"}
    for path in ("", "api/who", "static/inspect.js"):
        assert client.get(path, headers=rebound).status_code == 400


def test_looking_into_a_memory_learns_nothing(open_memory: Callable[..., PreferenceMemory]) -> None:
    service = open_memory(config=PATIENT)
    service.learn_later([("user", "Always use SI units.")], user_id="ann")
    service.close(0)
    looked_into = open_memory()
    with TestClient(inspector_app(looked_into, "sesame"), base_url="http://127.0.0.1:5000") as page:
        assert page.get("/inspect/").status_code == 200
    after = open_memory(config=PATIENT)
    assert after.backlog().waiting == 1
    assert after.list(user_id="ann") == ()


def test_the_command_tells_an_address_with_a_fresh_secret_behind_the_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(server: object, sockets: Sequence[socket]) -> None:
        del server
        sockets[0].close()

    monkeypatch.setattr(uvicorn.Server, "run", run)
    db = tmp_path / "prefs.db"
    PreferenceMemory(db).close()
    asked = ["inspect", "--db", str(db), "--no-browser"]
    told = [CliRunner().invoke(cli, asked) for _ in range(2)]
    assert [one.exit_code for one in told] == [0, 0]
    found = [
        re.fullmatch(r"(http://127\.0\.0\.1:\d+/inspect/)#key=([\w-]{43})\n", one.stdout)
        for one in told
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0][2] != found[1][2]


def test_the_browser_is_given_the_secret_in_a_file_once_the_server_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[tuple[str, int, str, int]] = []

    def opened(url: str) -> bool:
        file = Path(urlsplit(url).path)
        text = file.read_text(encoding="utf-8")
        (address,) = re.findall(r'content="0; url=([^"]+)"', text)
        given.append((url, S_IMODE(file.stat().st_mode), address, httpx.get(address).status_code))
        return True

    async def until_opened(server: uvicorn.Server) -> None:
        del server
        async with asyncio.timeout(20):
            while not given:
                await asyncio.sleep(0.01)

    monkeypatch.setattr(webbrowser, "open", opened)
    monkeypatch.setattr(uvicorn.Server, "main_loop", until_opened)
    db = tmp_path / "prefs.db"
    PreferenceMemory(db).close()
    done = CliRunner().invoke(cli, ["inspect", "--db", str(db)])
    assert done.exit_code == 0, done.output
    ((url, mode, address, status),) = given
    secret = address.partition("#key=")[2]
    assert address == done.stdout.strip()
    assert len(secret) == 43
    assert secret not in url
    assert (mode, status) == (0o600, 200)
    assert not Path(urlsplit(url).path).exists()


def test_the_command_makes_no_store(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["inspect", "--db", str(tmp_path / "none.db"), "--no-browser"])
    assert done.exit_code == 1
    assert "there is no store" in done.stderr
    assert not (tmp_path / "none.db").exists()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def found(name: str) -> str | None:
        return None if name == "uvicorn" else name

    monkeypatch.setattr(command, "find_spec", found)
    done = CliRunner().invoke(cli, ["inspect", "--db", str(tmp_path / "none.db")])
    assert done.exit_code == 1
    assert 'inspect needs uvicorn: pip install "prefmem[server]"' in done.stderr
