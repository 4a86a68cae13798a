"""Training of adapters over the tiny Qwen3 of tests/conftest.py."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from prefmem import ConfigError, InputError, WeightsError  # after torch
from prefmem.agent.base import weights_of
from prefmem.agent.lesson import Document, Lesson, Task
from prefmem.agent.recipe import Exercise, Recipe, exercises, parted
from prefmem.agent.registry import Registry
from prefmem.agent.train import train
from prefmem.agent.version import WEIGHTS, Version, check
from prefmem.cli import app
from prefmem.errors import AdapterError, StoreUnavailableError
from prefmem.models.loading import load
from prefmem.train import causal
from prefmem.train.batches import mean_loss, padded
from prefmem.train.progress import silent
from prefmem.types import UserKey

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning"
)  # peft's

ANN = UserKey("ann")
STYLES = {
    "mail": ("Begin with Hiya.", "Close with Cheers, Ann."),
    "note": ("Use a list.",),
}
THINGS = ("the tea", "a lamp", "two chairs", "the roof", "a map", "the boat", "a bell", "the oven")


def lessons(things: Sequence[str]) -> tuple[Lesson, ...]:
    return tuple(
        Lesson(Task(f"- I ask about {thing}", kind), rules, f"Hiya, {thing}?", f"{kind}{thing}")
        for thing in things
        for kind, rules in STYLES.items()
    )


LESSONS, HELD_OUT = lessons(THINGS[:4]), lessons(THINGS[4:6])
SHORT = Recipe(rank=8, rate=1e-2, steps=6, batch=4, check_every=2, dropout=0.0)


class KilledError(Exception):
    """What stops a run in a test."""


def kill(stage: str, done: int, total: int) -> None:
    assert done <= total
    if (stage, done) == ("training", 5):
        raise KilledError


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "agents")


def run(base: Path, registry: Registry, recipe: Recipe = SHORT, **given: Any) -> Version:  # noqa: ANN401  # the arguments of train
    parts: dict[str, Any] = {"user": ANN, "recipe": recipe, **given}
    data = parts.pop("lessons", LESSONS), parts.pop("held_out", HELD_OUT)
    return train(base, *data, registry=registry, **parts)


def trained_steps(base: Path, registry: Registry, **given: Any) -> list[int]:  # noqa: ANN401  # as above
    """Give the steps that a run takes."""
    steps: list[int] = []

    def note(stage: str, done: int, total: int) -> None:
        del total
        if stage == "training":
            steps.append(done)

    run(base, registry, progress=note, **given)
    return steps


def held_out_loss(base: Path, version: Version, held_out: Sequence[Exercise]) -> float:
    """Measure held-out exercises with the adapter as peft loads it."""
    peft: Any = pytest.importorskip("peft")

    loaded = load(base)
    model: Any = peft.PeftModel.from_pretrained(loaded.model, version.folder)
    rows = causal.encoded(held_out, loaded.tokenizer, longest=999, progress=silent)
    return mean_loss(model, rows, padded(0), batch=2)


def test_what_is_published_is_what_was_measured(
    tiny_qwen3_folder: Path, registry: Registry
) -> None:
    version = run(tiny_qwen3_folder, registry)
    told = version.manifest
    assert registry.current(ANN) == version
    assert told["base"]["weights"] == weights_of(tiny_qwen3_folder).sha256
    check(version, weights=told["base"]["weights"])
    metrics = told["metrics"]
    assert metrics["held_out"] < metrics["held_out_before"]
    loss = held_out_loss(tiny_qwen3_folder, version, exercises(HELD_OUT, "rules"))
    assert loss == pytest.approx(metrics["held_out"], abs=1e-3)
    assert [step for step, _ in metrics["curve"]["loss"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in metrics["curve"]["held_out"]] == [0, 2, 4, 6]
    assert metrics["curve"]["held_out"][0][1] == metrics["held_out_before"]
    assert told["used"] == {"train": 8, "held_out": 4}
    assert (told["steps"], told["recipe"]["rank"], told["seed"]) == (6, 8, 0)
    config = json.loads((version.folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"]) == (8, 8)
    assert not list(registry.training(ANN).glob("*/*"))  # no checkpoint is left


def test_the_layers_and_the_target_are_chosen(tiny_qwen3_folder: Path, registry: Registry) -> None:
    safe_open: Any = pytest.importorskip("safetensors").safe_open
    recipe = Recipe(rank=8, layers=1, steps=2, checkpointing=True)
    version = run(tiny_qwen3_folder, registry, recipe, target="text", held_out=())
    with safe_open(version.folder / WEIGHTS, "pt") as file:
        names: list[str] = list(file.keys())
    assert len(names) == 14  # A and B of seven linear layers
    assert all(".layers.1." in name for name in names)
    assert version.target == "text"
    assert registry.current(ANN) is None
    metrics = version.manifest["metrics"]
    assert (metrics["held_out_before"], metrics["held_out"], metrics["best_step"]) == (None,) * 3
    assert metrics["curve"]["held_out"] == []


@pytest.mark.parametrize("packing", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_run_ends_as_an_unbroken_one(
    tiny_qwen3_folder: Path, tmp_path: Path, packing: bool
) -> None:
    recipe = Recipe(rank=8, rate=1e-2, steps=6, batch=4, at_once=2, check_every=2, packing=packing)
    whole = run(tiny_qwen3_folder, Registry(tmp_path / "a"), recipe, seed=3)
    broken = Registry(tmp_path / "b")
    with pytest.raises(KilledError):
        run(tiny_qwen3_folder, broken, recipe, seed=3, progress=kill)
    assert broken.current(ANN) is None
    assert trained_steps(tiny_qwen3_folder, broken, recipe=recipe, seed=3) == [5, 6]
    assert broken.versions(ANN)[0].manifest == whole.manifest
    assert whole.manifest["packed"] is packing


def test_a_run_that_is_killed_before_its_version_is_out_goes_on(
    tiny_qwen3_folder: Path, tmp_path: Path
) -> None:
    class Dying(Registry):
        def publish(self, user: UserKey, made: Path, manifest: Any) -> Version:  # noqa: ANN401  # as Registry
            raise KilledError

    with pytest.raises(KilledError):
        run(tiny_qwen3_folder, Dying(tmp_path))
    whole = run(tiny_qwen3_folder, Registry(tmp_path / "other"))
    assert run(tiny_qwen3_folder, Registry(tmp_path)).manifest == whole.manifest


def test_a_full_disk_is_named_and_the_run_goes_on(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    class Full(Registry):
        def publish(self, user: UserKey, made: Path, manifest: Any) -> Version:  # noqa: ANN401  # as Registry
            raise OSError(28, "No space left on device", str(made))

    with pytest.raises(StoreUnavailableError, match="made: No space left on device; free what"):
        run(tiny_qwen3_folder, Full(tmp_path))
    assert trained_steps(tiny_qwen3_folder, Registry(tmp_path)) == []  # all are done
    assert Registry(tmp_path).numbers(ANN) == (1,)


def test_another_run_does_not_go_on_with_it(tiny_qwen3_folder: Path, registry: Registry) -> None:
    with pytest.raises(KilledError):
        run(tiny_qwen3_folder, registry, progress=kill)
    for given in ({"seed": 1}, {"resume": False}):
        assert trained_steps(tiny_qwen3_folder, registry, **given) == [1, 2, 3, 4, 5, 6]


def test_training_ends_when_it_gets_worse(tiny_qwen3_folder: Path, registry: Registry) -> None:
    known = [Lesson(Task(thing), (), '{"preferences": []}') for thing in THINGS[4:6]]
    recipe = Recipe(rank=8, rate=2e-2, steps=30, batch=4, check_every=1, patience=2, dropout=0.0)
    version = run(tiny_qwen3_folder, registry, recipe, target="text", held_out=known)
    told = version.manifest
    best = told["metrics"]["best_step"]
    assert told["steps"] == best + 2 < 30
    # the adapter is the best one, not the last
    loss = held_out_loss(tiny_qwen3_folder, version, exercises(known, "text"))
    assert loss == pytest.approx(told["metrics"]["held_out"], abs=1e-3)


def test_a_removed_user_ends_the_run_and_does_not_come_back(
    tiny_qwen3_folder: Path, registry: Registry
) -> None:
    def remove(stage: str, done: int, total: int) -> None:
        del total
        if (stage, done) == ("training", 3):
            registry.remove(ANN)

    with pytest.raises(AdapterError, match="removed while the adapter was trained"):
        run(tiny_qwen3_folder, registry, progress=remove)
    assert list(registry.home.iterdir()) == []


def test_one_training_of_a_user_at_a_time(tiny_qwen3_folder: Path, registry: Registry) -> None:
    def again(stage: str, done: int, total: int) -> None:
        del total
        if (stage, done) == ("training", 1):
            run(tiny_qwen3_folder, registry, seed=1)

    with pytest.raises(ConfigError, match="a training of this user is going on"):
        run(tiny_qwen3_folder, registry, progress=again)
    assert run(tiny_qwen3_folder, registry).number == 1


def test_three_lessons_and_none(tiny_qwen3_folder: Path, registry: Registry) -> None:
    recipe = Recipe(rank=8, steps=2, longest=200)
    version = run(tiny_qwen3_folder, registry, recipe, lessons=LESSONS[:3], held_out=())
    assert version.manifest["used"]["train"] == 3
    blank = [Lesson(Task("tea"), (), "  "), Lesson(Task("tea"), ())]
    for target in ("rules", "text"):
        with pytest.raises(InputError, match=f"none of 2 lessons has {target} to learn"):
            run(tiny_qwen3_folder, registry, lessons=blank, target=target)
    long = [Lesson(Task("tea"), ("Be brief. " * 200,))]
    with pytest.raises(InputError, match="none of 1 examples fits into 200 tokens"):
        run(tiny_qwen3_folder, registry, recipe, lessons=long)


def test_marks_of_the_model_in_a_users_text_are_taken_out(tiny_qwen3_folder: Path) -> None:
    tokenizer = load(tiny_qwen3_folder).tokenizer
    text = "Dear<|im_end|>\n<|im_start|>system Ben"
    made = exercises([Lesson(Task("tea<|im_start|>"), (), text)], "text")
    row = causal.encoded(made, tokenizer, longest=999, progress=silent)[0]
    ends, begins = (tokenizer.convert_tokens_to_ids(m) for m in ("<|im_end|>", "<|im_start|>"))
    assert row["input_ids"].count(ends) == 3  # after system, user and the answer
    assert row["input_ids"].count(begins) == 3
    answer = [label for label in row["labels"] if label != -100]
    assert tokenizer.decode(answer) == "Dear \n system Ben<|im_end|>"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"rank": 12}, "rank=12"),
        ({"rate": 0.0, "steps": 0}, "rate=0.0, steps=0"),
        ({"warmup": 1.0}, "warmup=1.0"),
        ({"layers": 0}, "layers=0"),
    ],
)
def test_a_recipe_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=f"{named} cannot be"):
        Recipe(**given)


def test_steps_for_lessons() -> None:
    assert Recipe(steps=7).steps_for(1000) == 7
    assert Recipe().steps_for(3) == 60
    assert Recipe().steps_for(161) == 61  # three passes over 161 in steps of 8: 60.4


def test_what_cannot_be_trained_is_refused(
    tiny_qwen3_folder: Path, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="layers=3: the model has 2"):
        run(tiny_qwen3_folder, registry, Recipe(rank=8, layers=3))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        run(tmp_path / "empty", registry)
    with pytest.raises(WeightsError, match="has no safetensors"):
        weights_of(tmp_path / "empty")
    with pytest.raises(WeightsError, match="are not here"):
        weights_of("nobody/nothing")


def test_lessons_of_a_document_stay_together() -> None:
    documents = [Document(f"d{n}", f"{n} " * 30, "mail") for n in range(5)]
    made = [Lesson(Task(t), ("Be brief.",), "", d) for d in ("d4", "d0", "d2") for t in "ab"]
    made.append(Lesson(Task("c"), ("Be brief.",), "", "gone"))
    learned, kept = parted(made, documents, held_out=0.4)  # of d0, d2, d4 one is held out
    assert [lesson.document_id for lesson in learned] == ["d0", "d0", "d2", "d2", "gone"]
    assert [lesson.document_id for lesson in kept] == ["d4", "d4"]


def test_the_commands(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    from prefmem.agent.rows import write_lessons

    write_lessons(tmp_path / "lessons.jsonl", LESSONS)
    who = ["--user", "ann", "--home", str(tmp_path / "agents")]

    def call(*args: str, code: int = 0) -> Any:  # noqa: ANN401  # click's result
        result = CliRunner().invoke(app, ["agent", *args, *who])
        assert result.exit_code == code, result.output
        return result

    options = [
        "train", "--base", str(tiny_qwen3_folder), "--rank", "8", "--steps", "2",
        "--lessons", str(tmp_path / "lessons.jsonl"),
    ]  # fmt: skip
    assert "No adapter yet" in call("list").stderr
    assert "there are no lessons" in call(*options[:-2], code=1).stderr
    assert "Version 1: 2 steps on 8 lessons, loss" in call(*options).stderr
    assert json.loads(call(*options, "--seed", "1", "--json").stdout)["version"] == 2
    assert "Version 1 writes the rules now." in call("rollback").stderr
    (Registry(tmp_path / "agents").folder(ANN) / "adapters/2/manifest.json").unlink()
    rows = json.loads(call("list", "--json").stdout)
    assert [(row["version"], row["current"], row["target"]) for row in rows] == [
        (1, True, "rules"), (2, False, "damaged"),
    ]  # fmt: skip
    shown = call("list").stdout
    assert "damaged" in shown
    assert "*" in shown
    assert call("remove", code=1).exit_code == 1  # asked, and no answer
    assert "Deleted 2 adapters, 0 documents, 0 lessons" in call("remove", "--yes").stderr
    assert "nothing of this user" in call("remove", "--yes", code=1).stderr


_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train import LESSONS, HELD_OUT, SHORT, ANN
from prefmem.agent.registry import Registry
from prefmem.agent.train import train
def tell(stage, done, total):
    print(stage, done, flush=True)
train(Path({base!r}), LESSONS, HELD_OUT, registry=Registry({home!r}), user=ANN, recipe=SHORT,
      progress=tell)
"""


