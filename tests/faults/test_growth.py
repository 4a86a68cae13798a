"""Many cards, in a size that shows that it runs: the times that it finds are no claim here."""

from pathlib import Path

import pytest

from prefmem.selftest.ground import Finding, Ground
from prefmem.selftest.growth import run


def check(found: Finding) -> None:
    assert found.figures["errors"] == 0, found.told
    assert found.figures["users"] == 10
    assert found.figures["warm_p50_ms"] > 0
    assert found.figures["learned_per_s"] > 0


@pytest.mark.long
def test_sqlite_grows(tmp_path: Path) -> None:
    check(run(Ground(tmp_path), 1_000))


@pytest.mark.long
def test_postgres_grows(tmp_path: Path, dsn: str) -> None:
    check(run(Ground(tmp_path, backend="postgres", dsn=dsn), 1_000))
