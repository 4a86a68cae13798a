"""`prefmem agent ingest` as people call it."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from prefmem.agent.files import read_documents
from prefmem.agent.places import folder_of
from prefmem.cli import app
from prefmem.types import UserKey


def call(*args: object) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    env: dict[str, str | None] = {
        "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "PREFMEM_USER": None,
        "PREFMEM_AGENTS": None,
    }  # fmt: skip
    return CliRunner().invoke(
        app, ["agent", "ingest", *map(str, args)], env=env, catch_exceptions=False
    )


def written(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
    return path


def kept(home: Path, name: str = "documents.jsonl", tenant: str = "") -> list[str]:
    return [d.text for d in read_documents(folder_of(home, UserKey("ann", tenant)) / name)]


def test_documents_are_taken_in_and_join_what_was_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = written(tmp_path / "a.jsonl", "Tea.", "My password is hunter2!x.")
    result = call(first, "--user", "ann", "--home", home, "--kind", "note")
    assert result.exit_code == 0
    assert "1 document (1 note)" in result.stderr
    assert "That is few" in result.stderr
    assert "hunter2" not in result.stderr
    assert kept(home, "quarantine.jsonl") == ["My password is hunter2!x."]
    call(written(tmp_path / "b.jsonl", "Tea.", "Milk."), "--user", "ann", "--home", home)
    assert kept(home) == ["Tea.", "Milk."]
    assert kept(home, "quarantine.jsonl") == ["My password is hunter2!x."]
    call(written(tmp_path / "c.jsonl", "Cake."), "--user", "ann", "--home", home, "--replace")
    assert kept(home) == ["Cake."]
    assert kept(home, "quarantine.jsonl") == []


def test_what_waited_is_taken_when_that_is_allowed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    file = written(tmp_path / "a.jsonl", "I have diabetes and eat no sugar.")
    call(file, "--user", "ann", "--home", home)
    assert kept(home) == []
    call(file, "--user", "ann", "--home", home, "--pii", "allow")
    assert kept(home) == ["I have diabetes and eat no sugar."]


def test_a_report_for_machines_counts_and_names_nobody(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", "Tea for two.", "", "Milk.")
    result = call(file, "--user", "ann", "--tenant", "acme", "--home", tmp_path / "home", "--json")
    report = json.loads(result.stdout)
    folder = Path(report.pop("folder"))
    assert report == {
        "documents": 2, "kinds": {"text": 2}, "words": 4, "first": None, "last": None,
        "quarantined": 0, "cut": 0, "left_out": {"empty": 1},
    }  # fmt: skip
    assert json.loads((folder / "documents.json").read_text(encoding="utf-8")) == report
    assert folder == folder_of(tmp_path / "home", UserKey("ann", "acme"))
    assert "ann" not in folder.name


def test_users_and_tenants_have_folders_of_their_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for user, tenant in (("ann", ""), ("ann", "acme"), ("bob", "")):
        call(
            written(tmp_path / "a.jsonl", f"Tea of {user}."), "--user", user, "--tenant", tenant,
            "--home", home,
        )  # fmt: skip
    assert len(list(home.iterdir())) == 3
    assert kept(home) == ["Tea of ann."]


def test_a_missing_file_and_a_missing_user_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = call(tmp_path / "none", "--user", "ann", "--home", home)
    assert (result.exit_code, "no file or folder" in result.stderr) == (1, True)
    assert call(tmp_path, "--home", home).exit_code == 2
    assert not home.exists()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    home = written(tmp_path / "a.jsonl", "Tea.") / "home"
    result = call(tmp_path / "a.jsonl", "--user", "ann", "--home", home)
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr


def test_forgetting_a_user_removes_what_an_agent_learns_from(tmp_path: Path) -> None:
    home, db = tmp_path / "home", tmp_path / "prefs.db"
    call(written(tmp_path / "a.jsonl", "Tea."), "--user", "ann", "--home", home)
    call(written(tmp_path / "b.jsonl", "Milk."), "--user", "bob", "--home", home)

    def run(*args: object) -> Any:  # noqa: ANN401  # as above
        return CliRunner().invoke(app, [*map(str, args), "--db", str(db)], catch_exceptions=False)

    assert run("add", "be brief", "--user", "ann").exit_code == 0
    forget = ("forget", "--all", "--yes", "--user", "ann", "--agents")
    refused = CliRunner().invoke(app, [*map(str, (*forget, tmp_path / "none", "--db", db))])
    assert "there is no folder" in refused.stderr
    assert run(*forget, home).exit_code == 0
    assert [path.name for path in home.iterdir() if path.is_dir()] == [
        folder_of(home, UserKey("bob")).name
    ]
