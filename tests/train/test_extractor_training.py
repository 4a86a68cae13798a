"""Training over the tiny Qwen3 of tests/conftest.py: train, save, load, ask."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prefmem import ConfigError, InputError, WeightsError
from prefmem.cli import app
from prefmem.evaluate.extractor import compare
from prefmem.extract.parse import AnswerItem
from prefmem.extract.prompts import SYSTEM
from prefmem.extract.qwen3 import Qwen3Extractor
from prefmem.train.chatdata import ChatExample
from prefmem.train.chatformat import write_examples
from prefmem.train.export import sha256
from prefmem.train.extractor import Recipe, train
from prefmem.types import Turn, Window

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning"
)  # peft's

SHORT = AnswerItem(condition="writing code", action="keep lines short", confidence=1.0)
TITLES = AnswerItem(condition="general", action="avoid titles", confidence=0.8)
BOTH = "Keep lines short when you write code. And avoid titles!"
EXAMPLES = (
    ChatExample(SYSTEM["training"], "Keep lines short when you write code.", (SHORT,)),
    ChatExample(SYSTEM["training"], "Please avoid titles.", (TITLES,)),
    ChatExample(SYSTEM["training"], BOTH, (SHORT, TITLES)),
    ChatExample(SYSTEM["training"], "Who wrote Emma?", ()),
)
FIVE = Recipe(rate=1e-3, epochs=5, batch=2, global_batch=4, save_every=2)


class KilledError(Exception):
    """What stops a run in a test."""


def kill(stage: str, done: int, total: int) -> None:
    assert total >= done
    if (stage, done) == ("training", 3):
        raise KilledError


def rules(folder: Path, text: str) -> list[tuple[str, str, str, float]]:
    window = Window("ann", "s", (Turn("0", "user", text),))
    found = Qwen3Extractor(folder).extract(window, ["0"])
    return [(p.condition, p.action, p.polarity, p.confidence) for p in found]


def test_a_trained_extractor_says_what_it_was_taught(
    tiny_qwen3_folder: Path, tmp_path: Path
) -> None:
    recipe = Recipe(rate=1e-2, epochs=80, batch=4, global_batch=4)
    manifest = train(tiny_qwen3_folder, tmp_path, EXAMPLES, EXAMPLES, recipe=recipe)
    assert rules(tmp_path, BOTH) == [
        ("writing code", "keep lines short", "do", 1.0),
        ("", "avoid titles", "avoid", 0.8),
    ]
    assert rules(tmp_path, "Who wrote Emma?") == []
    assert manifest["steps"] == 80
    assert manifest["metrics"]["eval_loss"] < 0.1 < manifest["metrics"]["loss"]


def test_an_adapter_is_merged_into_what_is_saved(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    text = "Please never use emojis."  # the base gives it no condition
    rule = AnswerItem(condition="writing emails", action="never use emojis", confidence=0.7)
    examples = [ChatExample(SYSTEM["training"], text, (rule,))]
    recipe = Recipe(rate=1e-2, epochs=40, batch=1, global_batch=1, lora=8)
    train(tiny_qwen3_folder, tmp_path, examples, examples, recipe=recipe)
    assert rules(tmp_path, text) == [("writing emails", "never use emojis", "avoid", 0.7)]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["model.safetensors"]


@pytest.mark.parametrize("lora", [None, 4])
def test_a_resumed_run_ends_as_an_unbroken_one(
    tiny_qwen3_folder: Path, tmp_path: Path, lora: int | None
) -> None:
    recipe = Recipe(rate=1e-3, epochs=5, batch=2, global_batch=4, save_every=2, lora=lora)
    whole = train(tiny_qwen3_folder, tmp_path / "a", EXAMPLES, EXAMPLES, recipe=recipe, seed=3)
    with pytest.raises(KilledError):
        train(
            tiny_qwen3_folder, tmp_path / "b", EXAMPLES, EXAMPLES, recipe=recipe, seed=3,
            progress=kill,
        )  # fmt: skip
    steps: list[int] = []
    resumed = train(
        tiny_qwen3_folder, tmp_path / "b", EXAMPLES, EXAMPLES, recipe=recipe, seed=3, resume=True,
        progress=lambda stage, done, _: steps.append(done) if stage == "training" else None,
    )  # fmt: skip
    assert steps == [3, 4, 5]
    assert resumed == whole
    weights = [sha256(tmp_path / name / "model.safetensors") for name in "ab"]
    assert weights[0] == weights[1] != sha256(tiny_qwen3_folder / "model.safetensors")
    assert not (tmp_path / "b" / "checkpoints").exists()


def test_only_the_very_run_is_resumed(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    def run(*, seed: int, resume: bool) -> None:
        train(
            tiny_qwen3_folder, tmp_path, EXAMPLES, EXAMPLES, recipe=FIVE, seed=seed, resume=resume,
            progress=kill,
        )  # fmt: skip

    with pytest.raises(ConfigError, match="holds no run to resume"):
        run(seed=0, resume=True)
    with pytest.raises(KilledError):
        run(seed=0, resume=False)
    with pytest.raises(ConfigError, match="holds an unfinished run; resume it"):
        run(seed=0, resume=False)
    with pytest.raises(ConfigError, match="began with another seed"):
        run(seed=1, resume=True)


def test_a_checkpoint_that_was_cut_off_is_passed_over(
    tiny_qwen3_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train(tiny_qwen3_folder, tmp_path, EXAMPLES, EXAMPLES, recipe=FIVE, progress=kill)
    (tmp_path / "checkpoints" / "checkpoint-4").mkdir()
    manifest = train(tiny_qwen3_folder, tmp_path, EXAMPLES, EXAMPLES, recipe=FIVE, resume=True)
    assert manifest["steps"] == 5


def test_small_batches_add_up_and_long_examples_are_left_out(
    tiny_qwen3_folder: Path, tmp_path: Path
) -> None:
    long = ChatExample(SYSTEM["training"], "long " * 500, ())
    recipe = Recipe(batch=2, global_batch=6, longest=256)
    manifest = train(tiny_qwen3_folder, tmp_path, [*EXAMPLES * 3, long], EXAMPLES, recipe=recipe)
    assert manifest["steps"] == 2  # 12 examples in steps of 6
    assert manifest["used"] == {"train": 12, "held_out": 4}
    assert manifest["data"]["train"]["examples"] == 13
    assert manifest["data"]["train"]["positive"] == 9
    with pytest.raises(InputError, match="none of 1 examples fits into 256 tokens"):
        train(tiny_qwen3_folder, tmp_path, [long], EXAMPLES, recipe=recipe)


def test_the_recipe_is_that_of_the_card() -> None:
    recipe = Recipe()
    assert (recipe.rate, recipe.global_batch, recipe.epochs, recipe.warmup, recipe.lora) == (
        2e-5, 128, 1, 0.05, None,
    )  # fmt: skip


def test_what_cannot_be_trained_is_refused(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    with pytest.raises(WeightsError, match="cannot train"):
        train(base, out, EXAMPLES, EXAMPLES)
    shutil.copytree(tiny_qwen3_folder, base, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match="is the base itself"):
        train(base, base, EXAMPLES, EXAMPLES)
    (base / "chat_template.jinja").unlink()
    with pytest.raises(WeightsError, match="has no chat template"):
        train(base, out, EXAMPLES, EXAMPLES)
    (base / "model.safetensors").write_bytes(b"damaged")
    shutil.copy(tiny_qwen3_folder / "chat_template.jinja", base)
    with pytest.raises(WeightsError, match="cannot train"):
        train(base, out, EXAMPLES, EXAMPLES)
    assert not out.exists()  # nothing stands in the way of the next run


def test_the_table_by_hand() -> None:
    answers = [
        '{"preferences": [{"condition": "Writing  code", "action": "keep lines short", '
        '"confidence": 0.2}]}',  # right, whatever its confidence
        'Sure: {"condition": "general", "action": "use titles", "confidence": 1}',  # wrong; prose
        EXAMPLES[2].answer[:-40],  # the first of two, then cut off
        '{"preferences": [{"condition": "", "action": "read Emma", "confidence": 1.0}]}',
    ]
    figures = compare(EXAMPLES, answers, seed=0)
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(
        {
            "JSON validity": 2 / 4,
            "rules: recall": 2 / 4,
            "rules: precision": 2 / 4,
            "rules: F1": 2 / 4,
            "questions with a rule: recall": 3 / 3,
            "questions with a rule: precision": 3 / 4,
            "questions with a rule: F1": 6 / 7,
        }
    )
    assert all(figure.cases == 4 for figure in figures.values())


def test_the_command_trains_evaluates_and_goes_on(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    write_examples(tmp_path, {"train": EXAMPLES, "dev": EXAMPLES[:2]}, form="llama-factory")
    args = [
        "train", "extractor", "--base", str(tiny_qwen3_folder), "--out", str(tmp_path / "out"),
        "--data", str(tmp_path / "train.jsonl"), "--eval-data", str(tmp_path / "dev.jsonl"),
        "--epochs", "80", "--rate", "0.01", "--batch", "4",
    ]  # fmt: skip
    shown = CliRunner().invoke(app, args, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "rules: recall" in shown.stdout
    manifest = json.loads((tmp_path / "out" / "extractor.json").read_text(encoding="utf-8"))
    assert manifest["table"]["rules: recall"]["value"] == 1.0
    assert manifest["table"]["JSON validity"]["value"] == 1.0
    assert manifest["recipe"]["global_batch"] == 128
    assert rules(tmp_path / "out", "Please avoid titles.") == [("", "avoid titles", "avoid", 0.8)]
    again = CliRunner().invoke(app, [*args, "--resume"])
    assert again.exit_code == 1
    assert "holds no run to resume" in again.stderr


def test_the_data_command_writes_and_turns(tmp_path: Path) -> None:
    def run(*args: str) -> None:
        result = CliRunner().invoke(app, ["train", "extractor-data", *args], catch_exceptions=False)
        assert result.exit_code == 0
        assert "examples to" in result.stderr

    run("--out", str(tmp_path / "own"), "--format", "llama-factory")
    own = tmp_path / "own" / "dev.jsonl"
    run("--out", str(tmp_path / "chat"), "--data", str(own))
    first = json.loads((tmp_path / "chat" / "dev.jsonl").read_text(encoding="utf-8").split("\n")[0])
    assert first["messages"][0] == {"role": "system", "content": SYSTEM["training"]}
    assert (tmp_path / "own" / "train.jsonl").is_file()
