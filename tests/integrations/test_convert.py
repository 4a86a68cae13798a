from dataclasses import dataclass, field

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from prefmem_langchain.convert import dialogue, last_human, messages_of, requests

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


def test_requests_are_what_the_user_said_up_to_a_message() -> None:
    talk = [HumanMessage("a"), AIMessage("b"), SUMMARY, HumanMessage("see this"), HumanMessage("d")]
    assert requests(talk, 3, max_chars=3) == [("user", "a"), ("user", "see")]
    assert requests([SUMMARY], 0, max_chars=3) == []
    many: list[BaseMessage] = [HumanMessage(str(number)) for number in range(30)]
    assert requests(many, 29, max_chars=3) == [("user", str(n)) for n in range(10, 30)]
