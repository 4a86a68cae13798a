"""Rules from edits, by a chat model of which the answers are given."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.messages import BaseMessage
from pydantic import Field

from prefmem import ConfigError, InputError, PreferenceMemory, defaults
from prefmem.errors import EndpointError
from prefmem.feedback.chatedits import ChatInducer
from prefmem.feedback.edits import EditPair, FeatureInducer, Induced
from prefmem.models.runnable import RunnableChat

Open: TypeAlias = Callable[..., PreferenceMemory]
Rules: TypeAlias = Mapping[str, Sequence[str]]
MAIL = "a mail to a friend"
BRIEF, CALM = "Write short sentences.", "Use no exclamation marks."


class Chat(SimpleChatModel):
    """Answers with what a function gives for the last message."""

    reply: Callable[[str], str]
    asked: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "reply"

    def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  # as in LangChain
        del args, kwargs
        said = str(messages[-1].content)
        self.asked.append(said)
        return self.reply(said)


def chat(proposed: str, shown: Rules | None = None, broken: Rules | None = None) -> Chat:
    """Propose rules for an edit; of others say by a word of theirs which rules they show."""

    def reply(said: str) -> str:
        if "\n\nRules:\n" not in said:
            return proposed
        text, listed = said.split("\n\nRules:\n")
        rules = {line.partition(". ")[2]: n for n, line in enumerate(listed.split("\n"), start=1)}

        def numbers(given: Rules | None) -> list[int]:
            found = (r for word, names in (given or {}).items() if word in text for r in names)
            return [rules[rule] for rule in found if rule in rules]

        return json.dumps({"shown": numbers(shown), "broken": numbers(broken)})

    return Chat(reply=reply)


def proposing(*rules: str, **others: object) -> str:
    return "Well.\n" + json.dumps({"rules": [{"rule": rule, **others} for rule in rules]})


def edit(word: str, context: str = MAIL) -> EditPair:
    return EditPair(context, f"The {word} is dry, and so we pack!", f"The {word} is dry. We pack.")


def actions(found: Sequence[Induced]) -> list[str]:
    return [rule.action for rule in found]


def test_a_rule_that_another_edit_shows_is_learned() -> None:
    model = chat(proposing(BRIEF, quote="We pack."), {"rope": [BRIEF]})
    (rule,) = ChatInducer(model).learned([edit("rope")], edit("tent"))
    assert rule.condition == f"writing {MAIL}"
    assert (rule.action, rule.polarity) == (BRIEF, "do")
    assert rule.evidence == ("The rope is dry.", "We pack.")
    assert rule.confidence == pytest.approx(0.2 ** (1 / 3), abs=0.002)
    assert [said.count("Rules:") for said in model.asked] == [0, 1]
    assert f"Kind of text: {MAIL}" in model.asked[0]


def test_a_rule_that_no_other_edit_shows_is_not() -> None:
    assert not ChatInducer(chat(proposing(BRIEF))).learned([edit("rope")], edit("tent"))


def test_a_rule_that_others_break_is_not() -> None:
    model = chat(proposing(BRIEF), {"rope": [BRIEF], "net": [BRIEF]}, {"net": [BRIEF]})
    assert not ChatInducer(model).learned([edit("rope"), edit("net")], edit("tent"))


def test_a_rule_that_two_edits_showed_before_is_left_alone() -> None:
    model = chat(proposing(BRIEF), {"rope": [BRIEF], "net": [BRIEF]})
    assert not ChatInducer(model).learned([edit("rope"), edit("net")], edit("tent"))


def test_a_rule_of_several_kinds_of_text_has_no_condition() -> None:
    model = chat(proposing(BRIEF), {"rope": [BRIEF]})
    (rule,) = ChatInducer(model).learned([edit("rope", "a report")], edit("tent"))
    assert rule.condition == ""


def test_facts_of_the_texts_never_enter_a_rule() -> None:
    pair = EditPair("", "We meet Ada at 16:30!", "We meet Ada at 16:30.")
    rules = ("Greet ada.", "Write 16:30 for times.", CALM)
    model = chat(proposing(*rules), {"rope": rules})
    assert actions(ChatInducer(model).learned([edit("rope")], pair)) == [CALM]


def test_polarity_is_said_or_read_from_the_rule() -> None:
    model = chat(proposing(CALM, "Avoid jargon.", BRIEF), {"rope": [CALM, "Avoid jargon.", BRIEF]})
    found = ChatInducer(model).learned([edit("rope")], edit("tent"))
    assert {r.action: r.polarity for r in found} == {
        CALM: "do", "Avoid jargon.": "avoid", BRIEF: "do",
    }  # fmt: skip
    model = chat(proposing(CALM, avoid=True), {"rope": [CALM]})
    (rule,) = ChatInducer(model).learned([edit("rope")], edit("tent"))
    assert rule.polarity == "avoid"


@pytest.mark.parametrize(
    "answer",
    ["", "no", "{", '{"rules": 7}', '{"rules": [7, {"rule": 7}, {"rule": " "}]}',
     json.dumps({"rules": [{"rule": "x" * 201}]}), '{"a": ' * 4000, "[]"],
)  # fmt: skip
def test_an_answer_without_rules_teaches_nothing(answer: str) -> None:
    assert not ChatInducer(chat(answer)).learned([edit("rope")], edit("tent"))


@pytest.mark.parametrize("answer", ["", '{"shown": 1}', '{"shown": [2, "x", null]}', "1"])
def test_an_unreadable_verdict_counts_for_nothing(answer: str) -> None:
    model = Chat(reply=lambda said: answer if "Rules:" in said else proposing(BRIEF))
    assert not ChatInducer(model).learned([edit("rope")], edit("tent"))


def test_numbers_may_be_written_as_text_and_a_single_rule_without_a_list() -> None:
    given = json.dumps({"rule": BRIEF, "quote": "not of the text"})
    model = Chat(reply=lambda said: '{"shown": ["1"]}' if "Rules:" in said else given)
    (rule,) = ChatInducer(model).learned([edit("rope")], edit("tent"))
    assert rule.evidence == ("The rope is dry.", "The tent is dry.")


def test_the_nearest_seven_are_asked_and_eight_rules_at_most() -> None:
    model = chat(proposing(*(f"Rule {'x' * n}." for n in range(1, 11))))
    earlier = [edit(f"rope{n}", "a report" if n < 3 else MAIL) for n in range(10)]
    same = EditPair(MAIL, "As it was.", "As it was.")
    assert not ChatInducer(model).learned([*earlier, same], edit("tent"))
    asked = sorted(model.asked[1:])
    assert len(asked) == 7
    assert not [said for said in asked if "a report" in said or "As it was" in said]
    assert all("8. Rule" in said and "9. Rule" not in said for said in asked)


def test_nothing_is_asked_without_something_to_compare() -> None:
    model = chat(proposing(BRIEF))
    inducer = ChatInducer(model)
    same = EditPair("", "As it was.", "As it was. ")
    assert inducer.learned([], edit("tent")) == inducer.learned([edit("rope")], same) == ()
    with pytest.raises(InputError):
        inducer.learned([edit("rope")], EditPair("", "x", " "))
    assert model.asked == []


def test_long_texts_are_shortened_in_the_middle() -> None:
    model = chat(proposing())
    long = EditPair("", "a" * 3000 + "m" * 3000 + "z" * 3000, "Yes.")
    assert not ChatInducer(model).learned([edit("rope")], long)
    assert "a" * 2000 + "\n...\n" + "z" * 2000 in model.asked[0]
    assert "Kind of text: unknown" in model.asked[0]
    assert "m" * 100 not in model.asked[0]


def test_a_model_that_fails_is_an_error() -> None:
    def fail(said: str) -> str:
        raise RuntimeError(said)

    with pytest.raises(EndpointError):
        ChatInducer(Chat(reply=fail)).learned([edit("rope")], edit("tent"))


def test_models_of_langchain_are_taken_and_others_refused() -> None:
    assert ChatInducer(RunnableChat(chat(proposing()), concurrency=1))
    with pytest.raises(ConfigError, match="type str"):
        ChatInducer("gpt")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


def test_a_chat_model_stands_for_an_inducer() -> None:
    assert isinstance(defaults.inducer(), FeatureInducer)
    assert isinstance(defaults.inducer(FakeListChatModel(responses=["{}"])), ChatInducer)
    given = FeatureInducer()
    assert defaults.inducer(given) is given
    with pytest.raises(ConfigError, match="inducer='gpt'"):
        defaults.inducer("gpt")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


def test_a_memory_learns_through_a_chat_model(open_memory: Open) -> None:
    memory = open_memory(inducer=chat(proposing(CALM), {"rope": [CALM], "net": [CALM]}))
    added: list[list[str]] = []
    for pair in (edit("rope"), edit("net"), edit("tent")):
        report = memory.learn_from_edit(pair.draft, pair.final, MAIL, user_id="ann")
        added.append([card.text for card in report.added])
    assert added == [[], [f"When writing {MAIL}, use no exclamation marks."], []]
