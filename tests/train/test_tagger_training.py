from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefmem.models.tagger import Context, PreferenceTagger
from prefmem.train.base import BaseEmbedder
from prefmem.train.conditions import ConditionTargets
from prefmem.train.examples import IGNORE, Example
from prefmem.train.tagger import TaggerNet, batch_loss, train
from prefmem.train.windows import Span

pytestmark = pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)


@pytest.fixture
def undecided() -> TaggerNet:
    """Give a small net whose scores are all 0, over three conditions."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    config = transformers.BertConfig(
        vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
    )  # fmt: skip
    net = TaggerNet(transformers.BertModel(config), torch.zeros(3, 8), dropout=0.0)
    for weights in net.head.parameters():
        torch.nn.init.zeros_(weights)
    return net


def example(**labels: list[int]) -> Example:
    """Make an example of three pieces, of which the last two are the turn's words."""
    made = Example([1, 2, 3], [0, 1, 1])
    for name in ("tags", "gate", "avoid", "everywhere", "refers"):
        setattr(made, name, [IGNORE, *labels.get(name, [IGNORE, IGNORE])])
    return made


def test_the_loss_of_a_net_that_knows_nothing(undecided: TaggerNet) -> None:
    packaged = ConditionTargets(("a", "b", "c"), BaseEmbedder())
    said = example(tags=[3, 4], gate=[1, 1], avoid=[1, 1], everywhere=[0, 0], refers=[0, 0])
    said.conditions[Span("av", 0, 1)] = ("a", [1, 2])
    silent = example(tags=[0, 0], gate=[0, 0])
    # Every guess is even: five tags, and two sides of each yes or no.
    rest = np.log(5) + np.log(2)
    assert batch_loss(undecided, [silent], packaged).item() == pytest.approx(rest, abs=1e-4)
    # Avoiding counts like the gate, the other two less, and one of three conditions a tenth.
    whole = rest + (1 + 0.4 + 0.4) * np.log(2) + 0.1 * np.log(3)
    for batch in ([said], [said, silent]):
        assert batch_loss(undecided, batch, packaged).item() == pytest.approx(whole, abs=1e-4)


@pytest.mark.long
def test_training_writes_weights_that_load_and_does_so_again_from_the_seed(tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []

    def tell(stage: str, done: int, total: int) -> None:
        stages.append((stage, done, total))

    first = train(tmp_path / "a", seed=3, quick=True, progress=tell)
    second = train(tmp_path / "b", seed=3, quick=True)
    assert first["files"] == second["files"]
    assert stages[-1][0] == "training"
    assert stages[-1][1] == stages[-1][2]
    tagger = PreferenceTagger(folder=tmp_path / "a")
    assert len(tagger.topics) > 10
    assert tagger.topics == tuple(first["conditions"])
    tagged = tagger.tag("Always use type hints.", Context("Write a script", "Here it is."))
    assert len(tagged.words) == 5
    assert all(span.stop > span.start for span in tagged.spans)
