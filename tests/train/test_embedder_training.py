from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefmem.models.embed import MiniLMEmbedder
from prefmem.testing import check_embedder
from prefmem.train.base import base_tokenizer
from prefmem.train.embedder import EmbedderNet, batch_loss, rate, train
from prefmem.train.requests import Asked

pytestmark = pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)


@pytest.fixture
def undecided() -> EmbedderNet:
    """Give a net that sees every text alike."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
    )  # fmt: skip
    net = EmbedderNet(transformers.BertModel(config).eval())
    for weights in net.parameters():
        torch.nn.init.ones_(weights)
    return net


def asked(*applies: bool) -> Asked:
    rules = tuple(f"rule {n}" for n in range(len(applies)))
    return Asked("a request", rules, applies, np.zeros(len(applies), dtype=np.float32))


@pytest.mark.model
def test_the_loss_of_a_net_that_sees_no_difference(undecided: EmbedderNet) -> None:
    tokenizer = base_tokenizer()
    # One that applies against two that do not: -log(1 / 3).
    alone = [("ann", asked(True, False, False))]
    assert batch_loss(undecided, alone, tokenizer, scale=20).item() == pytest.approx(np.log(3))
    # Against the rules of another user, too; two that apply do not compete with each other.
    both = [("ann", asked(True, False, False)), ("bob", asked(True, True))]
    wanted = (np.log(1 + 2 + 2) + np.log(1 + 3)) / 2
    assert batch_loss(undecided, both, tokenizer, scale=20).item() == pytest.approx(wanted)
    # Whether what the other request brought applies is not known within one user.
    one = [("ann", asked(True, False, False)), ("ann", asked(True, True, False))]
    wanted = (np.log(3) + np.log(2)) / 2
    assert batch_loss(undecided, one, tokenizer, scale=20).item() == pytest.approx(wanted)


def test_the_rate_rises_and_falls() -> None:
    shares = [rate(step, 100, 0.1) for step in range(100)]
    assert shares[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert shares[10] == 1
    assert shares[55] == pytest.approx(0.5)
    assert shares == sorted(shares[:10]) + sorted(shares[10:], reverse=True)


@pytest.mark.long
def test_training_writes_an_embedder_that_loads_and_does_so_again(tmp_path: Path) -> None:
    first = train(tmp_path / "a", seed=1, quick=True)
    second = train(tmp_path / "b", seed=1, quick=True)
    assert first["files"] == second["files"]
    assert first["metrics"]["cosine_to_float32_least"] >= 0.99
    check_embedder(MiniLMEmbedder(folder=tmp_path / "a"), ["use CTEs", "be brief", "a"])
