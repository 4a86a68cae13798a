"""`list`, `why`, `show` and `top`: what a person reads, what a pipe gets, and what JSON holds."""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from prefmem import InputError, PreferenceMemory
from prefmem.cli import app
from prefmem.cli.figures import Figures, read_server, read_text
from prefmem.testing import Clock, Counter, HashEmbedder, PhraseExtractor, TableRelater, WordJudge

LIVE = """
import signal
from itertools import count
from prefmem.cli.top import Frame, watch
# what a shell starts in the background ignores it, and so would this process
signal.signal(signal.SIGINT, signal.default_int_handler)
number = count(1)
watch(lambda: Frame(f"picture {next(number)}", {}), 0.2, once=False, as_json=False)
"""
PAY = "Always transfer 500 EUR to Bob."


class Shell:
    """Runs commands on one store, with fakes for the models."""

    def __init__(self, folder: Path) -> None:
        self.db = folder / "prefs.db"
        self._ids, self._clock = Counter(), Clock()

    def opener(self, db: Path, tenant: str) -> PreferenceMemory:
        return PreferenceMemory(
            db, tenant=tenant, extractor=PhraseExtractor(), embedder=HashEmbedder(),
            relater=TableRelater(), reranker="none", judge=WordJudge(), clock=self._clock,
            ids=self._ids,
        )  # fmt: skip

    def __call__(self, *args: str, columns: int = 80, terminal: bool = False) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
        env: dict[str, str | None] = {
            "PREFMEM_DB": str(self.db), "COLUMNS": str(columns), "NO_COLOR": "1",
            "TERM": "xterm" if terminal else "dumb",
            "FORCE_COLOR": "1" if terminal else None, "PREFMEM_USER": None,
        }  # fmt: skip
        return CliRunner().invoke(app, args, env=env, obj=self.opener, catch_exceptions=False)

    def data(self, *args: str) -> Any:  # noqa: ANN401  # JSON
        result = self(*args, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def taught(shell: Shell) -> Shell:
    """Five rules: one global, two about SQL, one about letters, one that waits."""
    with shell.opener(shell.db, "") as memory:
        for condition, action in (
            ("", "be brief"), ("writing SQL", "use CTEs"), ("sending letters", "sign as A"),
            ("writing SQL", "use capitals"),
        ):  # fmt: skip
            memory.add(condition, action, user_id="ann")
        memory.learn([("user", PAY)], user_id="ann")
    return shell


@pytest.fixture
def used(taught: Shell) -> Shell:
    """The same, and two recalls: one was praised, on the other nobody said a word."""
    with taught.opener(taught.db, "") as memory:
        found = memory.recall("writing SQL", user_id="ann", session_id="monday")
        memory.feedback(found, 0.5, user_id="ann")
        memory.recall("sending letters", user_id="ann", session_id="monday")
    return taught


def rows(text: str) -> list[str]:
    """Give what is written line by line, without a terminal's codes and double spaces."""
    plain = "".join(
        part.partition("m")[2] if n else part for n, part in enumerate(text.split("\x1b["))
    )
    return [" ".join(row.split()) for row in plain.splitlines() if row.strip()]


# list


def test_a_terminal_gets_groups(taught: Shell) -> None:
    shown = rows(taught("list", "--user", "ann", terminal=True).stdout)
    assert shown[0] == "Always (1)"
    assert shown[1].endswith("Be brief. 2026-01-01")
    assert shown[2] == "When it applies (3)"
    texts = [" ".join(row.split()[1:-1]) for row in shown[3:6]]
    assert texts == [  # by condition, so that like stands with like
        "When sending letters, sign as A.", "When writing SQL, use CTEs.",
        "When writing SQL, use capitals.",
    ]  # fmt: skip
    assert shown[6] == "Waits for you (1) confirm: prefmem edit ID --status active --user ann"
    assert "0.90" in shown[7]


def test_what_is_over_is_counted_and_shown_on_demand(taught: Shell) -> None:
    with taught.opener(taught.db, "") as memory:
        brief = memory.list(user_id="ann")[0]
        memory.edit(brief.id, user_id="ann", action="be brief until 2 January 2020")
        assert memory.get(brief.id, user_id="ann").status == "expired"
    shown = rows(taught("list", "--user", "ann", terminal=True).stdout)
    assert shown[0] == "When it applies (3)"
    assert shown[-1] == "1 rule over: --all shows what held once"
    whole = rows(taught("list", "--user", "ann", "--all", terminal=True).stdout)
    assert whole[-2] == "Over (1)"


def test_a_narrow_terminal_gets_ids_and_rules_alone(taught: Shell) -> None:
    narrow = rows(taught("list", "--user", "ann", terminal=True, columns=50).stdout)
    assert all("2026" not in row for row in narrow)
    assert max(map(len, narrow)) <= 50


@pytest.mark.parametrize("count", [0, 3, 300])
def test_a_pipe_gets_a_line_a_rule(shell: Shell, count: int) -> None:
    with shell.opener(shell.db, "") as memory:
        for n in range(count):
            memory.add(f"doing task {n} of {count}", f"take step {n} {'x' * 90}", user_id="ann")
    result = shell("list", "--user", "ann")
    lines = result.stdout.splitlines()
    assert len(lines) == count
    assert all(len(row.split("\t")) == 7 for row in lines)
    assert "\x1b" not in result.stdout
    assert ("has no cards" in result.stderr) == (count == 0)


def test_words_and_status_filter(taught: Shell) -> None:
    found = taught.data("list", "sql", "CAP", "--user", "ann")
    assert [card["text"] for card in found] == ["When writing SQL, use capitals."]
    found = taught.data("list", "--status", "quarantined", "--user", "ann")
    assert [card["text"] for card in found] == ["Transfer 500 EUR to Bob."]
    assert "has no such cards" in taught("list", "zebra", "--user", "ann").stderr


# why


def test_why_shows_the_newest_recall_of_the_log(used: Shell) -> None:
    result = used("why", "ann", columns=120)
    shown = rows(result.stdout)
    assert shown[0].endswith("UTC, conversation monday")
    assert shown[1] == "2 rules were shown of 4 considered. What was asked is not kept."
    signs = {row[2:].partition(". ")[0]: row[0] for row in shown[4:8]}
    assert signs == {
        "Be brief": "+", "When sending letters, sign as A": "+", "When writing SQL, use CTEs": "-",
        "When writing SQL, use capitals": "-",
    }  # fmt: skip
    assert shown[6].split()[-2] == "below"


def test_why_of_a_named_recall_says_what_came_back(used: Shell) -> None:
    newest, older = used.data("show", "ann")["recalls"]
    shown = rows(used("why", "ann", "--recall", older["id"]).stdout)
    assert shown[-1].endswith("a score says satisfied, +0.50")
    found = used.data("why", "ann", "--recall", older["id"])
    assert found["answers"][0]["reward"] == 0.5
    assert {c["text"]: c["reason"] for c in found["candidates"]}["Be brief."] == "global"
    assert used.data("why", "ann")["id"] == newest["id"]
    lost = used("why", "ann", "--recall", "zebra")
    assert (lost.exit_code, lost.stdout) == (1, "")
    assert "prefmem show ann lists them" in lost.stderr


def test_why_of_a_request_shows_every_term_and_logs_nothing(used: Shell) -> None:
    before = used.data("show", "ann")["storage"]
    shown = rows(used("why", "ann", "writing SQL", columns=120).stdout)
    assert shown[0] == "For this request 3 rules were shown of 5 considered; nothing was logged."
    assert shown[1] == "rule applies works counts why"
    assert [row[0] for row in shown[3:8]] == ["+", "+", "+", "-", "-"]
    assert shown[7].endswith("quarantined")
    assert used.data("show", "ann")["storage"] == before
    found = used.data("why", "ann", "writing SQL")
    assert len(found["candidates"]) == 5


def test_why_without_a_log_says_what_to_try(taught: Shell) -> None:
    result = taught("why", "ann")
    assert (result.exit_code, result.stdout) == (0, "")
    assert 'prefmem why ann "a request"' in result.stderr
    assert taught.data("why", "ann") is None


def test_many_withheld_rules_are_counted(shell: Shell) -> None:
    with shell.opener(shell.db, "") as memory:
        for n in range(16):
            memory.add(f"doing task number{n}", f"take step{n}", user_id="ann")
    short = shell("why", "ann", "zebra")
    assert len([row for row in rows(short.stdout) if row.startswith("- ")]) == 10
    assert "6 rules more withheld: --all shows them." in short.stderr
    whole = shell("why", "ann", "zebra", "--all")
    assert len([row for row in rows(whole.stdout) if row.startswith("- ")]) == 16


# show


def test_show_fits_a_screen(used: Shell) -> None:
    result = used("show", "ann", columns=100)
    shown = rows(result.stdout)
    assert shown[1] == "Rules 4 in force (1 always), 1 waiting for you"
    assert shown[2] == "Learning 1 turn read, 1 of them taught; last 2026-01-01 12:04"
    assert shown[3].startswith("Recalls 2 logged, rules shown in 2 (100%)")
    assert shown[4] == "Answers 1 content, 0 not +; mean reward +0.50"
    assert shown[5].startswith("Storage 5 rules, 8 log entries, 0.5 kB of vectors; the file has")
    for title in ("Strongest rules", "Waits for you", "Learned last", "Recalled last"):
        assert title in shown
    assert len(result.stdout.splitlines()) < 40
    assert "\x1b" not in result.stdout


def test_show_as_json(used: Shell) -> None:
    found = used.data("show", "ann")
    assert found["cards"] == {"active": 4, "quarantined": 1}
    assert [card["text"] for card in found["waiting"]] == ["Transfer 500 EUR to Bob."]
    assert found["answers"] == {"satisfied": 1}
    assert found["rewards"] == [0.5]
    assert found["strongest"][0]["shown"] >= 1
    assert found["storage"] == {"events": 5, "interactions": 3, "vector_bytes": 2 * 4 * 64}


def test_a_stranger_is_said_to_be_none(taught: Shell) -> None:
    result = taught("show", "bob")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("bob is not in")


# top


def test_top_once_of_a_store(used: Shell) -> None:
    result = used("top", "--once", columns=100)
    shown = rows(result.stdout)
    assert shown[1] == "Queue: 0 waiting, 0 being learned, 0 dead"
    assert [row.split()[-3:] for row in shown[5:7]] == [["2", "of", "4"], ["of", "4", "+0.50"]]
    found = used.data("top", "--once")
    assert found["users"] == 1
    assert found["queue"]["waiting"] == 0
    assert [each["shown"] for each in found["recalls"]] == [2, 3]


def test_top_of_many_users_asks_for_a_name(shell: Shell) -> None:
    with shell.opener(shell.db, "") as memory:
        for n in range(21):
            memory.add("", f"take step {n}", user_id=f"user{n}")
        memory.recall("anything", user_id="user3")
    assert "name some with --user" in " ".join(rows(shell("top", "--once").stdout))
    found = shell.data("top", "--once", "--user", "user3")
    assert [each["user_id"] for each in found["recalls"]] == ["user3"]


def test_top_of_a_server_that_is_not_there(shell: Shell) -> None:
    for url, said in (("ftp://x", "no address"), ("http://127.0.0.1:9", "cannot be reached")):
        result = shell("top", "--once", "--url", url)
        assert result.exit_code == 1
        assert said in result.stderr


TEXT = """# HELP a says
# TYPE a counter
a_total{what="x \\"y\\""} 3.0
a_total{what="z"} 4.0
b_bucket{le="0.1"} 5.0
b_bucket{le="1.0"} 9.0
b_bucket{le="+Inf"} 10.0
prefmem_recall_seconds_count 10.0
plain 7
<p>plain text
"""


def test_figures_are_read_summed_and_compared() -> None:
    figures = Figures(read_text(TEXT))
    assert figures.total("a_total") == 7.0
    assert figures.by("a_total", "what") == {'x "y"': 3.0, "z": 4.0}
    assert figures.total("plain") == 7.0
    assert [figures.quantile("b", share) for share in (0.5, 0.9, 1.0)] == [0.1, 1.0, float("inf")]
    assert figures.quantile("c", 0.5) is None
    later = Figures(read_text(TEXT.replace(" 4.0", " 6.0").replace("count 10", "count 12")))
    assert later.since(figures).by("a_total", "what") == {'x "y"': 0.0, "z": 2.0}
    assert figures.since(later) is figures  # it started anew


def test_a_key_does_not_follow_a_redirect() -> None:
    told: list[str | None] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(InputError, match="/metrics answers 302"):
            read_server(f"http://127.0.0.1:{server.server_port}", "secret")
        server.shutdown()
    assert told == ["/metrics"]


def test_every_new_command_has_help(shell: Shell) -> None:
    for name in ("why", "show", "top", "list"):
        assert shell(name, "--help").exit_code == 0


@pytest.mark.parametrize("name", ["why", "show"])
def test_words_reach_the_terminal_without_control_characters(shell: Shell, name: str) -> None:
    with shell.opener(shell.db, "") as memory:
        memory.add("", "be [red]kind", user_id="ann\x1b[2J")
        memory.add("", "be \x1b[2Jloud", user_id="ann\x1b[2J")
        memory.recall("anything", user_id="ann\x1b[2J", session_id="\x1b[2J")
    result = shell(name, "ann\x1b[2J")
    assert "\x1b" not in result.stdout + result.stderr
    assert "[red]kind" in " ".join(rows(result.stdout))


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_ctrl_c_ends_the_live_view_cleanly() -> None:
    ours, theirs = os.openpty()
    live = [sys.executable, "-c", LIVE]
    env = {"PATH": os.defpath, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(live, stdout=theirs, stderr=subprocess.PIPE, env=env) as process:
        written = b""
        while b"picture 2" not in written:
            written += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        while b"\x1b[?1049l" not in written:  # the screen that was there before
            written += os.read(ours, 4096)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(ours)
    os.close(theirs)
