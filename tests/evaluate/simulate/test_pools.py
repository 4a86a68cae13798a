from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prefmem.errors import InputError
from prefmem.evaluate.simulate.embedders import make
from prefmem.evaluate.simulate.hashing import GramEmbedder
from prefmem.evaluate.simulate.lines import POOLS, read, shortened
from prefmem.evaluate.simulate.pools import Pools, difficulty, load
from prefmem.testing import HashEmbedder
from prefmem.types import Matrix


class Counting(GramEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self) -> None:
        super().__init__(16)
        self.count = 0

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.count += len(texts)
        return super().embed(texts)


@pytest.fixture(scope="module")
def pools() -> Pools:
    return load(read(), GramEmbedder())


def test_the_pools_are_as_large_as_specified() -> None:
    lines = read()
    style = [held for held in lines.held if held.topic == 0]
    grouped = [held.group for held in style if held.group]
    assert len(style) >= 80
    assert 0.5 <= len(grouped) / len(style) <= 0.7
    assert min(grouped.count(group) for group in grouped) >= 2
    topical = [held.topic for held in lines.held if held.topic]
    assert len(lines.topics) - 1 >= 10
    assert min(topical.count(topic) for topic in set(topical)) >= 25
    assert len(lines.queries) >= 120
    assert all(len(said) >= 5 for said in lines.templates.values())


@pytest.mark.model
def test_restatements_are_neither_trivial_nor_hopeless() -> None:
    topical = [held for held in read().held if held.topic]
    embedder = make("packaged")
    cards = embedder.embed([held.card for held in topical])
    said = embedder.embed([held.restatement for held in topical])
    assert 0.50 <= np.median((cards * said).sum(axis=1)) <= 0.70


def test_difficulty_is_the_median_over_topical_preferences(pools: Pools) -> None:
    cosines = [
        float(pools.vectors[i] @ pools.vectors[pools.restated[i, 1]])
        for i in range(len(pools.topic))
        if pools.topic[i]
    ]
    assert difficulty(pools) == pytest.approx(np.median(cosines))


@pytest.mark.parametrize(("words", "left"), [(4, 3), (7, 5), (11, 8), (20, 14)])
def test_a_quarter_of_the_words_is_dropped(words: int, left: int) -> None:
    text = " ".join(f"w{i}" for i in range(words))
    short = shortened(text)
    assert len(short.split()) == left  # words - round(0.275 words)
    assert short == shortened(text)
    rest = iter(text.split())
    assert all(word in rest for word in short.split())  # in their order


def test_style_applies_by_tags_and_topics_by_questions(pools: Pools) -> None:
    lines = read()
    tags = np.array([[bool(t & h.tags) for h in lines.held] for t, _ in lines.queries])
    assert (pools.applies[: len(tags)] == tags).all()
    for query in range(len(tags), len(pools.queries)):
        about = pools.topic[pools.applies[query]]
        assert (about == pools.query_topic[query]).all()
    topical = np.flatnonzero(pools.topic)
    assert pools.applies[pools.own[topical], topical].all()
    others = pools.applies[pools.own[topical]].sum() - topical.size
    sizes = np.bincount(pools.topic)[1:]
    assert others / (sizes * (sizes - 1)).sum() == pytest.approx(0.22, abs=0.01)


def test_a_rejection_names_the_card(pools: Pools) -> None:
    near = pools.vectors[: len(pools.named)] * pools.vectors[pools.named[:, 0]]
    assert np.median(near.sum(axis=1)) > 0.6
    assert (pools.named[:, 0] != pools.named[:, 1]).all()


@pytest.mark.parametrize("embedder", [HashEmbedder(384), GramEmbedder()])
def test_the_pools_embed_without_a_model(embedder: HashEmbedder | GramEmbedder) -> None:
    found = load(read(), embedder)
    assert found.vectors.shape[1] == 384
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert found.basis == embedder.basis


def test_vectors_are_kept_and_made_again_when_stale_or_damaged(tmp_path: Path) -> None:
    embedder, lines = Counting(), read()
    first = load(lines, embedder, cache=tmp_path / "new")
    texts = embedder.count
    again = load(lines, embedder, cache=tmp_path / "new")
    assert embedder.count == texts == len(first.vectors)
    assert (again.vectors == first.vectors).all()
    (file,) = (tmp_path / "new").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    load(lines, embedder, cache=tmp_path / "new")
    assert embedder.count == 2 * texts
    other = Counting()
    load(replace(lines, queries=lines.queries[1:]), other, cache=tmp_path / "new")
    assert other.count == texts - 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("style.txt", "a | b\n", "2 fields"),
        ("oneoffs.txt", "", "empty"),
        ("templates.txt", "? | Hm.\n", "'\\?'"),
        ("templates.txt", "rejection | No.\n", "rejection"),
        ("templates.txt", "+ | Fine.\n", "lack a kind"),
        ("style_queries.txt", None, "cannot read"),
    ],
)
def test_what_is_no_pool_is_refused(
    name: str, content: str | None, message: str, tmp_path: Path
) -> None:
    for path in POOLS.rglob("*.txt"):
        target = tmp_path / path.relative_to(POOLS)
        target.parent.mkdir(exist_ok=True)
        target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert read(tmp_path) == read()
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read(tmp_path)
