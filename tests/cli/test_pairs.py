"""`prefmem export pairs` as people call it, and that `prefmem export` is as before."""

import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from prefmem import PreferenceMemory
from prefmem.cli import pairs
from prefmem.cli.group import Commands
from prefmem.cli.pairs import Parts
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge

FAKES = Parts(WordJudge(), PhraseExtractor(), HashEmbedder())
KEY = "a secret of the host"
TALK = (
    ("user", "A soup for Friday?"),
    ("assistant", "Chop two onions."),
    ("user", "Not good. When you write recipes, always use grams."),
    ("assistant", "200 g of onions."),
    ("user", "Thanks!"),
)
MESSAGES = [{"role": role, "content": content} for role, content in TALK]
WINDOW = {"user_id": "ann", "session_id": "s1", "messages": MESSAGES}
EDIT = {"context": "a mail", "draft": "Hello Ann. It broke.", "final": "Hi Ann. It broke."}

root = typer.Typer(cls=Commands, add_completion=False)
root.add_typer(pairs.app, name="export")


def call(*args: object, obj: object = FAKES, env: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    plain: dict[str, str | None] = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    unset = ("PREFMEM_USER", "PREFMEM_USER_KEY", "PREFMEM_API_KEY", "PREFMEM_DB")
    return CliRunner().invoke(
        root, ["export", *map(str, args)], env=dict.fromkeys(unset) | plain | dict(env or {}),
        obj=obj, catch_exceptions=False,
    )  # fmt: skip


class Desk:
    """A folder with logs, and what comes out of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out" / "pairs.jsonl"
        self.out.parent.mkdir()

    def file(self, *lines: object, name: str = "chat.jsonl") -> Path:
        path = self.folder / name
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    def rows(self, *args: object, form: str = "dpo") -> list[dict[str, Any]]:
        result = call("pairs", *args, "--out", self.out, "--format", form)
        assert result.exit_code == 0, result.stderr
        return self.written()

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text("utf-8").splitlines()]

    def refusal(self, *args: object, code: int = 1) -> str:
        result = call("pairs", *args, "--out", self.out, "--format", "dpo")
        assert result.exit_code == code
        assert not self.out.exists()
        assert [*self.out.parent.iterdir()] == []
        return str(result.stderr)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def said(row: Mapping[str, Any]) -> list[str]:
    columns = ("rejected", "chosen", "completion")
    return [row[column][0]["content"] for column in columns if column in row]


# Logs in, rows out


def test_windows_become_pairs_with_evidence_of_the_log(desk: Desk) -> None:
    (row,) = desk.rows(desk.file(WINDOW))
    assert [*row][:4] == ["prompt", "chosen", "rejected", "chosen_by"]
    assert said(row) == ["Chop two onions.", "200 g of onions."]
    where = row["evidence"]
    assert (where["session"], where["row"], where["turn"]) == ("s1", "chat.jsonl:1", 2)
    assert where["quote"] in TALK[where["turn"]][1]
    assert (row["rule"], row["judge"]) == ("When you write recipes, use grams.", "WordJudge")
    assert "user" not in row


def test_messages_of_sessions_and_users_are_kept_apart(desk: Desk) -> None:
    lines = [
        {**message, "session": session, **user}
        for message in MESSAGES
        for session, user in (("s1", {}), ("s2", {}), ("s2", {"user_id": "bob"}))
    ]
    lines[2]["content"] = "A soup for Saturday?"  # bob's
    rows = desk.rows(desk.file({"role": "system", "content": "Be kind."}, *lines))
    assert [row["evidence"]["session"] for row in rows] == ["s1", "s2", "s2"]
    assert [row["evidence"]["row"] for row in rows] == [f"chat.jsonl:{n}" for n in (2, 3, 4)]
    assert [row["prompt"][0]["content"][-9:] for row in rows] == ["r Friday?"] * 2 + ["Saturday?"]
    assert all(row["evidence"]["turn"] == 2 for row in rows)


def test_labels(desk: Desk) -> None:
    rows = desk.rows(desk.file(WINDOW), form="kto")
    assert [(said(row), row["label"]) for row in rows] == [
        (["Chop two onions."], False), (["200 g of onions."], True),
    ]  # fmt: skip
    assert [[*row][:3] for row in rows] == [["prompt", "completion", "label"]] * 2


def test_a_run_gives_the_same_bytes_again_in_the_order_of_the_logs(desk: Desk) -> None:
    late = {**WINDOW, "session_id": "s0", "id": "w7"}
    logs = [desk.file(late, name="b.jsonl"), desk.file(WINDOW, name="a.jsonl")]
    rows = desk.rows(*logs)
    assert [row["evidence"]["row"] for row in rows] == ["w7", "a.jsonl:1"]
    before = desk.out.read_bytes()
    desk.rows(*logs)
    assert desk.out.read_bytes() == before
    assert [path.name for path in desk.out.parent.iterdir()] == ["pairs.jsonl"]
    assert len(desk.rows(desk.folder / "a.jsonl", desk.folder / "b.jsonl")) == 2


def test_overlapping_windows_give_a_pair_once(desk: Desk) -> None:
    longer = {**WINDOW, "messages": [*MESSAGES, {"role": "assistant", "content": "Any time."}]}
    log = desk.file(WINDOW, longer, {**WINDOW, "session_id": "s2"})
    result = call("pairs", log, "--out", desk.out, "--format", "dpo", "--json")
    assert json.loads(result.stdout) == {
        "rows": 2,
        "written": {"log": 2},
        "left_out": {"no complaint": 3, "duplicate": 1},
        "dialogues": 3,
        "edits": 0,
        "out": str(desk.out),
    }


def test_the_summary_counts_what_was_left_out(desk: Desk) -> None:
    plain = {"messages": [*MESSAGES[:2], {"role": "user", "content": "Wrong."}]}
    result = call("pairs", desk.file(WINDOW, plain), "--out", desk.out, "--format", "dpo")
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert rows[0] == "what rows"
    assert rows[2:] == [
        "chosen: a later reply of the log 1", "left out: no complaint 1", "left out: no rule 1",
    ]  # fmt: skip
    assert result.stderr == f"Wrote 1 row out of 2 dialogues and 0 edits to {desk.out}.\n"


def test_pairs_without_a_rule_come_on_demand(desk: Desk) -> None:
    messages = [*MESSAGES]
    messages[2] = {"role": "user", "content": "That is wrong."}
    log = desk.file({"messages": messages})
    assert desk.rows(log) == []
    (row,) = desk.rows(log, "--all")
    assert (row["rule"], row["evidence"]["quote"]) == ("", "That is wrong.")


def test_the_floor_can_be_raised_no_higher_than_certainty(desk: Desk) -> None:
    log = desk.file(WINDOW)
    assert len(desk.rows(log, "--min-confidence", 1)) == 1
    assert call(
        "pairs", log, "--out", desk.out, "--format", "dpo", "--min-confidence", 1.1
    ).exit_code == 2  # fmt: skip


def test_users_are_named_by_a_keyed_hash_only(desk: Desk) -> None:
    log = desk.file(WINDOW, {**WINDOW, "user_id": "bob"}, {"messages": MESSAGES})
    names = [row["user"] for row in desk.rows(log, "--user-key", KEY)]
    # printf ann | openssl dgst -sha256 -hmac "a secret of the host"
    assert names[0] == "6b5fdcbf701a181f"
    assert names[0] != names[1]
    assert names[2] == ""
    other = [row["user"] for row in desk.rows(log, "--user-key", KEY + "!")]
    assert not set(names[:2]) & set(other)
    assert "ann" not in desk.out.read_text("utf-8")


# Edits


def test_edits_are_pairs_and_repeated_changes_name_their_rule(desk: Desk) -> None:
    bodies = ("The pump broke.", "We start on Monday.", "The roof is done.", "Paint is here.")
    edits = desk.file(
        *(
            {"context": "a mail to a client", "draft": f"{body} Best!", "final": f"{body} Best."}
            for body in bodies
        ),
        {"prompt": "A note", "draft": "It is late", "final": "It's late", "session_id": "s9"},
    )
    rows = desk.rows("--edits", edits)
    assert [row["chosen_by"] for row in rows] == ["user"] * 5
    assert rows[0]["prompt"] == [{"role": "user", "content": "a mail to a client"}]
    assert said(rows[0]) == ["The pump broke. Best!", "The pump broke. Best."]
    named = {row["rule"] for row in rows[:4]}
    assert len(named) == 1
    assert "exclamation" in named.pop().lower()
    assert "exclamation" not in rows[4]["rule"]
    assert rows[4]["evidence"]["session"] == "s9"
    for row in rows:
        assert any(row["evidence"]["quote"] in text for text in said(row))


def test_the_same_edit_counts_once_and_another_one_of_the_draft_again(desk: Desk) -> None:
    drafts = ("Hi Ann. It broke.", "Hi Ann. It broke.", "Hi Ann. It broke down.")
    rows = desk.rows("--edits", desk.file(*({**EDIT, "final": final} for final in drafts)))
    assert [said(row)[1] for row in rows] == ["Hi Ann. It broke.", "Hi Ann. It broke down."]


def test_an_edit_that_is_too_long_to_learn_from_is_a_pair(desk: Desk) -> None:
    long = "word " * 5_000
    (row,) = desk.rows("--edits", desk.file({**EDIT, "draft": f"Hello. {long}", "final": long}))
    assert row["rule"] == ""


def test_logs_and_edits_go_into_one_file(desk: Desk) -> None:
    talk = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "A mail"}]
    edits = desk.file({**EDIT, "prompt": talk}, name="edits.jsonl")
    rows = desk.rows(desk.file(WINDOW), "--edits", edits)
    assert [row["chosen_by"] for row in rows] == ["log", "user"]
    assert rows[1]["prompt"] == talk
    assert [*rows[0]] == [*rows[1]]


# An endpoint writes


class Answers(BaseHTTPRequestHandler):
    """Writes the same reply to everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = {"message": {"content": "200 g, as you wish."}, "finish_reason": "stop"}
        body = json.dumps({"choices": [answer]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Refusals(Answers):
    """Takes no request."""

    def do_POST(self) -> None:
        self.send_error(400)


def test_an_endpoint_writes_what_the_log_lacks(desk: Desk) -> None:
    log = desk.file({**WINDOW, "messages": MESSAGES[:3]}, {**WINDOW, "session_id": "s2"})
    assert len(desk.rows(log)) == 1
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        rows = desk.rows(log, "--chat", address, "--model", "m", "--api-key", "a-secret")
        server.shutdown()
    assert [row["chosen_by"] for row in rows] == ["model", "log"]
    assert said(rows[0]) == ["Chop two onions.", "200 g, as you wish."]
    assert "a-secret" not in desk.out.read_text("utf-8")


def test_an_endpoint_that_fails_leaves_the_file_as_it_was(desk: Desk) -> None:
    desk.out.write_text("before", encoding="utf-8")
    log = desk.file({**WINDOW, "messages": MESSAGES[:3]})
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusals) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        result = call("pairs", log, "--out", desk.out, "--format", "dpo", "--chat", address)
        server.shutdown()
    assert result.exit_code == 1
    assert desk.out.read_text("utf-8") == "before"
    assert [path.name for path in desk.out.parent.iterdir()] == ["pairs.jsonl"]


# What cannot be used


@pytest.mark.parametrize("lines", [(), ("", " ")])
def test_an_empty_log_gives_an_empty_file_and_says_so(desk: Desk, lines: Sequence[str]) -> None:
    result = call("pairs", desk.file(*lines), "--out", desk.out, "--format", "kto")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"There is no dialogue and no edit to read; {desk.out} is empty.\n"
    assert desk.out.read_bytes() == b""


def test_broken_lines_are_named_and_nothing_is_written(desk: Desk) -> None:
    talk = desk.file(
        WINDOW, "{", "[]", {"text": "secret"}, {"role": "secret", "content": "secret"},
        {"messages": "secret"}, {"messages": [{"role": "user", "content": 5}]},
    )  # fmt: skip
    told = desk.refusal(talk)
    for part in (
        "line 2: not JSON", "line 3: no JSON object", "line 4: neither a window with messages",
        "line 5: message 0 cannot be read", "line 6: messages is no list", "and 1 more line. ",
    ):  # fmt: skip
        assert part in told
    assert "line 1" not in told
    assert "secret" not in told
    assert "line 1: not JSON" in desk.refusal("--edits", desk.file("{secret"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"draft": ""}, "draft or final is missing, empty, or no text"),
        ({"final": 3}, "draft or final is missing, empty, or no text"),
        ({"context": " "}, "prompt and context are missing"),
        ({"context": ["secret"]}, "context is no text"),
        ({"prompt": [{"role": "robot"}]}, "message 0 cannot be read"),
        ({"prompt": [{"role": "assistant", "content": "secret"}]}, "prompt does not end with"),
        ({"prompt": [1]}, "message 0 cannot be read"),
    ],
)
def test_broken_edits_are_named(desk: Desk, change: Mapping[str, object], reason: str) -> None:
    told = desk.refusal("--edits", desk.file(EDIT, {**EDIT, **change}))
    assert f"line 2: {reason}" in told
    assert "secret" not in told


