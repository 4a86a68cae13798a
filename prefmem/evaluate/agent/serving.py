"""Adapters of many users on one base: whether they answer as they do alone, and what they cost."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from time import process_time
from typing import Any, TypeAlias

from prefmem.agent.adapters import Adapter, AdapterLM, Answer, Outcome
from prefmem.agent.base import source_of, weights_of
from prefmem.agent.generate import LocalAgent
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.prompts import rules_asked
from prefmem.agent.recipe import Recipe
from prefmem.agent.registry import Registry
from prefmem.agent.train import train
from prefmem.agent.version import CONFIG, WEIGHTS, Version, check
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.models.loading import Messages, load
from prefmem.train.progress import Progress, silent
from prefmem.types import UserKey

_TASKS = tuple(
    Task(f"- I thank {who} for {what}\n- we meet again {when}", kind, who)
    for kind in ("mail", "note")
    for who, what, when in (
        ("Ada", "the maps", "on Friday"), ("Ben", "the ladder", "in May"),
        ("Cleo", "her advice", "at the lake"),
    )
)  # fmt: skip
_OWN = {  # what two users' adapters are trained to write, for every task
    "alma": ("Sign off with Best, Alma.", "Open with Dear."),
    "bo": ("Use no greeting at all.", "End with Cheers, Bo."),
}
_Own: TypeAlias = tuple[Adapter, Messages]
_MB = 2**20
_SWITCHES = 10  # switches that are timed
_STRENGTH = 0.2  # of a random adapter: its answers are its own, and still words


def measure(
    base: str | Path,
    *,
    adapters: int = 50,
    rank: int = 16,
    tokens: int = 12,
    rounds: int = 20,
    steps: int = 24,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Mapping[str, Figure]:
    """Serve adapters on one base: random ones, and two that were trained on their user's rules.

    Args:
        base: As `LocalAgent` takes it.
        adapters: Random adapters in memory at once, at least 2.
        rank: Theirs; all linear layers have one.
        tokens: Length of an answer of theirs.
        rounds: Questions of each of two users who ask at the same time.
        steps: Training steps of each of the two users' adapters.
        seed: Of the random adapters, the training and the resampling.
        cache: Folder for the unpacked weights of `smollm2`.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name: the share of adapters whose answer in a mixed batch is the one they give
        alone, and of answers that no other adapter gives; CPU time of mixed batches over that of
        single answers; megabytes per adapter, of weights and of resident memory (not a number
        where the system does not tell); CPU time of a switch (reading, checking and placing an
        adapter where another one was) over that of an answer; and, of two users who ask at the same
        time, the share of answers that differ from the user's own, and of tasks for which the two
        users' rules differ at all.
    """
    source = source_of(base, cache=cache)
    with TemporaryDirectory() as home:
        registry = Registry(home)
        versions = _random(source, registry, adapters, rank, seed, progress)
        known = weights_of(source).sha256
        asked: list[_Own] = [
            (_adapter(version, known), rules_asked(_TASKS[n % len(_TASKS)]))
            for n, version in enumerate(versions)
        ]
        figures = _together(source, asked, tokens, seed, progress)
        figures |= _switching(source, asked, tokens, seed, progress)
        figures |= _at_once(
            base, Registry(Path(home) / "two"), rounds, steps, seed, cache, progress
        )
    return figures


def _together(
    source: str | Path, asked: Sequence[_Own], tokens: int, seed: int, progress: Progress
) -> dict[str, Figure]:
    """Compare mixed batches with single answers, and count memory."""
    model = AdapterLM(
        source, max_adapters=len(asked), max_bytes=2**40, max_new_tokens=tokens, batch_size=16
    )
    model.complete_as([(None, asked[0][1])])
    before = _resident()
    for n, (adapter, _) in enumerate(asked, start=1):
        model.prepare(adapter)
        progress("loading adapters", n, len(asked))
    resident, held = (_resident() - before) / _MB, model.held
    progress("answering together", 0, len(asked))
    start = process_time()
    mixed = _texts(model.complete_as(asked))
    batch_time = process_time() - start
    single: list[str] = []
    times: list[float] = []
    for n, one in enumerate(asked, start=1):
        start = process_time()
        single += _texts(model.complete_as([one]))
        times.append(process_time() - start)
        progress("answering one by one", n, len(asked))
    alike = [float(a == b) for a, b in zip(mixed, single, strict=True)]
    others = [float(single.count(text) == 1) for text in single]
    share = batch_time / sum(times)
    return {
        "mixed batch equals single": mean(alike, seed=seed),
        "answers no other adapter gives": mean(others, seed=seed),
        "CPU time, mixed / single": _told(share, len(asked)),
        "MB per adapter, weights": _told(held.bytes / held.adapters / _MB, held.adapters),
        "MB per adapter, resident": _told(resident / len(asked), len(asked)),
    }


def _switching(
    source: str | Path, asked: Sequence[_Own], tokens: int, seed: int, progress: Progress
) -> dict[str, Figure]:
    """Time adapters that take the only place from another, and an answer of each."""
    model = AdapterLM(source, max_adapters=1, max_bytes=2**40, max_new_tokens=tokens)
    switches: list[float] = []
    answers: list[float] = []
    pairs = asked[: _SWITCHES + 1]
    model.complete_as(pairs[:1])  # makes the place
    for n, one in enumerate(pairs[1:], start=1):
        start = process_time()
        model.prepare(one[0])
        middle = process_time()
        model.complete_as([one])
        answers.append(process_time() - middle)
        switches.append(middle - start)
        progress("switching adapters", n, len(pairs) - 1)
    return {
        "CPU time, switch / answer": ratio(switches, answers, seed=seed),
        "ms of CPU, switch": mean([1000 * s for s in switches], seed=seed),
    }


def _at_once(
    base: str | Path,
    registry: Registry,
    rounds: int,
    steps: int,
    seed: int,
    cache: Path | None,
    progress: Progress,
) -> dict[str, Figure]:
    """Let two users with trained adapters ask at the same moment, again and again."""
    recipe = Recipe(
        rank=8, rate=5e-3, steps=steps, batch=2, at_once=2, dropout=0.0, patience=0, packing=False
    )
    for name, rules in _OWN.items():
        train(
            base, [Lesson(task, rules) for task in _TASKS], registry=registry, user=UserKey(name),
            recipe=recipe, seed=seed, cache=cache, progress=progress,
        )  # fmt: skip
    # One place: each question may take it from the other user's adapter.
    agents = [LocalAgent(registry, max_adapters=n, max_new_tokens=48, cache=cache) for n in (1, 2)]
    alone = {name: [agents[0].rules(task, user=UserKey(name)) for task in _TASKS] for name in _OWN}
    differ = [float(a != b) for a, b in zip(*alone.values(), strict=True)]
    barrier = Barrier(len(_OWN))
    wrong: list[float] = []

    def ask(name: str) -> None:
        try:
            for n in range(rounds):
                barrier.wait()
                task = n % len(_TASKS)
                rules = agents[n % len(agents)].rules(_TASKS[task], user=UserKey(name))
                wrong.append(float(rules != alone[name][task]))
                progress("two users at once", len(wrong), rounds * len(_OWN))
        except BaseException:
            barrier.abort()  # or the other user waits for this one
            raise

    with ThreadPoolExecutor(len(_OWN)) as pool:
        list(pool.map(ask, _OWN))
    return {
        "answers with another's rules": mean(wrong, seed=seed),
        "tasks with rules of one's own": mean(differ, seed=seed),
    }


def _random(
    source: str | Path, registry: Registry, count: int, rank: int, seed: int, progress: Progress
) -> list[Version]:
    """Publish random adapters on all linear layers of a base, each of a user of its own."""
    torch: Any = import_module("torch")
    model = load(source).model
    shapes = {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
    }
    del model
    save = import_module("safetensors.torch").save_file
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": sorted(shapes)}
    weights = weights_of(source)
    manifest = {
        "target": "rules",
        "base": {"name": str(source), "revision": None, "weights": weights.sha256},
    }
    found: list[Version] = []
    for n in range(count):
        draw = torch.Generator().manual_seed(1000 * seed + n)
        tensors: dict[str, Any] = {}
        for name, (inner, outer) in shapes.items():
            for matrix, shape, deviation in (
                ("A", (rank, inner), inner**-0.5), ("B", (outer, rank), _STRENGTH * rank**-0.5),
            ):  # fmt: skip
                key = f"base_model.model.{name}.lora_{matrix}.weight"
                tensors[key] = deviation * torch.randn(shape, generator=draw)
        user = UserKey(f"user {n}")
        made = registry.training(user)
        made.mkdir(parents=True)
        save(tensors, made / WEIGHTS)
        (made / CONFIG).write_text(json.dumps(config), encoding="utf-8")
        found.append(registry.publish(user, made, manifest))
        progress("making adapters", n + 1, count)
    return found


def _adapter(version: Version, weights: str) -> Adapter:
    return Adapter(
        version.hash, version.hash, version.folder, check=lambda: check(version, weights=weights)
    )


def _texts(outcomes: Sequence[Outcome]) -> list[str]:
    """Give the answers' texts; an adapter that cannot be used ends the measurement."""
    texts: list[str] = []
    for outcome in outcomes:
        if not isinstance(outcome, Answer):
            raise outcome
        texts.append(outcome.text)
    return texts


def _told(value: float, cases: int) -> Figure:
    return Figure(value, value, value, cases)


def _resident() -> float:
    """Give the bytes of this process in memory; not a number where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return float("nan")
    return float(pages) * os.sysconf("SC_PAGE_SIZE")
