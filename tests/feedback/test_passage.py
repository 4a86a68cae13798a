"""The parts of a text."""

import pytest

from prefmem.feedback.passage import MAX_CHARS, Passage, passage, words

MAIL = """Hello Mia Berg,

I hope you are well. The tent, e.g. its floor, is dry. Dr. Olsen has 3 ropes!

Packing list:
- two poles.
- one lamp

P.S. bring the key.

Kind regards,
Ingo"""


def cut(text: Passage, spans: tuple[tuple[int, int], ...]) -> list[str]:
    return [text.cut(span) for span in spans]


def test_a_mail_has_its_parts() -> None:
    text = passage(MAIL)
    assert text.greeting is not None
    assert (text.greeting["word"], text.greeting["who"].strip()) == ("Hello", "Mia Berg")
    assert text.sign_off is not None
    assert text.sign_off["word"] == "Kind regards"
    assert text.signature is not None
    assert text.cut(text.signature) == "Ingo"
    assert cut(text, text.headings) == ["Packing list:"]
    assert cut(text, text.items) == ["- two poles.", "- one lamp"]
    assert cut(text, text.told) == [
        "I hope you are well.", "The tent, e.g. its floor, is dry.", "Dr. Olsen has 3 ropes!",
        "- two poles.", "- one lamp",
    ]  # fmt: skip
    assert len(text.blocks) == 5
    assert text.facts == {"Mia", "Berg", "Olsen", "3", "Ingo"}


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        ("It is dry.\n\nThanks, Ingo", "Ingo"),
        ("It is dry.\n\nBest,\nI. F.", "I. F."),
        ("It is dry.\nIngo Falk", "Ingo Falk"),
        ("It is dry.", None),
        ("We need:\n- Rope\n- Lamp", None),
    ],
)
def test_signatures(text: str, signed: str | None) -> None:
    found = passage(text)
    assert (None if found.signature is None else found.cut(found.signature)) == signed


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("# One\ntext", ["# One"]),
        ("**Plan**\nWe go.", ["**Plan**"]),
        ("Plan\nWe walk to the lake and back again.", ["Plan"]),
        ("Plan\nWe go.", []),
        ("plan\nWe walk to the lake and back again.", []),
        ("- Plan\nWe walk to the lake and back again.", []),
        ("Hello Mia\nWe walk to the lake and back again.", []),
        ("A very long line that is no heading\nWe walk to the lake and back again.", []),
        ("***\nWe walk to the lake and back again.", []),
    ],
)
def test_headings(text: str, headings: list[str]) -> None:
    found = passage(text)
    assert cut(found, found.headings) == headings


def test_a_sentence_is_found_by_its_place() -> None:
    text = passage("One is here. Two is there.")
    assert [text.cut(text.sentence_at(at)) for at in (0, 11, 12, 13, 99)] == [
        "One is here.", "One is here.", "One is here.", "Two is there.", "Two is there.",
    ]  # fmt: skip
    assert passage("...").sentence_at(2) == (0, 3)


def test_line_ends_are_made_plain_and_the_rest_is_not_looked_at() -> None:
    assert passage(" a\r\nb ").text == "a\nb"
    assert len(passage("a" * (MAX_CHARS + 1)).text) == MAX_CHARS
    assert words("It's 3.5 km, no?") == ["it's", "3.5", "km", "no"]
