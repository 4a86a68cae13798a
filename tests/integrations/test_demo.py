import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from prefmem import Config, InputError, PreferenceMemory
from prefmem.cli import app
from prefmem.testing import Clock, Counter, HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import demo, demo_show
from prefmem_langchain.demo_dialogues import PEOPLE, Dialogue, Exchange, Session, load_dialogue
from prefmem_langchain.demo_play import play

DIALOGUE = Dialogue(
    "ann",
    (
        Session("monday", (
            Exchange("When I write SQL, always use CTEs.", "Noted."),
            Exchange("Never apologise.", "Fine."),
        )),
        Session("friday", (Exchange("Write SQL for sales.", "select 1"),)),
    ),
    ("Do write SQL for stock", "zebra"),
    (("monday", "always use CTEs"), ("friday", "for sales"), ("friday", "Never apologise")),
)  # fmt: skip


def memory() -> PreferenceMemory:
    return PreferenceMemory(
        ":memory:", extractor=PhraseExtractor(), embedder=HashEmbedder(), clock=Clock(),
        ids=Counter(), reranker="none", relater=TableRelater(),
    )  # fmt: skip


class Model:
    """Answers "ok" and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[dict[str, str]]] = []

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        self.asked.append([dict(message) for message in messages])
        return "ok"


def test_the_sessions_teach_and_the_questions_do_not() -> None:
    with memory() as held:
        played = play(DIALOGUE, held)
        assert held.list(user_id="ann") == played.cards
    assert [(c.text, c.session_id) for c in played.cards] == [
        ("When I write SQL, use CTEs.", "monday"),
        ("Never apologise.", "monday"),
    ]
    assert [c.preference.evidence[0].quote for c in played.cards] == [
        "When I write SQL, always use CTEs",
        "Never apologise",
    ]


def test_expected_words_count_as_heard_where_evidence_of_their_session_touches_them() -> None:
    with memory() as held:
        missed = play(DIALOGUE, held).missed
    assert missed == (("friday", "for sales"), ("friday", "Never apologise"))


def test_the_block_is_what_the_chat_model_received() -> None:
    model = Model()
    with memory() as held:
        played = play(DIALOGUE, held, model)
    sql, zebra = played.answers
    assert [rule.text for rule in sql.recall.rules] == [
        "Never apologise.",
        "When I write SQL, use CTEs.",
    ]
    assert [rule.text for rule in zebra.recall.rules] == ["Never apologise."]
    assert model.asked[-2] == [
        {"role": "system", "content": sql.block},
        {"role": "user", "content": "Do write SQL for stock"},
    ]
    assert '"Never apologise."' in sql.block
    assert (sql.reply, zebra.reply) == ("ok", "ok")


def test_a_thread_goes_on_and_a_new_one_starts_empty_but_with_rules() -> None:
    model = Model()
    with memory() as held:
        play(DIALOGUE, held, model)
    first, second, third, *_ = model.asked
    assert [m["content"] for m in first] == ["When I write SQL, always use CTEs."]
    assert [m["content"] for m in second[-3:]] == [first[0]["content"], "ok", "Never apologise."]
    assert [m["role"] for m in third] == ["system", "user"]


def test_without_a_model_the_replies_are_the_script() -> None:
    with memory() as held:
        played = play(DIALOGUE, held)
    assert [answer.reply for answer in played.answers] == ["", ""]
    assert played.answers[0].block.startswith("<user-preferences-")


def test_every_turn_and_question_is_told() -> None:
    steps: list[None] = []
    with memory() as held:
        play(DIALOGUE, held, progress=lambda: steps.append(None))
    assert len(steps) == 3 + 2


def shown(dialogue: Dialogue, width: int = 100) -> str:
    out = io.StringIO()
    with memory() as held:
        screen = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
        demo_show.show(play(dialogue, held), held.config, screen)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_the_screen_shows_rules_words_reasons_and_block(width: int) -> None:
    text = shown(DIALOGUE, width)
    rows = [" ".join(row.split()) for row in text.splitlines()]
    assert max(len(row) for row in text.splitlines()) <= width
    assert rows[0].startswith("ann: 3 user turns in 2 sessions")
    assert "When I write SQL, use CTEs. do 0.90 monday" in rows
    assert '"When I write SQL, always use CTEs"' in rows
    assert "Heard 1 of the 3 preferences that a reader noted." in rows
    assert 'not heard (friday): "for sales"' in rows
    assert "+ global Never apologise." in rows
    assert any(row.startswith("- 0.") and row.endswith("use CTEs.") for row in rows)
    assert 'with "Do write SQL for stock"' in rows
    assert any(row.startswith('| {"rule": "Never apologise."') for row in rows)


def test_the_screen_is_calm_where_nothing_was_learned() -> None:
    text = shown(Dialogue("bob", (Session("s", (Exchange("hi", "ho"),)),), ("and now?",)))
    assert "0 rules learned" in text
    assert "nothing is injected" in text
    assert "received" not in text


def test_run_opens_plainly_and_closes_with_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with memory() as held:
        demo.run([DIALOGUE], held)
    out, err = capsys.readouterr()
    assert "no chat model runs" in out
    assert "\n3 user turns, 2 rules, " in out
    assert "\x1b" not in out
    assert err == ""


def test_json_holds_the_same_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with memory() as held:
        demo.run([DIALOGUE], held, Model(), as_json=True)
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    (ann,) = told["people"]
    assert told["replies"] == "model"
    assert (ann["who"], ann["turns"], ann["sessions"], ann["expected"]) == ("ann", 3, 2, 3)
    assert [card["quotes"] for card in ann["learned"]] == [
        ["When I write SQL, always use CTEs"],
        ["Never apologise"],
    ]
    sql, zebra = ann["questions"]
    floor = f">= {Config().min_score:.2f}"
    assert [rule["why"].partition(" ")[2] for rule in sql["injected"]] == ["", floor]
    assert [rule["text"] for rule in zebra["left_out"]] == ["When I write SQL, use CTEs."]
    assert sql["reply"] == "ok"


@pytest.mark.parametrize("who", PEOPLE)
def test_the_written_dialogues_are_whole(who: str) -> None:
    dialogue = load_dialogue(who)
    assert len(dialogue.sessions) >= 4
    assert len(dialogue.questions) == 5
    words = {s.id: "\n".join(e.user for e in s.exchanges) for s in dialogue.sessions}
    assert [w for session, w in dialogue.expected if w not in words[session]] == []


def test_missing_or_broken_dialogues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dialogues are not there"):
        load_dialogue("code", folder=tmp_path)
    row = {"session": "s", "role": "assistant", "content": "hi"}
    (tmp_path / "code.jsonl").write_text(json.dumps(row))
    (tmp_path / "expected.json").write_text('{"code.jsonl": {"questions": [], "preferences": []}}')
    with pytest.raises(InputError, match="session s: user and assistant must take turns"):
        load_dialogue("code", folder=tmp_path)


@pytest.mark.parametrize(
    ("args", "reason"),
    [(["--model", "x"], "give --chat"), (["--chat", "nowhere"], "no http address")],
)
def test_a_chat_that_cannot_be_is_refused(args: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, ["demo", "--who", "code", *args])
    assert (result.exit_code, reason in result.stderr) == (1, True)


@pytest.mark.model
def test_the_packaged_weights_learn_from_every_person() -> None:
    result = CliRunner().invoke(app, ["demo", "--json"], catch_exceptions=False)
    people = json.loads(result.stdout)["people"]
    assert [person["who"] for person in people] == list(PEOPLE)
    assert all(len(person["learned"]) >= 5 for person in people)
    assert all(any(q["injected"] for q in person["questions"]) for person in people)
