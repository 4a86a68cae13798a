"""The registry: versions, the one that writes, damage, and removal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prefmem import NotFoundError
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.registry import LESSONS, Registry, Removed
from prefmem.agent.rows import write_lessons
from prefmem.agent.version import CONFIG, MANIFEST, WEIGHTS, Version, check
from prefmem.errors import AdapterError, StoreUnavailableError
from prefmem.types import UserKey

ANN, BEN = UserKey("ann@example.org"), UserKey("ben@example.org")
MANIFEST_OF: Mapping[str, Any] = {
    "base": {"name": "tiny", "weights": "a" * 64},
    "target": "rules",
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "agents")


def publish(registry: Registry, user: UserKey, weights: bytes, *, target: str = "rules") -> Version:
    made = registry.training(user) / "made"
    made.mkdir(parents=True, exist_ok=True)
    (made / WEIGHTS).write_bytes(weights)
    (made / CONFIG).write_text("{}", encoding="utf-8")
    return registry.publish(user, made, {**MANIFEST_OF, "target": target})


def current(registry: Registry, user: UserKey) -> int | None:
    version = registry.current(user)
    return version.number if version else None


def test_a_stranger_has_nothing(registry: Registry) -> None:
    assert registry.numbers(ANN) == ()
    assert registry.current(ANN) is None
    assert registry.remove(ANN) == Removed()
    assert not registry.home.exists()


def test_versions_are_numbered_and_the_last_one_writes(registry: Registry) -> None:
    first, second = publish(registry, ANN, b"one"), publish(registry, ANN, b"two")
    assert (first.number, second.number) == (1, 2)
    assert (second.folder / WEIGHTS).read_bytes() == b"two"
    # the SHA-256 of "two", by sha256sum
    assert second.hash == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
    assert (second.base, second.target) == ("tiny", "rules")
    assert registry.versions(ANN) == (first, second)
    assert registry.current(ANN) == second
    assert registry.current(BEN) is None


def test_a_baseline_never_writes_rules(registry: Registry) -> None:
    publish(registry, ANN, b"text", target="text")
    assert current(registry, ANN) is None
    publish(registry, ANN, b"one")
    publish(registry, ANN, b"text", target="text")
    assert current(registry, ANN) == 2
    with pytest.raises(AdapterError, match="version 3 writes text, not rules"):
        registry.rollback(ANN, to=3)
    with pytest.raises(NotFoundError, match="no older version"):
        registry.rollback(ANN)  # 1 is a baseline, too


def test_rollback_and_the_number_after_it(registry: Registry) -> None:
    for weights in (b"one", b"two", b"three"):
        publish(registry, ANN, weights)
    assert registry.rollback(ANN).number == 2
    assert registry.rollback(ANN).number == 1
    with pytest.raises(NotFoundError):
        registry.rollback(ANN)
    with pytest.raises(NotFoundError, match="no version 9"):
        registry.rollback(ANN, to=9)
    assert current(registry, ANN) == 1
    assert registry.rollback(ANN, to=3).number == 3
    registry.rollback(ANN, to=1)
    assert publish(registry, ANN, b"four").number == 4
    assert current(registry, ANN) == 4


def test_the_user_is_named_nowhere(registry: Registry) -> None:
    publish(registry, ANN, b"one")
    files = [path for path in registry.home.rglob("*") if path.is_file()]
    assert len(files) == 4  # weights, configuration, manifest, current
    said = [str(path.relative_to(registry.home)).encode() + path.read_bytes() for path in files]
    assert not any(b"ann" in text or b"example.org" in text for text in said)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files if path.suffix == ".json")


def test_tenants_are_apart(registry: Registry) -> None:
    publish(registry, UserKey("ann", "a"), b"one")
    assert current(registry, UserKey("ann", "b")) is None
    assert registry.folder(UserKey("c", "ab")) != registry.folder(UserKey("bc", "a"))


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_changed_and_missing_files_are_refused(registry: Registry, name: str) -> None:
    version = publish(registry, ANN, b"one")
    check(version, weights="a" * 64)
    (version.folder / name).write_bytes(b"other")
    with pytest.raises(AdapterError, match=f"{name} is not the one that was trained"):
        check(version)
    (version.folder / name).unlink()
    with pytest.raises(AdapterError, match=f"{name} cannot be read"):
        check(version)


def test_another_base_is_refused(registry: Registry) -> None:
    version = publish(registry, ANN, b"one")
    with pytest.raises(AdapterError, match="'tiny' with weights aaaaaaaaaaaa, the base at hand"):
        check(version, weights="b" * 64)


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"files": {}}', '{"base": "tiny"}', "\x00"])
def test_a_damaged_manifest_is_refused(registry: Registry, told: str) -> None:
    publish(registry, ANN, b"one")
    version = publish(registry, ANN, b"two")
    (version.folder / MANIFEST).write_text(told, encoding="utf-8")
    with pytest.raises(AdapterError, match=r"version 2 of the adapter in .* no whole manifest"):
        registry.current(ANN)
    assert registry.numbers(ANN) == (1, 2)
    assert registry.rollback(ANN).number == 1
    assert current(registry, ANN) == 1


def test_a_rollback_to_a_damaged_version_changes_nothing(registry: Registry) -> None:
    first = publish(registry, ANN, b"one")
    publish(registry, ANN, b"two")
    (first.folder / WEIGHTS).write_bytes(b"other")
    with pytest.raises(AdapterError, match="version 1"):
        registry.rollback(ANN)
    assert current(registry, ANN) == 2


def test_what_names_the_current_version_may_be_damaged(registry: Registry) -> None:
    version = publish(registry, ANN, b"one")
    pointer = version.folder.parent / "current"
    pointer.write_bytes(b"\xff")
    with pytest.raises(AdapterError, match="does not name a version"):
        registry.current(ANN)
    pointer.write_text("7\n", encoding="ascii")
    with pytest.raises(AdapterError, match=r"version 7 .* is gone"):
        registry.current(ANN)
    assert registry.rollback(ANN, to=1).number == 1


def test_a_version_that_was_not_finished_is_none(registry: Registry) -> None:
    version = publish(registry, ANN, b"one")
    (version.folder.parent / ".0123").mkdir()  # as a process leaves it that dies in `publish`
    assert registry.numbers(ANN) == (1,)
    assert publish(registry, ANN, b"two").number == 2


def test_two_trainings_that_end_at_once_take_two_numbers(registry: Registry) -> None:
    class Late(Registry):
        """Looked before the other one wrote."""

        def numbers(self, user: UserKey) -> tuple[int, ...]:
            del user
            return ()

    publish(registry, ANN, b"one")
    assert publish(Late(registry.home), ANN, b"two").number == 2
    assert [version.manifest["version"] for version in registry.versions(ANN)] == [1, 2]
    assert current(registry, ANN) == 2


def test_removal_takes_everything_of_one_user(registry: Registry) -> None:
    publish(registry, ANN, b"one")
    publish(registry, ANN, b"two")
    publish(registry, BEN, b"one")
    folder = registry.folder(ANN)
    write_lessons(folder / LESSONS, [Lesson(Task("tea"), ("Be brief.",))] * 3)
    for name, count in (("documents.jsonl", 4), ("quarantine.jsonl", 1)):
        (folder / name).write_text("{}\n" * count, encoding="utf-8")
    (folder / "calls.db").write_bytes(b"kept answers")
    # 2 x 3 files of adapters, current, lessons, documents, quarantine, calls
    assert registry.remove(ANN) == Removed(adapters=2, lessons=3, documents=5, files=11)
    assert not folder.exists()
    assert registry.current(ANN) is None
    assert current(registry, BEN) == 1
    assert [path.name for path in registry.home.iterdir()] == [registry.folder(BEN).name]
    assert registry.remove(ANN) == Removed()


def test_a_removal_that_broke_off_is_finished_by_the_next(registry: Registry) -> None:
    publish(registry, ANN, b"one")
    publish(registry, BEN, b"one")
    folder = registry.folder(ANN)
    folder.rename(registry.home / f".gone-{folder.name}-0123")
    assert registry.current(ANN) is None
    assert registry.remove(BEN).adapters == 1  # has nothing to do with ann's
    assert registry.remove(ANN) == Removed(adapters=1, files=4)
    assert list(registry.home.iterdir()) == []


def test_what_cannot_be_deleted_is_told(registry: Registry) -> None:
    publish(registry, ANN, b"one")
    in_the_way = registry.home / f".gone-{registry.folder(ANN).name}-0"
    in_the_way.write_bytes(b"no folder")
    with pytest.raises(StoreUnavailableError, match="and remove again"):
        registry.remove(ANN)
    assert registry.current(ANN) is None  # out of reach all the same
    in_the_way.unlink()
    assert registry.remove(ANN).adapters in {0, 1}  # what was left of it
    assert list(registry.home.iterdir()) == []


def test_a_removed_user_does_not_come_back_by_a_version(registry: Registry) -> None:
    made = registry.training(ANN) / "made"
    made.mkdir(parents=True)
    (made / WEIGHTS).write_bytes(b"one")
    (made / CONFIG).write_text("{}", encoding="utf-8")
    registry.remove(ANN)
    with pytest.raises(FileNotFoundError):
        registry.publish(ANN, made, MANIFEST_OF)
    assert not registry.folder(ANN).exists()


def test_the_manifest_says_its_number_and_files(registry: Registry) -> None:
    version = publish(registry, ANN, b"one")
    told = json.loads((version.folder / MANIFEST).read_text(encoding="utf-8"))
    assert told["version"] == 1
    assert sorted(told["files"]) == sorted([CONFIG, WEIGHTS])
