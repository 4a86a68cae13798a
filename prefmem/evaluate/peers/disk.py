"""What is left on disk of a memory that was deleted."""

from pathlib import Path

from prefmem.evaluate.peers.envs import Peer
from prefmem.evaluate.peers.material import MARKER
from prefmem.evaluate.peers.work import ONE, Cell, Workshop, done, items

_OTHERS = 100  # memories that stay


def disk(shop: Workshop, peer: Peer) -> Cell:
    """Add a memory with a word of its own, delete it, and look for the word in every byte."""
    marked = [(ONE, len(shop.material.memories) - 1)]
    with shop.empty() as folder, shop.opened(peer, folder) as (link, opened):
        if opened["keeps"] == "memory":
            return {"memory": True}
        done(link.ask(do="fill", items=items(_OTHERS)))
        done(link.ask(do="add", items=marked))
        written = copies(folder)
        done(link.ask(do="delete", items=marked))
        after = copies(folder)
        done(link.ask(do="close"))
        link.end()
        return {"written": written, "deleted": after, "closed": copies(folder)}


def copies(folder: Path) -> dict[str, int]:
    """Count the files' copies of the word, by name of the file."""
    word, found = MARKER.encode(), dict[str, int]()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (count := path.read_bytes().count(word)):
            found[str(path.relative_to(folder))] = count
    return found
