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
    # [CLS] hi [SEP] for sql use ctes thanks [SEP]
    assert example.ids == [101, 8, 102, 3, 4, 5, 6, 7, 102]
    assert example.kinds == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert example.tags == [IGNORE] * 3 + [1, 2, 3, 4, 0, IGNORE]
    assert example.gate == [IGNORE] * 3 + [1, 1, 1, 1, 0, IGNORE]
    assert example.avoid == [IGNORE] * 5 + [0, 0, IGNORE, IGNORE]
    assert example.everywhere == [IGNORE] * 5 + [0, 0, IGNORE, IGNORE]


def test_a_window_is_only_retyped_in_lower_case() -> None:
    turns = (WrittenTurn("user", "Use CTEs"), WrittenTurn("assistant", "Hi"))
    before = WrittenWindow("w", "d", "neg_chat", turns, ())
    seen = {
        tuple(t.text for t in shuffled(before, random.Random(seed)).turns) for seed in range(40)
    }
    assert seen == {("Use CTEs", "Hi"), ("use ctes", "Hi")}
