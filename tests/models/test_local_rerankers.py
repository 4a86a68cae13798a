"""Cross-encoders of sentence-transformers, and Qwen3-Reranker, on tiny models made on the spot."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from prefmem.errors import WeightsError
from prefmem.models.crossencoder import CrossEncoderReranker
from prefmem.models.qwen3_rerank import INSTRUCTION, PROMPT, Qwen3Reranker
from prefmem.testing import check_reranker

pytest.importorskip("sentence_transformers")

Dialogue: TypeAlias = tuple[list[dict[str, str]], str]
COSINES = np.zeros(3, dtype=np.float32)
RULES = ["use CTEs", "sign every letter as A", "be brief"]
APPLIES = {"writing SQL": (True, False, True), "a letter to Bob": (False, True, True)}
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)


def asked(query: str, rule: str) -> list[dict[str, str]]:
    """What the model card asks, as chat messages."""
    user = f"<Instruct>: {INSTRUCTION}\n<Query>: {query}\n<Document>: {rule}"
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]


@pytest.fixture(scope="module")
def yes_no_folder(
    tmp_path_factory: pytest.TempPathFactory,
    train_qwen3: Callable[[Path, Sequence[Dialogue]], None],
) -> Path:
    """Give a two-layer Qwen3 that has learned by heart which rules apply."""
    folder = tmp_path_factory.mktemp("tiny_qwen3_reranker")
    pairs = [(q, r, a) for q, row in APPLIES.items() for r, a in zip(RULES, row, strict=True)]
    train_qwen3(folder, [(asked(q, r), "yes" if a else "no") for q, r, a in pairs])
    return folder


def test_the_prompt_is_that_of_the_model_card() -> None:
    messages = asked("a query", "a rule")
    chat = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    assert PROMPT.format(instruction=INSTRUCTION, query="a query", rule="a rule") == (
        f"{chat}<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_qwen3_says_what_it_has_learned(yes_no_folder: Path) -> None:
    reranker = Qwen3Reranker(yes_no_folder, device="cpu")
    for query, applies in APPLIES.items():
        found = reranker.relevance(query, RULES, COSINES)
        assert [bool(p > 0.5) for p in found] == list(applies)


def test_a_batch_of_qwen3_is_as_one_by_one(yes_no_folder: Path) -> None:
    rules = [*RULES, "a much longer rule than all the others, which are short " * 4]
    alone = np.concatenate(
        [Qwen3Reranker(yes_no_folder, device="cpu").log_odds("writing SQL", [r]) for r in rules]
    )
    for size in (2, 16):
        reranker = Qwen3Reranker(yes_no_folder, device="cpu", batch_size=size)
        assert np.allclose(reranker.log_odds("writing SQL", rules), alone, atol=1e-3)
    check_reranker(Qwen3Reranker(yes_no_folder, device="cpu"), "writing SQL", RULES)


def test_marks_in_a_text_open_no_turn(yes_no_folder: Path) -> None:
    reranker = Qwen3Reranker(yes_no_folder, device="cpu")
    plain = reranker.log_odds("writing SQL", ["sign   every letter"])
    marked = reranker.log_odds("writing SQL", ["sign <|im_end|> every letter"])
    assert np.allclose(plain, marked, atol=1e-4)


def test_the_platt_map_is_put_over_the_log_odds(yes_no_folder: Path) -> None:
    odds = Qwen3Reranker(yes_no_folder, device="cpu").log_odds("writing SQL", RULES)
    mapped = Qwen3Reranker(yes_no_folder, device="cpu", platt=(0.5, -1.0))
    wanted = 1 / (1 + np.exp(-(0.5 * odds - 1)))
    assert np.allclose(mapped.relevance("writing SQL", RULES, COSINES), wanted, atol=1e-5)


def test_a_model_without_the_answers_is_refused(tiny_qwen3_folder: Path) -> None:
    with pytest.raises(WeightsError, match="has no token 'yes'; pass a Qwen3-Reranker"):
        Qwen3Reranker(tiny_qwen3_folder, device="cpu").relevance("q", RULES, COSINES)


def made(folder: Path, labels: int) -> Path:
    """Write a BERT of one random layer with a head of `labels`, and a tokenizer of letters."""
    transformers, torch = import_module("transformers"), import_module("torch")
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = transformers.BertForSequenceClassification(
            transformers.BertConfig(
                vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=32, max_position_embeddings=64, num_labels=labels,
                initializer_range=0.5,
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_cross_encoder_gives_the_logistic_of_its_logit(tmp_path: Path) -> None:
    folder = made(tmp_path / "model", 1)
    plain = CrossEncoderReranker(folder, device="cpu")
    check_reranker(plain, "writing sql", RULES)
    found = plain.relevance("writing sql", RULES, COSINES).astype(np.float64)
    assert len(set(found.round(4))) == 3
    mapped = CrossEncoderReranker(folder, device="cpu", platt=(2.0, 1.0))
    odds = np.log(found / (1 - found))
    wanted = 1 / (1 + np.exp(-(2 * odds + 1)))
    assert np.allclose(mapped.relevance("writing sql", RULES, COSINES), wanted, atol=1e-4)


def test_a_cross_encoder_of_several_labels_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has 3 labels; one is needed"):
        CrossEncoderReranker(made(tmp_path / "three", 3)).relevance("q", RULES, COSINES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="cannot load the cross-encoder"):
        CrossEncoderReranker(tmp_path / "empty").relevance("q", RULES, COSINES)
