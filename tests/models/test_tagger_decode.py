"""From word scores to spans, by hand-worked values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from prefmem.models.tagger import (
    TURN_TOKENS,
    Context,
    Floats,
    context_ids,
    context_of,
    decode,
    pair,
    pieces,
    runs,
    viterbi,
    word_groups,
)


def emissions(*tags: str) -> Floats:
    """Make emissions that are 3 for the named tags and 0 elsewhere."""
    rows = np.zeros((len(tags), 5), dtype=np.float32)
    for n, tag in enumerate(tags):
        rows[n, int(tag)] = 3
    return rows


def test_a_legal_path_is_the_best_one_of_each_word() -> None:
    assert viterbi(emissions(*"0120340")) == [0, 1, 2, 0, 3, 4, 0]
    assert viterbi(emissions(*"1122")) == [1, 1, 2, 2]


def test_what_is_close_to_outside_is_inside() -> None:
    assert viterbi(np.array([[0.25, -1, 0, 0, 0]], dtype=np.float32)) == [3]
    assert viterbi(np.array([[5, -1, 0, 0, 0]], dtype=np.float32)) == [0]


def test_an_inside_tag_never_starts_a_span() -> None:
    # Inside at the start is forbidden: begin and inside give 0.5 + 2, begin of nothing less.
    assert viterbi(emissions(*"2"))[0] in (0, 1, 3)
    scores = np.array([[0, 0.5, 2, 0, 0], [0, 0, 2, 0, 0]], dtype=np.float32)
    assert viterbi(scores) == [1, 2]


def test_an_inside_tag_follows_its_own_kind() -> None:
    # 1 (B-C) 4 (I-A): the best legal path pays on one of the two words.
    scores = np.array([[0, 3, 0, 2.5, 0], [0, 0, 1, 0, 4]], dtype=np.float32)
    # B-C, I-C = 4; B-A, I-A = 6.5; B-C, B-A = 3.
    assert viterbi(scores) == [3, 4]


@given(st.integers(1, 30), st.integers(0, 1000))
def test_every_path_is_legal(length: int, seed: int) -> None:
    scores = np.random.default_rng(seed).standard_normal((length, 5)).astype(np.float32)
    path = viterbi(scores)
    assert len(path) == length
    for before, tag in zip([0, *path], path, strict=False):
        if tag in (2, 4):
            assert before in (tag - 1, tag)


def test_runs() -> None:
    path = [0, 1, 2, 2, 0, 1, 1, 2, 3, 4]
    assert runs(path, 1, 2) == [(1, 4), (5, 6), (6, 8)]
    assert runs(path, 3, 4) == [(8, 10)]
    assert runs([], 1, 2) == []
    assert runs([0, 2, 2], 1, 2) == []  # an inside without a begin is none


def test_word_groups() -> None:
    assert word_groups([0, 1, 1, 1, 2]) == [(0, 1), (1, 4), (4, 5)]
    assert word_groups([5, 5]) == [(0, 2)]
    assert word_groups([]) == []


def test_pair_puts_the_turn_after_the_context() -> None:
    ids, kinds, first = pair([7, 8], [1, 2, 3])
    assert ids == [101, 7, 8, 102, 1, 2, 3, 102]
    assert kinds == [0, 0, 0, 0, 1, 1, 1, 1]
    assert ids[first] == 1
    assert pair([], [1]) == ([101, 102, 1, 102], [0, 0, 1, 1], 2)


def test_a_turn_is_read_with_what_was_asked_and_the_reply() -> None:
    assert context_of([]) == Context("", "")
    assert context_of([("user", "a"), ("assistant", "b")]) == Context("a", "b")
    assert context_of([("assistant", "b"), ("user", "a")]) == Context("a", "")
    asked = context_of(
        [("user", "a"), ("user", "b"), ("assistant", "c"), ("user", " "), ("user", "d")]
    )
    assert asked == Context("b\nd", "")


def test_of_what_was_asked_the_beginnings_count_and_of_the_reply_the_end() -> None:
    long = "a" * 100 + "b" * 1_000
    assert context_of([("user", long), ("user", long), ("assistant", long)]) == Context(
        "a" * 100 + "\n" + "a" * 100, "b" * 1_000
    )


def test_a_context_is_cut_in_the_tokenizers_pieces() -> None:
    tokenizer = Tokenizer(models.WordLevel({"x": 0, "y": 1, "z": 2}, unk_token="x"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert context_ids(tokenizer, Context()) == [102]
    assert context_ids(tokenizer, Context("y", "z")) == [1, 102, 2]
    long = Context("x " * 5 + "y " * 24, "x " * 5 + "z " * 32)
    assert context_ids(tokenizer, long) == [1] * 24 + [102] + [2] * 32


def test_decoding_gives_means_and_evidence() -> None:
    scores = np.zeros((5, 9), dtype=np.float32)
    for n, tag in enumerate((3, 4, 0, 1, 2)):
        scores[n, tag] = 9
    scores[:, 5] = [1, 3, 0, -1, -1]  # avoid
    scores[:, 6] = [4, 2, -1, 1, 0]  # gate
    scores[:, 7] = [-2, 4, 0, 6, 8]  # everywhere
    scores[:, 8] = [-3, 1, 0, 2, 4]  # refers
    topics = np.array([[1, 0], [0, 3], [9, 0], [9, 0], [9, 0]], dtype=np.float32)
    offsets = [(0, 3), (4, 9), (9, 10), (11, 15), (16, 20)]
    spans, evidence = decode(scores, offsets, topics, ("cooking", "writing mails"))
    action, condition = spans
    assert (action.label, action.start, action.stop) == ("action", 0, 9)
    assert (action.score, action.avoid, action.everywhere) == (3, 2, 1)
    assert (condition.label, condition.start, condition.stop) == ("condition", 11, 20)
    assert (condition.score, condition.avoid, condition.everywhere) == (0.5, -1, 7)
    assert (action.refers, condition.refers) == (-1, 3)
    assert (action.topic, condition.topic) == ("writing mails", "")  # 1.5 against 0.5
    assert evidence == [(0, 9), (11, 15)]
    spans, _ = decode(scores, offsets, np.zeros((5, 0), dtype=np.float32), ())
    assert [span.topic for span in spans] == ["", ""]


LIMIT = TURN_TOKENS * 3


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("One. Two.", ["One. Two."]),
        ("a" * (LIMIT - 2) + ". ", ["a" * (LIMIT - 2) + ". "]),
        ("a" * 300 + ". " + "b" * 300 + ".", ["a" * 300 + ". ", "b" * 300 + "."]),
        ("a" * 600, ["a" * LIMIT, "a" * (600 - LIMIT)]),
    ],
)
def test_pieces(text: str, wanted: list[str]) -> None:
    assert [text[a:b] for a, b in pieces(text)] == wanted


def test_a_long_sentence_is_cut_at_a_space() -> None:
    text = "word " * 200
    cuts = [text[a:b] for a, b in pieces(text)]
    assert "".join(cuts) == text
    assert all(len(cut) <= LIMIT for cut in cuts)
    assert all(cut.strip().replace("word", "").strip() == "" for cut in cuts)


@given(st.text(st.sampled_from("ab .!?\n"), max_size=3000))
def test_pieces_cover_the_text_in_order(text: str) -> None:
    cuts = list(pieces(text))
    assert "".join(text[a:b] for a, b in cuts) == text
    assert all(0 < b - a <= LIMIT for a, b in cuts)
