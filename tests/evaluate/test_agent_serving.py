"""Measuring adapters of many users on a tiny Qwen3."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from prefmem.agent.lesson import Task
from prefmem.agent.prompts import rules_asked
from prefmem.evaluate.agent.serving import measure

# peft asks a model of transformers for what transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
Dialogue = tuple[list[dict[str, str]], str]


def test_adapters_answer_as_they_do_alone(
    train_qwen3: Callable[[Path, Sequence[Dialogue]], None], tmp_path: Path
) -> None:
    train_qwen3(tmp_path, [(rules_asked(Task("- a", "mail")), "- Be brief.")])
    told: list[str] = []
    found = measure(
        tmp_path, adapters=3, rank=4, tokens=6, rounds=2, steps=2,
        progress=lambda stage, done, total: told.append(stage),
    )  # fmt: skip
    assert found["mixed batch equals single"].value == 1
    assert found["mixed batch equals single"].cases == 3
    assert found["answers with another's rules"].value == 0
    assert found["answers with another's rules"].cases == 4
    # Two layers, four rows of A and B for each of: q, k, v, o, gate, up, down (float32).
    sides = (64 + 64, 64 + 32, 64 + 32, 64 + 64, 64 + 128, 64 + 128, 128 + 64)
    assert found["MB per adapter, weights"].value == 2 * 4 * 4 * sum(sides) / 2**20
    assert found["CPU time, switch / answer"].cases == 2
    assert {"making adapters", "training", "two users at once"} <= set(told)
