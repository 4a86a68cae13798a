"""The harness: what a chat model is given, and how its answers count."""

import json
import threading
from collections.abc import Generator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from prefmem.evaluate.obedience import PRESENT, REQUESTS, RULES, Message, draw, measure, messages
from prefmem.evaluate.run import app
from prefmem.render import WRITERS
from prefmem.render_check import check_of
from prefmem.train.progress import silent


def test_there_are_enough_rules_that_can_be_checked() -> None:
    checks = [check_of(rule) for group in RULES.values() for rule in group]
    assert None not in checks
    assert len({check.form for check in checks if check}) >= 12
    assert len(set(REQUESTS)) >= 10


def test_no_request_speaks_of_a_rule() -> None:
    for group in RULES.values():
        for rule in group:
            check = check_of(rule)
            assert check
            assert not [request for request in REQUESTS if check.yields.search(request)]


def test_a_case_has_one_standing_rule_and_one_of_the_request() -> None:
    cases = draw(60, seed=3)
    assert cases == draw(60, seed=3) != draw(60, seed=4)
    home = {rule.lower(): group for group, rules in RULES.items() for rule in rules}
    for case in cases:
        assert [rule.kind for rule in case.rules] == ["global", "conditional"]
        first, second = (home[rule.text.lower().rstrip(".")] for rule in case.rules)
        assert first != second


@pytest.mark.parametrize("name", list(WRITERS))
def test_placements_are_those_of_the_middleware(name: str) -> None:
    (case,) = draw(1, seed=0)
    plain = messages(case, None, "system")
    system = messages(case, WRITERS[name], "system")
    user = messages(case, WRITERS[name], "user")
    assert [m["role"] for m in system] == ["system", "user"]
    assert [m["role"] for m in user] == ["system", "user", "user"]
    assert user[0] == plain[0]
    assert system[-1] == user[-1] == plain[-1] == {"role": "user", "content": case.request}
    assert system[0]["content"] == f"{plain[0]['content']}\n\n{user[1]['content']}"


def read(conversation: Sequence[Message]) -> str:
    return "\n".join(message["content"] for message in conversation)


def obedient(conversations: Sequence[Sequence[Message]]) -> list[str]:
    """Ends with a question where it is told to, and obeys nothing else."""
    told = ['"End with a question' in read(conversation) for conversation in conversations]
    return [f"Sure, {'is that all?' if end else 'that is all.'}" for end in told]


def test_arms_differ_by_what_the_model_makes_of_them() -> None:
    figures = measure(obedient, cases=30, seed=0, progress=silent)
    arms = [name for name in figures if not name.endswith(f"above {PRESENT}")]
    assert arms == [
        "no rules", "json, system", "json, user", "notes, system", "notes, user",
        "grouped, system", "grouped, user", "list, system", "list, user",
    ]  # fmt: skip
    assert len({figures[arm].value for arm in arms[1:]}) == 1  # told in every arm
    assert figures["no rules"].value < figures[PRESENT].value
    assert figures["notes, user: above json, system"].value == 0
    assert {figure.cases for figure in figures.values()} == {30}


@pytest.mark.parametrize("answer", ["", "The tea the tea the tea the tea the tea.", None])
def test_silence_circles_and_recital_do_not_obey(answer: str | None) -> None:
    def chat(conversations: Sequence[Sequence[Message]]) -> list[str]:
        return [read(asked) if answer is None else answer for asked in conversations]

    figures = measure(chat, cases=8, seed=0, progress=silent)
    assert figures["json, user"].value == 0


def test_a_model_needs_an_address() -> None:
    done = CliRunner().invoke(app, ["rendering", "--model", "x"])
    assert done.exit_code == 2


class Parrot(BaseHTTPRequestHandler):
    """A chat endpoint that says in small letters what it was asked last."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = body["messages"][-1]["content"].lower()
        reply = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def address() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_command_asks_any_endpoint(address: str) -> None:
    given = ["rendering", "--chat", address, "--model", "parrot", "--cases", "8", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert (content["settings"]["chat"], content["settings"]["cases"]) == ("parrot", 8)
    kept, above = content["parts"]
    assert len(kept["rows"]) == 9
    assert len(above["rows"]) == 8
    assert above["rows"]["list, user: above json, system"]["value"]["value"] == 0
