"""What counts as a quotation of a document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.agent.leak import GRAM, Source, words

MAIL = "Hi Tom,\n\nthe boiler man comes on Friday at nine, so please be in.\n\nCheers,\nAnn"


@pytest.mark.parametrize(
    "text",
    [
        "Say that the boiler man comes on Friday.",
        "Write THE BOILER-MAN COMES ON FRIDAY!",
        "Use 'on Friday at nine so please'",
        "nine so\nplease be in.  Cheers",  # across the end of a sentence
    ],
)
def test_six_words_in_a_row_are_a_quotation(text: str) -> None:
    assert Source(MAIL).leaks_into(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Cheers",
        "the boiler man comes on Monday",
        "Sign off with 'Cheers, Ann'.",
        "Be in, please",
    ],
)
def test_five_are_not(text: str) -> None:
    assert not Source(MAIL).leaks_into(text)


def test_what_quotes_nothing_is_kept_in_order() -> None:
    rules = ("Greet by name.", "Say the boiler man comes on Friday.", "Be brief.")
    assert Source(MAIL).clean(rules) == ("Greet by name.", "Be brief.")


def test_each_of_several_texts_counts_by_itself() -> None:
    source = Source("one two three", "four five six")
    assert not source.leaks_into("one two three four five six")
    assert source.leaks_into("one two three") is False
    assert Source("one two three", gram=3).leaks_into("Zero, one, two: three!")


def test_apostrophes_are_one_and_scripts_without_spaces_go_by_character() -> None:
    assert words("Don’t STOP—me") == ["don't", "stop", "me"]
    assert words("明日会議") == ["明", "日", "会", "議"]
    assert Source("明日の会議は中止です").leaks_into("会議は中止で")
    assert not Source("明日の会議は中止です").leaks_into("会議は中止")


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=30), st.integers(0, 30))
def test_every_run_of_a_text_is_found_in_it(text: list[str], start: int) -> None:
    source, run = Source(" ".join(text)), text[start : start + GRAM]
    assert source.leaks_into(" ".join(run)) == (len(run) == GRAM)
