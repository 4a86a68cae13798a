"""Where the peers are put to work: plan, folders, drivers, and the cells of what was measured.

A cell is one measurement of one peer, kept as soon as it is there: a run that was interrupted goes
on where it stopped. Peers take turns within each stage and repeat, so that what the machine does
beside this hits all of them.
"""

import json
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from prefmem.errors import PrefmemError
from prefmem.evaluate.peers.envs import Peer
from prefmem.evaluate.peers.link import Link, Reply
from prefmem.evaluate.peers.material import Material

Cell: TypeAlias = dict[str, Any]
Opener: TypeAlias = Callable[[Peer, Path], Link]
ONE = "ann"  # the user where there is but one
K = 5  # memories that a search gives


class PeerFailedError(PrefmemError):
    """A peer could not do what it was asked; that is a result."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        sizes: Memories of one user.
        repeats: Of each measurement of time, each in a process of its own.
        searches: Of each repeat, at most.
        adds: Of each repeat, at most.
        deletes: Of each repeat, at most.
        seconds: After which a block of searches, adds or deletes ends; five are done in any case.
        users: Users in one store.
        each: Memories of each of them.
        writers: Threads that add to one object.
        written: Memories that each of them adds, and each of two processes.
        kills: Processes that are killed while they add.
        before: Memories that are there before faults.
        seed: Of all draws.
    """

    sizes: tuple[int, ...] = (10, 100, 1_000, 10_000)
    repeats: int = 3
    searches: int = 100
    adds: int = 60
    deletes: int = 20
    seconds: float = 4.0
    users: int = 100
    each: int = 100
    writers: int = 8
    written: int = 40
    kills: int = 5
    before: int = 1_000
    seed: int = 0

    @property
    def memories(self) -> int:
        """How many different memories are needed."""
        faults = self.before + self.kills * 1_000
        most = max(max(self.sizes) + self.adds, self.users * self.each, faults)
        return min(most, 11_000) + 1


QUICK = Plan(
    sizes=(10, 1_000), repeats=2, searches=30, adds=20, deletes=5, seconds=1.0, users=20, each=50,
    kills=2, before=200,
)  # fmt: skip


class Cells:
    """What was measured so far, in a JSON file.

    Args:
        path: The file.
        plan: How much is measured; a file of another plan is begun anew.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        """Read what is there."""
        self._path, self._plan = path, json.loads(json.dumps(asdict(plan)))
        held: dict[str, Any] = {}
        if path.exists():
            held = json.loads(path.read_text(encoding="utf-8"))
        same = held.get("plan") == self._plan
        self.found: dict[str, Cell] = held["cells"] if same else {}

    def get(self, name: str, mark: str, work: Callable[[], Cell]) -> Cell:
        """Give a cell, measured now if it is not there; a peer's failure is kept as one.

        Args:
            name: Of the cell.
            mark: Of the environment; what was measured in another one is measured again.
            work: Measures.
        """
        if self.found.get(name, {}).get("mark") != mark:
            try:
                found = work()
            except PeerFailedError as error:
                found = {"error": str(error)}
            self.found[name] = {**found, "mark": mark}
            partial = self._path.with_suffix(".partial")
            content = json.dumps({"plan": self._plan, "cells": self.found}, indent=1)
            partial.write_text(content + "\n", encoding="utf-8")
            partial.replace(self._path)
        return self.found[name]


class Workshop:
    """Opens peers on folders of their own.

    Args:
        folder: For all that peers write.
        plan: How much is measured.
        material: The memories.
        opener: Starts a driver.
    """

    def __init__(self, folder: Path, plan: Plan, material: Material, opener: Opener) -> None:
        """Use the folder, emptied: what an earlier run left may be of another environment."""
        shutil.rmtree(folder, ignore_errors=True)
        self.plan, self.material = plan, material
        self._folder, self._opener = folder, opener
        self._count = 0

    def clear(self) -> None:
        """Remove all that the peers wrote."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def loaded(self, peer: Peer, folder: Path) -> Generator[tuple[Link, Reply]]:
        """Start a driver and import the peer; gives what the import took."""
        link = self._opener(peer, folder)
        try:
            yield link, done(link.ask(do="load"))
            link.end()
        finally:
            link.kill()

    @contextmanager
    def opened(self, peer: Peer, folder: Path) -> Generator[tuple[Link, Reply]]:
        """Open a peer on a folder; gives what the opening took, and what the peer keeps."""
        with self.loaded(peer, folder) as (link, load):
            told = done(link.ask(do="open", folder=str(folder), material=str(self.material.folder)))
            yield link, {**told, "keeps": load["keeps"]}

    @contextmanager
    def empty(self) -> Generator[Path]:
        """Lend a folder."""
        self._count += 1
        path = self._folder / f"run{self._count}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def copied(self, peer: Peer, items: Sequence[tuple[str, int]], name: str) -> Generator[Path]:
        """Lend a folder in which a peer already holds memories, if it keeps them on disk."""
        whole = self._folder / "filled" / f"{Path(peer.driver).stem}-{'-'.join(peer.args)}" / name
        if not whole.exists():
            partial = whole.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            with self.opened(peer, partial) as (link, told):
                if told["keeps"] == "disk":
                    done(link.ask(do="fill", items=items))
                    done(link.ask(do="close"))
            partial.rename(whole)
        with self.empty() as path:
            shutil.copytree(whole, path, dirs_exist_ok=True)
            yield path

    @contextmanager
    def filled(
        self, peer: Peer, items: Sequence[tuple[str, int]], name: str
    ) -> Generator[tuple[Link, Reply]]:
        """Open a peer that holds memories, in a fresh process on a folder of its own."""
        with (
            self.copied(peer, items, name) as folder,
            self.opened(peer, folder) as (link, told),
        ):
            if told["keeps"] == "memory":
                done(link.ask(do="fill", items=items))
            yield link, {**told, "folder": str(folder)}


def done(reply: Reply) -> Reply:
    """Give a reply that is none of a failure.

    Raises:
        PeerFailedError: It is.
    """
    if "error" in reply:
        raise PeerFailedError(reply["error"])
    return reply


def items(count: int, *, start: int = 0, user: str = ONE) -> list[tuple[str, int]]:
    """Name memories of a user by their numbers."""
    return [(user, number) for number in range(start, start + count)]
