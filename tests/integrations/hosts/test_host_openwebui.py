# ruff: noqa: ANN401  # a filter that is loaded from its text has no type
import inspect
import re
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefmem import PreferenceMemory
from prefmem_openwebui import FILTER

pytest.importorskip("fastapi", reason="the extra `server` is not installed")
pytest.importorskip("httpx", reason="the extra `server` is not installed")

import uvicorn

from prefmem_server import ServerSettings, create_app
from prefmem_server.keys import make_key

TABS = "Please always use tabs."
ANN = {"id": "ann", "email": "ann@example.org", "name": "Ann", "role": "user"}
BOB = {"id": "bob", "email": "bob@example.org", "name": "Bob", "role": "user"}


def header(content: str) -> dict[str, str]:
    """Read the header as Open WebUI 0.12 does: line by line, from a first line of quotes alone."""
    lines = content.splitlines()
    assert lines[0] == '"""'
    end = next(n for n, line in enumerate(lines[1:], start=1) if '"""' in line)
    found = (re.match(r"^\s*([a-z_]+):\s*(.*)\s*$", line, re.I) for line in lines[1:end])
    return {match[1]: match[2] for match in found if match}


def loaded() -> Any:
    """Load the file as Open WebUI 0.12 does: its text, run in a module that is dropped again."""
    content = FILTER.read_text(encoding="utf-8")
    module = types.ModuleType("function_prefmem_1")
    sys.modules[module.__name__] = module
    try:
        exec(content, module.__dict__)  # noqa: S102  # that is how functions are loaded
    finally:
        sys.modules.pop(module.__name__)
    return module.__dict__["Filter"]()


