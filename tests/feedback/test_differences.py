"""Style and content, told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.feedback.differences import Difference, differences


@pytest.mark.parametrize(
    ("draft", "final"),
    [
        ("We meet at 3 pm.", "We meet at 15:00."),
        ("We meet at 12.30 am.", "We meet at 0:30."),
        ("Two boats left.", "2 boats left."),
        ("I do not know.", "I don't know."),
        ("It is on 4 Mar in town.", "It is on 4 March in town."),
        ("It is on 4th March.", "It is on 4 March."),
        ("The colours are organised.", "The colors are organized."),
        ("It is very late, I think.", "It is late."),
        ("Hello Mia,\n\nThe tent is dry.", "Hi Mia,\n\nThe tent is dry."),
        ("The tent is dry. The rope is wet.", "The rope is wet. The tent is dry."),
        ("We buy ropes and nets.", "We purchase ropes and nets."),
        (
            "Could you possibly be so good, if possible, and send it?",
            "Send it.",
        ),
    ],
)
def test_other_words_for_the_same_are_style(draft: str, final: str) -> None:
    found = differences(draft, final)
    assert found
    assert {d.kind for d in found} == {"style"}


@pytest.mark.parametrize(
    ("draft", "final"),
    [
        ("It costs 30 euros.", "It costs 40 euros."),
        ("Then ask Ada about it.", "Then ask Bruno about it."),
        ("We meet at 3 pm.", "We meet at 16:00."),
        ("The tent is dry.", "The tent is dry. The northern fence fell down last winter."),
    ],
)
def test_other_facts_are_content(draft: str, final: str) -> None:
    assert "content" in {d.kind for d in differences(draft, final)}


def test_a_difference_shows_both_sides_and_its_place() -> None:
    assert differences("It is very late.", "It is late.") == (Difference("very", "", "style", 6),)
    assert differences("It is late", "It is late!") == (Difference("", "!", "style", 10),)
    assert differences("Same.", " Same. ") == ()


@given(st.text("abA1 .,\n'", max_size=60), st.text("abA1 .,\n'", max_size=60))
def test_differences_are_verbatim(draft: str, final: str) -> None:
    for found in differences(draft, final):
        assert found.before or found.after
        assert found.before in draft
        assert found.after in final
        assert draft.strip()[found.at :].startswith(found.before)
