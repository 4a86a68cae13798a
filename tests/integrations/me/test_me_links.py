"""Links to a user's own page: for one user and a while, and for nothing else."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from prefmem import ConfigError, PreferenceMemory
from prefmem.types import UserKey
from prefmem_keys.tokens import OwnTokens
from prefmem_server import JwtSettings, ServerSettings, create_app
from prefmem_server.me import MeSettings, add_me
from tests.integrations.me.conftest import Desk

SECRET = "0123456789abcdef0123456789abcdef"
ORIGIN = "https://app.example"


def test_a_backend_gets_a_link_for_one_user(desk: Desk) -> None:
    answer = desk.link("ann@example.org")
    assert answer.status_code == 201
    made = answer.json()
    assert made["url"].startswith("http://memory.example/me/#link=")
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert 29 * 60 < left.total_seconds() <= 30 * 60
    myself = desk.ask(made["url"].partition("#link=")[2], "/v1/me").json()
    assert myself["user_id"] == "ann@example.org"
    assert myself["scopes"] == ["read", "write"]


def test_a_key_makes_links_for_its_users_and_scopes_only(desk: Desk) -> None:
    assert desk.link("ann", "key-reader").status_code == 403
    assert desk.link("ann", "key-ben").status_code == 403
    assert desk.link("", "key-backend").status_code == 422
    assert desk.link("ann", "key-writer").status_code == 403  # it could not read by itself
    assert desk.link("ann", "key-writer", scopes=["write"]).status_code == 201
    assert desk.link("ann", scopes=["admin"]).status_code == 422
    assert desk.link("ann", scopes=[]).status_code == 422
    for minutes in (0, 721):
        assert desk.link("ann", minutes=minutes).status_code == 422
    assert desk.ask(desk.token("", "key-ben"), "/v1/me").json()["user_id"] == "ben"


def test_a_link_makes_no_links(desk: Desk) -> None:
    assert desk.link("ann", desk.token("ann")).status_code == 401


def test_a_link_shows_and_changes_its_user_alone(desk: Desk) -> None:
    mine = desk.memory.add("writing mails", "sign with A", user_id="ann")
    theirs = desk.memory.add("writing mails", "sign with B", user_id="ben")
    token = desk.token("ann")
    assert [c["id"] for c in desk.ask(token, "/v1/me/cards").json()["cards"]] == [mine.id]
    patch = {"json": {"action": "sign with C"}}
    assert desk.ask(token, f"/v1/me/cards/{theirs.id}", "PATCH", **patch).status_code == 404
    assert desk.ask(token, f"/v1/me/cards/{theirs.id}", "DELETE").status_code == 404
    assert desk.ask(token, f"/v1/me/cards/{theirs.id}/history").status_code == 404
    (event,) = desk.memory.history(theirs.id, user_id="ben")
    assert desk.ask(token, f"/v1/me/events/{event.id}/undo", "POST").status_code == 404
    as_ben = {"headers": {"Prefmem-User": "ben"}}
    for path, method in (("/v1/me/cards", "GET"), ("/v1/me", "DELETE"), ("/v1/me/export", "GET")):
        assert desk.ask(token, path, method, **as_ben).status_code == 403
    assert desk.memory.list(user_id="ben") == (theirs,)


def test_a_tenants_user_is_not_the_namesake_elsewhere(desk: Desk) -> None:
    desk.memory.add("", "be brief", user_id="ann")
    token = desk.token("ann", "key-shop")
    assert desk.ask(token, "/v1/me/cards").json() == {"cards": []}
    assert desk.ask(token, "/v1/me", "DELETE").status_code == 200
    assert len(desk.memory.list(user_id="ann")) == 1


def test_a_reading_link_changes_nothing(desk: Desk) -> None:
    card = desk.memory.add("", "be brief", user_id="ann")
    (event,) = desk.memory.history(card.id, user_id="ann")
    token = desk.token("ann", scopes=["read"])
    for path, method in (
        (f"/v1/me/cards/{card.id}", "PATCH"),
        (f"/v1/me/cards/{card.id}", "DELETE"),
        (f"/v1/me/events/{event.id}/undo", "POST"),
        ("/v1/me", "DELETE"),
    ):
        body = {"json": {"action": "be long"}} if method == "PATCH" else {}
        assert desk.ask(token, path, method, **body).status_code == 403
    assert desk.memory.list(user_id="ann") == (card,)
    assert desk.ask(token, "/v1/me/export").json()["cards"][0]["id"] == card.id


def test_a_key_that_may_not_erase_makes_no_link_that_may(desk: Desk) -> None:
    card = desk.memory.add("", "be brief", user_id="ann")
    key = {"headers": {"Prefmem-User": "ann"}}
    assert desk.ask("key-backend", "/v1/user", "DELETE", **key).status_code == 403
    token = desk.token("ann", "key-backend")
    assert desk.ask(token, "/v1/me").json()["erases"] is False
    refused = desk.ask(token, "/v1/me", "DELETE")
    assert refused.status_code == 403
    assert "may not erase everything" in refused.json()["detail"]
    assert desk.memory.list(user_id="ann") == (card,)
    assert desk.ask(token, f"/v1/me/cards/{card.id}", "DELETE").status_code == 204


@pytest.mark.parametrize(("user", "key"), [("ann", "key-ops"), ("ben", "key-ben")])
def test_a_key_that_may_erase_makes_links_that_may(desk: Desk, user: str, key: str) -> None:
    desk.memory.add("", "be brief", user_id=user)
    token = desk.token(user, key)
    myself = desk.ask(token, "/v1/me").json()
    assert (myself["erases"], myself["scopes"]) == (True, ["read", "write"])
    reading = desk.token(user, key, scopes=["read"])
    assert desk.ask(reading, "/v1/me").json()["erases"] is False
    assert desk.ask(reading, "/v1/me", "DELETE").status_code == 403
    assert len(desk.memory.list(user_id=user)) == 1
    assert desk.ask(token, "/v1/me", "DELETE").status_code == 200
    assert desk.memory.list(user_id=user) == ()


@pytest.mark.parametrize("key", ["key-backend", "key-ops"])
def test_no_other_route_opens_to_a_link(desk: Desk, key: str) -> None:
    token = desk.token("ann", key)
    document = desk.client.get("/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method in methods:
            if path in ("/healthz", "/readyz"):
                continue
            place = re.sub(r"\{[^}]+\}", "x", path)
            answer = desk.ask(token, place, method.upper(), headers={"Prefmem-User": "ann"})
            assert answer.status_code == 401, (method, path)
            asked += 1
    assert asked > 20
    answer = desk.ask(token, "/inspect/api/who", "GET", headers={"Prefmem-User": "ann"})
    assert answer.status_code == 401


def test_keys_do_not_open_the_pages_routes(desk: Desk) -> None:
    for key in ("key-backend", "key-ben", "nonsense", "a.b.c", "ä"):
        sent = {b"Authorization": f"Bearer {key}".encode("latin-1")}
        assert desk.client.get("/v1/me/cards", headers=sent).status_code == 401
    assert desk.client.get("/v1/me/cards").status_code == 401


def test_a_link_ends(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    desk = open_desk(secret_file=file)
    token = desk.token("ann")
    an_hour_ago = OwnTokens(SECRET.encode(), "me-link", clock=lambda: time.time() - 3600)
    over, _ = an_hour_ago.make(UserKey("ann"), ["read"], seconds=1800)
    assert desk.ask(token, "/v1/me").status_code == 200
    refused = desk.ask(over, "/v1/me")
    assert refused.status_code == 401
    assert "expired" in refused.json()["detail"]


def test_processes_that_share_a_secret_read_each_others_links(
    open_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET, encoding="utf-8")
    one, two = open_desk(secret_file=file), open_desk(secret_file=file)
    assert two.ask(one.token("ann"), "/v1/me").status_code == 200
    assert open_desk().ask(one.token("ann"), "/v1/me").status_code == 401


def test_a_link_holds_no_longer_than_the_token_that_asks_for_it(
    memory: PreferenceMemory, tmp_path: Path
) -> None:
    file = tmp_path / "hs256"
    file.write_text(SECRET, encoding="utf-8")
    tokens = JwtSettings("https://id.example", "prefmem", secret_file=file)
    app = create_app(memory, settings=ServerSettings(jwt=tokens))
    add_me(app)
    ends = int(time.time()) + 120
    claims = {"iss": "https://id.example", "aud": "prefmem", "sub": "ann", "exp": ends}
    sent = {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}
    client = TestClient(app)
    made = client.post("/v1/me/link", headers=sent, json={"minutes": 60}).json()
    left = datetime.fromisoformat(made["expires_at"]).timestamp()
    assert ends - 1 <= left <= ends  # a second may pass while it is made
    link = {"Authorization": f"Bearer {made['url'].partition('#link=')[2]}"}
    myself = client.get("/v1/me", headers=link).json()
    assert myself["expires_at"] == made["expires_at"]
    assert client.delete("/v1/me", headers=link).status_code == 200  # it is the user's own token


def _page(app: FastAPI) -> tuple[str, str | None]:
    answer = TestClient(app).get("/me/")
    assert answer.status_code == 200
    policy = {
        name: value
        for name, _, value in (
            part.strip().partition(" ")
            for part in answer.headers["content-security-policy"].split(";")
        )
    }
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    return policy["frame-ancestors"], answer.headers.get("x-frame-options")


def test_the_page_is_framed_by_nobody_unless_named(open_desk: Callable[..., Desk]) -> None:
    app = open_desk().client.app
    assert isinstance(app, FastAPI)
    assert _page(app) == ("'none'", "DENY")
    app = open_desk(embed=(ORIGIN, "http://localhost:3000")).client.app
    assert isinstance(app, FastAPI)
    assert _page(app) == (f"{ORIGIN} http://localhost:3000", None)


def test_what_the_page_asks_is_not_kept_by_a_browser(desk: Desk) -> None:
    answer = desk.ask(desk.token("ann"), "/v1/me/cards")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert desk.ask("nonsense", "/v1/me/cards").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "origin",
    ["*", "'self'", "https://app.example/", "app.example", "https://a.example; script-src *", ""],
)
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match="origin"):
        MeSettings(embed=(origin,))


def test_a_link_leads_where_the_server_is_reached(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(public_url="https://app.example/memory")
    assert desk.link("ann").json()["url"].startswith("https://app.example/memory/me/#link=")
    with pytest.raises(ConfigError, match="no address"):
        MeSettings(public_url="app.example")


def test_a_secret_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        MeSettings(secret_file=tmp_path / "missing").tokens()
    (tmp_path / "short").write_text("short", encoding="utf-8")
    with pytest.raises(ConfigError, match="32 are needed"):
        MeSettings(secret_file=tmp_path / "short").tokens()


def test_the_newest_events_come_oldest_first(desk: Desk) -> None:
    for action in ("be brief", "use SI units", "cite sources"):
        desk.memory.add("", action, user_id="ann")
    told = desk.ask(desk.token("ann"), "/v1/me/events?most=2").json()["events"]
    actions = [event["changes"][0]["card"]["action"] for event in told]
    assert actions == ["use SI units", "cite sources"]
