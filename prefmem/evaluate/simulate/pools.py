"""The text pools as numbers: vectors, topics, conflict groups, and what applies to which query."""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.simulate.embedders import Space
from prefmem.evaluate.simulate.lines import Lines, shortened
from prefmem.interaction import Flags, Numbers
from prefmem.train.progress import Progress, silent
from prefmem.types import Matrix

_NEAR = 0.22  # of the pairs of questions within a topic, the nearest: each applies to the other
_NAMES = 2  # ways in which a card is rejected
_BATCH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """Everything that a simulated user can hold, ask or say; texts go by their row in `vectors`.

    With p preferences and o one-offs the card texts come first: p cards, p duplicates, o one-offs.

    Attributes:
        texts: All texts, t of them.
        vectors: Unit vectors of the texts, (t, e).
        basis: Space of the vectors.
        topic: Topic of each preference, 0 for style, (p,).
        group: Conflict group of each preference, -1 for none, (p,).
        cosines: Of each two cards, (p, p).
        restated: Texts that restate a preference: shortened, and in words of its own, (p, 2).
        named: Texts that reject a card text, (2 p + o, 2).
        own: Query that is a topical preference's own question, -1 for style, (p,).
        queries: Text of each query, (q,).
        query_topic: Topic of each query, 0 for style, (q,).
        applies: Whether a preference applies to a query, (q, p).
        templates: Texts of follow-ups without preference content, by sign.
        oneoffs: Number of one-off cards.
    """

    texts: tuple[str, ...]
    vectors: Matrix
    basis: str
    topic: Numbers
    group: Numbers
    cosines: Matrix
    restated: Numbers
    named: Numbers
    own: Numbers
    queries: Numbers
    query_topic: Numbers
    applies: Flags
    templates: Mapping[int, Numbers]
    oneoffs: int

    @property
    def topics(self) -> int:
        """Number of topics beside style."""
        return int(self.topic.max())


def load(
    lines: Lines, embedder: Space, *, cache: Path | None = None, progress: Progress = silent
) -> Pools:
    """Embed the pools, or take the vectors from the cache.

    Args:
        lines: The texts.
        embedder: Its space is where all comparison takes place.
        cache: Folder for the vectors, made if missing; a file is found by the hash of the space
            and the texts, so a stale one is never read. None keeps nothing.
        progress: Told the stage, what is done and how much there is.
    """
    held, p = lines.held, len(lines.held)
    texts = [h.card for h in held] + [h.duplicate for h in held] + list(lines.oneoffs)
    rules = [h.rule for h in held] + [h.duplicate.rstrip(".") for h in held]
    rules += [text.rstrip(".") for text in lines.oneoffs]
    restated = _add(texts, [text for h in held for text in (shortened(h.card), h.restatement)])
    named = _add(texts, [text for rule in rules for text in _rejections(rule, lines.rejections)])
    topical = [i for i in range(p) if held[i].topic]
    queries = _add(texts, [text for _, text in lines.queries] + [held[i].question for i in topical])
    templates = {sign: _add(texts, said) for sign, said in lines.templates.items()}
    vectors = _embedded(texts, embedder, cache, progress)
    topic = np.array([h.topic for h in held])
    own = np.full(p, -1)
    own[topical] = len(lines.queries) + np.arange(len(topical))
    query_topic = np.concatenate((np.zeros(len(lines.queries), dtype=np.int64), topic[topical]))
    groups = {name: i for i, name in enumerate(dict.fromkeys(h.group for h in held if h.group))}
    return Pools(
        texts=tuple(texts),
        vectors=vectors,
        basis=embedder.basis,
        topic=topic,
        group=np.array([groups.get(h.group, -1) for h in held]),
        cosines=vectors[:p] @ vectors[:p].T,
        restated=restated.reshape(p, 2),
        named=named.reshape(len(rules), _NAMES),
        own=own,
        queries=queries,
        query_topic=query_topic,
        applies=_applies(lines, vectors[queries], own, query_topic),
        templates=templates,
        oneoffs=len(lines.oneoffs),
    )


def difficulty(pools: Pools) -> float:
    """Give the median cosine of a topical preference's card and its restatement in other words.

    From 0.50 to 0.70 the pools are acceptable; easier restatements make detection trivial.
    """
    topical = np.flatnonzero(pools.topic)
    cards, said = pools.vectors[topical], pools.vectors[pools.restated[topical, 1]]
    return float(np.median((cards * said).sum(axis=1)))


def _add(texts: list[str], more: Sequence[str]) -> Numbers:
    """Append texts and give their rows."""
    first = len(texts)
    texts += more
    return np.arange(first, len(texts))


def _rejections(rule: str, templates: Sequence[str]) -> list[str]:
    """Word the rejection of a rule in two ways; a hash of the rule says which."""
    code = int.from_bytes(hashlib.sha256(rule.encode()).digest()[:4])
    step = len(templates) // _NAMES
    return [
        templates[(code + i * step) % len(templates)].replace("{rule}", rule) for i in range(_NAMES)
    ]


def _applies(lines: Lines, questions: Matrix, own: Numbers, query_topic: Numbers) -> Flags:
    applies = np.zeros((len(questions), len(lines.held)), dtype=np.bool_)
    for q, (tags, _) in enumerate(lines.queries):
        applies[q] = [bool(tags & h.tags) for h in lines.held]
    for topic in range(1, int(query_topic.max()) + 1):
        rows = np.flatnonzero(query_topic == topic)
        cosines = questions[rows] @ questions[rows].T
        pairs = cosines[~np.eye(len(rows), dtype=np.bool_)]
        near = cosines >= np.quantile(pairs, 1 - _NEAR) if pairs.size else cosines > 0
        np.fill_diagonal(near, val=True)
        asked = np.flatnonzero(np.isin(own, rows))  # in the order of the rows
        applies[np.ix_(rows, asked)] = near
    return applies


def _embedded(
    texts: Sequence[str], embedder: Space, cache: Path | None, progress: Progress
) -> Matrix:
    code = hashlib.sha256("\0".join((embedder.basis, *texts)).encode()).hexdigest()
    path = cache / f"pools-{code[:32]}.npy" if cache is not None else None
    shape = (len(texts), embedder.width)
    vectors = _cached(path, shape) if path is not None else None
    if vectors is not None:
        return vectors
    vectors = np.zeros(shape, dtype=np.float32)
    for start in range(0, len(texts), _BATCH):
        part = slice(start, start + _BATCH)
        vectors[part] = embedder.embed(texts[part])
        progress("embedding the pools", min(start + _BATCH, len(texts)), len(texts))
    if path is not None:
        _keep(path, vectors)
    return vectors


def _cached(path: Path, shape: tuple[int, int]) -> Matrix | None:
    """Read vectors; None where there are none, or the file is damaged."""
    try:
        found: npt.NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = found.shape == shape and found.dtype == np.float32 and np.isfinite(found).all()
    return found.astype(np.float32) if whole else None


def _keep(path: Path, vectors: Matrix) -> None:
    """Write vectors so that a reader never sees half of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content.getvalue())
    os.replace(file.name, path)
