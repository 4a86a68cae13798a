"""Preference data out of judged dialogues and of edits."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.feedback.pairs import (
    Exchange,
    Made,
    Message,
    Origin,
    Rewriter,
    dpo_rows,
    edit_rows,
    exchanges,
    kto_rows,
    prompt_of,
)
from prefmem.interaction import Followup, Judgement, Label
from prefmem.testing import PhraseExtractor, WordJudge
from prefmem.types import Evidence, Preference, Role, Turn, Window

HERE = Origin("s1", "chat.jsonl:1")
NONE = np.zeros(0, dtype=np.float32)
ROLES: dict[str, Role] = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}

SOUP = (
    "u: A soup for Friday?", "a: Chop two onions.",
    "u: Not good. When you write recipes, always use grams.", "a: 200 g of onions.",
    "u: Thanks! And a poem?", "a: Rain falls.",
)  # fmt: skip


def talk(*lines: str) -> tuple[Turn, ...]:
    return tuple(Turn(str(n), ROLES[line[0]], line[3:]) for n, line in enumerate(lines))


def judged(label: Label, confidence: float = 1.0, shift: float = 0.0) -> Judgement:
    return Judgement(label, confidence, NONE, NONE, shift)


BAD, GOOD, PLAIN = judged("dissatisfied"), judged("satisfied"), judged("neutral")


def by_words(found: Sequence[Exchange]) -> tuple[Judgement, ...]:
    return WordJudge().judge(
        [
            Followup(
                x.prompt[-1]["content"], x.reply, x.said, (), NONE.astype(np.bool_), NONE, NONE, 0.0
            )
            for x in found
        ]
    )


def rules_in(turns: Sequence[Turn]) -> tuple[Preference, ...]:
    window = Window("ann", "s1", tuple(turns))
    return PhraseExtractor().extract(window, [t.id for t in turns])


def dpo(
    turns: Sequence[Turn],
    judgements: Sequence[Judgement] | None = None,
    rewrite: Rewriter | None = None,
) -> Made:
    found = exchanges(turns)
    said = by_words(found) if judgements is None else judgements
    return dpo_rows(found, said, rules_in(turns), HERE, judge="WordJudge", rewrite=rewrite)


def kto(turns: Sequence[Turn], judgements: Sequence[Judgement] | None = None) -> Made:
    found = exchanges(turns)
    said = by_words(found) if judgements is None else judgements
    return kto_rows(found, said, rules_in(turns), HERE, judge="WordJudge")


def text(message: object) -> str:
    (only,) = cast(list[Message], message)
    assert only["role"] == "assistant"
    return only["content"]


def texts(made: Made) -> list[tuple[str, str]]:
    return [(text(row["rejected"]), text(row["chosen"])) for row in made.rows]


# Dialogues taken apart


def test_a_dialogue_is_requests_replies_and_follow_ups() -> None:
    turns = talk("s: Be kind.", *SOUP)
    first, second = exchanges(turns)
    assert first.prompt == (
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "A soup for Friday?"},
    )
    assert (first.reply, first.tool) == ("Chop two onions.", False)
    assert (first.request, first.followup) == (((1, turns[1]),), ((3, turns[3]),))
    assert [m["role"] for m in second.prompt] == ["system", "user", "assistant", "user"]
    assert second.followup == ((5, turns[5]),)


def test_turns_of_one_speaker_are_one_message() -> None:
    turns = talk("a: Hi.", "u: A soup?", "u: Quick.", "a: Chop", "a: onions.", "u: No", "u: no.")
    (found,) = exchanges(turns)
    assert [m["content"] for m in found.prompt] == ["Hi.", "A soup?\n\nQuick."]
    assert (found.reply, found.said) == ("Chop\n\nonions.", "No\n\nno.")


def test_empty_turns_and_late_system_turns_are_in_no_prompt() -> None:
    turns = talk("u: ", "u: A soup?", "s: Be brief.", "a: Chop.", "u:  ", "u: Thanks.")
    assert exchanges(turns)[0].prompt == ({"role": "user", "content": "A soup?"},)
    assert prompt_of(turns)[-1] == {"role": "user", "content": "Thanks."}


def test_a_reply_rests_on_a_tool_that_was_called_since_the_user_spoke() -> None:
    turns = talk(
        "u: Rain?", "a: ", "t: sunny", "a: No rain.", "u: And Lima?", "a: None.", "u: Oslo?",
        "a: I look it up.", "t: snow", "a: Snow.", "u: Thanks.",
    )  # fmt: skip
    assert [(x.reply, x.tool) for x in exchanges(turns)] == [
        ("No rain.", True), ("None.", False), ("I look it up.\n\nSnow.", True),
    ]  # fmt: skip


def test_a_long_dialogue_gives_its_end_and_begins_with_the_user() -> None:
    lines = [f"{'ua'[n % 2]}: {n}" for n in range(41)]
    (*_, last) = exchanges(talk("s: Be kind.", *lines))
    assert (len(last.prompt), last.reply) == (22, "39")
    assert last.prompt[0]["role"] == "system"
    assert last.prompt[1] == {"role": "user", "content": "18"}


@pytest.mark.parametrize("lines", [(), ("u: Hi",), ("a: Hi", "u: Hi"), ("u: Hi", "a: Hi")])
def test_without_request_reply_and_follow_up_there_is_nothing(lines: tuple[str, ...]) -> None:
    assert exchanges(talk(*lines)) == ()
    assert dpo(talk(*lines)) == kto(talk(*lines)) == Made((), Counter())


# Pairs


def test_a_pair_has_trl_s_columns_and_says_why() -> None:
    made = dpo(talk(*SOUP))
    assert made.rows == (
        {
            "prompt": [{"role": "user", "content": "A soup for Friday?"}],
            "chosen": [{"role": "assistant", "content": "200 g of onions."}],
            "rejected": [{"role": "assistant", "content": "Chop two onions."}],
            "chosen_by": "log",
            "rule": "When you write recipes, use grams.",
            "rationale": "The user turned the answer down and said "
            '"When you write recipes, always use grams", which shows this wish: '
            "When you write recipes, use grams.",
            "evidence": {
                "session": "s1",
                "row": "chat.jsonl:1",
                "turn": 2,
                "quote": "When you write recipes, always use grams",
            },
            "judge": "WordJudge",
            "confidence": 1.0,
        },
    )
    assert made.left == {"no complaint": 1}
    assert json.loads(json.dumps(made.rows[0])) == made.rows[0]


CHAIN = ("u: Q", "a: R1", "u: never A", "a: R2", "u: never B", "a: R3", "u: never C")


def test_every_reply_before_the_accepted_one_is_turned_down() -> None:
    made = dpo(talk(*CHAIN), [BAD, BAD, GOOD])
    assert texts(made) == [("R1", "R3"), ("R2", "R3")]
    assert [row["rule"] for row in made.rows] == ["Never A.", "Never B."]


@pytest.mark.parametrize(
    ("judgements", "pairs", "left"),
    [
        ([BAD, judged("neutral", 0.9, 0.8), PLAIN], [("R1", "R2")], {"no complaint": 2}),
        # a calm further question: the request may be another one
        ([BAD, PLAIN, GOOD], [], {"no accepted reply": 1, "no complaint": 2}),
        ([BAD, judged("neutral", 0.9, 0.6), GOOD], [], {"no accepted reply": 1, "no complaint": 2}),
        # the complaint itself goes over to something else
        ([judged("dissatisfied", 1, 0.5), GOOD, GOOD], [],
         {"no accepted reply": 1, "no complaint": 2}),
        ([judged("dissatisfied", 0.69), GOOD, GOOD], [], {"unsure": 1, "no complaint": 2}),
        ([BAD, judged("satisfied", 0.69), GOOD], [], {"no accepted reply": 1, "no complaint": 2}),
        ([BAD, judged("dissatisfied", 0.69), GOOD], [],
         {"no accepted reply": 1, "unsure": 1, "no complaint": 1}),
        ([BAD, BAD, BAD], [], {"no accepted reply": 3}),
        ([GOOD, GOOD, GOOD], [], {"no complaint": 3}),
    ],
)  # fmt: skip
def test_accepted_is_what_ends_the_complaints(
    judgements: Sequence[Judgement], pairs: list[tuple[str, str]], left: Mapping[str, int]
) -> None:
    made = dpo(talk(*CHAIN, "a: R4"), judgements)
    assert (texts(made), dict(made.left)) == (pairs, left)


def test_a_pair_is_as_sure_as_the_less_sure_judgement() -> None:
    turns = talk(*CHAIN[:5])
    for judgements, confidence in (
        ([judged("dissatisfied", 0.75), judged("satisfied", 0.9)], 0.75),
        ([judged("dissatisfied", 0.9), judged("satisfied", 0.75)], 0.75),
        ([judged("dissatisfied", 0.9), judged("neutral", 1, 0.8)], 0.8),
    ):
        assert dpo(turns, judgements).rows[0]["confidence"] == confidence


def test_a_floor_below_a_half_still_needs_another_topic() -> None:
    turns = talk(*CHAIN[:5])
    found = exchanges(turns)
    for shift, rows in ((0.45, 0), (0.55, 1)):
        said = [judged("dissatisfied", 0.4), judged("neutral", 0.4, shift)]
        assert len(dpo_rows(found, said, rules_in(turns), HERE, judge="", floor=0.3).rows) == rows


def test_a_complaint_without_a_rule_makes_no_pair() -> None:
    made = dpo(talk("u: Q", "a: R1", "u: wrong", "a: R2", "u: thanks"))
    assert (made.rows, made.left) == ((), {"no rule": 1, "no complaint": 1})


def test_on_demand_a_complaint_without_a_rule_makes_a_pair_of_the_log() -> None:
    turns = talk("u: Q", "a: R1", "u: wrong", "a: R2", "u: wrong!", "a: R3", "u: wrong", "a: R4")
    found = exchanges(turns)
    made = dpo_rows(found, [BAD, GOOD, BAD], (), HERE, judge="j", rewrite=Model(), everything=True)
    assert texts(made) == [("R1", "R2")]
    assert made.rows[0]["rule"] == ""
    assert made.rows[0]["rationale"] == 'The user turned the answer down and said "wrong".'
    assert made.left == {"no complaint": 1, "no accepted reply": 1}


def test_the_surest_rule_with_words_of_the_complaint_explains() -> None:
    turns = talk("u: never Q", "a: R1", "u: wrong, so wrong", "u: short!", "a: R2", "u: thanks")
    found = exchanges(turns)

    def rule(action: str, confidence: float, turn: str, quote: str) -> Preference:
        return Preference("", action, "do", confidence, evidence=(Evidence(turn, quote),))

    rules = (
        rule("be right", 0.6, "2", "so wrong"),
        rule("be brief", 0.7, "3", "short"),
        rule("be long", 0.9, "3", "long"),  # not the user's words
        rule("be quiet", 0.9, "3", " "),
        rule("never Q", 0.9, "0", "never Q"),  # of the request
    )
    (row,) = dpo_rows(found, [BAD, GOOD], rules, HERE, judge="j").rows
    assert row["rule"] == "Be brief."
    assert row["evidence"] == {
        "session": "s1", "row": "chat.jsonl:1", "turn": 3, "quote": "short",
    }  # fmt: skip


def test_what_rests_on_a_tool_makes_no_pair() -> None:
    for lines in (
        ("u: Q", "t: x", "a: R1", "u: never A", "a: R2", "u: thanks"),
        ("u: Q", "a: R1", "u: never A", "t: x", "a: R2", "u: thanks"),
    ):
        assert dpo(talk(*lines), [BAD, GOOD]).left == {"rests on a tool": 1, "no complaint": 1}


def test_the_same_reply_again_makes_no_pair() -> None:
    made = dpo(talk("u: Q", "a: R", "u: never A", "a: R ", "u: thanks"), [BAD, GOOD])
    assert made.left == {"same text": 1, "no complaint": 1}


# Replies that a model writes


class Model:
    """Writes the same reply to everything, and remembers what it was asked."""

    def __init__(self, answer: str = " M ") -> None:
        self.asked: list[list[dict[str, str]]] = []
        self._answer = answer

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        self.asked.append([dict(message) for message in messages])
        return self._answer


def test_a_model_writes_the_reply_that_the_log_lacks_and_no_other() -> None:
    model = Model()
    made = dpo(talk("s: Be kind.", *CHAIN), [BAD, GOOD, BAD], model)
    assert [row["chosen_by"] for row in made.rows] == ["log", "model"]
    assert texts(made)[1] == ("R3", "M")
    ((first, *others),) = model.asked
    assert first["role"] == "system"
    assert first["content"].startswith("Be kind.\n\n")
    assert '\n"Never C."\n' in first["content"]
    assert [m["content"] for m in others] == ["Q", "R1", "never A", "R2", "never B"]


def test_without_a_system_message_the_wish_is_one() -> None:
    model = Model()
    dpo(talk(*CHAIN[:3]), [BAD], model)
    assert [m["role"] for m in model.asked[0]] == ["system", "user"]


@pytest.mark.parametrize(
    ("answer", "reason"), [(" ", "no answer of the model"), ("R1\n", "same text")]
)
def test_a_reply_that_is_none_makes_no_pair(answer: str, reason: str) -> None:
    made = dpo(talk(*CHAIN[:3]), [BAD], Model(answer))
    assert (made.rows, made.left) == ((), {reason: 1})


# Labelled replies


def test_replies_are_labelled_and_neutral_ones_left_out() -> None:
    made = kto(talk(*SOUP, "u: A story?"))
    assert [(text(row["completion"]), row["label"]) for row in made.rows] == [
        ("Chop two onions.", False), ("200 g of onions.", True),
    ]  # fmt: skip
    assert made.left == {"neutral": 1}
    assert [*made.rows[0]] == [
        "prompt", "completion", "label", "rule", "rationale", "evidence", "judge", "confidence",
    ]  # fmt: skip


def test_a_welcome_reply_is_explained_by_what_was_asked() -> None:
    bad, good = kto(talk(*SOUP)).rows
    assert bad["rule"] == good["rule"] == "When you write recipes, use grams."
    assert bad["evidence"] == good["evidence"]
    assert good["rationale"] == (
        'The user was content with the answer after saying "When you write recipes, always use '
        'grams", which shows this wish: When you write recipes, use grams.'
    )


def test_without_a_rule_the_follow_up_is_quoted() -> None:
    long = "x" * 500
    bad, good = kto(talk("u: Q", "a: R1", f"u:  wrong {long}", "a: R2", "u: thanks")).rows
    quote = cast(Mapping[str, Any], bad["evidence"])["quote"]
    assert quote == "wrong " + "x" * 394
    assert bad["rationale"] == (
        f'The user turned the answer down and said "wrong {"x" * 194}".'
    )  # 200 characters
    assert good["rationale"] == 'The user was content with the answer and said "thanks".'
    assert good["rule"] == ""


def test_labels_need_confidence_and_no_tool() -> None:
    turns = talk("u: Q", "a: R1", "u: x", "t: y", "a: R2", "u: z")
    made = kto(turns, [judged("satisfied", 0.69), GOOD])
    assert (made.rows, made.left) == ((), {"unsure": 1, "rests on a tool": 1})
    made = kto(turns, [judged("satisfied", 0.7), PLAIN])
    assert [row["confidence"] for row in made.rows] == [0.7]


def test_a_user_is_named_where_that_is_asked_for() -> None:
    found = exchanges(talk(*SOUP))
    for user in ("", "a1b2"):
        rows = kto_rows(found, by_words(found), (), Origin("", "", user), judge="j").rows
        assert [row["user"] for row in rows] == [user, user]
    assert "user" not in kto(talk(*SOUP)).rows[0]


# Edits

ASKED = ({"role": "user", "content": "a mail to Renata"},)
DRAFT = "Hello Renata,\nI hope you are well. The pump broke."


def edited(final: str, rule: Preference | None = None, draft: str = DRAFT) -> Made:
    return edit_rows("dpo", ASKED, draft, final, rule, HERE)


def test_an_edit_is_a_pair_with_the_span_that_changed() -> None:
    (row,) = edited("Hi Renata,\nI hope you are well. The pump broke.").rows
    assert row == {
        "prompt": list(ASKED),
        "chosen": [
            {"role": "assistant", "content": "Hi Renata,\nI hope you are well. The pump broke."}
        ],
        "rejected": [{"role": "assistant", "content": DRAFT}],
        "chosen_by": "user",
        "rule": "",
        "rationale": 'The user changed "Hello" to "Hi".',
        "evidence": {"session": "s1", "row": "chat.jsonl:1", "turn": None, "quote": "Hi"},
        "judge": "user",
        "confidence": 1.0,
    }


def test_the_change_that_bears_the_rule_out_is_quoted() -> None:
    rule = Preference("", "sign off with 'Cheers'", evidence=(Evidence("", "Cheers,"),))
    (row,) = edited("Hi Renata,\nI hope you are well. The pump broke.\nCheers,", rule).rows
    evidence = cast(Mapping[str, Any], row["evidence"])
    assert "Cheers" in evidence["quote"]
    assert row["rule"] == "Sign off with 'Cheers'."
    assert str(row["rationale"]).endswith(
        " into the draft, which shows this wish: Sign off with 'Cheers'."
    )


def test_what_was_taken_out_is_quoted_from_the_draft() -> None:
    (row,) = edited("It broke.", draft="It broke, really.").rows
    assert row["rationale"] == 'The user took ", really" out of the draft.'
    assert cast(Mapping[str, Any], row["evidence"])["quote"] == ", really"


def test_broken_lines_are_a_change_of_layout() -> None:
    (row,) = edited("One.\n\nTwo.", draft="One. Two.").rows
    assert row["rationale"] == "The user changed the layout."
    assert cast(Mapping[str, Any], row["evidence"])["quote"] == "One.\n\nTwo."


def test_an_edit_of_facts_alone_or_of_nothing_makes_no_row() -> None:
    assert edited(DRAFT + "\n").left == {"same text": 1}
    made = edited("It costs 40 euros.", draft="It costs 30 euros.")
    assert (made.rows, made.left) == ((), {"only content changed": 1})


def test_an_edit_labels_both_texts() -> None:
    made = edit_rows("kto", ASKED, "Hello Ann.", "Hi Ann.", None, HERE)
    assert [(text(row["completion"]), row["label"]) for row in made.rows] == [
        ("Hello Ann.", False), ("Hi Ann.", True),
    ]  # fmt: skip


# Whatever comes

LINES = st.lists(
    st.tuples(
        st.sampled_from("uuaast"), st.sampled_from(["", "never A", "x", "wrong", "always B. Hm."])
    ),
    max_size=14,
)
LABELS: tuple[Label, ...] = ("satisfied", "dissatisfied", "dissatisfied", "neutral")


@given(LINES, st.data())
def test_rows_are_of_the_log_and_each_exchange_is_a_row_or_has_a_reason(
    lines: list[tuple[str, str]], data: st.DataObject
) -> None:
    turns = talk(*(f"{role}: {said}" for role, said in lines))
    found = exchanges(turns)
    share = st.floats(0, 1)
    said = [
        judged(data.draw(st.sampled_from(LABELS)), data.draw(share), data.draw(share))
        for _ in found
    ]
    replies = {exchange.reply for exchange in found}
    for made in (dpo(turns, said), kto(turns, said)):
        assert len(made.rows) + made.left.total() == len(found)
        for row in made.rows:
            evidence = cast(Mapping[str, Any], row["evidence"])
            turn = turns[int(evidence["turn"])]
            assert (turn.role, evidence["quote"] in turn.text) == ("user", True)
            assert evidence["quote"]
            for column in ("chosen", "rejected", "completion"):
                assert column not in row or text(row[column]) in replies
            roles = [m["role"] for m in cast(list[Message], row["prompt"]) if m["role"] != "system"]
            assert roles[-1] == "user"
            assert all(a != b for a, b in pairwise(roles))
