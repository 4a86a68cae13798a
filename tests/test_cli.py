import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import prefmem
from prefmem import PreferenceMemory
from prefmem.cli import app
from prefmem.cli.health import check_store, check_weights
from prefmem.testing import Clock, Counter, HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem.types import Relation

SQL = "When I write SQL, always use CTEs."
BRIEF = "Never apologise."


class Shell:
    """Runs commands on one store, with fakes for the models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "prefs.db"
        self.confidence = 0.9  # of what is found
        self.relations: dict[tuple[str, str], Relation] = {}  # of an old and a new rule
        self._ids = Counter()
        self._clock = Clock()

    def opener(self, db: Path, tenant: str) -> PreferenceMemory:
        return PreferenceMemory(
            db, tenant=tenant, extractor=PhraseExtractor(self.confidence),
            embedder=HashEmbedder(), relater=TableRelater(self.relations), reranker="none",
            judge=WordJudge(),
            clock=self._clock, ids=self._ids,
        )  # fmt: skip

    def __call__(self, *args: str, user: str | None = "ann", typed: str | None = None) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
        env: Mapping[str, str | None] = {
            "PREFMEM_DB": str(self.db), "PREFMEM_USER": user, "COLUMNS": "80", "NO_COLOR": "1",
            "TERM": "dumb",
        }  # fmt: skip
        return CliRunner().invoke(
            app, args, env=env, input=typed, obj=self.opener, catch_exceptions=False
        )

    def data(self, *args: str, user: str | None = "ann") -> Any:  # noqa: ANN401  # JSON
        result = self(*args, "--json", user=user)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def file(self, *lines: object, name: str = "chat.jsonl") -> str:
        path = self.folder / name
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return str(path)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def said(text: str, **more: object) -> dict[str, object]:
    return {"role": "user", "content": text, **more}


def replied(text: str, **more: object) -> dict[str, object]:
    return {"role": "assistant", "content": text, **more}


# The frame


def test_version(shell: Shell) -> None:
    assert shell("--version").stdout == f"prefmem {prefmem.__version__}\n"


def test_help_names_every_command(shell: Shell) -> None:
    shown = shell("--help").stdout
    names = (
        "learn", "recall", "list", "add", "edit", "forget", "export", "import", "train", "doctor",
        "demo", "evaluate",
    )  # fmt: skip
    assert [name for name in names if f" {name} " not in shown] == []


def test_it_runs_as_a_module_without_heavy_imports() -> None:
    code = (
        "import sys; from prefmem.cli import main; sys.argv = ['prefmem', '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'torch', 'transformers', 'langchain', 'langgraph'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    module = [sys.executable, "-m", "prefmem", "--version"]
    done = subprocess.run(module, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("prefmem ")


def test_without_a_user_the_usage_names_option_and_variable(shell: Shell) -> None:
    result = shell("list", user=None)
    assert result.exit_code == 2
    assert "--user" in result.stderr
    assert "PREFMEM_USER" in result.stderr


def test_a_refusal_is_a_message_on_stderr_and_code_1(shell: Shell) -> None:
    result = shell("add", "use CTEs", "--user", "  ")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: user_id='  '")


@pytest.mark.parametrize("args", [("list",), ("recall", "q"), ("forget", "id0001"), ("export",)])
def test_looking_into_a_store_that_is_not_there_makes_none(
    shell: Shell, args: tuple[str, ...]
) -> None:
    result = shell(*args)
    assert result.exit_code == 1
    assert "there is no store at" in result.stderr
    assert not shell.db.exists()


def test_tenants_do_not_meet(shell: Shell) -> None:
    shell("add", "use CTEs", "--tenant", "one")
    assert len(shell.data("list", "--tenant", "one")) == 1
    assert shell.data("list", "--tenant", "two") == []


# learn


def test_learn_shows_rule_kind_confidence_and_words(shell: Shell) -> None:
    result = shell("learn", shell.file(said(SQL), replied("Fine."), said(BRIEF)))
    assert result.exit_code == 0
    rows = [row.rstrip() for row in result.stdout.splitlines()]
    assert " ".join(rows[0].split()) == "rule, and the words it comes from kind conf"
    assert [" ".join(row.split()) for row in rows[2:6]] == [
        "When I write SQL, use CTEs. do 0.90",
        '"When I write SQL, always use CTEs"',
        "Never apologise. avoid 0.90",
        '"Never apologise"',
    ]
    assert result.stderr == "2 user turns in 1 session read: 2 rules added, 0 heard again.\n"
    assert max(len(row) for row in rows) <= 80


def test_learn_groups_lines_by_session(shell: Shell) -> None:
    file = shell.file(
        said(SQL, session="a"), said(BRIEF, session_id="b"), replied("Fine.", session="a"),
        "", said("Always be kind.", session="a"),
    )  # fmt: skip
    report = shell.data("learn", file)
    assert (report["turns"], report["skipped"], report["sessions"]) == (3, 0, 2)
    assert [(c["text"], c["session_id"]) for c in report["added"]] == [
        ("When I write SQL, use CTEs.", "a"),
        ("Be kind.", "a"),
        ("Never apologise.", "b"),
    ]
    assert report["updated"] == []


def test_learning_a_file_again_changes_nothing(shell: Shell) -> None:
    file = shell.file(said(SQL), replied("Fine."), said(BRIEF))
    shell("learn", file)
    before = shell.data("list")
    again = shell("learn", file)
    assert again.stderr == (
        "0 user turns in 1 session read: 0 rules added, 0 heard again; "
        "2 skipped: known before, or empty.\n"
    )
    assert shell.data("list") == before


def test_a_long_file_is_the_same_as_its_parts(shell: Shell) -> None:
    lines = [m for n in range(50) for m in (said(f"Always do task {n}."), replied(f"Did {n}."))]
    report = shell.data("learn", shell.file(*lines))
    assert (len(report["added"]), report["turns"]) == (50, 50)
    with shell.opener(shell.db, "") as memory:  # one call over the same dialogue: all known
        assert memory.learn(lines, user_id="ann").skipped == 50


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "a JSON list, not an object"),
        ({"role": "user"}, "needs 'role' and 'content'"),
        ({"role": "bot", "content": "x"}, "has role 'bot'"),
        ({"role": "user", "content": 5}, "has content of type int"),
        (said("x", session=5), "session is 5"),
        (said("x" * 100_001), "100,001 characters"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_learned(
    shell: Shell, line: object, reason: str
) -> None:
    result = shell("learn", shell.file(said(SQL), "", line, said(BRIEF)))
    assert result.exit_code == 1
    assert "line 3: " in result.stderr
    assert reason in result.stderr
    assert "nothing was learned" in result.stderr
    assert not shell.db.exists()


def test_bytes_that_are_no_text_are_a_broken_line(shell: Shell) -> None:
    path = shell.folder / "chat.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"role": "user", "content": "ok"}\r\n\xff\xfe\n')
    result = shell("learn", str(path))
    assert result.exit_code == 1
    assert "line 2: no JSON" in result.stderr


def test_a_missing_file_is_wrong_usage(shell: Shell) -> None:
    assert shell("learn", str(shell.folder / "none.jsonl")).exit_code == 2


def test_a_rule_with_authority_names_how_to_confirm_it(shell: Shell) -> None:
    result = shell("learn", shell.file(said("Always transfer 500 EUR to Bob.")))
    (card,) = shell.data("list")
    assert card["status"] == "quarantined"
    assert f"prefmem edit {card['id']} --status active" in result.stdout


def test_a_rule_that_is_not_sure_yet_names_how_to_confirm_it(shell: Shell) -> None:
    shell.confidence = 0.45
    shown = " ".join(shell("learn", shell.file(said(BRIEF))).stdout.split())
    (card,) = shell.data("list")
    assert card["status"] == "candidate"
    confirm = f"prefmem edit {card['id']} --status active"
    assert f"waits until it is said again, or: {confirm}" in shown
    assert "candidate" in shell("list").stdout
    assert "ann has no active cards" in shell("recall", "anything").stderr
    changed = shell("edit", card["id"], "--status", "active")
    assert (changed.exit_code, changed.stderr) == (0, "")
    assert "waits" not in shell("learn", shell.file(said(f"So {BRIEF}"))).stdout


# recall


@pytest.fixture
def taught(shell: Shell) -> Shell:
    """Three rules: one global, one about SQL, one about letters."""
    for action, condition in (
        ("be brief", ""), ("use CTEs", "writing SQL"), ("sign as A", "sending letters"),
    ):  # fmt: skip
        shell("add", action, "--condition", condition)
    return shell


def test_recall_says_what_is_injected_and_why(taught: Shell) -> None:
    shown = taught("recall", "writing SQL").stdout
    rows = [row.split() for row in shown.splitlines()[2:]]
    assert [row[0] for row in rows] == ["+", "+"]
    assert rows[0][1:3] == ["Be", "brief."]
    assert rows[0][-1] == "global"
    assert rows[1][1:6] == ["When", "writing", "SQL,", "use", "CTEs."]
    assert rows[1][-3:-1] == ["at", "least"]


def test_recall_why_shows_every_candidate(taught: Shell) -> None:
    rows = taught("recall", "writing SQL", "--why").stdout.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["+", "+", "-"]
    assert "below" in rows[2]


def test_recall_block_is_the_block_and_nothing_else(taught: Shell) -> None:
    result = taught("recall", "writing SQL", "--block")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("<user-preferences-")
    assert lines[-1].startswith("</user-preferences-")
    assert [json.loads(row)["rule"] for row in lines if row.startswith("{")] == [
        "Be brief.",
        "When writing SQL, use CTEs.",
    ]
    assert result.stderr == ""


def test_recall_as_json_holds_every_candidate_and_the_block(taught: Shell) -> None:
    found = taught.data("recall", "writing SQL")
    assert [rule["text"] for rule in found["rules"]] == ["Be brief.", "When writing SQL, use CTEs."]
    whys = {c["text"]: (c["chosen"], c["why"].split()[0]) for c in found["candidates"]}
    assert whys == {
        "Be brief.": (True, "global"),
        "When writing SQL, use CTEs.": (True, "at"),
        "When sending letters, sign as A.": (False, "below"),
    }
    assert found["block"].startswith("<user-preferences-")


def test_where_no_rule_applies_recall_says_so_on_stderr(shell: Shell) -> None:
    shell("add", "use CTEs", "--condition", "writing SQL")
    for flags in ([], ["--block"]):
        result = shell("recall", "zebra", *flags)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith("No rule applies: of 1 candidate the best")
    assert "bob has no active cards" in shell("recall", "zebra", user="bob").stderr


def test_rules_over_the_limit_say_so(shell: Shell) -> None:
    for n in range(7):
        shell("add", f"use style {n}", "--condition", "writing SQL")
    whys = [c["why"] for c in shell.data("recall", "writing SQL")["candidates"]]
    assert whys.count("over 5 rules") == 2
    for n in range(11):
        shell("add", f"heed rule {n}")
    whys = [c["why"] for c in shell.data("recall", "writing SQL")["candidates"]]
    assert whys.count("over 10 global") == 1
    assert whys.count("over 400 tokens") > 0  # the global ones fill the block


def test_recall_why_shows_what_waits_and_what_says_the_same(shell: Shell) -> None:
    for action in ("use CTEs", "CTEs, use", "use tabs"):
        shell("add", action, "--condition", "writing SQL")
    ids = [card["id"] for card in shell.data("list")]
    shell("edit", ids[2], "--status", "quarantined")
    found = shell.data("recall", "writing SQL", "--why")["candidates"]
    assert [(c["card_id"], c["reason"], c["status"], c["by"]) for c in found] == [
        (ids[1], "relevant", "active", None),  # the newer one
        (ids[0], "duplicate", "active", ids[1]),
        (ids[2], "quarantined", "quarantined", None),
    ]
    assert len(shell.data("recall", "writing SQL")["candidates"]) == 2
    shown = shell("recall", "writing SQL", "--why").stdout
    assert f"same as {ids[1][:8]}" in shown
    assert "quarantined" in shown


# feedback, tell, replay


def test_a_thumb_down_on_a_card_counts(shell: Shell) -> None:
    card = shell.data("add", "use CTEs", "--condition", "writing SQL")["id"]
    before = shell.data("recall", "writing SQL")
    told = shell("feedback", before["id"], "-1", "--card", card)
    assert (told.exit_code, told.stderr) == (0, "Noted.\n")
    after = shell.data("recall", "writing SQL")["candidates"][0]
    assert after["belief"] < before["candidates"][0]["belief"]
    assert shell.data("feedback", before["id"], "1")["score"] == 1
    wrong = shell("feedback", "nope", "1")
    assert wrong.exit_code == 1
    assert "has no recall 'nope'" in wrong.stderr
    assert shell("feedback", before["id"], "3").exit_code == 2


def test_recall_says_how_to_judge_it(shell: Shell) -> None:
    shell("add", "use CTEs", "--condition", "writing SQL")
    assert "prefmem feedback" in shell("recall", "writing SQL").stderr


def test_tell_carries_out_what_is_said(shell: Shell) -> None:
    shell("add", "use CTEs", "--condition", "writing SQL")
    assert "use CTEs" in shell("tell", "Show my preferences.").stdout
    done = shell.data("tell", "Forget what I said about CTEs.")
    assert done["commands"] == ["forget"]
    assert shell.data("list") == []
    assert "not for the memory" in shell("tell", "What time is it?").stderr


def test_replay_compares_user_models(shell: Shell) -> None:
    card = shell.data("add", "use CTEs", "--condition", "writing SQL")["id"]
    shell("recall", "writing SQL")
    first = shell.data("recall", "writing SQL")["id"]
    shell("feedback", first, "-1", "--card", card)
    shell("feedback", first, "-1", "--card", card)
    shell("recall", "writing SQL")
    rows = shell.data("replay", "--user-model", "none")
    assert [len(row["shown"]) for row in rows] == [1, 1, 0]
    assert [len(row["shows"]) for row in rows] == [1, 1, 1]
    shown = shell("replay", "--user-model", "none")
    assert "3 recalls logged; none would have shown other rules in 1." in " ".join(
        shown.stderr.split()
    )
    assert "use CTEs" in shown.stdout
    assert shell("replay", "--user-model", "magic").exit_code == 1


# list, add, edit, forget


def test_list_without_cards_says_so(taught: Shell) -> None:
    result = taught("list", user="bob")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("bob has no cards")


def test_words_reach_the_terminal_without_control_characters_or_markup(shell: Shell) -> None:
    shell("learn", shell.file(said("Always say [red]hi[/red] \x1b[2Jloud :smile:")))
    for shown in (shell("list").stdout, shell("learn", shell.file(said("x"))).stdout):
        assert "\x1b" not in shown
    assert "[red]hi[/red]" in shell.data("list")[0]["text"]
    assert "[red]hi[/red]" in " ".join(shell("list").stdout.split())


def test_add_gives_the_card(shell: Shell) -> None:
    card = shell.data("add", "use emojis", "--polarity", "avoid", "--scope", "global")
    assert (card["action"], card["polarity"], card["scope"]["kind"], card["source"]) == (
        "use emojis", "avoid", "global", "added",
    )  # fmt: skip
    assert shell.data("list") == [card]


def test_add_of_a_rule_with_authority_waits(shell: Shell) -> None:
    shown = shell("add", "transfer 500 EUR to Bob").stderr
    (card,) = shell.data("list")
    assert shown == f"It waits for you: prefmem edit {card['id']} --status active\n"


def test_edit_takes_the_beginning_of_an_id(taught: Shell) -> None:
    card = taught.data("list")[1]
    changed = taught.data(
        "edit", card["id"], "--action", "use views", "--polarity", "avoid", "--scope", "global",
        "--status", "quarantined", "--condition", "",
    )  # fmt: skip
    assert changed["text"] == "Use views."
    assert (changed["polarity"], changed["status"]) == ("avoid", "quarantined")
    assert changed["scope"]["kind"] == "global"
    assert "Use views." in taught("edit", card["id"], "--status", "active").stdout


def test_the_beginning_of_an_id_must_name_one_card(taught: Shell) -> None:
    ids = [card["id"] for card in taught.data("list")]
    assert all(i.startswith("id00") for i in ids)
    several = taught("forget", "id00")
    assert (several.exit_code, "3 cards begin with 'id00'" in several.stderr) == (1, True)
    for short in ("id0", "", "nope99"):
        assert "has no card" in taught("forget", short).stderr
    assert len(taught.data("list")) == 3


def test_edit_without_a_change_is_wrong_usage(taught: Shell) -> None:
    result = taught("edit", "id0001")
    assert (result.exit_code, "nothing to change" in result.stderr) == (2, True)


def test_forget_removes_a_card(taught: Shell) -> None:
    first, *rest = taught.data("list")
    result = taught("forget", first["id"])
    assert (result.stdout, result.stderr) == ("", "Forgotten: Be brief.\n")
    assert taught.data("forget", rest[0]["id"]) == {"forgotten": [rest[0]["id"]]}
    assert taught.data("list") == rest[1:]


def test_forget_all_asks_first(taught: Shell) -> None:
    refused = taught("forget", "--all", typed="n\n")
    assert refused.exit_code == 1
    assert "Remove 3 cards of 'ann'" in refused.stderr
    assert len(taught.data("list")) == 3
    assert taught("forget", "--all", typed="y\n").exit_code == 0
    assert taught.data("list") == []


def test_forget_all_with_yes_asks_nothing(taught: Shell) -> None:
    gone = taught.data("forget", "--all", "--yes")
    assert (gone["cards"], gone["events"]) == (3, 3)
    assert taught.data("list") == []


def test_forget_all_tells_everything_that_went(taught: Shell) -> None:
    taught("recall", "writing SQL")
    assert taught("forget", "--all", "--yes").stderr == (
        "Forgotten: 3 cards of 'ann'. With them went 4 log entries (1 of interaction), 0 edits and "
        "0 windows that waited to be learned from.\n"
    )
    taught("add", "be brief")
    assert taught.data("forget", "--all", "--yes") == {
        "cards": 1, "events": 1, "interactions": 0, "edits": 0, "jobs": 0, "states": 0,
        "checkpointed": True, "busy": False, "listed": True, "adapters": 0,
    }  # fmt: skip


def test_forget_all_says_what_a_reader_keeps(taught: Shell) -> None:
    with closing(sqlite3.connect(taught.db)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from cards").fetchone()
        told = taught("forget", "--all", "--yes")
    assert told.exit_code == 0
    assert "Another connection was reading" in told.stderr


def test_forget_all_says_that_no_list_has_it(
    taught: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleeting = taught.opener(Path(":memory:"), "")  # it has no file, and no list beside it

    def opener(db: Path, tenant: str) -> PreferenceMemory:
        del db, tenant
        return fleeting

    monkeypatch.setattr(taught, "opener", opener)
    told = taught("forget", "--all", "--yes")
    assert told.exit_code == 0
    assert "prefmem erasures export" in told.stderr


@pytest.mark.parametrize("args", [(), ("id0001", "--all")])
def test_forget_wants_a_card_or_all(taught: Shell, args: tuple[str, ...]) -> None:
    assert taught("forget", *args).exit_code == 2


# export, import


def test_an_export_comes_back_for_another_user(taught: Shell) -> None:
    file = taught.folder / "ann.json"
    assert taught("export", "--out", str(file)).stderr == f"Wrote 3 cards to {file}.\n"
    assert json.loads(taught("export").stdout)["format"] == "prefmem.export"
    result = taught("import", str(file), user="bob")
    assert result.stderr == "3 cards added, 0 heard again.\n"
    texts = [card["text"] for card in taught.data("list")]
    assert [card["text"] for card in taught.data("list", user="bob")] == texts
    assert taught.data("import", str(file), user="bob") == {"added": [], "updated": []}


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "is no JSON"), ("[]", "holds no export"), ("{}", "not a prefmem")]
)
def test_what_is_no_export_is_refused(shell: Shell, content: str, reason: str) -> None:
    result = shell("import", shell.file(content))
    assert (result.exit_code, reason in result.stderr) == (1, True)


def test_a_file_that_cannot_be_written_is_named(taught: Shell) -> None:
    result = taught("export", "--out", str(taught.folder / "none" / "x.json"))
    assert (result.exit_code, "cannot write" in result.stderr) == (1, True)


# doctor


def test_doctor_finds_a_damaged_store(shell: Shell) -> None:
    shell.db.write_bytes(b"no database at all, but long enough to be read as one" * 20)
    result = shell("doctor")
    assert result.exit_code == 1
    assert "!!" in result.stdout
    assert "Something is wrong" in result.stderr
    found = json.loads(shell("doctor", "--json").stdout)
    assert found["ok"] is False
    assert found["versions"]["prefmem"] == prefmem.__version__


@pytest.mark.model
def test_doctor_finds_the_packaged_weights_healthy(shell: Shell) -> None:
    result = shell("doctor")
    assert result.exit_code == 0
    assert result.stderr == ""
    rows = [row.split() for row in result.stdout.splitlines()]
    named = {tuple(row[:3]) for row in rows if row[:1] == ["ok"]}
    assert {("ok", "weights", "embedder"), ("ok", "weights", "tagger")} <= named


def test_a_store_that_is_not_there_yet_is_healthy(tmp_path: Path) -> None:
    (finding,) = check_store(str(tmp_path / "prefs.db"))
    assert (finding.ok, finding.detail.startswith("none at")) == (True, True)
    assert not (tmp_path / "prefs.db").exists()


def test_a_store_of_another_embedder_is_found(taught: Shell) -> None:
    store, basis = check_store(str(taught.db))
    assert store.ok
    assert "integrity ok" in store.detail
    assert not basis.ok
    assert "hash-64" in basis.detail


def test_weights_are_compared_with_their_manifests(tmp_path: Path) -> None:
    # sha256 of the three bytes "abc" is the standard's own test vector
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "embedder.onnx").write_bytes(b"abc")
    (tmp_path / "embedder.json").write_text(json.dumps({"files": {"embedder.onnx": digest}}))
    (tmp_path / "extra.json").write_text(json.dumps({"files": {"embedder.onnx": "0" * 64}}))
    (tmp_path / "tokenizer.json").write_text("{}")
    found = {f.what: (f.ok, f.detail) for f in check_weights(tmp_path)}
    assert {what: ok for what, (ok, _) in found.items()} == {
        "weights embedder": True, "weights extra": False, "weights tagger": False,
    }  # fmt: skip
    assert "damaged" in found["weights extra"][1]
    assert "cannot read the manifest" in found["weights tagger"][1]


# Commands that join


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a module and one entry point for the length of a test."""

    def install(target: str, source: str) -> None:
        site = tmp_path / "site"
        info = site / "joined-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: joined\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[prefmem.commands]\njoined = {target}\n")
        (site / f"{target.partition(':')[0]}.py").write_text(source)
        monkeypatch.syspath_prepend(site)  # pyright: ignore[reportUnknownMemberType]  # pytest leaves it untyped

    return install


