"""Causal language models run by transformers, in this process."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from prefmem.errors import InputError, MissingExtraError, WeightsError

if TYPE_CHECKING:
    import torch

_HEADS = ("ForCausalLM", "LMHeadModel")


class CausalLM:
    """Answers chat messages with a model from a hub or a folder, always the same for the same ones.

    Reads safetensors only, runs no code that comes with a model, and switches off a chat template's
    thinking. Threads may share it.

    Args:
        model: Name on the hub, or a folder as `save_pretrained` writes it.
        device: Where it runs, as torch names it; the first GPU unless there is none, then the CPU.
        dtype: Of the weights; bfloat16 on a GPU and float32 on the CPU unless given.
        revision: Commit, tag or branch on the hub.
        max_new_tokens: Length of an answer.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
        revision: str | None = None,
        max_new_tokens: int = 512,
    ) -> None:
        """Remember the settings; the weights load with the first answer."""
        self._name = model
        self._device, self._dtype, self._revision = device, dtype, revision
        self._new = max_new_tokens
        self._loading = Lock()

    def complete(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Give the answer to chat messages, each with `role` and `content`.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            WeightsError: The model cannot be had, is incomplete, or is no causal chat model.
            InputError: The messages are longer than what the model can read.
        """
        with self._loading:
            tokenizer, model = self._parts
        import torch

        ids = tokenizer.apply_chat_template(
            [_without_marks(message, tokenizer.all_special_tokens) for message in messages],
            add_generation_prompt=True,
            enable_thinking=False,
            return_tensors="pt",
            return_dict=False,
        )  # (1, seq)
        longest = getattr(model.config, "max_position_embeddings", None)
        if longest is not None and ids.shape[1] + self._new > longest:
            raise InputError(
                f"{self._name!r} reads {longest} tokens, the messages have {ids.shape[1]} and the "
                f"answer may have {self._new}; shorten the messages"
            )
        ids = ids.to(model.device)
        with torch.inference_mode():
            out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=self._new)
        return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        if find_spec("torch") is None or find_spec("transformers") is None:
            raise MissingExtraError(
                f'{self._name!r} runs on transformers: pip install "prefmem[local]"'
            )
        _check_folder(self._name)
        errors = (OSError, ValueError, RuntimeError, import_module("safetensors").SafetensorError)
        try:
            return self._load()
        except errors as error:
            raise WeightsError(f"cannot load {self._name!r}: {error}") from error

    def _load(self) -> tuple[Any, Any]:
        import torch

        transformers: Any = import_module("transformers")
        device = self._device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = self._dtype or (torch.float32 if device == "cpu" else torch.bfloat16)
        source = {"revision": self._revision, "trust_remote_code": False}
        config = transformers.AutoConfig.from_pretrained(self._name, **source)
        heads: list[str] = config.architectures or []
        if not any(head.endswith(_HEADS) for head in heads):
            raise ValueError(
                f"it is a {config.model_type} model ({', '.join(heads) or 'no architecture'}), "
                "not a causal language model"
            )
        tokenizer = transformers.AutoTokenizer.from_pretrained(self._name, **source)
        if not tokenizer.chat_template:
            raise ValueError("its tokenizer has no chat template")
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            self._name, dtype=dtype, use_safetensors=True, output_loading_info=True, **source
        )
        if info["missing_keys"]:  # transformers would fill them with random numbers
            raise ValueError(f"weights are missing: {sorted(info['missing_keys'])[:3]}")
        ends = model.generation_config.eos_token_id or tokenizer.eos_token_id
        model.generation_config = transformers.GenerationConfig(
            do_sample=False, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
        )
        return tokenizer, model.to(device).eval()


def _check_folder(name: str | Path) -> None:
    """Refuse a folder that misses a part, and a path that is no folder."""
    folder = Path(name)
    if not folder.is_dir():
        if isinstance(name, Path):
            raise WeightsError(
                f"there is no folder {str(name)!r}; pass a folder or a name on a hub"
            )
        return
    if not (folder / "config.json").is_file():
        raise WeightsError(f"{str(folder)!r} has no config.json; save_pretrained writes one")
    if not any((folder / f"tokenizer{end}.json").is_file() for end in ("", "_config")):
        raise WeightsError(f"{str(folder)!r} has no tokenizer; save it to the same folder")
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for path in folder.glob("*.bin"))
        raise WeightsError(
            f"{str(folder)!r} has no safetensors weights, only {others}; pickles are not read: "
            "save the model again with save_pretrained"
        )


def _without_marks(message: Mapping[str, str], marks: Sequence[str]) -> dict[str, str]:
    """Take a template's own marks out of a text, so that it cannot open a turn of its own."""
    content = message["content"]
    for mark in marks:
        content = content.replace(mark, " ")
    return {"role": message["role"], "content": content}
