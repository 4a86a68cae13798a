"""Documents of a user: gathered from files, without near-duplicates and private data, and split."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from prefmem.agent import alike
from prefmem.agent.found import Found, as_utc
from prefmem.agent.lesson import Document
from prefmem.agent.sources import found_in
from prefmem.defence.privacy import PIIPolicy, is_private, secrets_in
from prefmem.errors import InputError
from prefmem.messages import clean, plain, seen

MAX_CHARS = 20_000  # of a document; what stands behind is cut off
FEW = 20  # documents below which a way of writing is told by chance
_NAME_CHARS = 80
_SUBJECT_CHARS = 200
_KIND = re.compile(r"[a-z][a-z0-9 _-]{0,29}")
_UNSPACED = re.compile(r"[!-~]{60,}")  # no word is that long: encoded data
_START = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found, and what became of it.

    Attributes:
        documents: What may be learned from, in the order in which it was found.
        quarantined: What holds a secret, or tells a special category of personal data, and waits.
        left_out: How many texts were left out, by reason.
        cut: How many documents were cut at 20,000 characters.
    """

    documents: tuple[Document, ...] = ()
    quarantined: tuple[Document, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    cut: int = 0


def read(
    path: str | Path, *, kind: str | None = None, author: str | Sequence[str] = ()
) -> tuple[Document, ...]:
    """Read the documents of a file or folder as they are, without those that hold no words.

    Args:
        path: A JSONL or JSON file, an mbox, a mail, a text, or a folder of them.
        kind: What they are, in one word; told by the source unless given.
        author: Names or addresses of the user; texts of another author are left out.

    Raises:
        InputError: There is no such file, the kind is no word, or the texts are of several authors
            and none is given.
    """
    return _Reading(kind, author).of([path])


def gather(
    paths: Iterable[str | Path],
    *,
    kind: str | None = None,
    author: str | Sequence[str] = (),
    pii: PIIPolicy = "quarantine",
    known: Sequence[Document] = (),
    tell: Callable[[int], None] = lambda count: None,
) -> Gathered:
    """Gather what may be learned from: no near-duplicates, no private data.

    Args:
        paths: Files and folders, as for `read`.
        kind: As for `read`.
        author: As for `read`.
        pii: What happens to a document that holds a secret or tells a special category of personal
            data: it is left out, it waits, or it is taken; a secret waits even then.
        known: Documents that were there before; they come first and are held to `pii` as well.
        tell: Called with the number of texts that were looked at.

    Raises:
        InputError: As for `read`.
    """
    reading = _Reading(kind, author, tell)
    found = (*known, *reading.of(paths))
    left = reading.left_out
    distinct = [found[place] for place in alike.distinct([d.text for d in found])]
    left["near-duplicate"] += len(found) - len(distinct)
    private = is_private if pii != "allow" else secrets_in
    waiting = tuple(d for d in distinct if private(f"{d.subject}\n{d.text}"))
    held = {d.id for d in waiting}
    if pii == "drop":
        left["private"] += len(waiting)
        waiting = ()
    return Gathered(
        tuple(d for d in distinct if d.id not in held), waiting,
        {reason: count for reason, count in sorted(left.items()) if count}, reading.cut,
    )  # fmt: skip


def split(
    documents: Iterable[Document], held_out: float = 0.2
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Split documents by time: the latest of each kind are held out. Near-duplicates are left out.

    Documents without a time count as written before the others, in their order.

    Args:
        documents: Of one user.
        held_out: Share that is held out, from 0 to below 1. Of two documents or more at least one
            is, unless it is 0, and at least one is not.

    Returns:
        What is trained on, and what is held out; each oldest first.

    Raises:
        InputError: The share is out of its range.
    """
    if not 0 <= held_out < 1:
        raise InputError(f"held_out={held_out!r}; give a share from 0 to below 1")
    given = tuple(documents)
    known = [given[place] for place in alike.distinct([d.text for d in given])]
    known.sort(key=lambda d: as_utc(d.at) if d.at else _START)
    kinds: dict[str, list[Document]] = defaultdict(list)
    for document in known:
        kinds[document.kind].append(document)
    last = {
        d.id for of_kind in kinds.values() for d in _last(of_kind, round(len(of_kind) * held_out))
    }
    if not last and held_out and len(known) > 1:
        last = {max(kinds.values(), key=len)[-1].id}
    return (
        tuple(d for d in known if d.id not in last),
        tuple(d for d in known if d.id in last),
    )


def tidy(text: str) -> str:
    """Bring a text to the form in which it is learned: no invisible characters, no spaces at ends.

    It is cut at 20,000 characters, before the line that goes on behind them.
    """
    room = text.lstrip()[: MAX_CHARS + 1].replace("\r\n", "\n").replace("\r", "\n")
    if len(room) > MAX_CHARS:
        line = room.rfind("\n", MAX_CHARS // 2)
        room = room[: line if line > 0 else MAX_CHARS]
    lines = [seen(line).rstrip() for line in clean(room).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reading:
    """Makes documents of what files hold, and counts what was left out."""

    def __init__(
        self,
        kind: str | None,
        author: str | Sequence[str],
        tell: Callable[[int], None] = lambda count: None,
    ) -> None:
        if kind is not None and not _KIND.fullmatch(kind):
            raise InputError(f"kind={kind!r}; give a word such as mail, article, review or note")
        given = [author] if isinstance(author, str) else author
        self._mine = {folded for name in given if (folded := _folded(name))}
        self._kind = kind
        self._tell = tell
        self.left_out: Counter[str] = Counter()
        self.cut = 0

    def of(self, paths: Iterable[str | Path]) -> tuple[Document, ...]:
        """Read files and folders."""
        made: dict[str, Document] = {}
        authors: set[str] = set()
        looked_at = 0
        for path in paths:
            for found in found_in(Path(path)):
                looked_at += 1
                self._tell(looked_at)
                document = self._taken(found)
                if isinstance(document, str):
                    self.left_out[document] += 1
                    continue
                if isinstance(found, Found):
                    authors.update(map(_folded, found.authors[-1:]))
                if made.setdefault(document.id, document) is not document:
                    self.left_out["near-duplicate"] += 1
        if not self._mine and len(authors) > 1:
            raise InputError(
                f"the texts are of {len(authors)} authors; say by which names or addresses the "
                "user is called there (author, or --author)"
            )
        return tuple(made.values())

    def _taken(self, found: Found | str) -> Document | str:
        """Make a document, or give the reason why there is none."""
        if isinstance(found, str):
            return found
        authors = set(map(_folded, found.authors))
        if self._mine and authors and not self._mine & authors:
            return "of others"
        text = tidy(found.text)
        if not any(c.isalnum() for c in text):
            return "empty"
        if sum(map(len, _UNSPACED.findall(text))) > len(text) / 2:
            return "not text"
        self.cut += len(found.text.strip()) > MAX_CHARS
        said = found.kind.strip().lower()
        return Document(
            sha256(text.encode()).hexdigest()[:16],
            text,
            self._kind or (said if _KIND.fullmatch(said) else "text"),
            plain(found.to, limit=_NAME_CHARS),
            plain(found.subject, limit=_SUBJECT_CHARS),
            found.at,
        )


def _last(documents: Sequence[Document], count: int) -> Sequence[Document]:
    return documents[-min(count, len(documents) - 1) :] if count and len(documents) > 1 else ()


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
