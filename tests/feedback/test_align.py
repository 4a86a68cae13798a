"""Tokens, their distance and their alignment."""

import sys
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.feedback.align import MAX_TOKENS, changes, distance, tokenise
from prefmem.feedback.differences import differences
from prefmem.feedback.edits import EditPair, FeatureInducer, cost

TOKENS = st.lists(st.sampled_from(["a", "b", "A", "1", ".", "\n"]), max_size=12)


def texts(text: str) -> list[str]:
    return [token.text for token in tokenise(text)]


def test_a_text_is_cut_into_words_numbers_marks_and_breaks() -> None:
    assert texts("Don't pay 3.50 at 16:30!\n\n \nOk_\n**Go**") == [
        "Don't", "pay", "3.50", "at", "16:30", "!", "\n\n", "Ok", "_", "\n", "**", "Go", "**",
    ]  # fmt: skip
    assert texts(" \t ") == []


def test_tokens_know_their_places() -> None:
    text = "Ask  Ana,\nnow"
    assert [text[t.start : t.end] for t in tokenise(text)] == ["Ask", "Ana", ",", "\n", "now"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", 0),
        ("", "a b", 2),
        ("a b c", "a x c d", 2),  # b for x, d put in
        ("a b c d", "b c d", 1),
        ("a b", "b a", 2),
        ("Hello Ana", "hello Ana", 1),
    ],
)
def test_distances(one: str, other: str, expected: int) -> None:
    assert distance(one.split(), other.split()) == expected


def test_a_cost_is_a_share_of_the_longer_text() -> None:
    # "very" and "!" go, "." comes: one token left out, one replaced, of 5
    found = cost("It is very late!", "It is late.")
    assert (found.tokens, found.share) == (2, 0.4)
    assert cost("", "").share == 0.0


def plain(one: Sequence[str], other: Sequence[str]) -> int:
    """Give the Levenshtein distance as it is defined."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one):
        row, before = [i + 1], row
        for j, b in enumerate(other):
            row.append(min(before[j] + (a != b), before[j + 1] + 1, row[j] + 1))
    return row[-1]


@given(TOKENS, TOKENS, TOKENS)
def test_the_distance_is_a_metric(a: list[str], b: list[str], c: list[str]) -> None:
    assert distance(a, b) == plain(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


@given(st.text("ab A.1\n", max_size=40), st.text("ab A.1\n", max_size=40))
def test_a_cost_is_zero_for_equal_tokens_only(one: str, other: str) -> None:
    found = cost(one, other)
    assert (found.tokens == 0) == (texts(one) == texts(other))
    assert found == cost(other, one)
    assert 0 <= found.share <= 1


@given(st.text("ab A.1\n", max_size=60), st.text("ab A.1\n", max_size=60))
def test_between_the_changes_both_texts_are_the_same(one: str, other: str) -> None:
    before, after = texts(one), texts(other)
    found = changes(tokenise(one), tokenise(other))
    i = j = 0
    for change in found:
        assert before[i : change.a] == after[j : change.c]
        assert change.a < change.b or change.c < change.d
        i, j = change.b, change.d
    assert before[i:] == after[j:]
    replaced = sum(max(c.b - c.a, c.d - c.c) for c in found)
    assert replaced >= distance(before, after)


def test_a_long_middle_is_taken_as_rewritten() -> None:
    one, other = "x " + "a " * (MAX_TOKENS + 1) + "y", "x " + "b " * 20 + "y"
    (change,) = changes(tokenise(one), tokenise(other))
    assert (change.a, change.b, change.c, change.d) == (1, MAX_TOKENS + 2, 1, 21)
    assert distance(one.split(), other.split()) == MAX_TOKENS + 1


# Hostile texts: the work, in function calls, grows with the length and no faster.


def steps(call: Callable[[], object]) -> int:
    """Count the function calls that a call takes."""
    count = 0

    def seen(*event: object) -> None:
        nonlocal count
        del event
        count += 1

    earlier = sys.getprofile()
    sys.setprofile(seen)
    try:
        call()
    finally:
        sys.setprofile(earlier)
    return count


SAME = ("a", "**", "A. ")
MIXED = ("\n- x", "two ", "Ab cd\nxx xx xx xx xx xx xx\n", "\n \t")


@pytest.mark.parametrize("unit", SAME)
def test_reading_a_hostile_text_takes_steps_by_its_length(unit: str) -> None:
    def read(length: int) -> None:
        text = (unit * length)[:length]
        cost(text + "z", "x" + text)
        differences(text + "z", "x" + text)

    read(100)
    assert steps(lambda: read(100_000)) <= 2.2 * steps(lambda: read(50_000)) + 5_000


@pytest.mark.parametrize("unit", MIXED)
def test_learning_from_a_hostile_text_takes_steps_by_its_length(unit: str) -> None:
    inducer = FeatureInducer()

    def read(length: int) -> None:
        text = (unit * length)[:length]
        inducer.observe(EditPair("", text + "z", "x" + text[: length // 2]))

    read(100)
    assert steps(lambda: read(16_000)) <= 2.5 * steps(lambda: read(8_000)) + 5_000
