"""Batches for a causal model: what they hold, and that their loss is that of the rows alone."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
pytest.importorskip("transformers")

from prefmem.train.batches import loss_of, mean_loss, packed, packs, padded  # noqa: E402  # torch

SHORT = {"input_ids": [5, 6, 7], "attention_mask": [1, 1, 1], "labels": [-100, 6, 7]}
LONG = {
    "input_ids": [5, 8, 9, 10, 11], "attention_mask": [1] * 5,
    "labels": [-100, -100, -100, 10, 11],
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_qwen3_folder: Path) -> Any:  # noqa: ANN401  # transformers' own
    transformers = import_module("transformers")
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_qwen3_folder).eval()


def plain(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in batch.items()}


def test_padding_stands_in_front_and_does_not_count() -> None:
    assert plain(padded(1)([SHORT, LONG])) == {
        "input_ids": [[1, 1, 5, 6, 7], [5, 8, 9, 10, 11]],
        "attention_mask": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]],
        "position_ids": [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]],
        "logits_to_keep": [2, 3],  # what follows them is 6 and 7, or 10 and 11
        "labels": [[-100, 6, 7], [-100, 10, 11]],
    }


def test_packed_rows_begin_anew() -> None:
    assert plain(packed([SHORT, LONG])) == {
        "input_ids": [[5, 6, 7, 5, 8, 9, 10, 11]],
        "position_ids": [[0, 1, 2, 0, 1, 2, 3, 4]],
        "logits_to_keep": [0, 1, 5, 6],
        "labels": [[-100, 6, 7, 10, 11]],
    }


@pytest.mark.parametrize("collate", [padded(1), packed])
def test_the_loss_is_that_of_the_rows_alone(model: Any, collate: Any) -> None:  # noqa: ANN401  # as above
    total = 0.0
    for row in (SHORT, LONG):  # the model's own loss, over all logits
        given = {name: torch.tensor([row[name]]) for name in ("input_ids", "labels")}
        total += float(model(**given).loss.detach()) * 2  # two answered tokens in each
    loss, tokens = loss_of(model, collate([SHORT, LONG]))
    assert tokens == 4
    assert float(loss.detach()) == pytest.approx(total, rel=1e-5)
    for batch in (1, 2, 9):
        assert mean_loss(model, [SHORT, LONG], collate, batch=batch) == pytest.approx(
            total / 4, rel=1e-5
        )


def test_what_a_model_reads_shows_whether_it_packs(model: Any) -> None:  # noqa: ANN401  # as above
    assert packs(model, [SHORT, LONG])

    class Leaky(torch.nn.Module):  # type: ignore[misc]  # reads on over the border
        device = torch.device("cpu")

        def forward(self, input_ids: Any, logits_to_keep: Any, **_: Any) -> Any:  # noqa: ANN401  # as above
            seen = torch.nn.functional.one_hot(input_ids, 700).float().cumsum(1) * 9
            return import_module("types").SimpleNamespace(logits=seen[:, logits_to_keep])

    class Picky(Leaky):
        def forward(self, input_ids: Any) -> Any:  # type: ignore[override]  # noqa: ANN401  # takes no positions
            return input_ids

    assert not packs(Leaky(), [LONG, SHORT])
    assert not packs(Picky(), [LONG, SHORT])
