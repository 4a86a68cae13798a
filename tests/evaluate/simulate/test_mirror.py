"""A model in a user's place: what is read of decisions, entropy by hand, a tiny real model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefmem.errors import InputError
from prefmem.evaluate.chats import open_chat
from prefmem.evaluate.obedience import Message
from prefmem.evaluate.simulate import lines
from prefmem.evaluate.simulate.mirror import (
    Decision,
    Scene,
    Uncertainty,
    asked,
    chances,
    decide,
    hits,
    read,
    split,
    uncertainty,
)
from prefmem.evaluate.simulate.report_mirror import parts
from prefmem.evaluate.simulate.scenes import scenes

WHOLE = """\
**Stimulus:** It is late and I am hungry.
Stimulus factors: hunger, [time of day]
Knowledge: the soup is quick
Knowledge factors: speed, price.
Evaluation: I want the soup
Evaluation style: Intuitive
Choice: [B]"""
SCENE = Scene("- When cooking, be quick.", "", ("roast", "soup", "stew"), 1)


def test_a_whole_decision_is_read() -> None:
    assert read(WHOLE, 3) == Decision(
        1, "It is late and I am hungry.", ("hunger", "time of day"), "the soup is quick",
        ("speed", "price"), "I want the soup", "intuitive",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("Choice: B", 1), ("choice : (c)", 2), ("Behavior: [A]", 0), ("B", 1), ("I take [C].", 2),
        ("Thinking.\nB", 1), ("- CHOICE: **b** because", 1), ("Choice: D", None), ("", None),
        ("Choice: none", None), ("Stimulus: a\nKnowledge: b", None), ("Choice:\nChoice: C", 2),
        ("Apple", None), ("Evaluation: I like A\nChoice: B", 1),
    ],
)  # fmt: skip
def test_a_choice_is_read_however_it_is_set(answer: str, choice: int | None) -> None:
    found = read(answer, 3)
    assert (found.choice if found else None) == choice


def test_any_text_is_read_without_an_error() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        cut = WHOLE[: int(rng.integers(len(WHOLE)))]
        noise = "".join(chr(int(n)) for n in rng.integers(32, 500, 20))
        found = read(cut + noise, 3)
        assert found is None or 0 <= found.choice < 3


def test_entropy_splits_into_data_and_model() -> None:
    # the mean of both is (.5, .5): ln 2; each is certain: 0
    apart = uncertainty(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert (apart.total, apart.data) == pytest.approx((np.log(2), 0.0))
    assert apart.model == pytest.approx(np.log(2))
    # both say (.5, .5): all of it is the data's
    alike = uncertainty(np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert (alike.total, alike.data, alike.model) == pytest.approx((np.log(2), np.log(2), 0.0))
    rng = np.random.default_rng(0)
    for _ in range(50):
        one = uncertainty(rng.dirichlet([1.0] * 4, 5))
        assert one.total == pytest.approx(one.data + one.model, abs=1e-9)
        assert one.model >= -1e-9


def test_scenes_split_at_the_median_and_certain_ones_are_easy() -> None:
    found = [Uncertainty(total, 0.0, total) for total in (0.0, 0.9, 0.1, 0.5)]
    assert split(found) == ((0, 2), (1, 3))
    assert split([Uncertainty(0.0, 0.0, 0.0)] * 3) == ((0, 1, 2), ())
    assert split([]) == ((), ())


def test_a_decision_that_cannot_be_read_says_nothing() -> None:
    rows = chances([Decision(2), None], 4)
    assert rows.tolist() == [[0, 0, 1, 0], [0.25] * 4]
    assert hits(SCENE, [Decision(1), None, Decision(0), Decision(1)]) == 0.5


def test_options_are_told_in_their_order() -> None:
    told = asked(SCENE, (2, 0, 1))[1]["content"]
    assert told.endswith("# Options\n[A] stew\n[B] roast\n[C] soup")


@pytest.mark.parametrize(("options", "taken"), [(1, 0), (13, 0), (3, 3), (3, -1)])
def test_a_scene_that_cannot_be_is_refused(options: int, taken: int) -> None:
    with pytest.raises(InputError):
        Scene("", "", ("x",) * options, taken)


def test_a_simulator_that_knows_the_user_is_found_out_in_any_order() -> None:
    drawn = scenes(lines.read(), 100, options=5, seed=3)
    right = {scene.history: scene.options[scene.taken] for scene in drawn}

    def knows(conversations: Sequence[Sequence[Message]]) -> list[str]:
        found: list[str] = []
        for _, asked_of in conversations:
            text = asked_of["content"]
            own = next(option for history, option in right.items() if history in text)
            line = next(line for line in text.splitlines() if line.endswith(f"] {own}"))
            found.append(f"Choice: {line[1]}")
        return found

    found = decide(knows, drawn, times=2, seed=0)
    assert np.mean([hits(s, d) for s, d in zip(drawn, found, strict=True)]) >= 0.9


def test_scenes_hold_the_users_own_follow_up_once() -> None:
    pools = lines.read()
    own = {held.restatement: held.card for held in pools.held if held.question}
    for scene in scenes(pools, 30, options=4, seed=1):
        assert len(set(scene.options)) == 4
        told = [own[option] in scene.profile for option in scene.options]
        assert told.index(True) == scene.taken


@pytest.mark.slow
def test_a_tiny_real_model_decides(
    tmp_path: Path, train_qwen3: Callable[[Path, Sequence[Any]], None]
) -> None:
    """A two-layer Qwen3 that was trained to write one decision writes it through the adapter."""
    (system, user) = asked(SCENE, (0, 1, 2))
    dialogue = [dict(system), dict(user)]
    train_qwen3(tmp_path, [(dialogue, WHOLE)])
    chat = open_chat(str(tmp_path), tokens=120)
    (answer,) = chat([dialogue])
    found = read(answer, 3)
    assert found is not None
    assert (found.choice, found.style) == (1, "intuitive")
    decided = decide(chat, [SCENE], times=2, seed=0)
    shares, nats = parts([SCENE], decided, seed=0)
    assert {*shares.rows} >= {"as the user decided", "decisions that can be read"}
    assert nats.unit == "nats"
