"""The harness around a peer that lives in this process: what it finds, counts and keeps."""

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from prefmem.evaluate.peers import disk, kill, material, size, table
from prefmem.evaluate.peers.command import run
from prefmem.evaluate.peers.drivers.serve import Session, Vectors, sentence
from prefmem.evaluate.peers.envs import Peer
from prefmem.evaluate.peers.link import Link, Reply
from prefmem.evaluate.peers.work import Cell, Cells, PeerFailedError, Plan, Workshop, items
from prefmem.train.progress import silent

SMALL = Plan(
    sizes=(10, 20), repeats=2, searches=3, adds=4, deletes=2, users=3, each=6, writers=2, written=3,
    kills=2, before=20,
)  # fmt: skip
FAKE = Peer("fake", "none", "fake.py")


class FakePeer:
    """Keeps memories in a dict, and in a file where it keeps anything."""

    def __init__(self, folder: Path, vectors: Vectors, maker: "FakeMaker") -> None:
        self._file, self._vectors, self._maker = folder / "held.json", vectors, maker
        self.held: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        if self._file.exists():
            self.held = json.loads(self._file.read_text(encoding="utf-8"))

    def add(self, user: str, condition: str, action: str) -> str:
        with self._lock:
            name = f"{user} {len(self.held)} {condition} {action}"
            self.held[name] = [user, sentence(condition, action)]
            if len(self.held) not in self._maker.forgets:
                self._save()
            return name

    def fill(self, memories: Sequence[tuple[str, str, str]]) -> None:
        for memory in memories:
            self.add(*memory)

    def search(self, user: str, query: str, k: int) -> list[tuple[str, str]]:
        if self._maker.fails:
            raise OSError("no luck")
        asked = self._vectors.row(query)
        with self._lock:
            held = list(self.held.items())
        found = [(name, text) for name, (who, text) in held if who == user]
        found.sort(key=lambda one: -float(self._vectors.row(one[1]) @ asked))
        return found[:k]

    def delete(self, user: str, name: str) -> None:
        del self.held[name]
        self._save()

    def close(self) -> None:
        pass

    def _save(self) -> None:
        if self._maker.keeps == "disk":
            self._file.write_text(json.dumps(self.held), encoding="utf-8")


class FakeMaker:
    durability = "a file"
    packages: Sequence[str] = ()

    def __init__(self, keeps: str = "disk", *, fails: bool = False, forgets: int = 0) -> None:
        self.keeps, self.fails, self.forgets = keeps, fails, (forgets,)

    def load(self) -> None:
        pass

    def open(self, folder: Path, vectors: Vectors) -> FakePeer:
        return FakePeer(folder, vectors, self)


class LocalLink:
    """Asks a session of this process; a kill ends a reply where it is."""

    def __init__(self, maker: FakeMaker) -> None:
        self._session = Session(maker)
        self._lines: Iterator[Reply] = iter(())
        self._dead = False

    def start(self, **request: object) -> None:
        self._lines = self._session.answers(json.loads(json.dumps(request)))

    def told(self) -> Iterator[Reply]:
        for line in self._lines:
            if self._dead:
                return
            yield line

    def ask(self, **request: object) -> Reply:
        self.start(**request)
        return list(self.told())[-1]

    def kill(self) -> None:
        self._dead = True

    def end(self) -> None:
        pass


def shop(folder: Path, maker: FakeMaker, plan: Plan = SMALL) -> Workshop:
    drawn = material.make(folder / "material", memories=120, queries=4, seed=1)

    def opener(peer: Peer, at: Path) -> Link:
        del peer, at
        return LocalLink(maker)

    return Workshop(folder / "work", plan, drawn, opener)


def test_material_is_drawn_by_its_seed(tmp_path: Path) -> None:
    one = material.make(tmp_path / "a", memories=50, queries=2, seed=3)
    same = material.make(tmp_path / "b", memories=50, queries=2, seed=3)
    other = material.make(tmp_path / "c", memories=50, queries=2, seed=4)
    assert (one.vectors == same.vectors).all()
    assert (one.vectors != other.vectors).any()
    assert len(set(one.memories)) == 50
    assert [material.MARKER in sentence(*m) for m in one.memories] == [False] * 49 + [True]
    assert (one.vectors**2).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_size_is_measured(tmp_path: Path) -> None:
    cell = size.at_size(shop(tmp_path, FakeMaker()), FAKE, 20)
    assert cell["recall"] == 1.0
    assert [cell[op]["calls"] for op in ("search", "add", "delete")] == [3, 4, 2]
    assert cell["search"]["cpu"] > 0


def test_what_is_not_found_lowers_the_recall(tmp_path: Path) -> None:
    drawn = material.make(tmp_path, memories=30, queries=2, seed=0)
    near = sorted(drawn.exact(1, range(30), 5))
    others = [n for n in range(30) if n not in near]
    found = [near, [*near[:2], *others[:3]], []]
    told = size.shares(drawn, [1, 1, 1], [range(30)] * 3, found)
    assert told == [1.0, 0.4, 0.0]