def test_a_log_is_never_written_over(desk: Desk) -> None:
    log = desk.file(WINDOW)
    before = log.read_bytes()
    for given, out in ((log, log), (desk.folder, desk.folder / "new.jsonl")):
        result = call("pairs", given, "--out", out, "--format", "dpo")
        assert result.exit_code == 1
        assert "lies in what is read" in result.stderr
    assert log.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(desk: Desk) -> None:
    out = desk.folder / "none" / "x.jsonl"
    result = call("pairs", desk.file(WINDOW), "--out", out, "--format", "dpo")
    assert result.exit_code == 1
    assert f"cannot write {out}" in result.stderr


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("--format", "ppo"), "--format"),
        ((), "--format"),
        (("--format", "kto", "--chat", "http://localhost:1/v1"), "needs --format dpo"),
        (("--format", "dpo", "--user-key", "short"), "can be guessed"),
    ],
)
def test_wrong_usage_is_named(desk: Desk, args: Sequence[str], reason: str) -> None:
    result = call("pairs", desk.file(WINDOW), "--out", desk.out, *args)
    assert (result.exit_code, reason in result.stderr) == (2, True)


def test_without_logs_and_edits_there_is_nothing_to_do(desk: Desk) -> None:
    result = call("pairs", "--out", desk.out, "--format", "dpo")
    assert (result.exit_code, "give logs, or --edits" in result.stderr) == (2, True)


