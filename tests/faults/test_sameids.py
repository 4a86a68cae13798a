"""Every store and index finds the same cards, in a small size."""

from pathlib import Path

from prefmem.selftest.ground import Ground


def test_the_same_ids_come_in_the_same_order(tmp_path: Path, dsn: str) -> None:
    from prefmem.selftest.sameids import run

    found = run(Ground(tmp_path, backend="postgres", dsn=dsn), 240)
    assert found.passed, found.told
    assert (found.figures["different"], found.figures["recalls_different"]) == (0, 0)
    assert found.figures["ties"] > 0
