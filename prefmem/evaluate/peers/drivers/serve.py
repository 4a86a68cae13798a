"""What the drivers share: one JSON request a line on stdin, one JSON reply a line on stdout.

Runs in a peer's own environment: the standard library and numpy, nothing of prefmem. Times are
taken here, around the peer's call alone: processor time of this process and its children, and the
wall clock, in milliseconds.
"""

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Item: TypeAlias = Sequence[Any]  # [user, number of the memory] or [user, text of a query]
Found: TypeAlias = list[tuple[str, str]]  # (id, text) of memories, the nearest first


class Peer(Protocol):
    """A memory product at work on one folder."""

    def add(self, user: str, condition: str, action: str) -> str:
        """Store a memory, acknowledged on return; gives its id."""
        ...

    def fill(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Store many memories (user, condition, action) the quickest way; never timed."""
        ...

    def search(self, user: str, query: str, k: int) -> Found:
        """Find the k memories of a user that are nearest to a text."""
        ...

    def delete(self, user: str, name: str) -> None:
        """Remove a memory by its id."""
        ...

    def close(self) -> None:
        """Let go of the folder."""
        ...


class Maker(Protocol):
    """A driver module's peer, before and after its import."""

    @property
    def keeps(self) -> str:
        """Say `disk`, or `memory` where nothing outlives the process."""
        ...

    @property
    def durability(self) -> str:
        """Say in a few words what an acknowledged call has done."""
        ...

    @property
    def packages(self) -> Sequence[str]:
        """Name the distributions whose versions are told."""
        ...

    def load(self) -> None:
        """Import the peer as its documentation says."""
        ...

    def open(self, folder: Path, vectors: "Vectors") -> Peer:
        """Open the peer on a folder, with an embedder that looks vectors up."""
        ...


def sentence(condition: str, action: str) -> str:
    """Give the text of a memory, the same for every peer."""
    return f"When {condition}, {action}."


class Vectors:
    """Precomputed unit vectors, by text: the embedder of every peer.

    Args:
        folder: Holds `memories.json` ([condition, action] each), `queries.json` (texts) and
            `vectors.npy` (float32, a row for each memory, then for each query).
    """

    def __init__(self, folder: Path) -> None:
        """Read them."""
        import numpy as np

        told: list[list[str]] = json.loads((folder / "memories.json").read_text(encoding="utf-8"))
        queries: list[str] = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
        self.memories: list[tuple[str, str]] = [(condition, action) for condition, action in told]
        self.texts: list[str] = [sentence(*memory) for memory in self.memories]
        self.rows: Any = np.load(folder / "vectors.npy", allow_pickle=False)
        self.width = int(self.rows.shape[1])
        self.places: dict[str, int] = {text: i for i, text in enumerate([*self.texts, *queries])}

    def row(self, text: str) -> Any:  # noqa: ANN401  # an array; numpy is not there at import
        """Give the vector of a text, (e,)."""
        return self.rows[self.places[text]]

    def lists(self, texts: Sequence[str]) -> list[list[float]]:
        """Give vectors as lists of numbers, as LangChain's embedders do."""
        return [self.row(text).tolist() for text in texts]


class Session:
    """Answers requests about one peer.

    Args:
        maker: The peer.
    """

    def __init__(self, maker: Maker) -> None:
        """Begin with nothing imported."""
        self._maker = maker
        self._peer: Peer | None = None
        self._vectors: Vectors | None = None

    def answers(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Carry out a request; what is told before the last line is progress."""
        do: Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]]
        do = getattr(self, f"_{asked['do']}")
        try:
            yield from do(asked)
        except Exception as error:  # noqa: BLE001  # whatever a peer raises is a result
            yield {"error": f"{type(error).__name__}: {error}"[:500]}

    @property
    def _at_work(self) -> Peer:
        if self._peer is None:
            raise RuntimeError("nothing is open")
        return self._peer

    @property
    def _known(self) -> Vectors:
        if self._vectors is None:
            raise RuntimeError("nothing is open")
        return self._vectors

    def _load(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        before = _memory()
        cpu, wall, _ = _timed(self._maker.load)
        yield {
            "cpu": cpu, "wall": wall, "memory": _memory() - before,
            "keeps": self._maker.keeps, "durability": self._maker.durability,
            "versions": {name: version(name) for name in self._maker.packages},
            "python": sys.version.split()[0],
        }  # fmt: skip

    def _open(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        folder = Path(asked["folder"])
        vectors = self._vectors = Vectors(Path(asked["material"]))
        before = _memory()
        cpu, wall, self._peer = _timed(lambda: self._maker.open(folder, vectors))
        yield {"cpu": cpu, "wall": wall, "memory": _memory() - before}

    def _fill(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        before = _memory()
        known = self._known.memories
        self._at_work.fill([(user, *known[int(number)]) for user, number in asked["items"]])
        yield {"memory": _memory() - before}

    def _add(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        peer, known = self._at_work, self._known.memories
        yield self._each(asked, lambda item: peer.add(item[0], *known[int(item[1])]))

    def _search(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        peer, places, k = self._at_work, self._known.places, int(asked["k"])
        found: list[list[int]] = []

        def search(item: Item) -> None:
            texts = [text for _, text in peer.search(item[0], item[1], k)]
            found.append([places.get(text, -1) for text in texts])

        yield {**self._each(asked, search), "found": found}

    def _delete(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        peer = self._at_work
        names = {tuple(item): self._name(item) for item in asked["items"]}
        yield self._each(asked, lambda item: peer.delete(item[0], names[tuple(item)]))

    def _present(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Say of each memory whether a search for its own vector finds it first."""
        yield {"present": [self._is_there(item) for item in asked["items"]]}

    def _stream(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Add until killed; each is told once it is acknowledged."""
        for item in asked["items"]:
            self._at_work.add(item[0], *self._known.memories[int(item[1])])
            yield {"done": item[1]}
        yield {"end": True}

    def _threads(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Let a thread work off each list of items, and one search beside them."""
        peer, known = self._at_work, self._known
        lists: Sequence[Sequence[Item]] = asked["lists"]
        errors: list[str] = []
        done: list[Item] = []
        over = threading.Event()

        def write(items: Sequence[Item]) -> None:
            for item in items:
                try:
                    peer.add(item[0], *known.memories[int(item[1])])
                    done.append(list(item))
                except Exception as error:  # noqa: BLE001  # counted
                    errors.append(f"{type(error).__name__}: {error}"[:200])

        def read() -> None:
            while not over.is_set():
                try:
                    peer.search(lists[0][0][0], asked["query"], 5)
                except Exception as error:  # noqa: BLE001  # counted
                    errors.append(f"search: {type(error).__name__}: {error}"[:200])
                time.sleep(0.005)

        reader = threading.Thread(target=read)
        writers = [threading.Thread(target=write, args=(items,)) for items in lists]
        start = time.monotonic()
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        took = time.monotonic() - start
        over.set()
        reader.join()
        yield {"done": done, "errors": len(errors), "first": errors[:1], "seconds": took}

    def _close(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        self._at_work.close()
        self._peer = None
        yield {}

    def _each(self, asked: Mapping[str, Any], work: Callable[[Item], object]) -> dict[str, Any]:
        """Time each item, until the seconds are used up; five are done in any case."""
        cpu: list[float] = []
        wall: list[float] = []
        until = time.monotonic() + float(asked.get("seconds", 1e9))
        for item in asked["items"]:
            spent, took, _ = _timed(lambda item=item: work(item))  # type: ignore[misc]
            cpu.append(spent)
            wall.append(took)
            if len(cpu) >= 5 and time.monotonic() > until:
                break
        return {"cpu": cpu, "wall": wall, "memory": _memory()}

    def _name(self, item: Item) -> str:
        """Name a memory; a peer with an embedder of its own need not find it by its text."""
        text: str = self._known.texts[int(item[1])]
        find = getattr(self._at_work, "find", None)
        if find is not None:
            return str(find(item[0], text))
        for name, told in self._at_work.search(item[0], text, 5):
            if told == text:
                return name
        raise LookupError("a memory that is to be deleted is not found")

    def _is_there(self, item: Item) -> bool:
        text: str = self._known.texts[int(item[1])]
        found = self._at_work.search(item[0], text, 1)
        return bool(found) and found[0][1] == text


def serve(maker: Maker) -> None:
    """Answer requests until stdin ends. What libraries print goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)
    session = Session(maker)
    for line in sys.stdin:
        for told in session.answers(json.loads(line)):
            os.write(out, json.dumps(told).encode() + b"\n")
        os.write(out, b"\n")  # the reply is complete


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    spent, start = _processor(), time.perf_counter()
    done = work()
    return (_processor() - spent) * 1e3, (time.perf_counter() - start) * 1e3, done


def _processor() -> float:
    """Give the seconds that this process, all its threads, and ended children spent on a core."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _memory() -> int:
    """Give the bytes of this process that are in memory."""
    try:
        with Path("/proc/self/statm").open(encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no Linux: the most that it ever was
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
