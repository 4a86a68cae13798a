"""What replies mean. The replies are our own, written before they were tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.elicit.dimensions import DIMENSIONS, Dimension
from prefmem.elicit.reply import mentioned, read

BY_NAME = {dimension.name: dimension for dimension in DIMENSIONS}


@pytest.mark.parametrize(
    ("name", "reply", "meaning"),
    [
        ("length", "short please", 0),
        ("length", "Keep it brief, I read on my phone.", 0),
        ("length", "Detailed.", 1),
        ("length", "I like them long and thorough", 1),
        ("length", "not too long", 0),
        ("length", "the second one", 1),
        ("length", "Short, not long!", 0),
        ("length", "short rather than detailed", 0),
        ("length", "depends on the topic", "unclear"),
        ("length", "neither", "unclear"),
        ("length", "what?", "unclear"),
        ("length", "can you write a query for monthly sales", "unclear"),
        ("length", "skip this one", "refused"),
        ("length", "I'd rather not say", "refused"),
        ("length", "please stop asking me things", "refused"),
        ("length", "I really don't care", "refused"),
        ("length", "pass", "refused"),
        ("length", "no", "refused"),
        ("length", "yes", "unclear"),
        ("layout", "bullets over prose", 1),
        ("layout", "paragraphs, I can't stand lists", 0),
        ("layout", "Bullet points!", 1),
        ("layout", "no bullets please", 0),
        ("layout", "option 2", 1),
        ("layout", "B", 1),
        ("tone", "warm and friendly", 1),
        ("tone", "just neutral", 0),
        ("tone", "don't be too chatty", 0),
        ("formality", "casual is fine", 0),
        ("formality", "formal please", 1),
        ("formality", "not formal at all", 0),
        ("formality", "informal", 0),
        ("emojis", "Sure, go ahead", 1),
        ("emojis", "no thanks", 0),
        ("emojis", "never!", 0),
        ("emojis", "Please don't", 0),
        ("emojis", "yes please", 1),
        ("emojis", "I hate emojis", 0),
        ("emojis", "I love emojis", 1),
        ("emojis", "a few emojis are fine", 1),
        ("emojis", "skip", "refused"),
        ("emojis", "don't ask", "refused"),
        ("emojis", "No, they look silly", 0),
        ("humour", "why not", 1),
        ("humour", "Not really.", 0),
        ("humour", "I could use a joke sometimes", 1),
        ("humour", "no jokes", 0),
        ("comments", "as few as possible", 0),
        ("comments", "many, I am learning", 1),
        ("comments", "the first", 0),
        ("steps", "just the result", 0),
        ("steps", "explain everything", 1),
        ("steps", "steps please", 1),
        ("steps", "I only need the result, skip the steps", 0),
        ("asking", "ask me first", 1),
        ("asking", "just guess", 0),
        ("asking", "don't ask, just guess", 0),
        ("units", "Metric, of course", 0),
        ("units", "I think in miles", 1),
        ("units", "the latter", 1),
        ("spelling", "British", 0),
        ("spelling", "US", 1),
        ("spelling", "the American one", 1),
        ("spelling", "neither, I write in German", "unclear"),
        ("examples", "example first", 1),
        ("examples", "start with the explanation", 0),
        ("examples", "the theory, then examples", "unclear"),
        ("sources", "yes, with links", 1),
        ("sources", "only if I ask", "unclear"),
        ("sources", "no need", 0),
        ("numbers", "exact ones", 1),
        ("numbers", "round is fine", 0),
        ("numbers", "whatever", "refused"),
        ("numbers", "Not now.", "refused"),
        ("numbers", "I don't know", "unclear"),
        ("numbers", "none of your business", "refused"),
        ("emojis", "I don't care for emojis", 0),
        ("humour", "I am not interested in jokes", 0),
        ("humour", "not interested", "refused"),
        ("layout", "I don't care", "refused"),
        ("length", "no more than a short paragraph", 0),
        ("layout", "not without bullets", 1),
        ("emojis", "No, but a smiley is ok", "unclear"),
    ],
)
def test_replies(name: str, reply: str, meaning: object) -> None:
    assert read(BY_NAME[name], reply) == meaning


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.name)
def test_every_question_understands_what_it_offers(dimension: Dimension) -> None:
    for choice, option in enumerate(dimension.options):
        for reply in (option.label, f"{option.label.capitalize()}!", f" “{option.label}” please"):
            assert read(dimension, reply) == choice, reply
    assert read(dimension, "the first one") == read(dimension, "1") == 0
    assert read(dimension, "Second.") == read(dimension, "option b") == 1
    assert read(dimension, "skip") == read(dimension, "I don’t care.") == "refused"
    for reply in ("", " ?! ", "both", "It depends.", "hm", "\0", "word " * 26):
        assert read(dimension, reply) == "unclear"


def test_yes_and_no_answer_only_what_they_can() -> None:
    assert read(BY_NAME["emojis"], "yes") == 1
    assert read(BY_NAME["emojis"], "no") == 0
    assert read(BY_NAME["length"], "yes") == "unclear"
    assert read(BY_NAME["length"], "no") == "refused"  # it declines both


def test_rules_speak_by_their_signs() -> None:
    length, layout, emojis = (BY_NAME[name] for name in ("length", "layout", "emojis"))
    assert mentioned(length, "Be concise.") == 0
    assert mentioned(length, "use short variable names") is None
    assert mentioned(length, "start concise, then give a thorough account") is None
    assert mentioned(layout, "do not use bullet points") == 0
    assert mentioned(layout, "list the sources") is None
    assert mentioned(emojis, "avoid emojis") == 0
    assert mentioned(emojis, "end mails with an emoji") == 1


@given(st.sampled_from(DIMENSIONS), st.text(max_size=300))
def test_any_text_has_a_meaning(dimension: Dimension, text: str) -> None:
    assert read(dimension, text) in (0, 1, "refused", "unclear")
    assert mentioned(dimension, text) in (0, 1, None)


def test_a_huge_text_is_a_message_of_its_own() -> None:
    assert read(BY_NAME["length"], "don't ask no " * 100_000) == "unclear"
