"""Questions to a big model: asked once, kept on disk, whatever ends the process."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prefmem.agent.bigmodel import BigModel, big_model
from prefmem.agent.calls import Calls, Spent, tokens
from prefmem.errors import ConfigError, EndpointError, StoreUnavailableError, StoreVersionError
from prefmem.models.endpoint import OpenAIChat

HI = [{"role": "user", "content": "Hi Zanzibar"}]  # 11 characters, 3 tokens


class Echo:
    """Answers with its count, and remembers the temperatures."""

    def __init__(self) -> None:
        self.temperatures: list[float | None] = []

    def __call__(self, messages: Sequence[Mapping[str, str]], temperature: float | None) -> str:
        self.temperatures.append(temperature)
        return f"{messages[-1]['content']} {len(self.temperatures)}"


def test_a_question_is_asked_once_for_each_model_temperature_and_sample(tmp_path: Path) -> None:
    echo, path = Echo(), tmp_path / "user" / "calls.db"
    with Calls(BigModel("a", echo), path) as calls:
        assert [calls(HI, 0.7), calls(HI, 0.7)] == ["Hi Zanzibar 1"] * 2
        assert calls(HI, 1.0) == "Hi Zanzibar 2"
        assert calls(HI, None) == "Hi Zanzibar 3"
        assert calls(HI, 0.7, sample=1) == "Hi Zanzibar 4"
        assert calls([{"role": "system", "content": "Hi Zanzibar"}], 0.7) == "Hi Zanzibar 5"
        assert (calls.fresh, calls.kept) == (Spent(5, 15, 20), Spent(1, 3, 4))
    with Calls(BigModel("a", echo), path) as calls:
        assert calls(HI, 1.0) == "Hi Zanzibar 2"
        assert (calls.fresh, calls.kept) == (Spent(), Spent(1, 3, 4))
    with Calls(BigModel("b", echo), path) as calls:
        assert calls(HI, 1.0) == "Hi Zanzibar 6"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_answers_are_kept_as_long_as_it_is_open() -> None:
    echo = Echo()
    with Calls(BigModel("a", echo)) as calls:
        assert calls(HI, 0) == calls(HI, 0)
    assert echo.temperatures == [0]


def test_an_answer_outlasts_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from prefmem.agent.bigmodel import BigModel\n"
        "from prefmem.agent.calls import Calls\n"
        "calls = Calls(BigModel('a', lambda m, t: 'paid'), Path(sys.argv[1]))\n"
        "calls([{'role': 'user', 'content': 'Hi'}], 0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9

    def unpaid(messages: object, temperature: object) -> str:
        raise AssertionError((messages, temperature))

    with Calls(BigModel("a", unpaid), path) as calls:
        assert calls([{"role": "user", "content": "Hi"}], 0) == "paid"


def test_a_failure_is_not_kept_and_says_nothing_of_the_question() -> None:
    fails = [True]

    def shaky(messages: object, temperature: object) -> str:
        del messages, temperature
        if fails:
            fails.pop()
            raise ValueError("Hi Zanzibar is wrong")
        return "fine"

    with Calls(big_model(shaky, name="shaky")) as calls:
        with pytest.raises(EndpointError, match="shaky failed with ValueError") as caught:
            calls(HI, 0)
        assert "Zanzibar" not in str(caught.value)
        assert calls(HI, 0) == "fine"


def test_two_threads_with_one_question_pay_once() -> None:
    asked, go = threading.Event(), threading.Event()
    echo = Echo()

    def slow(messages: Sequence[Mapping[str, str]], temperature: float | None) -> str:
        asked.set()
        go.wait(20)
        return echo(messages, temperature)

    with Calls(BigModel("a", slow)) as calls, ThreadPoolExecutor(2) as pool:
        first = pool.submit(calls, HI, 0)
        asked.wait(20)
        second = pool.submit(calls, HI, 0)
        go.set()
        assert first.result() == second.result() == "Hi Zanzibar 1"
    assert echo.temperatures == [0]


def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    other, broken = tmp_path / "other.db", tmp_path / "broken.db"
    with sqlite3.connect(other) as db:
        db.execute("create table t (x)")
    db.close()
    with pytest.raises(StoreVersionError, match="no cache of calls"):
        Calls(BigModel("a", Echo()), other)
    broken.write_bytes(b"Zanzibar" * 999)
    with pytest.raises(StoreUnavailableError, match=r"delete the file"):
        Calls(BigModel("a", Echo()), broken)
    assert broken.read_bytes() == b"Zanzibar" * 999


def test_lone_surrogates_of_an_answer_are_replaced() -> None:
    with Calls(BigModel("a", lambda _messages, _temperature: "a\ud800b")) as calls:
        assert calls(HI, 0) == "a\ufffdb"


class LangChainLike:
    """A chat model as LangChain's: bound to arguments, and invoked with pairs."""

    model_name = "big-1"

    def __init__(self, bound: tuple[tuple[str, Any], ...] = ()) -> None:
        self.bound = bound

    def bind(self, **kwargs: Any) -> "LangChainLike":  # noqa: ANN401  # as in LangChain
        return LangChainLike(tuple(kwargs.items()))

    def invoke(self, input: Any, config: Any = None, /) -> Any:  # noqa: ANN401  # as in LangChain
        return SimpleNamespace(text=f"{input[0][1]} {dict(self.bound)} {config['tags']}")


def test_a_chat_model_of_langchain_is_bound_to_the_temperature() -> None:
    model = big_model(LangChainLike(), concurrency=3)
    assert (model.name, model.concurrency) == ("LangChainLike:big-1", 3)
    assert model.ask(HI, 0.7) == "Hi Zanzibar {'temperature': 0.7} ['nostream']"
    assert model.ask(HI, None) == "Hi Zanzibar {} ['nostream']"


def test_other_models_are_taken_as_they_are_or_refused() -> None:
    chat = OpenAIChat("http://localhost:1/v1", concurrency=5)
    assert big_model(chat, name="x").name == "x"
    assert big_model(chat).concurrency == 5
    made = BigModel("a", Echo())
    assert big_model(made) is made
    with pytest.raises(ConfigError, match="model is of type int"):
        big_model(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point

    def wrong(messages: object, temperature: object) -> Any:  # noqa: ANN401  # the point
        del messages, temperature
        return 3

    with pytest.raises(EndpointError, match="answered with int"):
        big_model(wrong).ask(HI, 0)


def test_tokens_and_prices_are_counted() -> None:
    assert [tokens(text) for text in ("", "a", "abcd", "abcde", "日本語", "a日")] == [
        0,
        1,
        1,
        2,
        2,
        2,
    ]
    assert Spent(1, 2, 3) + Spent(10, 20, 30).times(2) == Spent(21, 42, 63)
    assert Spent(1, 2_000_000, 500_000).price(3.0, 15.0) == 13.5
