"""Many users, over streamable HTTP: who is who, and what nobody gets."""

import asyncio
import importlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.server.auth.provider import AccessToken
from starlette.types import ASGIApp

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder
from prefmem_mcp import KeyVerifier, http_app, preference_server
from prefmem_mcp.sdk import MODERN

ANN, BOB, ACME_ANN, READER = "pm_ann", "pm_bob", "pm_acme_ann", "pm_reader"
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


async def post(url: str, body: object, **headers: str) -> Any:  # noqa: ANN401  # a response of httpx or httpx2
    http = importlib.import_module("httpx2" if MODERN else "httpx")
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.AsyncClient(timeout=30) as client:
        return await client.post(url, content=content, headers={**ACCEPT, **given})


async def rules(line: Any) -> list[str]:  # noqa: ANN401  # a Line
    return [row["rule"] for row in (await line.call("list_preferences")).data["preferences"]]


async def test_two_users_at_once(url: str, over_http: Callable[..., Any]) -> None:
    async with (
        over_http(url, ANN) as ann,
        over_http(url, BOB) as bob,
        over_http(url, ACME_ANN) as other,
    ):
        lines = {"tea": ann, "coffee": bob, "juice": other}
        await asyncio.gather(
            *(
                line.call("add_preference", condition=f"serving {n}", action=f"bring {drink}")
                for n in range(8)
                for drink, line in lines.items()
            )
        )
        for drink, line in lines.items():
            held = await rules(line)
            assert sorted(held) == [f"When serving {n}, bring {drink}." for n in range(8)]
            found = await line.call("recall_preferences", query="serving 3")
            assert {rule["rule"].split()[-1] for rule in found.data["rules"]} == {f"{drink}."}
            read = await line.read("prefmem://preferences")
            assert {row["action"] for row in read["preferences"]} == {f"bring {drink}"}


async def test_nobody_reaches_anothers_card(url: str, over_http: Callable[..., Any]) -> None:
    async with over_http(url, ANN) as ann, over_http(url, BOB) as bob:
        card = (await ann.call("add_preference", action="use the metric system")).data
        name = card["preference"]["id"]
        receipt = (await ann.call("recall_preferences", query="how far is it")).data["recall_id"]
        for tool, arguments in (
            ("edit_preference", {"preference_id": name, "action": "use miles"}),
            ("forget_preference", {"preference_id": name}),
            ("why_preference", {"preference_id": name}),
        ):
            given = await bob.call(tool, **arguments)
            assert given.error
            assert given.text == (
                "there is no preference with this id; list_preferences shows the ids"
            )
        given = await bob.call("why_preference", recall_id=receipt)
        assert given.error
        assert "there is no such recall any more" in given.text
        assert await rules(ann) == ["Use the metric system."]


@pytest.mark.parametrize(
    "argument",
    ["user_id", "user", "userId", "tenant", "namespace", "session_id", "_meta", "ctx"],
)
async def test_a_model_cannot_name_a_user(
    url: str, over_http: Callable[..., Any], argument: str
) -> None:
    async with over_http(url, BOB) as bob:
        for name, tool in (await bob.tools()).items():
            assert tool["inputSchema"]["additionalProperties"] is False, name
            assert argument not in tool["inputSchema"]["properties"]
        sample = {"query": "x", argument: "ann@example.org"}
        given = await bob.call("recall_preferences", **sample)
        assert given.error
        assert f"there is no argument {argument!r}" in given.text
        assert "no argument names a user" in given.text
        assert "Traceback" not in given.text


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic YTpi", "pm_ann"])
async def test_without_a_known_key_nothing_opens(url: str, header: str | None) -> None:
    given = {} if header is None else {"Authorization": header}
    response = await post(url, HELLO, **given)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "ann" not in response.text


async def test_the_key_of_a_whole_tenant_opens_nothing(url: str) -> None:
    response = await post(url, HELLO, Authorization="Bearer pm_tenant")
    assert response.status_code == 401


async def test_a_key_that_was_taken_out_opens_nothing(url: str, keys: Path) -> None:
    assert (await post(url, HELLO, Authorization=f"Bearer {BOB}")).status_code == 200
    held = json.loads(keys.read_text(encoding="utf-8"))
    held["keys"] = [row for row in held["keys"] if row["name"] != "bob"]
    keys.write_text(json.dumps(held), encoding="utf-8")
    assert (await post(url, HELLO, Authorization=f"Bearer {BOB}")).status_code == 401
    assert (await post(url, HELLO, Authorization=f"Bearer {ANN}")).status_code == 200
    keys.write_text("{", encoding="utf-8")
    assert (await post(url, HELLO, Authorization=f"Bearer {ANN}")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "https://chat.example.org"}, 200),
        ({"Host": "prefs.example.org"}, 200),
    ],
)
async def test_no_web_page_gets_in_by_a_rebound_name(
    memory: PreferenceMemory,
    keys: Path,
    listening: Callable[[ASGIApp], str],
    headers: dict[str, str],
    status: int,
) -> None:
    server = preference_server(memory, verifier=KeyVerifier(keys))
    app = http_app(
        server,
        hosts=["127.0.0.1", "localhost", "prefs.example.org"],
        origins=["https://chat.example.org"],
    )
    response = await post(listening(app), HELLO, Authorization=f"Bearer {ANN}", **headers)
    assert response.status_code == status