def test_users_see_their_own_memories(tmp_path: Path) -> None:
    cell = size.at_users(shop(tmp_path, FakeMaker()), FAKE)
    assert {name: cell[name] for name in ("asked", "recall", "empty", "foreign")} == {
        "asked": 3, "recall": 1.0, "empty": 0, "foreign": 0,
    }  # fmt: skip


def test_what_a_peer_loses_is_counted(tmp_path: Path) -> None:
    sound = shop(tmp_path / "a", FakeMaker())
    assert kill.kill(sound, FAKE)["lost"] == kill.threads(sound, FAKE)["lost"] == 0
    leaky = shop(tmp_path / "b", FakeMaker(forgets=26))  # the last of the six that threads add
    assert kill.threads(leaky, FAKE)["lost"] == 1


def test_two_processes_that_know_nothing_of_each_other_lose(tmp_path: Path) -> None:
    cell = kill.processes(shop(tmp_path, FakeMaker()), FAKE)
    assert (cell["acknowledged"], cell["lost"]) == (6, 3)


def test_memory_alone_is_not_killed(tmp_path: Path) -> None:
    short = shop(tmp_path, FakeMaker("memory"))
    assert kill.kill(short, FAKE) == kill.processes(short, FAKE) == {"memory": True}
    assert disk.disk(short, FAKE) == {"memory": True}
    assert size.at_size(short, FAKE, 10)["recall"] == 1.0


def test_copies_of_a_deleted_word_are_found(tmp_path: Path) -> None:
    cell = disk.disk(shop(tmp_path, FakeMaker()), FAKE)
    assert cell["written"] == {"held.json": 4}  # condition and action, in the name and the text
    assert cell["deleted"] == cell["closed"] == {}
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "log").write_bytes(b"\0" + material.MARKER.encode() + b"\0")
    assert disk.copies(tmp_path / "left") == {"log": 1}


def test_a_peer_that_fails_is_a_result(tmp_path: Path) -> None:
    broken = shop(tmp_path, FakeMaker(fails=True))
    with pytest.raises(PeerFailedError, match="OSError: no luck"):
        size.at_size(broken, FAKE, 10)
    cells = Cells(tmp_path / "cells.json", SMALL)
    run(broken, cells, [FAKE], {"none": "x"}, silent)
    assert cells.found["size/10/0/fake"]["error"] == "OSError: no luck"
    (times, *_) = table.parts(cells.found, [FAKE], SMALL)
    assert times.rows["fake"]["10"] == "OSError: no luck"


def test_cells_are_kept_until_the_environment_or_the_plan_changes(tmp_path: Path) -> None:
    path, asked = tmp_path / "cells.json", list[str]()

    def get(mark: str, plan: Plan = SMALL) -> Cell:
        def work() -> Cell:
            asked.append(mark)
            return {"n": len(asked)}

        return Cells(path, plan).get("a", mark, work)

    assert [get("x")["n"], get("x")["n"], get("y")["n"], get("y")["n"]] == [1, 1, 2, 2]
    assert get("y", Plan())["n"] == 3


def test_a_run_fills_the_table(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "cells.json", SMALL)
    told: list[tuple[str, int, int]] = []
    run(
        shop(tmp_path, FakeMaker()), cells, [FAKE], {"none": "x"},
        lambda stage, done, total: told.append((stage, done, total)),
    )  # fmt: skip
    assert told[-1] == ("done", 11, 11)  # 2 imports, 2 sizes twice, users, four faults
    found = {part.title: part.rows["fake"] for part in table.parts(cells.found, [FAKE], SMALL)}
    assert str(found["Faults"]["kill -9, 2 times"]).startswith("0 of ")
    assert found["Deleted text on disk"]["deleted"] == "no copy"
    assert found["3 users x 6 memories in one store"]["recall@5"] == "1.00"
    curves = table.lines(cells.found, [FAKE], SMALL)
    assert [x for x, _ in curves[0].series["fake"]] == [10.0, 20.0]


def test_ratios_are_to_the_first_peer() -> None:
    def cell(cpu: float) -> dict[str, Any]:
        return {op: {"cpu": cpu} for op in ("search", "add", "delete")}

    plan = Plan(sizes=(10,), repeats=3)
    both = [Peer("ours", "a", "a.py"), Peer("theirs", "b", "b.py")]
    cells = {f"size/10/{n}/ours": cell(cpu) for n, cpu in enumerate((2.0, 1.0, 3.0))}
    cells |= {f"size/10/{n}/theirs": cell(cpu) for n, cpu in enumerate((50.0, 40.0, 60.0))}
    rows = table.parts(cells, both, plan)[0].rows
    assert rows["ours"]["10"] == "2.00 (1.00 to 3.00)"
    assert rows["theirs"]["10"] == "50.0 (40.0 to 60.0) x25.0"


def test_items_name_memories() -> None:
    assert items(2, start=5) == [("ann", 5), ("ann", 6)]
