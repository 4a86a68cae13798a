"""What memory costs beside one embedding: CPU time, measured in turn in one run, as ratios."""

from collections.abc import Callable
from functools import partial
from time import process_time

import numpy as np

from prefmem.evaluate.metrics import Figure
from prefmem.memory import PreferenceMemory
from prefmem.train.embedder import DATA
from prefmem.train.progress import Progress
from prefmem.train.ranking import load_families

_WINDOW = (
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


def measure(*, cards: int, rounds: int, seed: int, progress: Progress) -> dict[str, Figure]:
    """Time recall, render and learn against embedding their query alone.

    Args:
        cards: Cards of the user.
        rounds: Paired measurements.
        seed: Order of the queries, and the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Ratios of CPU time to that of one query embedding: median over rounds, 95% interval of the
        median.
    """
    families = load_families(DATA)
    rules = [rule for family in families for rule in family.rules]
    queries = [query for family in families for query, _ in family.queries]
    rng = np.random.default_rng(seed)
    order: list[int] = rng.permutation(len(queries))[:rounds].tolist()
    asked = [queries[i] for i in order]
    ratios: dict[str, list[float]] = {"recall": [], "recall and render": [], "learn, six turns": []}
    with PreferenceMemory(":memory:") as memory:
        for i in range(cards):
            memory.add("", f"{rules[i % len(rules)]} ({i})", user_id="u", scope="conditional")
            progress("cards", i + 1, cards)
        memory.recall(asked[0], user_id="u")
        memory.learn(_WINDOW, user_id="v")
        for done, query in enumerate(asked, start=1):
            alone = _cpu(partial(memory.embedder.embed, [query]))
            recall = partial(memory.recall, query, user_id="u")
            learn = partial(memory.learn, _WINDOW, user_id="v", session_id=str(done))
            ratios["recall"].append(_cpu(recall) / alone)
            ratios["recall and render"].append(_cpu(partial(_rendered, memory, query)) / alone)
            ratios["learn, six turns"].append(_cpu(learn) / alone)
            progress("rounds", done, rounds)
    return {f"{name} / embedding": _median(values, rng) for name, values in ratios.items()}


def _rendered(memory: PreferenceMemory, query: str) -> str:
    return memory.render(memory.recall(query, user_id="u"))


def _cpu(work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return process_time() - start


def _median(values: list[float], rng: np.random.Generator) -> Figure:
    array = np.array(values)
    drawn = np.median(array[rng.integers(0, len(array), (1000, len(array)))], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(float(np.median(array)), float(low), float(high), len(array))
