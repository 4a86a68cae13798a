"""A server restarted under load, in a small size; `prefmem selftest --full` runs the large one."""

from pathlib import Path

import pytest

from prefmem.selftest.ground import Ground


@pytest.mark.long
def test_nothing_acknowledged_is_lost(postgres: object, tmp_path: Path) -> None:
    del postgres  # skipped where there is no server
    from prefmem.selftest.pgrestart import run

    found = run(Ground(tmp_path, backend="postgres"), 1)
    assert found.passed, found.told
    assert (found.figures["restarts"], found.figures["clients_killed"]) == (1, 6)
    assert found.figures["acknowledged"] > 0
