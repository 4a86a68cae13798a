"""Causal language models in training: how they load, what they read, and how they are saved."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefmem.errors import InputError, MissingExtraError, WeightsError
from prefmem.train.chatdata import ChatExample
from prefmem.train.progress import Progress

_IGNORE = -100  # a label that does not count


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

    def __getitem__(self, n: int) -> dict[str, list[int]]:
        """Give the tokens and labels of an example."""
        asked, array = self._rows[n]
        ids: list[int] = array.tolist()
        labels = [_IGNORE] * asked + ids[asked:]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


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


def with_adapter(model: Any, rank: int | None) -> Any:  # noqa: ANN401  # transformers' and peft's own
    """Put a LoRA adapter of this rank on all linear layers; with None give the model itself.

    Raises:
        MissingExtraError: peft is not installed.
    """
    if rank is None:
        return model
    if find_spec("peft") is None:
        raise MissingExtraError('LoRA needs peft: pip install "prefmem[local]"')
    peft: Any = import_module("peft")
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return peft.get_peft_model(model, config)


def encoded(
    examples: Sequence[ChatExample],
    tokenizer: Any,  # noqa: ANN401  # as above
    *,
    longest: int,
    progress: Progress,
) -> Rows:
    """Encode examples the way the extractor asks: thinking off, the template's marks taken out.

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
        answered = tokenizer(example.answer, add_special_tokens=False)["input_ids"]
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
    content = message["content"]
    for mark in marks:
        content = content.replace(mark, " ")
    return {"role": message["role"], "content": content}
