"""The commands of upkeep: backup, restore, verify, rebuild, sweep, audit, erasures."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prefmem import PreferenceMemory
from prefmem.cli import app
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater


def opener(db: str, tenant: str) -> PreferenceMemory:
    return PreferenceMemory(
        db, tenant=tenant, extractor=PhraseExtractor(), embedder=HashEmbedder(),
        relater=TableRelater(), reranker="none", judge="none",
    )  # fmt: skip


def prefmem(*args: object, fails: bool = False) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    env = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}
    done = CliRunner().invoke(app, [str(a) for a in args], env=env, obj=opener)
    assert done.exit_code == (1 if fails else 0), done.output
    return done


def data(*args: object, fails: bool = False) -> Any:  # noqa: ANN401  # JSON
    return json.loads(prefmem(*args, "--json", fails=fails).stdout)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "prefs.db"
    with opener(str(path), "") as memory:
        for user in ("ann", "bob"):
            memory.add("", f"greet {user}", user_id=user)
    return path


def test_backup_erase_restore(db: Path, tmp_path: Path) -> None:
    copy, new, aside = tmp_path / "copy.db", tmp_path / "new.db", tmp_path / "list"
    assert "2 users, 2 cards" in prefmem("backup", db, "--to", copy).stderr
    assert "is there already" in prefmem("backup", db, "--to", copy, fails=True).stderr
    assert data("backup", db, "--to", copy, "--replace")["counts"]["cards"] == 2
    prefmem("forget", "--all", "--yes", "--user", "ann", "--db", db)
    assert "1 erasure" in prefmem("erasures", "export", db, "--to", aside).stderr

    without = prefmem("restore", copy, "--to", new)
    assert "No list of erasures was found" in without.stderr
    assert "1 user erased again" in prefmem("erasures", "replay", aside, "--to", new).stderr
    assert [row["action"] for row in data("audit", new)] == ["restore", "replay"]
    refused = prefmem("restore", copy, "--to", db, fails=True)
    assert "is there already" in refused.stderr
    done = data("restore", copy, "--to", db, "--replace", "--erasures", aside, "--actor", "op")
    assert (done["erased"], done["counts"]["users"]) == (1, 1)
    (line,) = [row for row in data("audit", db) if row["action"] == "restore"]
    assert (line["actor"], line["n"]) == ("op", 1)
    assert data("list", "--user", "ann", "--db", db) == []


def test_verify_names_damage_and_rebuild_makes_it_right(db: Path) -> None:
    assert data("verify", db)["ok"]
    with sqlite3.connect(db, isolation_level=None) as raw:
        raw.execute("update cards set status = 'superseded' where uid = 1")
    raw.close()
    shown = prefmem("verify", db, "--users", 0, fails=True)
    assert "!!" in shown.stdout
    assert "1 cards are not what the log gives" in " ".join(shown.stdout.split())
    assert data("rebuild", db, "--user", "bob") == {"users": 1, "rebuilt": {}}
    assert "ann: 1 card, 0 removed" in prefmem("rebuild", db).stderr
    assert "2 users looked at, 0 made again" in prefmem("rebuild", db).stderr
    assert "ok" in prefmem("verify", db).stdout


def test_sweep_and_audit(db: Path) -> None:
    assert data("sweep", db) == {"users": 2, "ended": 0, "removed": 0}
    assert "1 user looked at: 0 cards ended" in prefmem("sweep", db, "--user", "ann").stderr
    card = data("list", "--user", "ann", "--db", db)[0]["id"]
    prefmem("edit", card, "--status", "quarantined", "--user", "ann", "--db", db)
    (line,) = data("audit", db, "--user", "ann")
    assert (line["action"], line["actor"], line["card"]) == ("edit", "user", card)
    (line,) = data("audit", db)
    assert line["card"] not in ("", card)
    assert "edit" in prefmem("audit", db).stdout
    assert data("audit", db, "--user", "bob") == []


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    nope = tmp_path / "nope.db"
    for args in (
        ("verify", nope), ("rebuild", nope), ("sweep", nope), ("audit", nope),
        ("backup", nope, "--to", tmp_path / "copy.db"),
        ("restore", nope, "--to", tmp_path / "new.db"),
        ("erasures", "export", nope, "--to", tmp_path / "list"),
    ):  # fmt: skip
        assert "there is no" in prefmem(*args, fails=True).stderr
    assert list(tmp_path.iterdir()) == []
