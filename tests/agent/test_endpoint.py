"""An agent behind a server that holds adapters by name, over real HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from prefmem.agent.endpoint import EndpointAgent
from prefmem.agent.lesson import Task
from prefmem.agent.prompts import rules_asked
from prefmem.errors import ConfigError, EndpointError
from prefmem.types import UserKey

ANN, BOB, EVE = UserKey("ann"), UserKey("bob"), UserKey("eve")
NAMES = {ANN: "ann-1", BOB: "bob-7"}
RULES = {"ann-1": "- Use no emoji.\n- Sign off with Best, Ann.", "bob-7": "- Write in lower case."}
TASK = Task("- the boat is sold", "mail", "Ada")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast("Server", self.server)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.seen.append(asked)
        name = server.answers_as or asked["model"]
        status = 200 if name in RULES else 404
        reply: dict[str, object] = {
            "model": name,
            "choices": [{"message": {"role": "assistant", "content": RULES.get(name, "")}}],
        }
        if server.nameless:
            del reply["model"]
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class Server(ThreadingHTTPServer):
    """Serves adapters by name, or, where `answers_as` is set, that one whatever is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.answers_as, self.nameless = "", False


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def nothing(user: UserKey) -> int:
    del user
    return 0


def agent(server: Server, **settings: Any) -> EndpointAgent:  # noqa: ANN401  # of any type
    given: dict[str, Any] = {"model_of": NAMES.get, "forget": nothing, "retries": 0}
    return EndpointAgent(f"http://127.0.0.1:{server.server_port}/v1", **given | settings)


def test_each_user_is_answered_by_their_own_adapter(server: Server) -> None:
    asked = agent(server)
    ann, bob = ("Use no emoji.", "Sign off with Best, Ann."), ("Write in lower case.",)
    assert asked.rules(TASK, user=ANN) == ann
    assert asked.rules("Write a mail.", user=BOB) == bob
    assert asked.rules_many([(BOB, TASK), (EVE, TASK), (ANN, TASK), (BOB, "Hi")]) == [
        bob, (), ann, bob,
    ]  # fmt: skip
    assert [asked.version(user) for user in (ANN, BOB, EVE)] == ["ann-1", "bob-7", ""]


def test_what_is_sent_is_the_task_as_it_was_trained(server: Server) -> None:
    agent(server, max_new_tokens=64).rules(TASK, user=ANN)
    assert server.seen == [
        {
            "model": "ann-1", "messages": rules_asked(TASK), "temperature": 0, "max_tokens": 64,
            "chat_template_kwargs": {"enable_thinking": False},
        }
    ]  # fmt: skip
    agent(server, extra={"top_k": 1}).rules(TASK, user=ANN)
    assert "chat_template_kwargs" not in server.seen[1]
    assert server.seen[1]["top_k"] == 1


def test_a_stranger_is_asked_nothing_about(server: Server) -> None:
    assert agent(server).rules(TASK, user=EVE) == ()
    assert agent(server).rules_many([]) == []
    assert server.seen == []


def test_a_server_that_answers_with_another_adapter_is_refused(server: Server) -> None:
    server.answers_as = "bob-7"
    with pytest.raises(EndpointError, match="another model than"):
        agent(server).rules(TASK, user=ANN)
    assert agent(server).rules(TASK, user=BOB) == ("Write in lower case.",)
    server.nameless = True  # nobody knows with which
    with pytest.raises(EndpointError, match="another model than"):
        agent(server).rules(TASK, user=BOB)


def test_an_adapter_that_the_server_does_not_hold_is_an_error(server: Server) -> None:
    with pytest.raises(EndpointError, match="404"):
        agent(server, model_of={ANN: "gone-3"}.get).rules(TASK, user=ANN)


def test_forgetting_is_the_hosts_and_fails_aloud(server: Server) -> None:
    gone: list[UserKey] = []

    def forget(user: UserKey) -> int:
        gone.append(user)
        return 2

    def refuse(user: UserKey) -> int:
        raise EndpointError(f"cannot unload {user.user_id}")

    assert agent(server, forget=forget).forget_user(ANN) == 2
    assert gone == [ANN]
    with pytest.raises(EndpointError, match="cannot unload"):
        agent(server, forget=refuse).forget_user(ANN)


def test_impossible_settings_are_refused(server: Server) -> None:
    with pytest.raises(ConfigError, match="max_new_tokens=0"):
        agent(server, max_new_tokens=0)
    with pytest.raises(ConfigError, match="no http address"):
        EndpointAgent("ftp://a", model_of=NAMES.get, forget=nothing)
