"""Answers that are held to a schema, by hand and by models with random weights."""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from prefmem.errors import MissingExtraError
from prefmem.extract.parse import SCHEMA, parse
from prefmem.extract.prompts import SYSTEM
from prefmem.models.causal import CausalLM
from prefmem.models.constrain import JsonGrammar

TEXTS = (
    "a", "I like tea.", "Never use tables!", "x" * 300, "请不要用表格！ é ü", '{"preferences": [',
    '"', "\n\n",
)  # fmt: skip


class Item(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    condition: str = Field(max_length=128)
    action: str = Field(min_length=1, max_length=256)
    confidence: float = Field(ge=0, le=1)


class PreferenceList(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    preferences: list[Item] = Field(max_length=20)


@pytest.fixture
def tokenizer(tiny_qwen3_folder: Path) -> Any:  # noqa: ANN401  # transformers' own types are half unknown
    return import_module("transformers").AutoTokenizer.from_pretrained(tiny_qwen3_folder)


def letters() -> Any:  # noqa: ANN401  # as above
    """A tokenizer with one token for each byte, and one that ends an answer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: n for n, letter in enumerate([*alphabet, "<end>"])}
    tokenizer: Any = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    return import_module("transformers").PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>"
    )


def write(liked: Sequence[str], max_new_tokens: int) -> list[str]:
    """Write one document for each text of letters, of which a writer likes the first best."""
    torch: Any = import_module("torch")
    tokenizer = letters()
    end: int = tokenizer.eos_token_id
    scores = torch.zeros(len(liked), len(tokenizer))
    for row, text in enumerate(liked):
        for rank, letter in enumerate(reversed(text), start=1):
            scores[row, tokenizer.convert_tokens_to_ids(letter)] = rank
    grammar = JsonGrammar(SCHEMA, tokenizer, vocab=len(tokenizer), ends=[end])
    processor = grammar.processor(len(liked), max_new_tokens)
    ids = torch.zeros(len(liked), 1, dtype=torch.long)
    for _ in range(max_new_tokens):
        following = processor(ids, scores).argmax(dim=-1, keepdim=True)
        following[(ids == end).any(dim=-1)] = 0  # as `generate` pads what has ended
        ids = torch.cat([ids, following], dim=1)
    assert (ids == end).any(dim=-1).all()
    return [tokenizer.decode(row[1 : row.index(end)]) for row in ids.tolist()]


def test_a_document_has_bounds_and_the_spaces_of_json_dumps() -> None:
    # The first fills both strings and then wants a digit, the end of the item, and of the list.
    found, empty = write(["a1{}]", "]"], 600)
    item = {"condition": "a" * 128, "action": "a" * 256, "confidence": 1}
    items = json.loads(found)["preferences"]
    assert items[0] == item
    assert found == json.dumps({"preferences": items})
    assert empty == '{"preferences": []}'


def test_what_is_open_is_closed_in_time() -> None:
    # 32 characters to the first text, then 4 of it; with 64 left the strings end at once. An action
    # cannot be empty.
    (found,) = write(["a1{"], 100)
    assert found == '{"preferences": [{"condition": "aaaa", "action": "]", "confidence": 0}]}'


@pytest.mark.parametrize(("spread", "seed"), [(0.02, 1), (0.3, 1), (1.0, 1), (1.0, 2)])
def test_random_models_write_valid_lists_only(
    tokenizer: Any,  # noqa: ANN401  # as above
    tmp_path: Path,
    spread: float,
    seed: int,
) -> None:
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer) + 37, hidden_size=32, intermediate_size=64, head_dim=16,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        initializer_range=spread, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformers.Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    system = {"role": "system", "content": SYSTEM["training"]}
    asked = [[system, {"role": "user", "content": text}] for text in TEXTS]
    model = CausalLM(tmp_path, schema=SCHEMA, max_new_tokens=300)
    answers = model.complete_many(asked)
    assert any("action" in answer for answer in answers)
    for answer in answers:
        PreferenceList.model_validate_json(answer)
        assert parse(answer).rejected.keys() <= {"duplicate", "no_action"}
    assert [model.complete(messages) for messages in asked] == answers


def test_a_missing_llguidance_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=r'pip install "prefmem\[local\]"'):
        JsonGrammar(SCHEMA, letters(), vocab=257, ends=[256])


def test_a_schema_beyond_llguidance_is_refused() -> None:
    with pytest.raises(ValueError, match="the schema cannot be used: "):
        JsonGrammar({"type": "wish"}, letters(), vocab=257, ends=[256])
