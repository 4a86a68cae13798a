"""What a dialogue asks for: the last user turn, and the one that it refers back to."""

import pytest

from prefmem import PreferenceMemory, Turn
from prefmem.question import question_of


def turns(*texts: str) -> list[Turn]:
    return [Turn(str(n), "assistant" if n % 2 else "user", text) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "refers"),
    [
        ("and shorter, please", True),
        ("Shorter!", True),
        ("can you make it more formal?", True),
        ("What about Lisbon?", True),
        ("in German please", True),
        ("Please shorten", True),
        ("more formal please", True),
        ("a bit more formal", True),
        ("Other ideas?", True),
        ("Translate that to French", True),
        ("and in French?", True),
        ("without the emojis", True),
        ("simpler, please", True),
        ("Make a table of EU capitals", False),
        ("No idea what to cook tonight, ideas?", False),
        ("With which wine goes salmon?", False),
        ("Dinner and a concert on Saturday?", False),
        ("Weather?", False),
        ("Summer, winter or autumn for Japan?", False),
        ("What time is it in Tokyo?", False),
        ("Is there a pharmacy open near Kreuzberg?", False),
        ("Is it healthy to eat eggs every day?", False),
        ("Computer science books for a child", False),
        ("Write a mail to my boss about Monday", False),
        ("and " + "so " * 20, False),
    ],
)
def test_what_was_said_before_goes_with_a_turn_that_refers_back(text: str, refers: bool) -> None:
    asked = turns("A mail to Priya", "Dear Priya", text)
    assert question_of(asked) == (text, "A mail to Priya" if refers else "")
    assert question_of(asked[2:]) == (text, "")


def test_a_chain_of_follow_ups_leads_to_its_request() -> None:
    said = ("Hello", "Hi", "A mail to Priya", "Dear", "shorter please", "ok", "and more formal")
    assert question_of(turns(*said)) == ("and more formal", "A mail to Priya")
    assert question_of(turns(*said)[4:]) == ("and more formal", "")


def test_there_is_no_question_without_words_of_the_user() -> None:
    assert question_of(turns()) == ("", "")
    assert question_of(turns("", "Hello.")) == ("", "")


def test_a_dialogue_is_recalled_for_by_its_question(memory: PreferenceMemory) -> None:
    memory.add("writing a mail", "sign with A.", user_id="ann")
    dialogue = [("user", "I am writing a mail"), ("assistant", "Dear"), ("user", "shorter, please")]
    recall = memory.recall(dialogue, user_id="ann")
    assert recall.query == "shorter, please"
    by_hand = memory.recall(
        "shorter, please", user_id="ann", context="I am writing a mail"
    ).candidates
    assert [c.relevance for c in recall.candidates] == [c.relevance for c in by_hand]
    assert memory.recall(dialogue[1:2], user_id="ann").query == ""
