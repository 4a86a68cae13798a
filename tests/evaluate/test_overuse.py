"""What is injected where nothing applies, beside the three nearest rules."""

from pathlib import Path

import pytest

from prefmem.errors import InputError
from prefmem.evaluate.overuse import POOL, data, kinds, read, totals
from prefmem.evaluate.recall import Outcome
from prefmem.evaluate.table import Cell
from prefmem.memory import PreferenceMemory
from prefmem.testing import HashEmbedder
from prefmem.train.risk import stored
from prefmem.train.users import Request, RequestKind, WrittenUser, load_users
from prefmem.types import Preference


def outcome(kind: RequestKind, applies: str, harms: str, injected: str, nearest: str) -> Outcome:
    request = Request(kind, "q", "", tuple(applies.split()), tuple(harms.split()))
    return Outcome(request, frozenset(injected.split()), {}, frozenset(nearest.split()))


FOUND = [
    outcome("single", "a", "", "a b", "a b c"),
    outcome("bait", "", "b", "", "a b c"),
    outcome("bait", "", "b", "b", "a b c"),
    outcome("none", "", "", "", "a b c"),
]


def value(cell: Cell) -> float:
    assert not isinstance(cell, str)
    return cell.value


def test_unwarranted_rules_are_counted_for_both() -> None:
    rows = totals(FOUND, title="", seed=0).rows
    found = {name: {column: value(c) for column, c in row.items()} for name, row in rows.items()}
    assert found["injected rules that do not apply"] == {  # 2 of 3; 11 of 12
        "prefmem": pytest.approx(2 / 3), "three nearest": pytest.approx(11 / 12),
    }  # fmt: skip
    assert found["requests with something unwarranted"] == {"prefmem": 0.5, "three nearest": 1}
    assert found["nothing applies: nothing injected"] == {
        "prefmem": pytest.approx(2 / 3), "three nearest": 0,
    }  # fmt: skip
    assert found["a rule would do harm: injected"] == {"prefmem": 0.5, "three nearest": 1}
    assert found["rules that apply: injected"] == {"prefmem": 1, "three nearest": 1}


def test_requests_that_no_rule_applies_to_come_by_kind() -> None:
    rows = kinds(FOUND[1:], seed=0).rows
    bait = rows["the words of a rule, not its matter"]
    assert {name: value(cell) for name, cell in bait.items()} == {
        "nothing injected": 0.5, "harmful rule injected": 0.5,
    }  # fmt: skip
    assert {*rows["nothing in common with any rule"]} == {"nothing injected"}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_pool_is_whole(split: str) -> None:
    _, users, said = data(split)
    assert load_users(users)
    assert {sensitive for sensitive, _ in read(said)} == {True, False}


def test_dev_and_test_share_no_text() -> None:
    dev, test = ({text for _, text in read(data(split)[2])} for split in ("dev", "test"))
    assert dev.isdisjoint(test)
    assert POOL.joinpath("README.md").exists()


def test_delicate_rules_are_confirmed_before_anything_is_asked() -> None:
    user = WrittenUser(
        "u", "p", {"a": Preference("planning my week", "time for chemotherapy, I have cancer")}, ()
    )
    with PreferenceMemory(":memory:", embedder=HashEmbedder(), reranker="none") as memory:
        assert [*stored(memory, user).values()] == ["a"]
        assert [card.status for card in memory.list(user_id="u")] == ["active"]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "said.txt"
    path.write_text("plain | x\nmoody | y\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"said\.txt:2"):
        read(path)
