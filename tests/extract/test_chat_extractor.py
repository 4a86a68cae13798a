"""ChatExtractor over real HTTP and over models by hand, through the memory."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias, cast

import pytest

from prefmem import ConfigError, PreferenceMemory
from prefmem.errors import EndpointError
from prefmem.extract.chat import ChatExtractor
from prefmem.extract.parse import SCHEMA
from prefmem.extract.prompts import SYSTEM
from prefmem.extract.verify import VerifiedExtractor
from prefmem.models.endpoint import OpenAIChat
from prefmem.models.runnable import RunnableChat
from prefmem.protocols import BatchExtractor
from prefmem.testing import HashEmbedder, PhraseExtractor, check_extractor
from prefmem.types import Evidence, Preference, Scope, Turn, Window

SQL = "When you write SQL, always put the keywords in capitals."
LIMA = "What is the time in Lima?"
RULE = {"condition": "writing SQL", "action": "put the keywords in capitals", "confidence": 0.9}
NONE = json.dumps({"preferences": []})
GOOD = json.dumps({"preferences": [RULE]})
Answer: TypeAlias = str | bytes | int | None  # text, raw body, status, or none ever


def sql(turn_id: str) -> Preference:
    return Preference(
        "writing SQL", "put the keywords in capitals", "do", 0.9, Scope("conditional"),
        (Evidence(turn_id, SQL),),
    )  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers each request with what a function makes of its messages."""

    def __init__(self, answers: Callable[[list[dict[str, str]]], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.answers, self.over = answers, threading.Event()
        self.bodies: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    """Writes an answer, or none until the test is over."""

    def do_POST(self) -> None:
        server = cast("Server", self.server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.bodies.append(body)
        answer = server.answers(body["messages"])
        if answer is None:
            server.over.wait(20)
        elif isinstance(answer, int):
            self.send_error(answer)
        else:
            if isinstance(answer, str):
                answer = json.dumps({"choices": [{"message": {"content": answer}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(max(len(answer), 20)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def serving(answers: Callable[[list[dict[str, str]]], Answer]) -> Generator[Server]:
    server = Server(answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reads(messages: list[dict[str, str]]) -> str:
    """Answer with the rule where the user's last line states it."""
    return GOOD if SQL in messages[-1]["content"].rpartition("User: ")[2] else NONE


def chat(url: str, timeout: float = 20) -> OpenAIChat:
    return OpenAIChat(url, timeout=timeout, sleep=lambda _: None)


def window(*texts: str) -> Window:
    """Alternate the texts between user and assistant."""
    turns = (Turn(str(n), "assistant" if n % 2 else "user", t) for n, t in enumerate(texts))
    return Window("ann", "s", tuple(turns))


class Model:
    """What LangChain's chat models look like; answers with what it was given."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def bind(self, **kwargs: Any) -> object:  # noqa: ANN401  # as in LangChain
        raise NotImplementedError(kwargs)

    def invoke(self, input: Any, config: Any = None, /) -> str:  # noqa: ANN401  # as in LangChain
        del input, config
        return self._answer


def test_an_address_is_an_extractor() -> None:
    dialogue = [("user", LIMA), ("assistant", "Nine."), ("user", SQL)]
    with (
        serving(reads) as server,
        PreferenceMemory(":memory:", extractor=server.url, embedder=HashEmbedder()) as memory,
    ):
        assert isinstance(memory.extractor, VerifiedExtractor)
        assert isinstance(memory.extractor.extractor, ChatExtractor)
        report = memory.learn(dialogue, user_id="ann")
        assert [replace(card.preference, confidence=0.9) for card in report.added] == [sql("2")]
        assert report.turns == 2
        first, last = sorted(server.bodies, key=lambda body: len(str(body)))
    asked = f"User: {LIMA}\nAssistant: Nine.\nUser: {SQL}"
    assert first["messages"][1]["content"] == f"User: {LIMA}"
    assert last["messages"] == [
        {"role": "system", "content": SYSTEM["instructed"]},
        {"role": "user", "content": asked},
    ]
    assert last["response_format"]["json_schema"]["schema"] == SCHEMA


def test_the_extractor_keeps_its_contract() -> None:
    with serving(reads) as server:
        check_extractor(ChatExtractor(chat(server.url)), SQL)


def test_a_prompt_is_chosen_by_name() -> None:
    with serving(reads) as server:
        extractor = ChatExtractor(chat(server.url), prompt="training")
        assert extractor.extract(window(LIMA, "Nine.", SQL), ["2"]) == (sql("2"),)
        ((system, asked),) = [body["messages"] for body in server.bodies]
    assert system["content"] == SYSTEM["training"]
    assert asked["content"] == SQL


@pytest.mark.parametrize("trouble", [None, 500, 400, b'{"choices"', b"<html>" * 9])
def test_where_no_answer_comes_nothing_is_learned_until_one_does(trouble: Answer) -> None:
    answers: list[Answer] = [trouble]
    dialogue = [("user", SQL), ("user", LIMA)]
    with serving(lambda asked: answers[0] if LIMA in str(asked) else GOOD) as server:
        extractor = ChatExtractor(chat(server.url, timeout=2 if trouble is None else 20))
        with PreferenceMemory(":memory:", extractor=extractor, embedder=HashEmbedder()) as memory:
            with pytest.raises(EndpointError) as caught:
                memory.learn(dialogue, user_id="ann")
            assert "SQL" not in str(caught.value)
            assert memory.list(user_id="ann") == ()
            answers[0] = NONE
            report = memory.learn(dialogue, user_id="ann")
            assert (report.turns, report.skipped, len(report.added)) == (2, 0, 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I found no preference.", "not_json"),
        ("", "empty"),
        (GOOD[:-20], "cut_off"),
        (json.dumps({"preferences": [RULE | {"confidence": "high"}]}), "confidence"),
        (json.dumps({"preferences": [RULE | {"confidence": 7}]}), "confidence"),
        ("x" * 900_000, "too_long"),
        (json.dumps({"preferences": [{"action": "use rhymes"}]}), "unsupported"),
    ],
)
def test_a_bad_answer_is_none_and_counted(answer: str, reason: str) -> None:
    extractor = ChatExtractor(Model(answer))
    assert extractor.extract(window(SQL), ["0"]) == ()
    assert extractor.rejected[reason] == 1


def test_many_windows_are_read_several_at_a_time_and_in_order() -> None:
    together = threading.Barrier(4)

    def waits(messages: list[dict[str, str]]) -> str:
        together.wait(20)  # goes on when four questions are here
        return reads(messages)

    none: list[str] = []
    items = [(window(SQL, "Fine.", LIMA), ["0", "2"]), (window(LIMA), ["0"]), (window(SQL), none)]
    with serving(waits) as server:
        extractor = ChatExtractor(OpenAIChat(server.url, concurrency=4))
        assert isinstance(extractor, BatchExtractor)
        found = extractor.extract_many([*items, (window(SQL), ["0"])])
        assert extractor.extract_many([]) == []
    assert found == [(sql("0"),), (), (), (sql("0"),)]


def test_one_missing_answer_fails_them_all() -> None:
    with serving(lambda asked: 500 if "Lima" in str(asked) else GOOD) as server:
        extractor = ChatExtractor(chat(server.url))
        with pytest.raises(EndpointError, match="answered 500"):
            extractor.extract_many([(window(SQL), ["0"]), (window(LIMA), ["0"])])


def test_models_of_langchain_are_extractors() -> None:
    with PreferenceMemory(":memory:", extractor=Model(GOOD), embedder=HashEmbedder()) as memory:
        report = memory.learn([("user", SQL)], user_id="ann")
    assert [replace(card.preference, confidence=0.9) for card in report.added] == [sql("0")]
    extractor = ChatExtractor(RunnableChat(Model(GOOD), timeout=5, concurrency=2))
    assert extractor.extract(window(SQL), ["0"]) == (sql("0"),)


def test_an_extractor_is_taken_as_it_is() -> None:
    for extractor in (PhraseExtractor(), ChatExtractor(Model(GOOD))):
        with PreferenceMemory(":memory:", extractor=extractor, embedder=HashEmbedder()) as memory:
            assert memory.extractor is extractor


def test_what_is_none_of_these_is_refused() -> None:
    anything: list[Any] = ["gpt", "ftp://x", "", 3, object(), ("http://x",)]
    for given in anything:
        with pytest.raises(ConfigError, match="pass an extractor, a chat model of LangChain, or"):
            PreferenceMemory(":memory:", extractor=given, embedder=HashEmbedder())
    with pytest.raises(ConfigError, match="no http address"):
        PreferenceMemory(":memory:", extractor="http://", embedder=HashEmbedder())
    with pytest.raises(ConfigError, match="model is of type int; pass a chat model of LangChain"):
        ChatExtractor(anything[3])
    with pytest.raises(ConfigError, match="prompt='gpt'; known are training, card, instructed"):
        ChatExtractor(Model(GOOD), prompt=anything[0])
