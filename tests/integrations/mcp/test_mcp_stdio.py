"""One user, over stdio: a client starts the server as a process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).with_name("serve_on_fakes.py")


async def test_every_tool(over_stdio: Callable[..., Any]) -> None:
    async with over_stdio("ann@example.org") as line:
        assert set(await line.tools()) == {
            "recall_preferences", "add_preference", "list_preferences", "edit_preference",
            "forget_preference", "why_preference",
        }  # fmt: skip
        added = await line.call("add_preference", condition="writing mails", action="sign as A.")
        assert not added.error
        card = added.data["preference"]
        assert (card["rule"], card["status"]) == ("When writing mails, sign as A.", "active")

        found = await line.call("recall_preferences", query="writing mails to my landlord")
        assert [rule["id"] for rule in found.data["rules"]] == [card["id"]]
        assert "sign as A." in found.text
        assert found.data["recall_id"] in found.text

        why = await line.call("why_preference")
        assert why.data["recall_id"] == found.data["recall_id"]
        assert [(d["id"], d["used"]) for d in why.data["decisions"]] == [(card["id"], True)]

        edited = await line.call("edit_preference", preference_id=card["id"], action="sign as Ann")
        assert edited.data["preference"]["rule"] == "When writing mails, sign as Ann."
        history = (await line.call("why_preference", preference_id=card["id"])).data["history"]
        assert [(row["what"], row["rule"]) for row in history] == [
            ("add: add", "When writing mails, sign as A."),
            ("edit: edit", "When writing mails, sign as Ann."),
        ]

        held = await line.read("prefmem://preferences")
        assert [row["rule"] for row in held["preferences"]] == ["When writing mails, sign as Ann."]
        assert [r["uri"] for r in await line.resources()] == ["prefmem://preferences"]

        gone = await line.call("forget_preference", preference_id=card["id"])
        assert gone.data["id"] == card["id"]
        assert (await line.call("list_preferences")).data["total"] == 0


async def test_what_was_stored_is_there_for_the_next_process(
    over_stdio: Callable[..., Any], mode: str
) -> None:
    if mode != "legacy":
        pytest.skip("once is enough")
    async with over_stdio("李雷 🦊") as line:
        await line.call("add_preference", action="antworte auf Deutsch, très 短く 🙂")
    async with over_stdio("李雷 🦊") as line:
        listed = await line.call("list_preferences")
        assert [row["action"] for row in listed.data["preferences"]] == [
            "antworte auf Deutsch, très 短く 🙂"
        ]
    async with over_stdio("李雷") as line:
        assert (await line.call("list_preferences")).data["total"] == 0


def test_a_broken_request_is_answered_and_stays_out_of_the_log(tmp_path: Path) -> None:
    lines = [
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
        '"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        "my private words, no JSON",
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":7,"arguments":'
        '["my private words"]}}',
        '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"add_preference",'
        '"arguments":{"action":"my private words \\ud800"}}}',
        '{"jsonrpc":"2.0","id":4,"method":"my/private/words","params":{}}',
        '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"list_preferences"}}',
    ]
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(tmp_path / "p.db"), "--user", "ann"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write("\n".join(lines) + "\n")
        server.stdin.flush()
        answered = {}
        while 5 not in answered:
            reply = json.loads(server.stdout.readline())
            answered[reply.get("id")] = reply
        server.stdin.close()
        log = server.stderr.read()
    assert "error" in answered[2]
    assert "error" in answered[4]
    assert answered[5]["result"]["isError"] is False
    assert "private" not in log
