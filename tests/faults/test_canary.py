"""Nobody is given another user's words, whatever is called at once."""

from pathlib import Path

import pytest

from prefmem.selftest.canary import run, word
from prefmem.selftest.ground import Ground


def test_no_foreign_word_comes_back(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=3), 640)
    assert finding.passed, finding.told
    assert finding.size >= 640
    assert finding.figures["users"] == 64
    assert finding.figures["answers_with_own_word"] > 200


def test_postgres_shows_no_foreign_row_without_a_condition(tmp_path: Path, dsn: str) -> None:
    finding = run(Ground(tmp_path, seed=3, backend="postgres", dsn=dsn), 320)
    assert finding.passed, finding.told
    assert finding.figures["unfiltered_own_rows"] >= 32 * 4  # user, event, two cards
    assert finding.figures["unfiltered_foreign_rows"] == 0


@pytest.mark.long
def test_no_foreign_word_comes_back_in_many_calls(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=4), 100_000)
    assert finding.passed, finding.told


def test_words_are_each_users_own() -> None:
    assert len({word(1, n) for n in range(1_000)}) == 1_000
    assert word(1, 5) == word(1, 5) != word(2, 5)
