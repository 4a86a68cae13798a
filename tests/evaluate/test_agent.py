"""The parts of the agents' evaluation: authors, scores, permutation, win rate, transfer, report."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prefmem.agent.lesson import Task
from prefmem.evaluate.agent import plot, report, scores, transfer, winrate
from prefmem.evaluate.agent.authors import (
    AUTHORS,
    KINDS,
    Style,
    contents,
    documents,
    drafts,
    lessons_of,
    tasks,
    text_of,
)
from prefmem.evaluate.agent.obedient import Obedient, style_of
from prefmem.evaluate.agent.permutation import gap, p_value, permutation
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.stages import Stages

ALMA = (
    'Open with "Hi".', "Use contractions.", "Write at most 4 sentences.", "End with a question.",
    'Close with "Cheers".', "Sign with Alma.", 'Finish the text with "Does that work for you".',
)  # fmt: skip


def nobody(stage: str, done: int, total: int) -> None:
    assert done <= total, stage


# Authors


def test_topics_of_training_and_test_are_apart() -> None:
    found = {
        split: {c.task.subject for kind in KINDS for c in contents(kind, split, each=2, seed=0)}
        for split in ("train", "dev", "test")
    }
    assert {split: len(subjects) for split, subjects in found.items()} == {
        "train": 33, "dev": 6, "test": 15
    }  # fmt: skip
    assert not found["train"] & found["test"] | found["dev"] & (found["train"] | found["test"])


def test_contents_follow_the_seed_and_leave_no_slot_open() -> None:
    found = contents("mail", "train", each=3, seed=4)
    assert found == contents("mail", "train", each=3, seed=4)
    assert found != contents("mail", "train", each=3, seed=5)
    assert len({c.task for c in found}) == 33
    assert not [c for c in found if "{" in "".join(c.sentences) + c.task.intent + c.task.subject]


def test_all_authors_do_the_same_tasks() -> None:
    asked = tasks("test", each=1, seed=0)
    assert [task.kind for task in asked[:3]] == ["mail", "note", "review"]
    for author in AUTHORS:
        written = documents(author, "test", each=1, seed=0)
        assert {(d.kind, d.to, d.subject) for d in written} == {
            (t.kind, t.to, t.subject) for t in asked
        }


def test_an_intent_says_nothing_of_the_style() -> None:
    for author in AUTHORS:
        for lesson in lessons_of(author, "train", each=1, seed=0):
            assert lesson.task.intent.startswith("- ")
            assert not {*"!;…😊🚀✨"} & {*lesson.task.intent}
            assert author not in lesson.task.intent.casefold()


def test_a_content_in_a_style_is_written_out() -> None:
    content = contents("mail", "test", each=1, seed=0)[0]
    style = Style(
        greeting="Hi {to},", keeps=2, contracts=True, closing="Yes?", sign_off="Bye,\nAlma"
    )
    first, second = content.sentences[:2]
    assert second == "It is the hinge, which has rusted."
    first = first.replace("does not", "doesn't")
    assert text_of(content, style) == (
        f"Hi {content.task.to},\n\n{first} It's the hinge, which has rusted. Yes?\n\nBye,\nAlma"
    )


def test_drafts_are_in_nobodys_style() -> None:
    made = drafts("test", each=2, seed=0)
    assert {kind: len(texts) for kind, texts in made.items()} == dict.fromkeys(KINDS, 10)
    assert len({text.split("\n")[0].partition(" ")[0] for text in made["mail"]}) > 2


# Scores


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("author", AUTHORS)
def test_what_is_planted_shows_in_held_out_texts(author: str, kind: str) -> None:
    wanted = scores.wanted_of(author, kind)
    assert len(wanted) == len(scores.planted_in(author, kind)) >= 3
    texts = [d.text for d in documents(author, "test", each=6, seed=11) if d.kind == kind]
    for marker in wanted:
        told = sum(marker.holds(text) for text in texts)
        assert told >= 0.7 * len(texts), (marker.name, told)


def test_rules_are_scored_against_the_planted_markers() -> None:
    # all seven of Alma's mails; then four of them, beside a wrong rule and one that means nothing
    assert scores.score(ALMA, "alma", "mail") == scores.Score(7, 7, 7, 7)
    some = (*ALMA[:4], "Use emojis.", "Be yourself.")
    assert scores.score(some, "alma", "mail") == scores.Score(7, 4, 6, 4)
    assert scores.score(some, "alma", "mail").f1 == pytest.approx(2 * 4 / (7 + 6))
    assert scores.score((), "alma", "mail").f1 == 0


def test_a_rule_that_is_said_twice_recovers_one_marker() -> None:
    found = scores.score(("Use contractions.", "Use contractions."), "alma", "mail")
    assert (found.recovered, found.right) == (1, 2)


def test_a_bound_counts_only_where_it_fits() -> None:
    assert scores.score(("Write at most 4 sentences.",), "alma", "mail").recovered == 1
    assert scores.score(("Write at most 1 sentence.",), "alma", "mail").right == 0
    assert scores.score(("Write at most 400 words.",), "alma", "mail").right == 0  # of everybody


def test_the_lessons_of_an_author_hold_the_planted_markers_and_nobody_elses() -> None:
    for author in AUTHORS:
        made = lessons_of(author, "train", each=2, seed=0)
        own = [scores.score(x.rules, author, x.task.kind).f1 for x in made]
        others = [
            scores.score(x.rules, other, x.task.kind).f1
            for x in made
            for other in AUTHORS
            if other != author
        ]
        assert np.mean(own) > 0.85
        assert np.mean(others) < 0.25


def test_recovery_is_a_share_of_all_markers() -> None:
    found = scores.recovery([scores.Score(4, 3, 5, 4), scores.Score(6, 2, 5, 1)], seed=0)
    assert found["recovered"].value == pytest.approx(5 / 10)
    assert found["precision"].value == pytest.approx(5 / 10)
    assert found["rules"].value == 5


# Permutation


def test_a_diagonal_is_told_from_chance() -> None:
    matrix = np.full((5, 5), 0.2) + 0.6 * np.eye(5)
    assert gap(matrix) == pytest.approx(0.6)
    assert p_value(matrix) == pytest.approx(1 / 120)
    assert p_value(np.full((5, 5), 0.4)) == 1
    assert p_value(np.array([[0.1, 0.9], [0.9, 0.1]])) == 1


def test_many_users_are_drawn() -> None:
    assert p_value(np.eye(9), seed=1) == pytest.approx(1 / 20_001, abs=2e-4)


def test_a_permutation_has_its_interval_over_tasks() -> None:
    # two users, two tasks: gaps of 1.0 and 0.5
    found = permutation(("a", "b"), [[[1, 0.5], [0, 0]], [[0, 0], [1, 0.5]]], seed=0)
    assert found.matrix == ((0.75, 0), (0, 0.75))
    assert (found.gap.value, found.gap.low, found.gap.high) == (0.75, 0.5, 1.0)
    assert (found.p, found.own) == (0.5, 2)


WRONG: list[list[list[list[float]]]] = [[[[1]]], [[[1], [0]]], [[[], []], [[], []]]]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_matrix_of_another_form_is_refused(wrong: list[list[list[float]]]) -> None:
    with pytest.raises(ValueError, match="2 users need"):
        permutation(("a", "b"), wrong, seed=0)


# Win rate


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("A", "A"), ("b.", "B"), ("**B**", "B"), ("Text A is nearer.", "A"), ("tie", "tie"),
        ("It is a tie.", "tie"), ("A text like B", "A"), ("a text", "tie"), ("", "tie"),
        ("Neither, though A is close", "tie"),
    ],
)  # fmt: skip
def test_a_verdict_is_read(answer: str, wanted: str) -> None:
    assert winrate.verdict(answer) == wanted


def test_pairs_are_judged_in_both_orders() -> None:
    def likes_long(asked: Sequence[Sequence[winrate.Message]]) -> list[str]:
        answers: list[str] = []
        for messages in asked:
            body = messages[-1]["content"]
            first, second = (
                body.split(f"<<<{name}\n")[1].split(f"\n{name}>>>")[0] for name in "AB"
            )
            long = len(first) > len(second)
            answers.append("TIE" if len(first) == len(second) else "A" if long else "B")
        return answers

    pairs = [
        winrate.Pair("longer", "short", "t"), winrate.Pair("x", "yy", "t"),
        winrate.Pair("same", "size", "t"), winrate.Pair("a lot longer", "", "t"),
    ]  # fmt: skip
    found = winrate.win_rate(likes_long, pairs, seed=0)
    assert [found[name].value for name in ("wins", "ties", "losses")] == [0.5, 0.25, 0.25]
    assert found["win rate"].value == 0.625
    assert found["names the first"].value == 0.5


def test_a_judge_who_always_names_the_first_gives_ties() -> None:
    found = winrate.win_rate(
        lambda asked: ["A"] * len(asked), [winrate.Pair("x", "y", "t")], seed=0
    )
    assert (found["ties"].value, found["names the first"].value) == (1, 1)


# Transfer


def test_an_obedient_writer_keeps_to_the_rules() -> None:
    content = contents("mail", "test", each=1, seed=0)[0]
    text = Obedient([content])([(content.task, ALMA)])[0]
    assert transfer.share(text, "alma", content.task) == 1
    assert transfer.share(text, "bertram", content.task) == 0
    plain = Obedient([content])([(content.task, ())])[0]
    assert plain.startswith(f"Hello {content.task.to},")


def test_rules_ask_for_a_style() -> None:
    rules = (
        "Write at most 20 words.", "Leave out the greeting.", "Leave out the sign-off.",
        "Use dashes.", "Write everything in lower case.", 'Begin the text with "So then".',
    )  # fmt: skip
    assert style_of(rules, "mail") == Style(
        greeting=None, keeps=2, joint=" - ", lower=True, opening="So then,"
    )
    assert style_of(("Put every sentence on its own line.", "Use bullet points."), "note") == Style(
        layout="bullets"
    )


def test_arms_are_compared_case_by_case() -> None:
    made = contents("note", "test", each=1, seed=0)
    rules = ("Use dashes.", 'Begin the text with "Short version".', "Write at most 2 sentences.")
    arms = {"own agent": rules, "no rules": (), "another agent": ("Use emojis.",)}
    cases = [transfer.Case("dario", content.task, arms) for content in made]
    texts = transfer.write(Obedient(made), cases, progress=nobody)
    found = transfer.figures(texts, cases, seed=0)
    assert found["own agent"].value == 1
    assert found["no rules"].value == 0
    assert found["own agent above another agent"].value == 1


@pytest.mark.parametrize(
    "text",
    ["", "\n", "I will. Write at most 20 sentences. There you are.", "The note that says:\n- x"],
)
def test_silence_and_repetitions_follow_nobody(text: str) -> None:
    task = Task("- x", "note")
    assert transfer.share(text, "dario", task, ("Write at most 20 sentences.",)) == 0


def test_rules_stand_behind_the_request() -> None:
    _, user = transfer.messages(Task("- x", "mail", "Ada", "Lift"), ALMA[:2])
    request = 'Write the mail to Ada "Lift" that says:\n- x'
    assert user["content"] == (
        f'{request}\n\nFollow these rules:\n- Open with "Hi".\n- Use contractions.'
    )
    assert transfer.messages(Task("- x", "mail", "Ada", "Lift"), ())[1]["content"] == request


# Stages, report


def test_a_stage_is_done_once_for_its_settings(tmp_path: Path) -> None:
    done: list[int] = []

    def work() -> dict[str, int]:
        done.append(1)
        return {"n": len(done)}

    assert Stages(tmp_path).run("a", {"seed": 1}, work) == {"n": 1}
    stages = Stages(tmp_path)
    assert stages.run("a", {"seed": 1}, work) == {"n": 1}
    assert {*stages.seconds} == {"a"}
    assert stages.run("a", {"seed": 2}, work) == {"n": 2}
    (tmp_path / "a.json").write_text('{"settings": ', encoding="utf-8")
    assert Stages(tmp_path).run("a", {"seed": 2}, work) == {"n": 3}
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["result"] == {"n": 3}


def test_a_stage_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def work() -> dict[str, int]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Stages(tmp_path).run("a", {}, work)
    assert Stages(tmp_path).run("a", {}, lambda: {"n": 2}) == {"n": 2}


@pytest.fixture
def study() -> report.Study:
    """A study of two agents, one of which is wrong."""
    figure = Figure(0.8, 0.7, 0.9, 2)
    names = ("rule loss: fall", "agent: recovered", "agent: precision")
    low = Figure(0.02, -0.01, 0.05, 2)
    return report.Study(
        {"base": "tiny"},
        dict.fromkeys(names, figure) | {"tiny: own agent above no rules": low},
        permutation(("alma", "bertram"), [[[1], [0]], [[0], [0.5]]], seed=0),
        (Task("- x", "mail"),),
        {"alma": [ALMA[:2]], "bertram": [("Use emojis.",)]},
        {"alma": [(0, 2.0), (10, 0.5)], "naive alma": [(0, 3.0), (10, 2.5)]},
        {"agent-alma": 12.0},
    )  # fmt: skip


def test_a_report_says_what_agents_learned(study: report.Study) -> None:
    text = report.markdown(study)
    assert "- 100% planted: Use contractions." in text
    assert "- 100% wrong: Use emojis." in text
    assert "never said: greeting: dear, name: bertram" in text
    assert "| diagonal less the rest | 0.750 [0.750, 0.750] | at least 0.3 | yes |" in text
    assert "| permutation p | 0.500 [0.500, 0.500] | below 0.05 | no |" in text
    assert (
        "| tiny: own agent above no rules | 0.020 [-0.010, 0.050] | interval above 0 | no |" in text
    )


def test_pictures_are_drawn(study: report.Study, tmp_path: Path) -> None:
    plot.heat_map(study.matrix, tmp_path / "plots" / "permutation.png")
    plot.loss_curves(study.curves, tmp_path / "plots" / "loss.png", title="loss")
    for path in sorted((tmp_path / "plots").iterdir()):
        assert path.read_bytes().startswith(b"\x89PNG")
