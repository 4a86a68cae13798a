"""Rules out of several edits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefmem.errors import InputError
from prefmem.feedback.edits import (
    EditPair,
    FeatureInducer,
    Induced,
    induce,
    kind_of,
    shared_words,
)
from prefmem.feedback.features import features
from prefmem.feedback.passage import MAX_CHARS, passage

MAIL, NOTE = "a mail to a friend", "a shopping note"
NAMES = ("Ada", "Bruno", "Carla", "Dmitri", "Elif", "Goran")
THINGS = ("The tent is dry", "Two nets are torn", "We found the lamp", "The oil is old")


def shouted(n: int, context: str = MAIL) -> EditPair:
    """Take the exclamation mark out of a text."""
    text = f"{THINGS[n % 4]}, said {NAMES[n % 6]}"
    return EditPair(context, f"{text}!", f"{text}.")


def quiet(n: int, context: str = NOTE) -> EditPair:
    """Put an exclamation mark into a text."""
    pair = shouted(n, context)
    return EditPair(context, pair.final, pair.draft)


def actions(found: tuple[Induced, ...]) -> list[str]:
    return [rule.action for rule in found]


def test_two_edits_make_a_rule_and_one_does_not() -> None:
    (rule,) = induce([shouted(0), shouted(1)], MAIL)
    assert (rule.condition, rule.action, rule.polarity) == (
        "", "Use no exclamation marks.", "avoid",
    )  # fmt: skip
    assert rule.evidence == ("Two nets are torn, said Bruno.", "The tent is dry, said Ada.")
    assert rule.confidence == pytest.approx(0.2 ** (1 / 3), abs=0.002)
    assert induce([shouted(0)], MAIL) == ()
    assert induce([], MAIL) == ()


def test_a_rule_holds_for_the_kind_of_text_it_came_from() -> None:
    pairs = [shouted(0), shouted(1), quiet(2), quiet(3), shouted(4), quiet(5)]
    (mail,) = induce(pairs, MAIL)
    (note,) = induce(pairs, NOTE)
    assert (mail.condition, mail.action) == ("writing mail friend", "Use no exclamation marks.")
    assert (note.condition, note.action) == ("writing shopping note", "Use exclamation marks.")
    assert induce(pairs, "") == ()


def test_without_words_that_tell_the_whole_context_is_the_condition() -> None:
    # all words of the context are in the other one, too
    other = "news of old sports teams"
    pairs = [make for n in range(5) for make in (shouted(n, "news"), quiet(n, other))]
    (rule,) = induce(pairs, "news")
    assert rule.condition == "writing news"


def test_brevity_has_a_limit_that_is_no_fact_of_the_texts() -> None:
    more = " We looked at the northern wall and at every old beam of the roof on the way back."
    pairs = [EditPair("", f"{thing}.{more * 2}", f"{thing}.") for thing in THINGS]
    assert "Keep it short, under 10 words, in short sentences." in actions(induce(pairs, ""))
    pairs = [EditPair("", f"{p.draft} We have 10.", p.final) for p in pairs]
    assert "Keep it short, in short sentences." in actions(induce(pairs, ""))


def test_another_limit_makes_no_other_rule() -> None:
    more = " We looked at the northern wall and at every old beam of the roof on the way back."
    short = [EditPair("", f"{thing}.{more * 2}", f"{thing}.") for thing in THINGS]
    longer = EditPair("", more * 4, more)  # 17 words
    limits = [actions(induce(pairs, "")) for pairs in (short, [*short, longer])]
    assert [a for found in limits for a in found if "short" in a] == [
        "Keep it short, under 10 words, in short sentences.",
        "Keep it short, under 20 words, in short sentences.",
    ]
    assert not [a for a in actions(FeatureInducer().learned(short, longer)) if "short" in a]


def put_in(phrase: str) -> list[EditPair]:
    return [EditPair("", f"{t} by noon, too.", f"{t} by {phrase} noon, too.") for t in THINGS]


def test_a_phrase_that_is_put_in_again_and_again_is_a_rule() -> None:
    assert actions(induce(put_in("old ahoy"), "")) == ['Use the words "old ahoy".']


def test_a_phrase_with_a_name_is_no_rule() -> None:
    assert induce(put_in("Marlene"), "") == ()
    assert actions(induce(put_in("marlene"), "")) == ['Use the words "marlene".']
    named = EditPair("", "We met Marlene.", "We saw Marlene.")  # and so it is a name
    assert not [a for a in actions(induce([*put_in("marlene"), named], "")) if "marlene" in a]
    first = [EditPair("", f"{t}.", f"Marlene waits. {t}.") for t in THINGS]
    assert not [a for a in actions(induce(first, "")) if "marlene" in a]


def test_the_new_edit_brings_what_the_earlier_ones_did_not() -> None:
    inducer = FeatureInducer()
    assert inducer.learned([], shouted(0)) == ()
    assert actions(inducer.learned([shouted(0)], shouted(1))) == ["Use no exclamation marks."]
    assert inducer.learned([shouted(0), shouted(1)], shouted(2)) == ()


@pytest.mark.parametrize(
    ("draft", "final", "said"),
    [("", "x", "empty"), (" \n", "x", "empty"), ("x", "", "empty"),
     ("x" * (MAX_CHARS + 1), "y", "20001 characters"), ("x", "y" * (MAX_CHARS + 1), "20001")],
)  # fmt: skip
def test_what_teaches_nothing_is_refused(draft: str, final: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        FeatureInducer().observe(EditPair("", draft, final))


def test_contexts_are_compared_by_the_words_that_name_kinds() -> None:
    contexts = ["a mail about rope", "a mail about oil", "a note"]
    rope, oil, note = shared_words(contexts, "a mail about rope")
    assert rope == 1.0
    assert oil == pytest.approx(1 / 1.25)  # "mail" counts 1, the topics a quarter each
    assert note == 0.0
    assert shared_words(contexts, "") == [0.0, 0.0, 0.0]


def test_a_kind_is_named_where_all_contexts_are_of_it() -> None:
    assert kind_of([MAIL, MAIL], f" {MAIL} ") == f"writing {MAIL}"
    assert kind_of([MAIL, NOTE], MAIL) == ""
    assert kind_of([""], "") == ""


# Whatever comes

PIECES = st.sampled_from([
    "it is wet", "really", "I think", "do not", "don't", "we meet", "at 3 pm", "at 15:00",
    "on 4 May", "Zelda", "Quint", "7312", "please", "-", ".", "!", "?", "\n", "\n\n", ",",
    "Hello Zelda,\n", "\nCheers,\nQuint", "two", "a rope", "buy", "procure",
])  # fmt: skip
TEXT = st.lists(PIECES, min_size=1, max_size=14).map(" ".join)
PAIRS = st.lists(
    st.builds(EditPair, st.sampled_from(["", MAIL, NOTE]), TEXT, TEXT).filter(
        lambda p: bool(p.draft.strip() and p.final.strip())
    ),
    min_size=1,
    max_size=3,
).map(lambda pairs: [*pairs, *pairs, *pairs])


@given(PAIRS, st.sampled_from(["", MAIL, NOTE]))
@settings(max_examples=60, deadline=None)
def test_no_fact_of_the_texts_is_in_a_rule(pairs: list[EditPair], context: str) -> None:
    found = induce(pairs, context)
    assert found == induce(pairs, context)
    assert len(found) <= 12
    finals = [passage(pair.final).text for pair in pairs]
    for rule in found:
        assert not [f for f in ("zelda", "quint", "7312") if f in rule.action.lower()]
        assert 0.55 <= rule.confidence < 1
        assert all(any(quote in final for final in finals) for quote in rule.evidence)


@given(TEXT.filter(lambda t: bool(t.strip())))
@settings(max_examples=60, deadline=None)
def test_a_text_that_stays_moves_towards_nothing(text: str) -> None:
    votes = FeatureInducer().observe(EditPair("", text, text)).votes
    assert not [vote for vote in votes.values() if vote.moved]
    assert len(features()) > 100