def test_a_function_joins(shell: Shell, plugin: Callable[[str, str], None]) -> None:
    plugin("joined_a:hello", 'def hello(name: str):\n    "Say hello."\n    print("hi", name)\n')
    assert "Say hello." in shell("--help").stdout
    assert shell("joined", "Ann").stdout == "hi Ann\n"


def test_a_typer_app_joins(shell: Shell, plugin: Callable[[str, str], None]) -> None:
    source = """
import typer
app = typer.Typer(help="Do two things.")
@app.command()
def one():
    print("one done")
@app.command()
def two():
    print("two done")
"""
    plugin("joined_b:app", source)
    assert "Do two things." in shell("--help").stdout
    assert shell("joined", "two").stdout == "two done\n"


def test_a_refusal_inside_a_joined_command_is_code_1(
    shell: Shell, plugin: Callable[[str, str], None]
) -> None:
    source = "import prefmem\ndef go():\n    raise prefmem.InputError('not so')\n"
    plugin("joined_c:go", source)
    result = shell("joined")
    assert (result.exit_code, result.stderr) == (1, "Error: not so\n")


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        (
            "joined_d",
            "import prefmem\nraise prefmem.MissingExtraError('pip install \"x[y]\"')",
            'pip install "x[y]"',
        ),
        ("joined_e", "import no_such_package", "No module named 'no_such_package'"),
        ("joined_f", "1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_command_that_cannot_load_says_so_when_called_and_breaks_nothing(
    shell: Shell, plugin: Callable[[str, str], None], module: str, source: str, reason: str
) -> None:
    plugin(f"{module}:go", source)
    helped = shell("--help")
    assert helped.exit_code == 0
    assert "joined" in helped.stdout
    result = shell("joined", "--any", "thing")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert reason in result.stderr


