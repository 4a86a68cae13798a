"""Random verbs against a dict model, in a small size; and that the test can fail."""

from pathlib import Path

from prefmem import PreferenceMemory
from prefmem.selftest import property as fault
from prefmem.selftest.ground import Ground, opened
from prefmem.testing import Clock


def test_sqlite_holds_what_the_model_holds(tmp_path: Path) -> None:
    found = fault.run(Ground(tmp_path), 4)
    assert found.passed, found.told
    assert found.figures["steps"] > 20


def test_postgres_holds_what_the_model_holds(tmp_path: Path, dsn: str) -> None:
    found = fault.run(Ground(tmp_path, backend="postgres", dsn=dsn), 4)
    assert found.passed, found.told
    assert found.figures["steps"] > 20


def test_a_difference_is_found(tmp_path: Path) -> None:
    def timeless(target: object, **given: object) -> PreferenceMemory:
        return opened(None, **(given | {"clock": Clock()}))

    found = fault.run(Ground(tmp_path), 10, make=timeless)
    assert not found.passed
    assert "difference: cards: " in found.told