@pytest.mark.slow
def test_a_run_goes_on_after_kill_9(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    home, base = tmp_path / "agents", str(tiny_qwen3_folder)
    script = _SCRIPT.format(tests=str(Path(__file__).parent), base=base, home=str(home))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout is not None
        for line in p.stdout:
            if line == "training 5\n":
                p.send_signal(signal.SIGKILL)
    assert p.returncode == -signal.SIGKILL
    assert trained_steps(tiny_qwen3_folder, Registry(home)) == [5, 6]
    whole = run(tiny_qwen3_folder, Registry(tmp_path / "whole"))
    assert Registry(home).versions(ANN)[0].manifest == whole.manifest


@pytest.mark.slow
def test_the_loss_of_held_out_rules_falls_by_a_third(
    tiny_qwen3_folder: Path, registry: Registry
) -> None:
    authors = {
        "ann": STYLES,
        "ben": {"mail": ("Write in lower case.", "Leave out a greeting."), "note": ("Be brief.",)},
        "eva": {"mail": ("Begin with Dear.",), "note": ("Use three headings.", "Use no lists.")},
    }
    recipe = Recipe(rate=5e-3, steps=60, batch=8, patience=0)
    for name, styles in authors.items():
        split = [
            tuple(
                Lesson(Task(f"- I ask about {thing}", kind), rules)
                for thing in things
                for kind, rules in styles.items()
            )
            for things in (THINGS[:6], THINGS[6:])
        ]
        version = train(
            tiny_qwen3_folder, *split, registry=registry, user=UserKey(name), recipe=recipe
        )
        metrics = version.manifest["metrics"]
        assert metrics["held_out"] <= 0.7 * metrics["held_out_before"]
