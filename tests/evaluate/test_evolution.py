"""Written changes of mind: the format, the figures, and one life with the packaged models."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from prefmem.errors import InputError
from prefmem.evaluate.changes import KINDS, POOL, Asked, Said, Scenario, load
from prefmem.evaluate.evolution import Answered, Lived, figures, kinds, live

NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)
REVERSED = Scenario("reverse", "emojis", ())


def asked(applies: str = "", over: str = "", stays: str = "") -> Asked:
    labels = (tuple(label.split()) for label in (applies, over, stays))
    return Asked(NOON, "a post", *labels)


def answer(
    labels: Asked, learned: str, active: str, injected: str = "", cards: int = 1
) -> Answered:
    a, b, c = (frozenset(names.split()) for names in (learned, active, injected))
    return Answered(REVERSED, labels, a, b, c, cards)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_every_kind_of_change_is_written(split: str) -> None:
    scenarios = load(POOL / f"{split}.txt")
    assert {scenario.kind for scenario in scenarios} == {*KINDS}
    assert all(scenario.said and scenario.asked for scenario in scenarios)


def test_dev_and_test_share_no_sentence() -> None:
    dev, test = (
        {step.text for life in load(POOL / f"{split}.txt") for step in life.steps}
        for split in ("dev", "test")
    )
    assert dev & test <= {"undo that"}  # the plain command


def test_a_plus_goes_on_in_the_same_conversation(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("== undo | x\na 01-12 | one\nb + | undo that\n? 01-13 | q | a | b |\n", "utf-8")
    (life,) = load(path)
    assert life.said == (
        Said("a", NOON, "a", "one"), Said("b", NOON.replace(minute=1), "a", "undo that"),
    )  # fmt: skip
    (question,) = life.asked
    assert (question.applies, question.over, question.stays) == (("a",), ("b",), ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("== mood | x\na 01-12 | one\n", "is no kind"),
        ("== undo | x\na 02-30 | one\n", "no day"),
        ("== undo | x\na 01-12 | one\n? 01-13 | q | b | |\n", "nothing is called 'b'"),
        ("== undo | x\na 01-12\n", "1 fields, wanted 2"),
    ],
)
def test_a_broken_line_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=said):
        load(path)


def test_shares_are_over_labelled_rules() -> None:
    lives = [
        Lived((answer(asked("b", "a"), "a b", "b", "b"),), undone=True),
        Lived((answer(asked("b", "a", "c"), "a b", "a b"),), undone=False),
        Lived((answer(asked("b", "a"), "", ""),), undone=None),  # nothing was learned
    ]
    found = {name: figure.value for name, figure in figures(lives, seed=0).items()}
    assert found["rules in force: ever learned"] == 0.5  # b, b of b, b c, b
    assert found["rules in force: active"] == 0.5
    assert found["rules that are over: still active"] == 0.5  # the third was never learned
    assert found["rules of use: injected"] == pytest.approx(1 / 3)
    assert found["requests at which the right rules are active"] == pytest.approx(1 / 3)
    assert found["last change undone: all as before"] == 0.5
    row = kinds(lives, seed=0).rows["reverse"]
    assert {*row} == {"right rules active", "over, still active", "of use, injected"}


def test_what_was_said_twice_is_one_card() -> None:
    again = Scenario("again", "x", ())
    both = frozenset({"a", "b"})
    assert Answered(again, asked("a"), both, both, both, 1).held
    assert not Answered(again, asked("a"), both, both, both, 2).held


@pytest.mark.model
def test_a_change_of_mind_is_lived_through_and_undone() -> None:
    said = (
        Said("a", NOON, "a", "I like bullet points in summaries."),
        Said(
            "b",
            NOON.replace(day=20),
            "b",
            "No more bullet points in summaries please, I want running text.",
        ),
    )
    question = Asked(NOON.replace(day=21), "summarise this article", ("b",), ("a",), ())
    lived = live(Scenario("reverse", "bullets", (*said, question)))
    assert lived.undone is True
    assert lived.answers[0].learned == {"a", "b"}
    assert lived.answers[0].active == {"b"}
