import random

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from prefmem.train.examples import IGNORE, examples, shuffled
from prefmem.train.windows import Gold, Span, WrittenTurn, WrittenWindow

WORDS = ["[UNK]", "do", "you", "for", "sql", "use", "ctes", "thanks", "hi"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def window() -> WrittenWindow:
    text = "for sql use ctes thanks"
    spans = (Span("c", 0, 7), Span("e", 0, 16), Span("do", 8, 16))
    gold = Gold("sql", "use ctes", "do", 1, spans[2], text[:16])
    turns = (WrittenTurn("assistant", "hi"), WrittenTurn("user", text, spans))
    return WrittenWindow("w", "d", "standing", turns, (gold,))


def test_words_get_their_labels(tokenizer: Tokenizer) -> None:
    (example,) = examples([window()], tokenizer)
    # [CLS] [SEP] hi [SEP] for sql use ctes thanks [SEP]
    assert example.ids == [101, 102, 8, 102, 3, 4, 5, 6, 7, 102]
    assert example.kinds == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert example.tags == [IGNORE] * 4 + [1, 2, 3, 4, 0, IGNORE]
    assert example.gate == [IGNORE] * 4 + [1, 1, 1, 1, 0, IGNORE]
    assert example.avoid == [IGNORE] * 6 + [0, 0, IGNORE, IGNORE]
    assert example.everywhere == [IGNORE] * 6 + [0, 0, IGNORE, IGNORE]
    assert example.refers == [IGNORE] * 6 + [0, 0, IGNORE, IGNORE]
    assert example.conditions == {Span("do", 8, 16): ("sql", [6, 7])}


def test_words_that_point_are_told_from_words_that_say(tokenizer: Tokenizer) -> None:
    asked = WrittenTurn("user", "use sql")
    text = "do you thanks"
    spans = (Span("e", 0, 6), Span("ref", 0, 6))
    gold = Gold("any", "use ctes", "do", 2, spans[1], text[:6])
    turns = (asked, WrittenTurn("assistant", "hi"), WrittenTurn("user", text, spans))
    first, second = examples([WrittenWindow("w", "d", "choice", turns, (gold,))], tokenizer)
    assert first.ids == [101, 102, 102, 5, 4, 102]
    assert first.tags == [IGNORE] * 3 + [0, 0, IGNORE]
    # [CLS] use sql [SEP] hi [SEP] do you thanks [SEP]
    assert second.ids == [101, 5, 4, 102, 8, 102, 1, 2, 7, 102]
    assert second.tags == [IGNORE] * 6 + [3, 4, 0, IGNORE]
    assert second.refers == [IGNORE] * 6 + [1, 1, IGNORE, IGNORE]
    assert second.avoid == [IGNORE] * 10  # the words do not say what it is
    assert second.everywhere == [IGNORE] * 6 + [1, 1, IGNORE, IGNORE]
    assert second.conditions == {}


def test_a_turn_that_only_quotes_makes_no_example(tokenizer: Tokenizer) -> None:
    turns = (WrittenTurn("user", "https://sql.example/use"), WrittenTurn("user", "  "))
    assert list(examples([WrittenWindow("w", "d", "neg_pasted", turns, ())], tokenizer)) == []


def test_a_window_is_only_retyped_in_lower_case() -> None:
    turns = (WrittenTurn("user", "Use CTEs"), WrittenTurn("assistant", "Hi"))
    before = WrittenWindow("w", "d", "neg_chat", turns, ())
    seen = {
        tuple(t.text for t in shuffled(before, random.Random(seed)).turns) for seed in range(40)
    }
    assert seen == {("Use CTEs", "Hi"), ("use ctes", "Hi")}


def test_a_text_that_lower_case_would_move_stays() -> None:
    turns = (WrittenTurn("user", "In İzmir"),)  # the small form of this letter has two characters
    before = WrittenWindow("w", "d", "neg_chat", turns, ())
    assert all(shuffled(before, random.Random(seed)) == before for seed in range(40))
