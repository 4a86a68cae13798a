from dataclasses import dataclass, field

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from prefmem_langchain.convert import dialogue, earlier, last_human, messages_of

SUMMARY = HumanMessage("So far: ...", additional_kwargs={"lc_source": "summarization"})


@dataclass
class State:
    messages: list[BaseMessage] = field(default_factory=list[BaseMessage])


def test_messages_of_any_state() -> None:
    hello = HumanMessage("hello")
    assert messages_of({"messages": [hello]}) == [hello]
    assert messages_of(State([hello])) == [hello]
    assert messages_of({}) == []
    assert messages_of(State()) == []
    assert messages_of({"messages": [("user", "hello")]})[0].text == "hello"
    assert messages_of({"messages": [{"role": "user", "content": "hello"}]})[0].type == "human"


def test_dialogue_keeps_what_was_said() -> None:
    said = [HumanMessage("a"), AIMessage("b")]
    others = [SystemMessage("s"), ToolMessage("t", tool_call_id="1"), SUMMARY]
    assert dialogue([*others, *said], max_chars=100) == said
    assert dialogue([AIMessageChunk(content="b")], max_chars=100)[0].type == "ai"


def test_dialogue_leaves_long_texts_out() -> None:
    blocks: list[str | dict[str, str]] = ["ab", {"type": "text", "text": "c"}]
    messages = [HumanMessage("abcdef"), HumanMessage("abcde"), HumanMessage(content=blocks)]
    assert dialogue(messages, max_chars=5) == messages[1:]  # 6; 5; 2 + 1 and two breaks = 5
    assert dialogue(messages, max_chars=4) == []


def test_last_human_is_no_summary() -> None:
    assert last_human([HumanMessage("a"), AIMessage("b"), SUMMARY]) == 0
    assert last_human([SUMMARY, HumanMessage("a"), HumanMessage("b"), AIMessage("c")]) == 2
    assert last_human([SUMMARY]) is None
    assert last_human([]) is None


@pytest.mark.parametrize(
    ("text", "refers"),
    [
        ("and shorter, please", True),
        ("Shorter!", True),
        ("can you make it more formal?", True),
        ("What about Lisbon?", True),
        ("in German please", True),
        ("Please shorten", True),
        ("more formal please", True),
        ("a bit more formal", True),
        ("Other ideas?", True),
        ("Translate that to French", True),
        ("and in French?", True),
        ("without the emojis", True),
        ("simpler, please", True),
        ("Make a table of EU capitals", False),
        ("No idea what to cook tonight, ideas?", False),
        ("With which wine goes salmon?", False),
        ("Dinner and a concert on Saturday?", False),
        ("Weather?", False),
        ("Summer, winter or autumn for Japan?", False),
        ("What time is it in Tokyo?", False),
        ("Is there a pharmacy open near Kreuzberg?", False),
        ("Is it healthy to eat eggs every day?", False),
        ("Computer science books for a child", False),
        ("Write a mail to my boss about Monday", False),
        ("and " + "so " * 20, False),
    ],
)
def test_what_was_said_before_goes_with_a_message_that_refers_back(text: str, refers: bool) -> None:
    messages = [HumanMessage("A mail to Priya"), AIMessage("Dear Priya"), HumanMessage(text)]
    assert earlier(messages, 2) == ("A mail to Priya" if refers else "")
    assert earlier(messages[2:], 0) == ""


def test_a_chain_of_follow_ups_leads_to_its_request() -> None:
    said = ["Hello", "A mail to Priya", "shorter please", "and more formal"]
    messages: list[BaseMessage] = [HumanMessage(text) for text in said]
    assert earlier(messages, 3) == "A mail to Priya"
    assert earlier(messages[2:], 1) == ""
