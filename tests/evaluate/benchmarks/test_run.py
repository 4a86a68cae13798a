"""Benchmarks through the real memory: what counts as learned, found, injected and answered."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prefmem.evaluate.benchmarks.answer import answered
from prefmem.evaluate.benchmarks.case import Held, Request, Said, Session, User
from prefmem.evaluate.benchmarks.run import Asked, Outcome, run
from prefmem.evaluate.benchmarks.score import learned, measured
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.obedience import Message
from prefmem.evaluate.run import app
from prefmem.evaluate.table import Part
from prefmem.train.progress import silent


def test_a_rule_counts_for_the_turn_that_it_quotes() -> None:
    said = Said("user", "Always answer in British English.", frozenset({0}))
    other = Said("user", "Whenever you write Python for me, add type hints.")
    user = User(
        "ann", ("British English",), (Session((said,)), Session((other,))),
        (Request("Why is the sky blue?", frozenset({0})),),
    )  # fmt: skip
    (found,) = run([user], progress=silent)
    assert (found.learned, found.said) == (frozenset({0}), frozenset({0}))
    assert (found.cards, found.idle, found.turns) == (2, 1, 2)
    (asked,) = found.asked
    assert asked.injected == (frozenset({0}),)
    assert "British English" in asked.block


def test_what_a_file_states_is_stored_as_it_is() -> None:
    held = (Held("booking trains", "take a window seat"), Held("cooking", "leave out nuts"))
    user = User("bo", ("a", "b"), (), (Request("Book me a train to Rome", frozenset({0})),), held)
    (found,) = run([user], progress=silent)
    assert found.said == found.learned == frozenset({0, 1})
    assert found.asked[0].ranked[0] == frozenset({0})


def outcome(asked: Sequence[Asked]) -> Outcome:
    user = User("u", ("likes tea", "likes rye"), (), tuple(one.request for one in asked))
    return Outcome(user, frozenset({0}), frozenset({0, 1}), 4, 1, 8, tuple(asked))


A, B, NONE = frozenset({0}), frozenset({1}), frozenset[int]()


def test_figures_by_hand() -> None:
    both = Asked(Request("x", A | B), (NONE, A, NONE, B), (A, NONE), "")
    quiet = Asked(Request("y", NONE), (A,), (A,), "")
    found = measured([outcome([both, quiet])], seed=0)
    told = {part.title: part for part in found.parts}
    applies = told["Requests that a preference applies to"]
    assert value(applies, "recall@1, candidates") == 0.0
    assert value(applies, "recall@3, candidates") == 0.5
    assert value(applies, "recall@5, candidates") == 1.0
    assert value(applies, "recall, injected") == 0.5
    assert value(applies, "nothing wanted injected") == 0.0
    assert value(applies, "injected rules that are none of the wanted") == 0.5
    assert value(told["Requests that none applies to"], "something injected") == 1.0
    got = learned([outcome([both])], seed=0)
    assert got["preferences with an active rule"].value == 0.5
    assert got["active rules from turns without one"].value == 0.25
    assert got["active rules for each user turn"].value == 0.5


def test_multiple_choice_reads_letters_and_shuffles_options() -> None:
    requests = [Request(f"q{n}", A, options=("right", "wrong", "bad")) for n in range(20)]
    asked = [Asked(request, (), (), "PREFER TEA") for request in requests]

    def knows(conversations: Sequence[Sequence[Message]]) -> list[str]:
        """Choose the right option with rules in the prompt, the first one without."""
        found: list[str] = []
        for system, question in conversations:
            lines = question["content"].splitlines()
            right = next(line[0] for line in lines if line.endswith("right"))
            told = "PREFER TEA" in system["content"] or "likes tea" in system["content"]
            found.append(f"I take {right}." if told else "A")
        return found

    (part,) = answered([outcome(asked)], knows, knows, seed=0)
    assert value(part, "prefmem", "all") == value(part, "oracle", "all") == 1.0
    assert 0.1 <= value(part, "no memory", "all") <= 0.6  # a third of the time the first is right


def test_free_answers_are_judged() -> None:
    asked = [Asked(Request("q", A, answer="tea"), (), (), "PREFER TEA")]

    def chat(conversations: Sequence[Sequence[Message]]) -> list[str]:
        return ["tea" if "PREFER" in one[0]["content"] else "rum" for one in conversations]

    def judge(conversations: Sequence[Sequence[Message]]) -> list[str]:
        texts = [one[-1]["content"] for one in conversations]
        return ["Yes." if "<reply>tea</reply>" in text else "NO" for text in texts]

    (part,) = answered([outcome(asked)], chat, judge, seed=0)
    assert [value(part, arm, "all") for arm in part.rows] == [0.0, 1.0]


def test_the_command_writes_a_table(tmp_path: Path) -> None:
    pairs = [
        {"preference": f"Please {what}.", "question": f"What about {topic}?", "explanation": "-"}
        for what, topic in (
            ("always recommend films under two hours when I ask about films", "films for tonight"),
            ("suggest vegetarian dishes whenever I ask for recipes", "recipes for Monday"),
        )
    ]
    path = tmp_path / "films.json"
    path.write_text(json.dumps(pairs), encoding="utf-8")
    out = tmp_path / "out"
    given = ["benchmark", "prefeval", str(path), "--out", str(out), "--no-plots"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    told = json.loads((out / "benchmark.json").read_text(encoding="utf-8"))
    assert told["title"] == "PrefEval, 1 users"
    assert "Please" not in (out / "benchmark.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["nothing"], "one of prefeval, personalens, perma, longmemeval, profiles"),
        (["prefeval", "--judge", "smollm2"], "give --chat too"),
        (["prefeval", "--chat", "smollm2"], "no questions that are answered rightly"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, given: list[str], message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"preference": "x", "question": "y"}]', encoding="utf-8")
    done = CliRunner().invoke(app, ["benchmark", given[0], str(path), *given[1:]])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


def value(part: Part, row: str, column: str = "all") -> float:
    cell = part.rows[row][column]
    assert isinstance(cell, Figure)
    return cell.value
