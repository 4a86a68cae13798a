"""Agents whose memory's parts fail one after the other: no turn fails, and breakers close again."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

from prefmem.selftest.dependencies import Bench, Seen, run, suffer
from prefmem.selftest.ground import Ground
from prefmem_hosts import Companion
from prefmem_hosts.companion import Dialogue
from prefmem_langchain import PreferenceMiddleware

SMALL, NIGHTLY = 144, 10_000
SIZES = [SMALL, pytest.param(NIGHTLY, marks=pytest.mark.long)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(str(tmp_path / "prefs.db"))
    yield made
    made.close()


def whole(seen: Seen, size: int) -> None:
    """Assert what must hold."""
    print(seen.figures)  # noqa: T201  # with -s, the figures of the run
    assert seen.turns >= size
    assert seen.raised == []
    assert (seen.unopened, seen.unclosed) == ([], [])
    assert seen.opened == 12  # three parts, four ways to fail


@pytest.mark.parametrize("size", SIZES)
def test_the_plain_memory(tmp_path: Path, size: int) -> None:
    found = run(Ground(tmp_path), size)
    print(found.told)  # noqa: T201  # with -s, the figures of the run
    assert found.passed, found.told
    assert found.size >= size
    assert found.figures["exceptions"] == 0
    assert found.figures["breakers_opened"] == 12


def chatting() -> Any:  # noqa: ANN401  # LangChain's own types are half unknown
    def answers() -> Iterator[AIMessage]:
        while True:
            yield AIMessage("Fine.")

    return GenericFakeChatModel(messages=answers())


def said(number: int) -> dict[str, Any]:
    return {"messages": [HumanMessage(f"When writing SQL {number}, always use tabs.")]}


@pytest.mark.parametrize("size", SIZES)
def test_an_agent_of_langchain(bench: Bench, size: int) -> None:
    middleware: Any = PreferenceMiddleware(bench.memory, learn="background")
    agent: Any = create_agent(chatting(), [], middleware=[middleware])
    seen = Seen()

    def turn(number: int) -> None:
        after = agent.invoke(said(number), context={"user_id": f"u{number % 20}"})
        assert after["messages"][-1].text == "Fine."

    suffer(bench, seen, turn, size)
    whole(seen, size)
    assert middleware.failures > 0


def test_an_agent_of_langchain_on_an_event_loop(bench: Bench) -> None:
    middleware: Any = PreferenceMiddleware(bench.memory, learn="background")
    agent: Any = create_agent(chatting(), [], middleware=[middleware])
    seen = Seen()
    with asyncio.Runner() as runner:

        def turn(number: int) -> None:
            after = runner.run(agent.ainvoke(said(number), context={"user_id": f"u{number % 20}"}))
            assert after["messages"][-1].text == "Fine."

        suffer(bench, seen, turn, SMALL)
    whole(seen, SMALL)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_other_hosts_share(bench: Bench, size: int) -> None:
    companion, seen = Companion(bench.memory, "host"), Seen()

    def turn(number: int) -> None:
        dialogue: Callable[[], Dialogue] = lambda: Dialogue(  # noqa: E731  # one of two readers
            f"u{number % 20}", [("user", f"Always use tabs in {number}.")], str(number)
        )
        companion.rules(dialogue)
        companion.learn(dialogue)

    suffer(bench, seen, turn, size)
    whole(seen, size)
    assert companion.failures > 0
