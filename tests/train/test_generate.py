"""The generated windows are valid, varied, and the same for the same seed."""

import re
from collections import Counter

import pytest

from prefmem.train.generate import generate
from prefmem.train.windows import NEGATIVE, POSITIVE, WrittenWindow


@pytest.fixture(scope="module")
def windows() -> tuple[WrittenWindow, ...]:
    return tuple(generate(2000, seed=11))


def test_same_seed_gives_same_windows() -> None:
    assert list(generate(50, seed=3)) == list(generate(50, seed=3))
    assert list(generate(50, seed=3)) != list(generate(50, seed=4))


def test_more_windows_start_with_the_same_ones() -> None:
    assert list(generate(40, seed=5))[:20] == list(generate(20, seed=5))


def test_windows_follow_the_format(windows: tuple[WrittenWindow, ...]) -> None:
    for window in windows:
        assert window.turns[-1].role == "user"
        assert 1 <= len(window.turns) <= 5
        assert bool(window.gold) == (window.kind in POSITIVE)
        for turn in window.turns:
            assert turn.text.strip() == turn.text
            assert not re.search(r"</?\w+>|[{}]", turn.text), turn.text
            assert not turn.spans or turn.role == "user"
            assert all(0 <= s.start < s.stop <= len(turn.text) for s in turn.spans)


def test_gold_rules_match_the_marks(windows: tuple[WrittenWindow, ...]) -> None:
    for window in windows:
        marks = [
            (i, span)
            for i, turn in enumerate(window.turns)
            for span in turn.spans
            if span.mark in ("do", "av", "ref")
        ]
        assert [(g.turn, g.span) for g in window.gold] == marks
        for gold in window.gold:
            text = window.turns[gold.turn].text
            said = text[gold.span.start : gold.span.stop]
            assert gold.condition
            assert gold.action
            assert said in gold.evidence
            assert gold.evidence in text
            assert (gold.polarity == "avoid") == (gold.span.mark == "av")
            assert not re.search(r"[.,;:!?]$|^(please|and|but)\b", said), said


def test_share_of_windows_with_preferences(windows: tuple[WrittenWindow, ...]) -> None:
    assert 0.4 < sum(bool(w.gold) for w in windows) / len(windows) < 0.5


def test_first_user_sentences_hardly_repeat(windows: tuple[WrittenWindow, ...]) -> None:
    firsts = Counter(
        re.split(r"(?<=[.!?])\s", next(t.text for t in w.turns if t.role == "user"))[0].lower()
        for w in windows
    )
    assert sum(n == 1 for n in firsts.values()) / len(windows) >= 0.9


def test_all_kinds_occur(windows: tuple[WrittenWindow, ...]) -> None:
    assert {w.kind for w in windows} == POSITIVE | NEGATIVE
