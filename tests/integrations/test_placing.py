import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from prefmem import ConfigError
from prefmem_langchain import with_rules

TALK: list[BaseMessage] = [HumanMessage("hi"), AIMessage("Hello!"), HumanMessage("and now?")]


def test_rules_stand_last_in_the_system_message() -> None:
    kind = SystemMessage("Be kind.")
    system, *rest = with_rules([kind, *TALK], "RULES")
    assert system.content == [{"type": "text", "text": t} for t in ("Be kind.", "RULES")]
    assert rest == TALK
    assert kind.content == "Be kind."
    system, *rest = with_rules(TALK, "RULES")
    assert system.content == [{"type": "text", "text": "RULES"}]
    assert rest == TALK


def test_rules_stand_before_the_question() -> None:
    placed = with_rules(TALK, "RULES", placement="user")
    assert [m.text for m in placed] == ["hi", "Hello!", "RULES", "and now?"]
    assert placed[2].type == "human"
    assert [m.text for m in with_rules([AIMessage("Hi!")], "R", placement="user")] == ["Hi!", "R"]


def test_nothing_is_placed_without_rules() -> None:
    assert with_rules(TALK, "") == with_rules(TALK, "", placement="user") == TALK
    with pytest.raises(ConfigError, match="placement"):
        with_rules(TALK, "", placement="top")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
