"""Users move between shards while they are taught, and the mover dies."""

from pathlib import Path

from prefmem.selftest.ground import Ground
from prefmem.selftest.shards import run


def test_nothing_is_lost_while_users_move_and_movers_die(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=1), 64)
    assert finding.passed, finding.told
    assert finding.figures["moves"] == 5


def test_nothing_is_lost_between_shards_in_postgres(tmp_path: Path, dsn: str) -> None:
    finding = run(Ground(tmp_path, seed=2, backend="postgres", dsn=dsn), 64)
    assert finding.passed, finding.told
    assert finding.figures["moves"] == 5
