"""Cues: whole words, outside of quotes, turned round by a negation."""

import pytest

from prefmem.feedback.cues import cues

PLEASED = (
    "thanks, that is it", "perfect", "not bad at all", "that works now", "can't fault it",
    "this is nice", "👍", "谢谢", "thank you so much, sent it off",
)  # fmt: skip
CROSS = (
    "not good", "that's wrong", "this is too long", "I told you already", "you forgot the units",
    "this is not helpful", "ugh", "👎", "不对", "that doesn't work", "no. again please",
)  # fmt: skip
SILENT = (
    "a nice restaurant near the station?", 'translate "this is wrong"', "how wide is it",
    "> thanks for nothing", "`perfect = True`", "undergoodness", "what would come next?", "",
    "where is Greatham",
)  # fmt: skip


@pytest.mark.parametrize("text", PLEASED)
def test_praise(text: str) -> None:
    found = cues(text)
    assert found.positive > found.negative


@pytest.mark.parametrize("text", CROSS)
def test_complaint(text: str) -> None:
    found = cues(text)
    assert found.negative > found.positive


@pytest.mark.parametrize("text", SILENT)
def test_nothing_is_said_of_the_answer(text: str) -> None:
    found = cues(text)
    assert (found.positive, found.negative) == (0, 0)


def test_a_no_that_answers_a_question_is_no_complaint() -> None:
    assert cues("no", reply="Here it is.").negative > 0
    assert cues("no", reply="Here it is. Shall I add a table?").negative == 0


def test_rejection_and_repetition() -> None:
    assert cues("no need for that here").rejection > 0.5
    assert cues("what has that got to do with my soup, I never asked for it").rejection > 0.5
    assert cues("as I said, metric").repetition > 0.5
    assert cues("这次不需要").rejection > 0.5
    assert cues("我说过了").repetition > 0.5


def test_cues_join_as_chances_that_do_not_depend_on_each_other() -> None:
    assert cues("thanks").positive == 0.85
    assert cues("thanks, perfect").positive == pytest.approx(1 - 0.15**2)


def test_a_pasted_text_is_read_to_its_bound() -> None:
    assert cues("x" * 4_000 + " thanks").positive == 0
    assert cues("not " * 2_000).positive == 0
