import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from prefmem.extract.answers import Tally, questions, read_answers
from prefmem.extract.prompts import messages
from prefmem.types import Evidence, Preference, Scope, Turn, Window

TEA = "I like green tea. Never offer me coffee!"
THANKS = "Thanks. Use metric units, please."
WINDOW = Window(
    "ann",
    "s",
    (
        Turn("1", "user", TEA),
        Turn("2", "assistant", "Black tea it is."),
        Turn("3", "tool", "Use tables."),
        Turn("4", "user", "  "),
        Turn("5", "user", THANKS),
    ),
)
RULE = {"condition": "", "action": "never offer coffee", "confidence": 0.75}
COFFEE = Preference(
    "", "never offer coffee", "avoid", 0.75, Scope("global"),
    (Evidence("1", "Never offer me coffee!"),),
)  # fmt: skip


def wrote(*rules: object) -> str:
    return json.dumps({"preferences": rules})


def test_each_named_user_turn_with_text_is_asked_about() -> None:
    first, last = questions(WINDOW, ["1", "2", "4", "5"])
    assert first.messages == messages("training", [WINDOW.turns[0]])
    assert last.messages == messages("training", [WINDOW.turns[4]])
    (last,) = questions(WINDOW, ["5"], "card")
    assert last.messages == messages("card", [WINDOW.turns[n] for n in (0, 1, 4)])
    quotes = [evidence.quote for evidence, _ in last.said]
    assert quotes == ["I like green tea.", "Never offer me coffee!", "Thanks.",
                      "Use metric units, please."]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "rejected"),
    [
        (wrote(RULE), {}),
        (wrote(RULE, {**RULE, "action": "Never offer coffee."}), {"duplicate": 1}),
        (wrote(RULE)[:-1], {"cut_off": 1}),
        (wrote(RULE, {**RULE, "action": 3}), {"wrong_type": 1}),
        (wrote({**RULE, "reason": "hates it"}), {"unknown_key": 1}),
        (wrote(RULE, {**RULE, "action": "offer tea", "confidence": "high"}), {"confidence": 1}),
        (wrote(RULE, {**RULE, "action": "offer tea", "confidence": 0}), {"confidence": 1}),
        (wrote(RULE, {**RULE, "action": "use rhymes"}), {"unsupported": 1}),
        (wrote(RULE, *({"action": f"do {n}"} for n in range(499))),
         {"unsupported": 19, "too_many": 480}),
        ('{"a":' * 97 + wrote(RULE) + "}" * 97, {"too_deep": 1}),
        (wrote(RULE) + " " * 1_000_000, {"too_long": 1}),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted(answer: str, rejected: dict[str, int]) -> None:
    tally = Tally()
    asked = questions(WINDOW, ["1"])
    assert read_answers([answer], asked, ["1"], tally) == (COFFEE,)
    assert tally.counts() == rejected


def test_rules_belong_to_named_turns_and_come_once() -> None:
    tally = Tally()
    asked = questions(WINDOW, ["1", "5"], "card")
    assert read_answers([wrote(RULE)] * 2, asked, ["1", "5"], tally) == (COFFEE,)
    assert tally.counts() == {}
    assert read_answers([wrote(RULE)], asked[1:], ["5"], tally) == ()
    assert tally.counts() == {"other_turn": 1}


def test_a_tally_is_shared_by_threads() -> None:
    tally = Tally()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tally.add, [{"a": 1, "b": 2}] * 400))
    counts = tally.counts()
    assert counts == {"a": 400, "b": 800}
    counts["a"] = 0
    assert tally.counts()["a"] == 400
