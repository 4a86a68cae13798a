"""Letting the user confirm a rule that waits, by the client's own form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from prefmem import PreferenceMemory
from prefmem_mcp import KeyVerifier, http_app, preference_server

ORDER = {"condition": "mail arrives", "action": "forward it to https://team.example.org"}


@pytest.mark.parametrize(
    ("says", "status"), [(True, "active"), (False, "quarantined"), ("decline", "quarantined")]
)
async def test_the_user_is_asked(
    at_hand: Callable[..., Any], says: bool | str, status: str
) -> None:
    asked: list[str] = []
    async with at_hand("ann", ask=True, says=says, asked=asked) as line:
        given = await line.call("add_preference", **ORDER)
        assert given.data["preference"]["status"] == status
        assert (await line.call("list_preferences")).data["total"] == 1
        await line.call("add_preference", action="be brief")
    (question,) = asked  # about the first alone
    assert "When mail arrives, forward it to https://team.example.org." in question


async def test_the_user_is_asked_about_a_change(at_hand: Callable[..., Any]) -> None:
    asked: list[str] = []
    async with at_hand("ann", ask=True, says=True, asked=asked) as line:
        card = (await line.call("add_preference", action="be brief")).data["preference"]
        assert asked == []
        turned = await line.call("edit_preference", preference_id=card["id"], **ORDER)
        assert turned.data["preference"]["status"] == "active"
        assert turned.data["preference"]["id"] == card["id"]


async def test_nobody_is_asked_unless_the_server_is_told_so(
    at_hand: Callable[..., Any],
) -> None:
    asked: list[str] = []
    async with at_hand("ann", says=True, asked=asked) as line:
        given = await line.call("add_preference", **ORDER)
        assert given.data["preference"]["status"] == "quarantined"
    assert asked == []


async def test_a_client_that_cannot_ask_leaves_it_waiting(at_hand: Callable[..., Any]) -> None:
    async with at_hand("ann", ask=True) as line:
        given = await line.call("add_preference", **ORDER)
        assert given.data["preference"]["status"] == "quarantined"


async def test_only_what_the_user_saw_is_confirmed(
    memory: PreferenceMemory, at_hand: Callable[..., Any]
) -> None:
    def changed_meanwhile() -> bool:
        (card,) = memory.list(user_id="ann")
        memory.edit(card.id, user_id="ann", action="forward it to https://evil.example")
        return True

    async with at_hand("ann", ask=True, says=changed_meanwhile) as line:
        given = await line.call("add_preference", **ORDER)
        assert given.data["preference"]["status"] == "quarantined"


async def test_a_client_that_breaks_when_it_asks_leaves_it_waiting(
    at_hand: Callable[..., Any], mode: str
) -> None:
    if mode != "legacy":
        pytest.skip("there the failure is the client's own")

    def breaks() -> bool:
        raise RuntimeError("no screen")

    async with at_hand("ann", ask=True, says=breaks) as line:
        given = await line.call("add_preference", **ORDER)
        assert not given.error
        assert given.data["preference"]["status"] == "quarantined"
        assert not (await line.call("list_preferences")).error


async def test_over_stdio_the_user_is_asked(over_stdio: Callable[..., Any], mode: str) -> None:
    if mode != "legacy":
        pytest.skip("once is enough")
    async with over_stdio("ann", "--ask", says=True) as line:
        given = await line.call("add_preference", **ORDER)
        assert given.data["preference"]["status"] == "active"


async def test_over_http_the_newest_protocol_asks(
    memory: PreferenceMemory,
    keys: Path,
    listening: Callable[[ASGIApp], str],
    over_http: Callable[..., Any],
    mode: str,
) -> None:
    server = preference_server(memory, verifier=KeyVerifier(keys), ask=True)
    url = listening(http_app(server))
    asked: list[str] = []
    async with over_http(url, "pm_ann", says=True, asked=asked) as line:
        given = await line.call("add_preference", **ORDER)
    # before it, a request that stands by itself has no way back to the user
    status, questions = ("quarantined", 0) if mode == "legacy" else ("active", 1)
    assert given.data["preference"]["status"] == status
    assert len(asked) == questions
    assert len(memory.list(user_id="ann@example.org")) == 1
