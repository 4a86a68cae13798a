"""The packaged reader of follow-ups."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from prefmem.models.followup import (
    OUTPUTS,
    FollowupReader,
    rule_ids,
    shallow,
    turn_ids,
)
from prefmem.models.onnx import TOKENIZER, WEIGHTS


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(WEIGHTS / TOKENIZER))


@pytest.mark.model
def test_a_turn_is_read_by_itself_and_always_the_same() -> None:
    reader = FollowupReader()
    one = reader.turn("soup for friday", "Chop two onions.", "no onions, I said")
    assert one.shape == (len(OUTPUTS),)
    reader.turn("x", "", "y")
    assert (reader.turn("soup for friday", "Chop two onions.", "no onions, I said") == one).all()


@pytest.mark.model
def test_rules_are_read_one_by_one() -> None:
    reader = FollowupReader()
    rules = ("When cooking, leave onions out.", "When writing mails, be brief.")
    both = reader.rules(rules, "Chop two onions.", "no onions, I said")
    assert both.shape == (2, 2)
    assert both[0, 0] > both[1, 0]
    assert (reader.rules(rules[1:], "Chop two onions.", "no onions, I said")[0] == both[1]).all()
    assert reader.rules((), "", "hm").shape == (0, 2)


def test_of_long_texts_the_telling_ends_are_read(tokenizer: Tokenizer) -> None:
    long = "soup " * 300
    ids, kinds = turn_ids(tokenizer, f"first {long}", f"{long} last", f"start {long}")
    assert len(ids) == len(kinds) == 3 + 20 + 1 + 32 + 48
    words = [tokenizer.id_to_token(i) for i in ids]
    assert (words[0], words[1], words[53], words[-1]) == ("[CLS]", "first", "last", "[SEP]")
    assert words[kinds.index(1)] == "start"
    ids, kinds = rule_ids(tokenizer, f"rule {long}", f"{long} last", f"start {long}")
    words = [tokenizer.id_to_token(i) for i in ids]
    assert len(ids) == len(kinds) == 3 + 28 + 20 + 1 + 48
    assert words[kinds.index(1) + 19 : kinds.index(1) + 22] == ["last", "[SEP]", "start"]


def test_shallow_networks_are_averaged() -> None:
    nets = {
        "rule.mean": np.array([1.0]), "rule.scale": np.array([2.0]),
        "rule.in": np.array([[[1.0, -1.0]], [[2.0, 0.0]]]), "rule.in_bias": np.zeros((2, 2)),
        "rule.out": np.array([[[1.0], [1.0]], [[0.5], [0.0]]]),
        "rule.out_bias": np.array([[0.0], [3.0]]),
    }  # fmt: skip
    nets = {name: value.astype(np.float32) for name, value in nets.items()}
    found = shallow(nets, "rule", np.array([[3.0], [-1.0], [99.0]], dtype=np.float32))
    # 1, -1 and 4 after scaling and clipping: |x| in the first network, max(0, x) + 3 in the second.
    assert found[:, 0].tolist() == [(1 + 4) / 2, (1 + 3) / 2, (4 + 7) / 2]
