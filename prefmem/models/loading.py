"""Opens causal language models of transformers: safetensors only, and no code of theirs is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prefmem.errors import MissingExtraError, WeightsError
from prefmem.models.constrain import JsonGrammar

if TYPE_CHECKING:
    import torch

Messages: TypeAlias = Sequence[Mapping[str, str]]

_HEADS = ("ForCausalLM", "LMHeadModel")
_TRIAL = ({"role": "system", "content": "a"}, {"role": "user", "content": "b"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to answer.

    Attributes:
        tokenizer: With a chat template.
        model: On its device; greedy, with its end and padding tokens set.
        grammar: What its answers keep to; None where they are free.
    """

    tokenizer: Any
    model: Any
    grammar: JsonGrammar | None

    def encode(self, messages: Messages) -> list[int]:
        """Give the tokens of a prompt; the template's own marks in a text count as plain text."""
        ids: list[int] = self.tokenizer.apply_chat_template(
            [_without_marks(message, self.tokenizer.all_special_tokens) for message in messages],
            add_generation_prompt=True,
            enable_thinking=False,
            return_dict=False,
        )
        return ids


def load(
    name: str | Path,
    *,
    device: str | None = None,
    dtype: "torch.dtype | None" = None,
    revision: str | None = None,
    load_in_4bit: bool = False,
    schema: Mapping[str, object] | None = None,
) -> Loaded:
    """Open a model from a hub or a folder; the arguments are those of `CausalLM`.

    Raises:
        MissingExtraError: torch, transformers, or what a setting needs is not installed.
        WeightsError: The model cannot be had, is incomplete, or is no causal chat model.
    """
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingExtraError(f'{str(name)!r} runs on transformers: pip install "prefmem[local]"')
    import torch

    _check_folder(name)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.float32 if device == "cpu" else torch.bfloat16)
    source: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    bits = _four_bit(device, dtype) if load_in_4bit else {}
    try:
        tokenizer = _tokenizer(name, source)
        model = _model(name, {**source, "dtype": dtype, **bits})
        ends = _settle(model, tokenizer)
        vocab: int = model.config.get_text_config().vocab_size
        grammar = JsonGrammar(schema, tokenizer, vocab=vocab, ends=ends) if schema else None
        loaded = Loaded(tokenizer, model if bits else model.to(device), grammar)
        loaded.encode(_TRIAL)
    except MissingExtraError:
        raise
    except _damage() as error:
        raise WeightsError(
            f"cannot load {str(name)!r}: {error or type(error).__name__}; pass a causal chat model "
            "with its tokenizer, as save_pretrained writes it, or its name on a hub within reach"
        ) from error
    return loaded


def _damage() -> tuple[type[Exception], ...]:
    """List what transformers raises over a damaged file."""
    return (
        OSError, ValueError, RuntimeError, ImportError, LookupError, TypeError, AttributeError,
        ArithmeticError,
        import_module("safetensors").SafetensorError,
        import_module("huggingface_hub.errors").StrictDataclassError,
        import_module("jinja2").TemplateError,
    )  # fmt: skip


def _tokenizer(name: str | Path, source: Mapping[str, Any]) -> Any:  # noqa: ANN401  # transformers' own types are half unknown
    """Open the tokenizer of what says of itself that it is a causal model."""
    transformers: Any = import_module("transformers")
    config = transformers.AutoConfig.from_pretrained(name, **source)
    heads: list[str] = config.architectures or []
    if not any(head.endswith(_HEADS) for head in heads):
        raise ValueError(
            f"it is a {config.model_type} model ({', '.join(heads) or 'no architecture'}), "
            "not a causal language model"
        )
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **source)
    if not tokenizer.chat_template:
        raise ValueError("its tokenizer has no chat template")
    return tokenizer


def _model(name: str | Path, source: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as above
    model, info = import_module("transformers").AutoModelForCausalLM.from_pretrained(
        name, use_safetensors=True, output_loading_info=True, **source
    )
    if info["missing_keys"]:  # transformers would fill them with random numbers
        raise ValueError(f"weights are missing: {sorted(info['missing_keys'])[:3]}")
    return model.eval()


def _settle(model: Any, tokenizer: Any) -> list[int]:  # noqa: ANN401  # as above
    """Make the model greedy; give the tokens that end its answers."""
    ends = model.generation_config.eos_token_id
    ends = tokenizer.eos_token_id if ends is None else ends
    if ends is None:
        raise ValueError("it names no token that ends an answer")
    ends = [ends] if isinstance(ends, int) else list(ends)
    pad = tokenizer.pad_token_id
    model.generation_config = import_module("transformers").GenerationConfig(
        do_sample=False, eos_token_id=ends, pad_token_id=ends[0] if pad is None else pad
    )
    return ends


def _four_bit(device: str, dtype: "torch.dtype") -> dict[str, Any]:
    """Give the settings of a model in 4 bits."""
    missing = [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]
    if missing or not device.startswith("cuda"):
        raise MissingExtraError(
            f"load_in_4bit needs a GPU (the device is {device!r}), bitsandbytes and accelerate: "
            "pip install bitsandbytes accelerate, or leave load_in_4bit out"
        )
    settings = import_module("transformers").BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": settings, "device_map": {"": device}}


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