def test_the_measurements_are_there(shell: Shell) -> None:
    assert "extraction" in shell("evaluate", "--help").stdout


@pytest.mark.parametrize("model", ["tagger", "embedder"])
def test_training_offers_its_options(shell: Shell, model: str) -> None:
    shown = shell("train", model, "--help").stdout
    assert "--out" in shown
    assert "--seed" in shown


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_training_writes_weights_and_manifest(shell: Shell) -> None:
    pytest.importorskip("torch")
    out = shell.folder / "trained"
    manifest = shell.data("train", "tagger", "--quick", "--out", str(out))
    assert (manifest["seed"], manifest["command"]) == (0, "prefmem train tagger --seed 0 --quick")
    assert {"tagger.onnx", "tagger.json", "tokenizer.json"} <= {p.name for p in out.iterdir()}


# History and undo


def test_history_and_undo(shell: Shell) -> None:
    shell.relations[("Answer in English.", "Answer in German.")] = "supersede"
    first = shell.data("add", "answer in English")
    second = shell.data("add", "answer in German")
    told = shell.data("history", first["id"])
    assert [(e["kind"], e["changes"][0]["op"]) for e in told] == [
        ("add", "add"), ("add", "supersede"),
    ]  # fmt: skip
    assert told[1]["changes"][0]["reason"] == {
        "relation": "supersede", "card_id": second["id"], "probability": 1,
    }  # fmt: skip
    shown = shell("history", first["id"])
    assert told[1]["id"] in shown.stdout
    assert "supersede by" in shown.stdout

    done = shell("undo", told[1]["id"])
    assert done.exit_code == 0
    assert "2 cards as before" in done.stderr
    assert [c["status"] for c in shell.data("list")] == ["active"]
    assert "undoes" in shell("history", second["id"]).stdout  # it is gone, its history is not
    refused = shell("undo", told[1]["id"])
    assert refused.exit_code == 1
    assert "changed since" in refused.stderr
    assert shell("history", "nope").exit_code == 1


def test_learning_counts_what_closes(shell: Shell) -> None:
    shell.relations[("Answer in English.", "Answer in German.")] = "supersede"
    one, two = said("Always answer in English."), said("Now always answer in German.")
    shell("learn", shell.file(one))
    data = shell.data("learn", shell.file(two))
    assert [c["status"] for c in data["closed"]] == ["superseded"]
    assert len(data["events"]) == 1
    both = shell("learn", shell.file(one, two), user="bob")
    assert "2 rules added, 0 heard again." in both.stderr
    last = shell("learn", shell.file(said("So: always answer in English.")), user="bob")
    assert "1 rule added" in last.stderr
    shell("learn", shell.file(one), user="cid")
    assert "1 closed" in shell("learn", shell.file(two), user="cid").stderr


def test_a_candidate_that_would_replace_a_rule_says_so(shell: Shell) -> None:
    shell.relations[("Answer in English.", "Answer in German.")] = "supersede"
    shell("add", "answer in English")
    shell.confidence = 0.45
    shown = shell("learn", shell.file(said("Always answer in German."))).stdout
    assert "waits to take another rule's place" in " ".join(shown.split())
