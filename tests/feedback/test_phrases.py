"""Words that edits change again and again."""

from collections.abc import Mapping

import pytest

from prefmem.feedback.aligned import Edit
from prefmem.feedback.measure import Vote
from prefmem.feedback.passage import passage
from prefmem.feedback.phrases import Phrases, phrase_votes, phrases


def read(draft: str, final: str) -> Phrases:
    return phrases(Edit(passage(draft), passage(final)))


def votes(*edits: tuple[str, str]) -> dict[str, Mapping[int, Vote]]:
    found = phrase_votes([read(*edit) for edit in edits])
    return {next(iter(given.values())).wish.name: given for given in found}


def test_a_word_that_takes_the_place_of_another_is_a_swap() -> None:
    found = read("We buy rope.", "We procure rope.")
    assert found.swaps == {("buy", "procure"): ((3, 6), "We procure rope.")}
    assert found.gone == {"buy": (3, 6)}
    assert found.new == {"procure": "We procure rope."}
    assert found.says("procure rope")
    assert not found.says("rope.")


@pytest.mark.parametrize(
    ("draft", "final"),
    [
        ("We ask Ada.", "We ask Bruno."),  # names
        ("It has 3 legs.", "It has 4 legs."),
        ("It is in the box.", "It is on the box."),  # words without a meaning of their own
        ("It is Wet.", "It is wet."),
        ("We came by the old road home.", "We flew over many big hills home."),  # too long
    ],
)
def test_what_is_no_swap(draft: str, final: str) -> None:
    assert not read(draft, final).swaps


def test_greeting_and_parting_words_are_no_phrases() -> None:
    found = read("Hello Mia,\n\nIt is dry.\n\nCheers,\nJo", "Hey Mia,\n\nIt is dry.\n\nCiao,\nJo")
    assert (found.gone, found.new, found.swaps) == ({}, {}, {})


def test_phrases_hold_no_names_and_no_marks() -> None:
    found = read("It is dry.", "It is dry, over and out: Ada said so.")
    assert "over and out" in found.new
    assert not [phrase for phrase in found.new if "ada" in phrase or "out said" in phrase]
    assert "over and" not in found.new  # ends with a word without a meaning of its own


def test_a_swap_is_voted_on_where_there_was_an_occasion() -> None:
    found = votes(
        ("We buy rope.", "We procure rope."),
        ("They buy nets.", "They procure nets."),
        ("I buy oil.", "I buy oil."),
        ("It is dry.", "It is dry."),
    )
    swap = found["swap:buy:procure"]
    assert {n: (vote.weight, vote.moved) for n, vote in swap.items()} == {
        0: (1.0, True), 1: (1.0, True), 2: (-1.0, False),
    }  # fmt: skip
    assert swap[0].wish.action == 'Write "procure" instead of "buy".'
    assert (swap[0].evidence, swap[0].explains) == ("We procure rope.", ((3, 6),))
    gone = found["gone:buy"]
    assert (gone[0].wish.action, gone[0].wish.polarity) == ('Leave out "buy".', "avoid")
    assert gone[2].weight == -1.0
    assert 3 not in gone


@pytest.mark.parametrize(
    ("final", "action"),
    [
        ("ahoy sailors, it is {}.", 'Begin with "ahoy sailors".'),
        ("It is {}. ahoy sailors!", 'End with "ahoy sailors".'),
        ("It is {}. ahoy sailors! We go.", 'Use the words "ahoy sailors".'),
    ],
)
def test_a_phrase_that_is_put_in_has_its_place(final: str, action: str) -> None:
    edits = [(final.replace("ahoy sailors", "").format(w), final.format(w)) for w in ("dry", "wet")]
    given = votes(*edits, ("ahoy sailors, no.", "ahoy sailors, no."), ("It is.", "It is."))[
        "new:ahoy sailors"
    ]
    assert given[0].wish.action == action
    assert [given[n].weight for n in range(4)] == [1.0, 1.0, 0.25, -1.0]
