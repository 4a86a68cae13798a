"""What stands first and last, lines and paragraphs."""

import pytest

from prefmem.feedback.aligned import Edit
from prefmem.feedback.features import features
from prefmem.feedback.measure import Vote
from prefmem.feedback.passage import passage

DEAL = "The mill is old. We looked at three roofs. It leaks in May. We should sell the mill."
FIRST = "We should sell the mill. The mill is old. We looked at three roofs. It leaks in May."


def votes(draft: str, final: str) -> dict[str, Vote]:
    edit = Edit(passage(draft), passage(final))
    return {vote.wish.name: vote for feature in features() for vote in feature.votes(edit)}


@pytest.mark.parametrize(
    ("name", "draft", "final"),
    [
        ("lead:moved", DEAL, FIRST),
        ("lead:conclusion", DEAL, FIRST),
        ("lead:question", "The oven is new.", "Have you seen the oven? The oven is new."),
        ("lead:thanks", "The oven is new. It works.", "Thank you for the oven. It works."),
        ("tail:question", "The oven is new.", "The oven is new. Shall we light it?"),
        (
            "tail:thanks",
            "The oven is new. It works.",
            "The oven is new. It works. I thank you for it.",
        ),
        ("tail:brief", "The oven is new. It works well.", "The oven is new. Works!"),
        (
            "tail:request",
            "The mill is old. It leaks.",
            "The mill is old. It leaks. Could you sell it?",
        ),
        (
            "lead:recap",
            "The roof of the mill leaks. The owner is far away. The price of the mill is low.",
            "Roof leaks, price low. The roof of the mill leaks. The owner is far away. "
            "The price of the mill is low.",
        ),
        (
            "tail:recap",
            "The roof of the mill leaks. The owner is far away. The price of the mill is low.",
            "The roof of the mill leaks. The owner is far away. The price of the mill is low. "
            "So: roof leaks, price low.",
        ),
        ("lines", FIRST, FIRST.replace(". ", ".\n")),
        ("paragraphs:one", FIRST, FIRST.replace(". ", ".\n\n")),
        ("paragraphs:short", FIRST, FIRST.replace("old. ", "old.\n\n")),
        ("paragraphs:long", FIRST.replace("old. ", "old.\n\n"), FIRST),
    ],
)
def test_a_change_of_order_is_seen(name: str, draft: str, final: str) -> None:
    there = votes(draft, final)[name]
    assert there.moved
    assert there.weight > 0
    assert there.evidence in final
    back = votes(final, draft).get(name)
    assert back is None or (back.weight < 0 and not back.moved)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lead:conclusion", FIRST),
        ("lines", FIRST.replace(". ", ".\n")),
        ("paragraphs:one", FIRST.replace(". ", ".\n\n")),
        ("paragraphs:long", FIRST),
    ],
)
def test_what_stays_is_kept_to(name: str, text: str) -> None:
    vote = votes(text, text)[name]
    assert (vote.weight > 0, vote.moved) == (True, False)


def test_a_common_first_sentence_counts_only_when_it_was_put_there() -> None:
    # what stood before it is gone, and so it comes first
    left = "We should sell the mill. It leaks in May."
    assert "lead:conclusion" not in votes("The mill is old. " + left, left)


def test_long_paragraphs_speak_against_short_ones() -> None:
    text = FIRST + "\n\n" + DEAL
    assert votes(text, text)["paragraphs:short"].weight == -0.4
    assert votes(text, text)["paragraphs:long"].weight == -1.0
    text = FIRST.replace("old. ", "old.\n\n")
    assert votes(text, text)["paragraphs:short"].weight == 0.25


def test_a_text_of_one_sentence_has_no_order() -> None:
    found = votes("The mill is old. It leaks.", "The mill leaks.")
    assert not [name for name in found if name.startswith(("lead:", "tail:", "lines", "para"))]