async def test_a_key_that_may_only_look(url: str, over_http: Callable[..., Any]) -> None:
    async with over_http(url, ANN) as ann, over_http(url, READER) as reader:
        name = (await ann.call("add_preference", action="be brief")).data["preference"]["id"]
        assert await rules(reader) == ["Be brief."]
        for tool, arguments in (
            ("add_preference", {"action": "be long"}),
            ("edit_preference", {"preference_id": name, "action": "be long"}),
            ("forget_preference", {"preference_id": name}),
        ):
            given = await reader.call(tool, **arguments)
            assert given.error
            assert given.text == "this key may not do that: it lacks the scope 'write'"
        assert await rules(ann) == ["Be brief."]


async def test_clients_find_where_to_sign_in(
    memory: PreferenceMemory, keys: Path, listening: Callable[[ASGIApp], str]
) -> None:
    server = preference_server(
        memory, verifier=KeyVerifier(keys), issuer="https://id.example",
        public_url="https://prefs.example.org/mcp",
    )  # fmt: skip
    url = listening(http_app(server))
    refused = await post(url, HELLO)
    assert refused.status_code == 401
    place = "/.well-known/oauth-protected-resource/mcp"
    assert f"https://prefs.example.org{place}" in refused.headers["www-authenticate"]
    http = importlib.import_module("httpx2" if MODERN else "httpx")
    async with http.AsyncClient() as client:
        told = (await client.get(url.removesuffix("/mcp") + place)).json()
    assert told["resource"] == "https://prefs.example.org/mcp"
    assert [server.rstrip("/") for server in told["authorization_servers"]] == [
        "https://id.example"
    ]


class NoUser:
    """Gives a token that says nothing of a user."""

    async def verify_token(self, token: str) -> AccessToken:
        return AccessToken(token=token, client_id="app", scopes=[])


async def test_a_token_without_a_user_reads_nothing(
    memory: PreferenceMemory,
    listening: Callable[[ASGIApp], str],
    over_http: Callable[..., Any],
) -> None:
    url = listening(http_app(preference_server(memory, verifier=NoUser())))
    async with over_http(url, "any") as line:
        given = await line.call("list_preferences")
        assert given.error
        assert given.text.startswith("this connection has no user")


async def test_a_large_body_is_refused_before_it_is_read(url: str) -> None:
    for body in (b"[" * (2**20 + 1), b'{"a": "' + b"x" * (3 * 2**20) + b'"}'):
        response = await post(url, body, Authorization=f"Bearer {ANN}")
        assert response.status_code == 413
    assert (await post(url, HELLO, Authorization=f"Bearer {ANN}")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"jsonrpc": "2.0"}', b"[" * 100_000],
)
async def test_a_broken_body_is_refused_and_the_server_lives(url: str, body: bytes) -> None:
    response = await post(url, body, Authorization=f"Bearer {ANN}")
    assert 400 <= response.status_code <= 500  # 500 is what mcp 1 says to the deepest nesting
    assert "Traceback" not in response.text
    assert (await post(url, HELLO, Authorization=f"Bearer {ANN}")).status_code == 200


async def test_a_session_id_of_somebody_else_is_worth_nothing(
    url: str, over_http: Callable[..., Any]
) -> None:
    async with over_http(url, ANN) as ann:
        await ann.call("add_preference", action="keep my secret")
        response = await post(url, HELLO, Authorization=f"Bearer {ANN}")
        assert "mcp-session-id" not in response.headers  # there is none to take over
        body: dict[str, object] = {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "list_preferences", "arguments": {}},
        }
        given = await post(
            url, body, Authorization=f"Bearer {BOB}", Mcp_Session_Id="0" * 32,
            Mcp_Protocol_Version="2025-06-18",
        )  # fmt: skip
        assert "keep my secret" not in given.text


async def test_a_failing_memory_still_recalls_and_changes_nothing_unsaid(
    url: str,
    over_http: Callable[..., Any],
    embedder: HashEmbedder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with over_http(url, ANN) as ann:
        await ann.call("add_preference", action="be brief")
        vars(embedder)["broken"] = True
        recalled = await ann.call("recall_preferences", query="my private words")
        assert [rule["rule"] for rule in recalled.data["rules"]] == ["Be brief."]  # it is global
        given = await ann.call("add_preference", action="my private words")
        assert given.error
        assert "could not do this now (RuntimeError)" in given.text
        for secret in ("private", "/home/ann", "Traceback"):
            assert secret not in given.text
        vars(embedder)["broken"] = False
        found = await ann.call("recall_preferences", query="brief")
        assert [rule["rule"] for rule in found.data["rules"]] == ["Be brief."]
    ours = [r for r in caplog.records if r.name == "prefmem.mcp"]
    assert len(ours) == 1
    assert not any(r.exc_info for r in ours)
    loud = [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO]
    assert not any("private words" in message for message in loud)