@pytest.fixture
def server(memory: PreferenceMemory, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Serve the memory; gives the address and a key."""
    keys = tmp_path / "keys.json"
    key = make_key(keys, "openwebui")
    app = create_app(memory, settings=ServerSettings(keys=keys))
    served = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=served.run)
    thread.start()
    while not served.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{served.servers[0].sockets[0].getsockname()[1]}", key
    served.should_exit = True
    thread.join(30)


@pytest.fixture
def chat(server: tuple[str, str]) -> Any:
    """Give the filter with the valves that an administrator sets."""
    made = loaded()
    address, key = server
    made.valves = made.Valves(**{"url": address, "key": key})
    return made


def asked(*texts: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"model": "m", "messages": messages, "chat_id": "c1", "stream": True}


def test_open_webui_finds_all_it_looks_for() -> None:
    told = header(FILTER.read_text(encoding="utf-8"))
    assert {"title", "author", "version", "requirements", "license"} <= told.keys()
    assert told["requirements"] == "httpx"
    made = loaded()
    for name in ("inlet", "outlet"):
        handler = getattr(made, name)
        assert inspect.iscoroutinefunction(handler)
        assert {"body", "__user__"} <= inspect.signature(handler).parameters.keys()
    schema = made.Valves.model_json_schema()["properties"]
    assert all("default" in valve for valve in schema.values())
    assert made.valves == made.Valves()


async def test_what_is_said_is_learned_and_stands_in_the_next_system_message(
    chat: Any,
    learned: Callable[[str], list[str]],  # as loaded
) -> None:
    assert await chat.inlet(asked(TABS), ANN) == asked(TABS)
    assert await chat.outlet(asked(TABS, "Fine."), ANN) == asked(TABS, "Fine.")
    assert learned("ann") == ["Use tabs."]
    body = await chat.inlet(asked("Some code?"), ANN, {"chat_id": "c2"})
    system, question = body["messages"]
    assert system["role"] == "system"
    assert '"Use tabs."' in system["content"]
    assert question == {"role": "user", "content": "Some code?"}


async def test_your_own_system_message_stays_first(
    chat: Any,
    memory: PreferenceMemory,  # as loaded
) -> None:
    memory.add("", "use tabs", user_id="ann")
    body = asked("Some code?")
    body["messages"].insert(0, {"role": "system", "content": "Be kind."})
    found = await chat.inlet(body, ANN)
    assert [m["role"] for m in found["messages"]] == ["system", "user"]
    assert found["messages"][0]["content"].startswith("Be kind.\n\n<user-preferences-")


async def test_a_turn_teaches_once(chat: Any, taught: Callable[[str], int]) -> None:
    await chat.outlet(asked(TABS, "Fine."), ANN)
    await chat.outlet(asked(TABS, "Fine."), ANN)
    assert taught("ann") == 1
    await chat.outlet(asked(TABS, "Fine.", "And now?", "Now."), ANN)
    assert taught("ann") == 2


async def test_two_users_never_meet(
    chat: Any,
    learned: Callable[[str], list[str]],  # as loaded
) -> None:
    await chat.outlet(asked(TABS, "Fine."), ANN)
    await chat.outlet(asked("Never use tabs.", "Fine."), BOB)
    assert (learned("ann"), learned("bob")) == (["Use tabs."], ["Never use tabs."])
    system = (await chat.inlet(asked("Some code?"), BOB))["messages"][0]["content"]
    assert '"Use tabs."' not in system
    assert '"Never use tabs."' in system


async def test_a_user_may_be_named_by_the_mail_address(
    chat: Any,
    learned: Callable[[str], list[str]],  # as loaded
) -> None:
    chat.valves.identity = "email"
    await chat.outlet(asked(TABS, "Fine."), ANN)
    assert learned("ann@example.org") == ["Use tabs."]


@pytest.mark.parametrize("user", [None, {}, {"id": ""}, {"id": 3}])
async def test_a_chat_without_a_user_goes_on_without_memory_and_says_so_once(
    chat: Any,
    memory: PreferenceMemory,
    caplog: pytest.LogCaptureFixture,
    user: Any,
) -> None:
    for _ in range(2):
        assert await chat.inlet(asked(TABS), user) == asked(TABS)
        assert await chat.outlet(asked(TABS, "Fine."), user) == asked(TABS, "Fine.")
    assert [r.getMessage() for r in caplog.records if r.name == "prefmem"] == [
        "prefmem filter: a chat has no user, so it has no memory (said once)"
    ]
    assert memory.backlog().waiting == 0


@pytest.mark.parametrize(
    ("valves", "told"),
    [({"key": "wrong"}, "401"), ({"url": "http://127.0.0.1:9"}, "no answer"), ({"url": "x"}, "no")],
)
async def test_a_server_that_fails_leaves_the_chat_alive_and_no_text_in_the_log(
    chat: Any,
    caplog: pytest.LogCaptureFixture,
    valves: dict[str, str],
    told: str,  # as loaded
) -> None:
    caplog.set_level("WARNING")
    for name, value in valves.items():
        setattr(chat.valves, name, value)
    assert await chat.inlet(asked(TABS), ANN) == asked(TABS)
    assert await chat.outlet(asked(TABS, "Fine."), ANN) == asked(TABS, "Fine.")
    assert chat.failures == 2
    assert told in caplog.text
    assert "tabs" not in caplog.text
    assert "ann" not in caplog.text


async def test_titles_pictures_and_long_files_do_no_harm(
    chat: Any,
    memory: PreferenceMemory,
    learned: Callable[[str], list[str]],  # as loaded
) -> None:
    memory.add("", "use tabs", user_id="ann")
    title = await chat.inlet(asked("Some code?"), ANN, {"task": "title_generation"})
    assert title == asked("Some code?")
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    body = asked("", "Fine.", "x" * 40_000, "Long.")
    body["messages"][0]["content"] = [{"type": "text", "text": "Never use emojis."}, picture]
    assert (await chat.inlet(body, ANN))["messages"][1:] == body["messages"][1:]
    await chat.outlet(body, ANN)
    assert await chat.inlet({"messages": []}, ANN) == {"messages": []}
    assert learned("ann") == ["Use tabs.", "Never use emojis."]


async def test_a_short_question_is_understood_by_the_one_before(
    chat: Any,
    memory: PreferenceMemory,  # as loaded
) -> None:
    memory.add("writing mails", "sign with A.", user_id="ann")
    alone = await chat.inlet(asked("And shorter, please"), ANN)
    after = await chat.inlet(asked("Writing mails", "Dear", "And shorter, please"), ANN)
    assert [m["role"] for m in alone["messages"]] == ["user"]
    assert "sign with A." in after["messages"][0]["content"]
