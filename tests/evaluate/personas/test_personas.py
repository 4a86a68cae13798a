"""Personas who talk to a scripted chat model: what they say, and how answers are scored."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prefmem.errors import InputError
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.obedience import Message
from prefmem.evaluate.personas import report
from prefmem.evaluate.personas.arms import ARMS, HISTORY, History, Memory, Nothing, Oracle, opened
from prefmem.evaluate.personas.pool import KINDS, Persona, Wish, read
from prefmem.evaluate.personas.study import live
from prefmem.evaluate.personas.talk import PHASES, Life, conversation
from prefmem.evaluate.run import app
from prefmem.evaluate.table import Part
from prefmem.memory import PreferenceMemory
from prefmem.train.progress import silent

LONG = "Tea is a drink of many sorts, and it is made with hot water and leaves. " * 2
SHORT = "- Tea needs hot water."
TERSE = Persona(
    "terse",
    (
        Wish("length", "answer in at most 10 words", ("Always use at most 10 words.",), "Long."),
        Wish("layout", "use bullet points", ("Always use bullet points.",), "Bullets, please."),
        Wish("language", "answer in English", ("Always answer in English.",), "In English."),
    ),
)  # fmt: skip
REQUESTS = tuple(f"What about tea {letter}?" for letter in "bcdefghijklm")


@pytest.fixture
def memory() -> Iterator[PreferenceMemory]:
    """Give a memory with the packaged models."""
    with opened() as found:
        yield found


def obedient(conversations: Sequence[Sequence[Message]]) -> list[str]:
    """Answer shortly and with a bullet where the prompt asks for both, else at length."""
    told = [" ".join(one["content"] for one in asked) for asked in conversations]
    return [SHORT if "10 words" in text and "ullet" in text else LONG for text in told]


def test_personas_of_the_pools_have_wishes_that_code_can_check() -> None:
    for split, count in (("test", 6), ("dev", 3)):
        personas, requests = read(split)
        assert len(personas) == count
        assert all({wish.kind for wish in one.wishes} == {*KINDS} for one in personas)
        assert len(requests) >= sum(PHASES.values())


def test_test_and_development_share_no_wording() -> None:
    def texts(split: str) -> set[str]:
        personas, requests = read(split)
        wishes = [wish for one in personas for wish in one.wishes]
        return {*requests, *(text for one in wishes for text in (*one.statements, one.complaint))}

    assert not texts("test") & texts("dev")


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("a | length | be nice | x | y | z\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"test\.txt:1 is not .* code can check"):
        read("test", tmp_path)
    line = "a | length | answer in at most 10 words | x | y | z\n"
    (tmp_path / "test.txt").write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match="'a' needs one wish of each of length, layout, language"):
        read("test", tmp_path)


def test_the_first_session_states_each_wish_once_and_the_second_none() -> None:
    life = Life(TERSE, REQUESTS, Nothing(), seed=1, number=0)
    said: list[str] = []
    while asked := life.ask():
        said.append(asked[-1]["content"])
        life.hear(LONG)
    statements = [wish.statements[0] for wish in TERSE.wishes]
    assert sorted(s for text in said[:3] for s in statements if s in text) == sorted(statements)
    assert not [text for text in said[3:6] if any(s in text for s in statements)]
    # length is the first wish of the persona that LONG breaks; nobody complains of another session
    assert [text.startswith("Long.") for text in said] == [False] * 7 + [True] * 2


def test_a_seed_fixes_the_script_and_another_one_changes_it() -> None:
    def script(seed: int) -> list[str]:
        life = Life(TERSE, REQUESTS, Nothing(), seed=seed, number=0)
        texts: list[str] = []
        while asked := life.ask():
            texts.append(asked[-1]["content"])
            life.hear(SHORT)
        return texts

    assert script(1) == script(1) != script(2)


def test_an_answer_scores_the_wishes_said_so_far() -> None:
    life = Life(TERSE, REQUESTS, Nothing(), seed=1, number=0)
    for _ in range(4):
        life.ask()
        life.hear(SHORT if len(life.scored) < 3 else LONG)
    assert [len(one.owed) for one in life.scored] == [1, 2, 3, 3]
    assert [one.satisfaction for one in life.scored[:3]] == [1.0, 1.0, 1.0]
    assert {*life.scored[3].broken} == {"length", "layout"}
    assert not life.scored[3].usable  # the same sentence twice: 17 of 31 triples are new
    assert life.scored[3].satisfaction == 0.0


def test_two_broken_wishes_of_three_leave_a_third() -> None:
    life = Life(TERSE, REQUESTS, Nothing(), seed=1, number=0)
    for answer in (SHORT, SHORT, "Tea is a drink of many sorts that is made with hot water."):
        life.ask()
        life.hear(answer)
    assert life.scored[2].usable
    assert life.scored[2].satisfaction == pytest.approx(1 / 3)


def test_the_arms_tell_what_they_know(memory: PreferenceMemory) -> None:
    dialogue: list[Message] = [
        {"role": "user", "content": "What is tea? Always use bullet points."},
        {"role": "assistant", "content": "A drink."},
    ]
    later: list[Message] = [{"role": "user", "content": "And what is coffee?"}]
    found = {}
    for name, make in {**ARMS, **HISTORY}.items():
        arm = make(TERSE, memory, name)
        arm.learn("one", dialogue)
        found[name] = conversation(arm.tell("two", later), later)
    plain = [{"role": "system", "content": "You are a helpful assistant."}, *later]
    assert found["no memory"] == plain
    assert found["full history"] == [plain[0], *dialogue, *later]
    assert found["oracle"][-1]["content"] == (
        "And what is coffee?\n\nAnswer in at most 10 words. Use bullet points. Answer in English."
    )
    assert found["prefmem"][-1]["content"] == "And what is coffee?\n\nUse bullet points."
    assert '{"rule": "Use bullet points."' in found["prefmem, default block"][0]["content"]


def test_history_begins_with_a_user_turn_and_leaves_the_session_at_hand_to_the_dialogue() -> None:
    arm = History()
    for n in range(60):
        turns: list[Message] = [{"role": r, "content": "q" * 50} for r in ("user", "assistant")]
        arm.learn(f"{n}", turns)
    told = arm.tell("59", [{"role": "user", "content": "now"}])
    assert len(told.earlier) == 80  # 4000 characters of 50 each
    assert told.earlier[0]["role"] == "user"


def test_a_memory_says_which_wish_a_rule_states(memory: PreferenceMemory) -> None:
    arm = Memory(TERSE, memory, "ann")
    text = "What is tea? Always use bullet points."
    arm.learn("one", [{"role": "user", "content": text}, {"role": "assistant", "content": "So."}])
    other = "Where is Rome? Always give sources for what you say."
    arm.learn("two", [{"role": "user", "content": other}, {"role": "assistant", "content": "So."}])
    told = arm.tell("three", [{"role": "user", "content": "What is coffee?"}])
    assert sorted(told.kinds) == ["", "layout"]


def test_figures_of_an_obedient_model() -> None:
    lives = live(obedient, [TERSE], REQUESTS, arms=ARMS, seeds=[1], progress=silent)
    found = report.measured(lives)
    retain = _part(found.parts, "Session 2, retain: share of answers")
    assert value(retain, "satisfaction", "oracle") == 1.0
    assert value(retain, "too long", "no memory") == 1.0
    assert value(retain, "wrong language", "no memory") == 0.0
    beside = _part(found.parts, "Second session beside VARS, appendix C")
    assert beside.rows["satisfaction"]["VARS, published"] == "0.950"
    assert [len(points) for points in found.lines[0].series.values()] == [9] * len(ARMS)


def test_the_oracle_needs_no_learning() -> None:
    assert Oracle(TERSE).tell("one", []).after.startswith("Answer in at most 10 words.")


@pytest.mark.slow
def test_the_command_keeps_answers_and_writes_tables(
    tmp_path: Path, tiny_qwen3_folder: Path
) -> None:
    given = ["personas", "--split", "dev", "--seeds", "1", "--chat", str(tiny_qwen3_folder)]
    given += ["--tokens", "16", "--out", str(tmp_path), "--no-plots"]
    first = CliRunner().invoke(app, given)
    assert first.exit_code == 0, first.output
    told = json.loads((tmp_path / "personas.json").read_text(encoding="utf-8"))
    kept = (tmp_path / "answers.jsonl").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, given).exit_code == 0
    again = json.loads((tmp_path / "personas.json").read_text(encoding="utf-8"))
    assert again["parts"] == told["parts"]
    assert (tmp_path / "answers.jsonl").read_text(encoding="utf-8") == kept


def value(part: Part, row: str, column: str) -> float:
    cell = part.rows[row][column]
    assert isinstance(cell, Figure)
    return cell.value


def _part(parts: Sequence[Part], title: str) -> Part:
    (found,) = [one for one in parts if one.title == title]
    return found
