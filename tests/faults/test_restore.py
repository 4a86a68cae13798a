"""Who was erased does not come back with an older backup, in whatever way it is put back."""

from pathlib import Path

import pytest

from prefmem.selftest.ground import Ground
from prefmem.selftest.restore import run


def test_the_erased_are_absent_before_the_first_answer(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=3), 20)
    assert finding.passed, finding.told
    assert finding.size == 80
    assert finding.figures["ways"] == 4


@pytest.mark.long
def test_the_erased_of_many_users_are_absent(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=4), 2_000)
    assert finding.passed, finding.told
