"""The cells of a run as parts of a table, and as curves."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from prefmem.evaluate.peers.envs import Peer
from prefmem.evaluate.peers.work import Cell, Plan
from prefmem.evaluate.table import Lines, Part

_MB = 1e6
_OPS = ("search", "add", "delete")
Rows = dict[str, dict[str, str]]


def parts(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> tuple[Part, ...]:
    """Put cells into tables; the first peer is what the others are compared with.

    Args:
        cells: By name: `<stage>/<peer>`, with `<size>/<repeat>` before the peer where there are.
        peers: In the order of the rows.
        plan: How much was measured.
    """
    tables = [
        Part(_times(cells, peers, plan, op), title=_TITLES[op], unit="ms", drawn=False)
        for op in _OPS
    ]
    rest: tuple[tuple[str, Callable[..., Rows]], ...] = (
        (f"{plan.users} users x {plan.each} memories in one store", _users),
        ("First use, and room", _starts),
        ("Faults", _faults),
        ("Deleted text on disk", _disk),
        ("Install and import", _weights),
        ("What was measured", _versions),
    )
    tables += [
        Part(rows, title=title, unit="", drawn=False)
        for title, make in rest
        if (rows := make(cells, peers, plan))
    ]
    return tuple(tables)


def lines(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> tuple[Lines, ...]:
    """Draw processor time over memories, for searching and adding."""
    return tuple(
        Lines(
            f"{op.capitalize()}: processor time a call",
            "memories of the user",
            "ms",
            {
                peer.name: [
                    (float(size), median(found) if found else math.nan)
                    for size in plan.sizes
                    for found in [_spent(cells, peer, plan, size, op)]
                ]
                for peer in peers
            },
            logarithmic=True,
        )
        for op in _OPS[:2]
    )


_TITLES = {
    "search": "Search: processor time a call, ms (spread; times prefmem's)",
    "add": "Add, acknowledged: processor time a call, ms (spread; times prefmem's)",
    "delete": "Delete one: processor time a call, ms (spread; times prefmem's)",
}


def _times(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan, op: str) -> Rows:
    rows: Rows = {}
    for peer in peers:
        for size in plan.sizes:
            found = _spent(cells, peer, plan, size, op)
            ours = _spent(cells, peers[0], plan, size, op)
            told = _span(found, median(ours) if ours and peer is not peers[0] else None)
            rows.setdefault(peer.name, {})[f"{size:,}"] = told or _failure(
                cells, f"size/{size}/0/{peer.name}"
            )
    return rows


def _spent(cells: Mapping[str, Cell], peer: Peer, plan: Plan, size: int, op: str) -> list[float]:
    found = (cells.get(f"size/{size}/{n}/{peer.name}", {}) for n in range(plan.repeats))
    return [cell[op]["cpu"] for cell in found if op in cell]


def _users(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> Rows:
    rows: Rows = {}
    for peer in peers:
        if (cell := cells.get(f"users/{peer.name}")) is None:
            continue
        rows[peer.name] = _failed(cell) or {
            "search, ms": f"{cell['search']['cpu']:.2f}",
            "first search of a user, ms": f"{cell['cold']['cpu']:.2f}",
            "recall@5": f"{cell['recall']:.2f}",
            "nothing found": f"{cell['empty']} of {cell['asked']}",
            "others' memories": str(cell["foreign"]),
        }
    return rows


def _starts(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> Rows:
    rows: Rows = {}
    for peer in peers:
        sizes = [size for size in plan.sizes if size <= peer.most]
        if not sizes:
            continue
        size = sizes[-1]
        found = [cells.get(f"size/{size}/{n}/{peer.name}", {}) for n in range(plan.repeats)]
        found = [cell for cell in found if "cold" in cell]
        rows[peer.name] = {
            "memories": f"{size:,}",
            "open, ms": _span([cell["open"] for cell in found]),
            "first search, ms": _span([cell["cold"] for cell in found]),
            "recall@5": f"{min(cell['recall'] for cell in found):.2f}" if found else "-",
            "resident, MB": _span([cell["memory"] / _MB for cell in found]),
        }
    return rows


def _faults(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> Rows:
    rows: Rows = {}
    told: tuple[tuple[str, str, Callable[[Cell], str]], ...] = (
        (f"{plan.writers} threads", "threads", _of_threads),
        ("2 processes", "processes", _of_processes),
        (f"kill -9, {plan.kills} times", "kill", _of_kills),
    )
    for peer in peers:
        for column, stage, words in told:
            cell = cells.get(f"{stage}/{peer.name}")
            if cell is not None:
                rows.setdefault(peer.name, {})[column] = (
                    cell["error"] if "error" in cell else words(cell)
                )
        held = cells.get(f"import/0/{peer.name}", {})
        if peer.name in rows:
            rows[peer.name]["acknowledged means"] = str(held.get("durability", "-"))
    return rows


def _of_threads(cell: Cell) -> str:
    told = f"{cell['acknowledged'] - cell['lost']} of {cell['acknowledged']} there"
    return f"{told}; {cell['errors']} errors: {cell['first'][0]}" if cell["errors"] else told


def _of_processes(cell: Cell) -> str:
    if "memory" in cell:
        return "not shared"
    told = f"{cell['lost']} of {cell['acknowledged']} acknowledged lost"
    told += "; the second was refused" if cell["refused"] else ""
    return f"{told}; {cell['errors'][0]}" if cell["errors"] else told


def _of_kills(cell: Cell) -> str:
    if "memory" in cell:
        return "everything lost, by design"
    told = f"{cell['lost']} of {cell['acknowledged']} acknowledged lost"
    told += f"; {cell['old']} older ones lost" if cell["old"] else ""
    return f"{told}; {cell['unusable']} stores unusable" if cell["unusable"] else told


def _disk(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> Rows:
    del plan
    rows: Rows = {}
    for peer in peers:
        if (cell := cells.get(f"disk/{peer.name}")) is None:
            continue
        if "memory" in cell:
            rows[peer.name] = {"deleted": "nothing on disk"}
            continue
        rows[peer.name] = _failed(cell) or {
            "deleted": _copies(cell["deleted"]), "deleted and closed": _copies(cell["closed"]),
        }  # fmt: skip
    return rows


def _copies(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in found.items()) or "no copy"


def _weights(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> Rows:
    rows: Rows = {}
    for peer in peers:
        weight = cells.get(f"weight/{peer.env}", {})
        found = [cells.get(f"import/{n}/{peer.name}", {}) for n in range(plan.repeats)]
        found = [cell for cell in found if "cpu" in cell]
        rows[peer.name] = {
            "packages": str(weight.get("packages", "-")),
            "installed, MB": f"{weight['bytes'] / _MB:,.0f}" if "bytes" in weight else "-",
            "import, processor ms": _span([cell["cpu"] for cell in found]),
            "import, resident MB": _span([cell["memory"] / _MB for cell in found]),
        }
    return rows


def _versions(cells: Mapping[str, Cell], peers: Sequence[Peer], plan: Plan) -> Rows:
    del plan
    rows: Rows = {}
    for peer in peers:
        held: dict[str, Any] = cells.get(f"import/0/{peer.name}", {})
        named = ", ".join(f"{name} {number}" for name, number in held.get("versions", {}).items())
        rows[peer.name] = {"versions": f"{named}; Python {held.get('python', '-')}"}
    return rows


def _span(found: Sequence[float], ours: float | None = None) -> str:
    """Give the middle one, the least and the most, and the ratio to ours."""
    if not found:
        return ""
    middle = median(found)
    told = _short(middle)
    if len(found) > 1:
        told += f" ({_short(min(found))} to {_short(max(found))})"
    return f"{told} x{_short(middle / ours)}" if ours else told


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _failure(cells: Mapping[str, Cell], name: str) -> str:
    cell = cells.get(name)
    return "not measured" if cell is None else str(cell.get("error", "-"))


def _failed(cell: Cell) -> dict[str, str]:
    return {"search, ms": f"failed: {cell['error']}"} if "error" in cell else {}
