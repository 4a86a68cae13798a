"""Faults: threads on one object, two processes on one folder, kill -9 while memories are added."""

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from prefmem.evaluate.peers.envs import Peer
from prefmem.evaluate.peers.link import Link, Reply
from prefmem.evaluate.peers.work import ONE, Cell, PeerFailedError, Workshop, done, items

_LATER = 0.05  # seconds within which the kill comes after the last acknowledgement waited for
_FIRST = 40  # acknowledgements that are waited for, at most
_OLD = 50  # memories from before that are looked for


def threads(shop: Workshop, peer: Peer) -> Cell:
    """Let threads add to one object while another searches; count what is not there afterwards."""
    plan = shop.plan
    lists = [items(plan.written, start=plan.before + n * plan.written) for n in range(plan.writers)]
    with shop.filled(peer, items(plan.before), f"{plan.before}") as (link, opened):
        query = shop.material.queries[0]
        told = done(link.ask(do="threads", lists=lists, query=query))
        lost = _missing(link, told["done"])
        done(link.ask(do="close"))
        if opened["keeps"] == "disk":
            folder = Path(opened["folder"])
            link.end()
            with shop.opened(peer, folder) as (again, _):
                lost = max(lost, _missing(again, told["done"]))
    asked = plan.writers * plan.written
    return {
        "asked": asked, "acknowledged": len(told["done"]), "lost": lost, "errors": told["errors"],
        "first": told["first"],
    }  # fmt: skip


def processes(shop: Workshop, peer: Peer) -> Cell:
    """Let two processes add to one folder at the same time."""
    plan = shop.plan
    given = [items(plan.written, start=plan.before + n * plan.written) for n in range(2)]
    refused, kept = "", list[tuple[str, int]]()
    with shop.copied(peer, items(plan.before), f"{plan.before}") as folder:
        with ExitStack() as stack:
            links: list[Link] = []
            for _ in given:
                try:
                    link, opened = stack.enter_context(shop.opened(peer, folder))
                    links.append(link)
                except PeerFailedError as error:
                    refused = str(error)
                    continue
                if opened["keeps"] == "memory":
                    return {"memory": True}
            for link, mine in zip(links, given, strict=False):
                link.start(do="add", items=mine)
            errors = list[str]()
            for link, mine in zip(links, given, strict=False):
                told = _last(link)
                errors += [told["error"]] if "error" in told else []
                kept += mine[: len(told.get("cpu", ()))]
        with shop.opened(peer, folder) as (link, _):
            lost = _missing(link, kept)
    return {"acknowledged": len(kept), "lost": lost, "refused": refused, "errors": errors}


def kill(shop: Workshop, peer: Peer) -> Cell:
    """Kill a process while it adds, again and again, each time on a fresh copy."""
    plan = shop.plan
    rng = random.Random(plan.seed)  # moments of a kill, no secret
    acknowledged = lost = old = unusable = 0
    first = ""
    for _ in range(plan.kills):
        with shop.copied(peer, items(plan.before), f"{plan.before}") as folder:
            done_before = _killed(shop, peer, folder, rng)
            if done_before is None:
                return {"memory": True}
            acknowledged += len(done_before)
            try:
                with shop.opened(peer, folder) as (link, _):
                    lost += _missing(link, done_before)
                    old += _missing(link, items(plan.before)[:: max(1, plan.before // _OLD)])
            except PeerFailedError as error:
                unusable, first = unusable + 1, str(error)
    return {
        "kills": plan.kills, "acknowledged": acknowledged, "lost": lost, "old": old,
        "unusable": unusable, "first": first,
    }  # fmt: skip


def _killed(
    shop: Workshop, peer: Peer, folder: Path, rng: random.Random
) -> list[tuple[str, int]] | None:
    """Kill a process that adds; gives what it acknowledged, None where nothing is on disk."""
    plan = shop.plan
    with shop.opened(peer, folder) as (link, opened):
        if opened["keeps"] == "memory":
            return None
        wanted = rng.randrange(1, _FIRST)
        room = len(shop.material.memories) - plan.before - 1
        link.start(do="stream", items=items(min(1_000, room), start=plan.before))
        told = list[int]()
        for line in link.told():
            if "done" in line:
                told.append(int(line["done"]))
            if len(told) == wanted:
                time.sleep(rng.uniform(0, _LATER))
                link.kill()  # what was acknowledged until then is still read
    return [(ONE, number) for number in told]


def _missing(link: Link, wanted: Sequence[Sequence[object]]) -> int:
    """Count memories that a search for their own vector does not find first."""
    if not wanted:
        return 0
    found = done(link.ask(do="present", items=list(wanted)))["present"]
    return sum(not there for there in found)


def _last(link: Link) -> Reply:
    last: Reply = {}
    for last in link.told():  # noqa: B007  # the last one is wanted
        pass
    return last
