"""Causal language models in training: how they load, what they read, and how they are saved."""

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from prefmem.errors import ConfigError, InputError, MissingExtraError, WeightsError
from prefmem.train.batches import IGNORE, Row
from prefmem.train.progress import Progress


class Example(Protocol):
    """A question and what shall be answered."""

    @property
    def messages(self) -> Sequence[Mapping[str, str]]:
        """What the model is asked, each with `role` and `content`."""
        ...

    @property
    def answer(self) -> str:
        """What it shall answer."""
        ...


class Rows:
    """Encoded examples as a data set of transformers; the question's tokens have no label."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rows: list[tuple[int, Any]] = []

    def append(self, asked: list[int], answered: list[int]) -> None:
        """Add an example by its tokens."""
        self._rows.append((len(asked), np.array([*asked, *answered], dtype=np.int32)))

    def __len__(self) -> int:
        """Count the examples."""
        return len(self._rows)

    def __getitem__(self, n: int, /) -> Row:
        """Give the tokens and labels of an example."""
        asked, array = self._rows[n]
        ids: list[int] = array.tolist()
        labels = [IGNORE] * asked + ids[asked:]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


def hush() -> None:
    """Keep transformers and peft from writing to the terminal of a command that tells more."""
    import_module("transformers").utils.logging.disable_progress_bar()
    warnings.filterwarnings(  # peft looks at what transformers is about to rename
        "ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning
    )


def load(base: str | Path, revision: str | None) -> tuple[Any, Any]:
    """Load tokenizer and model, float32, from the hub or a folder; safetensors, no foreign code.

    Raises:
        WeightsError: They cannot be had, or are not those of a causal chat model.
    """
    transformers: Any = import_module("transformers")
    errors = (OSError, ValueError, RuntimeError, import_module("safetensors").SafetensorError)
    source = {"revision": revision, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(base, **source)
        if not tokenizer.chat_template or tokenizer.eos_token_id is None:
            raise ValueError("its tokenizer has no chat template, or no end mark")
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **source
        )
        if info["missing_keys"]:  # transformers would fill them with random numbers
            raise ValueError(f"weights are missing: {sorted(info['missing_keys'])[:3]}")
    except errors as error:
        raise WeightsError(
            f"cannot train {str(base)!r}: {error}; check the name and the connection, or pass a "
            "folder with a causal chat model, its tokenizer and safetensors"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model


def with_adapter(
    model: Any,  # noqa: ANN401  # transformers' and peft's own
    rank: int | None,
    *,
    alpha: int | None = None,
    dropout: float = 0.0,
    layers: int | None = None,
) -> Any:  # noqa: ANN401  # as above
    """Put a LoRA adapter on all linear layers; with no rank give the model itself.

    Args:
        model: A causal model.
        rank: Of the adapter.
        alpha: Its weight is `alpha / rank`; twice the rank unless given.
        dropout: Share of an adapter's inputs left out in training, in [0, 1).
        layers: How many blocks have one, from the last; all unless given. A step does not go back
            through the others.

    Raises:
        ConfigError: The model has fewer blocks.
        MissingExtraError: peft is not installed.
    """
    if rank is None:
        return model
    if find_spec("peft") is None:
        raise MissingExtraError('LoRA needs peft: pip install "prefmem[local]"')
    peft: Any = import_module("peft")
    where: dict[str, Any] = {"target_modules": "all-linear"}
    if layers is not None:
        blocks: int = model.config.get_text_config().num_hidden_layers
        if layers > blocks:
            raise ConfigError(f"layers={layers}: the model has {blocks}; pass at most as many")
        head = model.get_output_embeddings()
        linear = {
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        }
        chosen = list(range(blocks - layers, blocks))
        where = {"target_modules": sorted(linear), "layers_to_transform": chosen}
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank if alpha is None else alpha, lora_dropout=dropout,
        task_type="CAUSAL_LM", **where,
    )  # fmt: skip
    return peft.get_peft_model(model, config)


def encoded(
    examples: Sequence[Example],
    tokenizer: Any,  # noqa: ANN401  # as above
    *,
    longest: int,
    progress: Progress,
) -> Rows:
    """Encode examples the way a model is asked: thinking off, the template's marks taken out.

    Args:
        examples: Questions with their answers.
        tokenizer: With a chat template and an end mark, which ends the answers.
        longest: Tokens of question and answer; an example with more is left out.
        progress: Told the stage, what is done and how much there is.

    Raises:
        InputError: None is short enough.
    """
    rows = Rows()
    for done, example in enumerate(examples, start=1):
        asked = tokenizer.apply_chat_template(
            [_without_marks(m, tokenizer.all_special_tokens) for m in example.messages],
            add_generation_prompt=True, enable_thinking=False, return_dict=False,
        )  # fmt: skip
        answer = _unmarked(example.answer, tokenizer.all_special_tokens)
        answered = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if len(asked) + len(answered) < longest:
            rows.append(asked, [*answered, tokenizer.eos_token_id])
        progress("encoding", done, len(examples))
    if not len(rows):
        raise InputError(f"none of {len(examples)} examples fits into {longest} tokens")
    return rows


def save(model: Any, tokenizer: Any, out: Path, *, merge: bool) -> tuple[str, ...]:  # noqa: ANN401  # as above
    """Save a model that answers greedily, and its tokenizer, over what was saved there before.

    Args:
        model: The model; from a GPU it is saved in bfloat16.
        tokenizer: Its tokenizer.
        out: Folder.
        merge: Whether the model has an adapter, which is added to its weights.

    Returns:
        The names of the files.
    """
    if merge:
        model = model.merge_and_unload()
    if model.device.type != "cpu":
        model = model.to(torch.bfloat16)
    model.generation_config = import_module("transformers").GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    for stale in out.glob("model*.safetensors*"):
        stale.unlink()
    model.save_pretrained(out)
    paths = [Path(name) for name in tokenizer.save_pretrained(out)]
    paths += [*out.glob("model*.safetensors*"), *out.glob("*config.json")]
    return tuple(sorted({path.name for path in paths if path.is_file()}))


def _without_marks(message: Mapping[str, str], marks: Sequence[str]) -> dict[str, str]:
    return {"role": message["role"], "content": _unmarked(message["content"], marks)}


def _unmarked(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, " ")
    return text
