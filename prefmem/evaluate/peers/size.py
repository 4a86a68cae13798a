"""Time, memory and recall at a size: one user, and many users in one store."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from prefmem.evaluate.peers.envs import Peer
from prefmem.evaluate.peers.link import Reply
from prefmem.evaluate.peers.material import Material
from prefmem.evaluate.peers.work import ONE, Cell, K, Workshop, done, items


def at_import(shop: Workshop, peer: Peer) -> Cell:
    """Import a peer in a fresh process."""
    with shop.empty() as folder, shop.loaded(peer, folder) as (_, load):
        return load


def at_size(shop: Workshop, peer: Peer, size: int) -> Cell:
    """Search, add and delete beside `size` memories of one user.

    The process is fresh: `cold` is the first search of all, `search` the later ones.
    """
    plan, material = shop.plan, shop.material
    asked = [(ONE, query) for query in material.queries[: plan.searches + 1]]
    with shop.filled(peer, items(size), str(size)) as (link, opened):
        cold = done(link.ask(do="search", items=asked[:1], k=K))
        warm = done(link.ask(do="search", items=asked[1:], k=K, seconds=plan.seconds))
        new = items(plan.adds, start=size)
        added = done(link.ask(do="add", items=new, seconds=plan.seconds))
        old = items(min(plan.deletes, size // 2))
        gone = done(link.ask(do="delete", items=old, seconds=plan.seconds))
        done(link.ask(do="close"))
    found = [*cold["found"], *warm["found"]]
    return {
        "open": opened["cpu"], "cold": cold["cpu"][0], "memory": warm["memory"],
        "search": _spent(warm), "add": _spent(added), "delete": _spent(gone),
        "recall": fmean(shares(material, range(len(found)), [range(size)] * len(found), found)),
    }  # fmt: skip


def at_users(shop: Workshop, peer: Peer) -> Cell:
    """Search once for each of many users in one store, twice over."""
    plan, material = shop.plan, shop.material
    held = {f"user{n}": range(n * plan.each, (n + 1) * plan.each) for n in range(plan.users)}
    every = [(user, number) for user, numbers in held.items() for number in numbers]
    queries = [n % len(material.queries) for n in range(plan.users)]
    asked = [(user, material.queries[q]) for user, q in zip(held, queries, strict=True)]
    with shop.filled(peer, every, "users") as (link, _):
        cold = done(link.ask(do="search", items=asked, k=K, seconds=5 * plan.seconds))
        warm = done(link.ask(do="search", items=asked, k=K, seconds=5 * plan.seconds))
        done(link.ask(do="close"))
    found = cold["found"]
    own = list(held.values())[: len(found)]
    foreign = sum(n not in mine for some, mine in zip(found, own, strict=True) for n in some)
    return {
        "asked": len(found), "cold": _spent(cold), "search": _spent(warm),
        "recall": fmean(shares(material, queries, own, found)),
        "empty": sum(not some for some in found), "foreign": foreign, "memory": warm["memory"],
    }  # fmt: skip


def shares(
    material: Material, queries: Sequence[int], held: Sequence[Sequence[int]],
    found: Sequence[Sequence[int]],
) -> list[float]:  # fmt: skip
    """Give for each query the share of its nearest memories that were found, in [0, 1]."""
    told: list[float] = []
    for query, mine, some in zip(queries, held, found, strict=False):
        exact = material.exact(query, mine, K)
        told.append(len(exact.intersection(some)) / len(exact))
    return told


def _spent(reply: Reply) -> dict[str, Any]:
    """Sum a block up: milliseconds of the processor a call, and wall clock of the middle one."""
    return {"cpu": fmean(reply["cpu"]), "wall": median(reply["wall"]), "calls": len(reply["cpu"])}
