"""What is erased is in no byte of no file, however many go at once."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from prefmem import PreferenceMemory, UserRequiredError
from prefmem.selftest.erase import Hidden, run, search
from prefmem.selftest.ground import Ground
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder

Open = Callable[..., PreferenceMemory]


def test_half_of_the_users_leave_no_byte(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=3), 60)
    assert finding.passed, finding.told
    assert finding.figures["erased"] == 30
    assert finding.figures["marks_before"] >= 30
    assert finding.figures["reader_told"] is True


@pytest.mark.long
def test_half_of_twenty_thousand_users_leave_no_byte(tmp_path: Path) -> None:
    finding = run(Ground(tmp_path, seed=4), 20_000)
    assert finding.passed, finding.told


def test_the_search_finds_words_and_halves_of_vectors_at_any_byte(tmp_path: Path) -> None:
    vector = HashEmbedder().embed(["use tabs and be brief"])[0].astype("<f2").tobytes()
    hidden = Hidden({b"kx7q0123456789ab"}, {vector})
    (tmp_path / "a.db").write_bytes(b"x" * 1_001 + vector[:64] + b"y" * 77)
    (tmp_path / "b.log").write_bytes(b"z" * 3 + b"KX7Q0123456789AB")
    (tmp_path / "c.db").write_bytes(b"kx7qffffffffffff" + vector[:60])
    found = search(tmp_path, hidden)
    assert (found.marks, found.vectors, found.files) == (1, 1, ("a.db", "b.log"))
    assert found.bytes == 1_001 + 64 + 77 + 3 + 16 + 16 + 60


def test_many_users_are_erased_with_one_receipt(memory: PreferenceMemory, tmp_path: Path) -> None:
    for name in ("ann", "bob", "cat"):
        memory.add("", f"greet {name}.canary", user_id=name)
        memory.add("", f"thank {name}.canary", user_id=name)
    other = memory.in_tenant("t")
    other.add("", "greet the tenant", user_id="ann")
    receipt = memory.forget_users(iter(["ann", "bob", "ann", "nobody"]))
    assert (receipt.cards, receipt.events, receipt.checkpointed) == (4, 4, True)
    assert [len(memory.list(user_id=name)) for name in ("ann", "bob", "cat")] == [0, 0, 2]
    assert len(other.list(user_id="ann")) == 1
    content = b"".join(p.read_bytes() for p in sorted(tmp_path.iterdir()))
    assert [name for name in (b"ann.c", b"bob.c", b"cat.c") if name in content] == [b"cat.c"]


def test_a_wrong_id_among_many_erases_nobody(memory: PreferenceMemory) -> None:
    memory.add("", "be brief", user_id="ann")
    with pytest.raises(UserRequiredError):
        memory.forget_users(["ann", ""])
    assert len(memory.list(user_id="ann")) == 1


def test_a_reader_is_told_of_and_the_next_erasure_clears(
    memory: PreferenceMemory, tmp_path: Path
) -> None:
    path = tmp_path / "prefs.db"
    memory.add("", "zigzag quaintly", user_id="ann")
    memory.add("", "be brief", user_id="bob")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select * from users").fetchall()
    assert not memory.forget_users(["ann"]).checkpointed
    assert memory.list(user_id="ann") == ()
    reader.close()
    assert memory.forget_users(()).checkpointed
    files = [path, *tmp_path.glob("prefs.db-*")]
    assert not any(b"igzag" in each.read_bytes() for each in files)
    assert len(memory.list(user_id="bob")) == 1


def test_erasures_one_by_one_are_complete_in_the_end(memory: PreferenceMemory) -> None:
    for n in range(40):
        memory.add("", f"greet canary{n}", user_id=f"u{n}")
    receipts = [memory.forget_user(user_id=f"u{n}") for n in range(39)]
    assert sum(receipt.cards for receipt in receipts) == 39
    assert memory.forget_users(["u39"]).checkpointed
    assert memory.list(user_id="u39") == ()


class Plain:
    """A store that erases one user at a time."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        if name == "forget_users":
            raise AttributeError(name)
        return getattr(self._store, name)


def test_a_store_without_batches_erases_all_the_same(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(store=Plain(SQLiteStore(tmp_path / "plain.db")))
    for name in ("ann", "bob"):
        memory.add("", "be brief", user_id=name)
    receipt = memory.forget_users(["ann", "bob"])
    assert (receipt.cards, receipt.events, receipt.checkpointed) == (2, 2, True)
