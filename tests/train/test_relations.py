"""Written pairs of rules."""

from pathlib import Path

import pytest

from prefmem import InputError
from prefmem.cards.relate import RELATIONS
from prefmem.train.relations import DATA, read_pairs


def test_the_written_pairs_are_read() -> None:
    pairs = read_pairs(DATA / "train.txt")
    assert {pair.relation for pair in pairs} == set(RELATIONS)
    assert all(pair.old.action and pair.new.action for pair in pairs)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    good = "same | any | be brief | do | in chats | be short | do"
    path.write_text(f"# pairs\n\n{good}\n", encoding="utf-8")
    (pair,) = read_pairs(path)
    assert (pair.relation, pair.old.condition, pair.new.condition) == ("same", "", "in chats")
    for bad in ("same | any", good.replace("same", "equal"), good.replace("| do |", "| maybe |")):
        path.write_text(f"{good}\n{bad}\n", encoding="utf-8")
        with pytest.raises(InputError, match="line 2"):
            read_pairs(path)
