"""Metrics, worked out by hand."""

from collections.abc import Mapping

import numpy as np
import pytest

from prefmem.evaluate.simulate.report import (
    acceptance,
    curves,
    figures,
    per_user,
    relative,
    spearman,
    stress,
)
from prefmem.evaluate.simulate.runs import Outcome
from prefmem.evaluate.simulate.world import COUNTS

Row = Mapping[str, float]


def outcome(
    *rows: Row, seed: int = 1, index: int = 0, vector: tuple[float, ...] = (), held: str = ""
) -> Outcome:
    counts = np.array([[row.get(name, 0) for name in COUNTS] for row in rows], dtype=np.float64)
    return Outcome(
        seed, index, counts, np.array(vector, dtype=np.float32), np.ones(2, dtype=np.float32),
        np.array([ord(c) for c in held], dtype=np.int64), 10, 80 + index,
    )  # fmt: skip


FIRST: Row = {
    "turns": 4, "complaints": 2, "first": 1, "hits": 3, "possible": 4, "injected": 6, "bad": 3,
    "harmed": 1, "missed": 1, "regret": 0.5,
}  # fmt: skip
SECOND: Row = {"turns": 6, "complaints": 1, "possible": 2, "regret": 1.5}


def test_metrics_of_one_user() -> None:
    found = {name: float(v[0]) for name, v in per_user([outcome(FIRST, SECOND)]).items()}
    assert found["complaint rate"] == pytest.approx(0.3)  # 3 / 10
    assert found["first-turn rate"] == pytest.approx(0.5)  # 1 / 2 sessions
    assert found["complaint rate, sessions 0-9"] == pytest.approx(0.3)
    assert np.isnan(found["complaint rate, 21-35"])
    assert found["recall@J"] == pytest.approx(0.5)  # 3 / 6
    assert found["injected a turn"] == pytest.approx(0.6)  # 6 / 10
    assert found["bad cards"] == pytest.approx(0.5)  # 3 / 6
    assert found["harm turns"] == pytest.approx(0.1)
    assert found["miss turns"] == pytest.approx(0.1)
    assert found["regret"] == pytest.approx(2.0)
    assert found["turns a session"] == pytest.approx(5.0)
    assert np.isnan(found["adaptation"])


def test_phases_adaptation_and_recovery() -> None:
    calm, upset = {"turns": 4, "complaints": 1}, {"turns": 4, "complaints": 3}
    rows = [calm] * 36 + [upset] * 5 + [calm] * 19
    found = figures([outcome(*rows)], seed=0)
    assert found["complaint rate, 21-35"].value == pytest.approx(0.25)
    assert found["complaint rate, 36-45"].value == pytest.approx(0.5)  # 5 * 3/4 + 5 * 1/4
    assert found["adaptation"].value == pytest.approx(0.25)
    assert found["recovery"].value == 5  # the first three sessions in a row at 0.25
    assert "bad cards" not in found  # nothing was injected


def test_users_count_alike() -> None:
    many = [outcome({"turns": 100, "complaints": 50}), outcome({"turns": 1}, index=1)]
    assert figures(many, seed=0)["complaint rate"].value == pytest.approx(0.25)  # (0.5 + 0) / 2
    assert curves(many)["complaint rate"] == [pytest.approx(50 / 101)]
    assert figures(many, seed=0)["bytes"].value == pytest.approx(80.5)


def test_differences_are_paired_and_relative() -> None:
    before = [outcome({"turns": 10, "complaints": c}, index=c) for c in (2, 4, 6)]
    after = [outcome({"turns": 10, "complaints": c - 1}, index=c) for c in (2, 4, 6)]
    found = relative(after, before, "complaint rate", seed=0)
    assert found.value == pytest.approx(-0.25)  # -0.3 / 1.2
    assert found.low < -0.25 < found.high <= -1 / 6 + 1e-9  # as if all were the user with 6


def test_rho_compares_vectors_with_what_is_held() -> None:
    users = [
        outcome(FIRST, index=0, vector=(1, 0), held="ab"),
        outcome(FIRST, index=1, vector=(1, 0.1), held="ab"),
        outcome(FIRST, index=2, vector=(0, 1), held="cd"),
        outcome(FIRST, index=3, vector=(0.2, 1), held="bcd"),
    ]
    # Cosines, pair by pair: 01 .995, 02 0, 03 .196, 12 .0995, 13 .293, 23 .981;
    # overlaps: 1, 0, 1/4, 0, 1/4, 2/3; ranks 6 1 3 2 4 5 against 6 1.5 3.5 1.5 3.5 5.
    a, b = np.array([6, 1, 3, 2, 4, 5.0]), np.array([6, 1.5, 3.5, 1.5, 3.5, 5])
    assert figures(users, seed=0)["rho"].value == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert "rho, plain" not in figures(users, seed=0)  # all plain sums are alike


def test_spearman_needs_variation() -> None:
    assert spearman(np.array([1, 2, 3.0]), np.array([1, 4, 9.0])) == pytest.approx(1)
    assert spearman(np.array([1, 2, 3.0]), np.array([3, 2, 1.0])) == pytest.approx(-1)
    assert np.isnan(spearman(np.array([1, 1.0]), np.array([1, 2.0])))


def test_acceptance_says_what_is_reached() -> None:
    def users(complaints: float, harmed: float = 0) -> list[Outcome]:
        row = {
            "turns": 100, "complaints": complaints, "first": complaints / 100, "hits": 6,
            "possible": 10, "harmed": harmed, "regret": complaints,
        }  # fmt: skip
        return [outcome(row, index=i) for i in range(5)]

    runs = {"ledger": users(30, 10), "vars": users(50), "no-memory": users(34)}
    checks = {check.name: check for check in acceptance(runs, seed=0)}
    assert checks["complaint rate against vars"].passed  # -40 %
    assert not checks["complaint rate against no-memory"].passed  # -12 %, and 15 % are wanted
    assert "complaint rate against threshold" not in checks
    assert not checks["regret against vars"].passed  # 60 % of it, and 55 % are allowed
    assert checks["harm turns"].passed
    assert checks["recall@3"].passed
    assert acceptance({"vars": users(50)}, seed=0) == []


def test_stress_looks_at_the_worst_seed() -> None:
    def users(*complaints: int) -> list[Outcome]:
        return [outcome({"turns": 100, "complaints": c}, seed=s) for s, c in enumerate(complaints)]

    (check,) = stress("no-text", {"ledger": users(40, 51), "vars": users(50, 50)}, seed=0)
    assert not check.passed
    assert check.found.value == pytest.approx(0.02)
    (check,) = stress("malicious", {"ledger": users(30, 29), "vars": users(50, 50)}, seed=0)
    assert check.passed
    assert stress("hash", {"ledger": users(1), "vars": users(1)}, seed=0) == []