# `prefmem export` itself


def opened(db: Path, tenant: str) -> PreferenceMemory:
    return PreferenceMemory(
        db, tenant=tenant, extractor=PhraseExtractor(), embedder=HashEmbedder(),
        relater=TableRelater(), reranker="none", judge=WordJudge(),
    )  # fmt: skip


def test_export_of_a_user_is_as_before(desk: Desk) -> None:
    db = desk.folder / "prefs.db"
    with opened(db, "") as memory:
        memory.add("", "use grams", user_id="ann")
    shown = call("--user", "ann", "--db", db, obj=opened)
    assert json.loads(shown.stdout)["format"] == "prefmem.export"
    env = {"PREFMEM_USER": "ann", "PREFMEM_DB": str(db)}
    saved = call("--out", desk.out, obj=opened, env=env)
    assert saved.stderr == f"Wrote 1 card to {desk.out}.\n"
    unnamed = call("--db", db, obj=opened)
    assert (unnamed.exit_code, "PREFMEM_USER" in unnamed.stderr) == (2, True)
    early = call("--out", desk.out, "pairs", desk.file(WINDOW), "--format", "dpo")
    assert (early.exit_code, "give it after pairs" in early.stderr) == (2, True)


@pytest.mark.model
def test_the_packaged_parts_make_a_pair(desk: Desk) -> None:
    messages = [
        {"role": "user", "content": "Write the query for active customers."},
        {"role": "assistant", "content": "SELECT id FROM customers WHERE active"},
        {
            "role": "user",
            "content": "Wrong again! I write SQL keywords in lowercase, always.",
        },
        {"role": "assistant", "content": "select id from customers where active"},
        {"role": "user", "content": "Perfect, thank you!"},
    ]
    log = desk.file({"messages": messages})
    result = call("pairs", log, "--out", desk.out, "--format", "dpo", obj=None)
    assert result.exit_code == 0
    (row,) = desk.written()
    assert "lowercase" in row["rule"]
    assert row["evidence"]["quote"] in messages[2]["content"]
