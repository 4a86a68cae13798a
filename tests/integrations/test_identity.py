from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.runtime import Runtime, ServerInfo

from prefmem import UserRequiredError
from prefmem_langchain.identity import UserId, inside_tool, resolve_user, session


@dataclass
class Person:
    user_id: str | None = None
    identity: str = ""


def within(function: Any, **configurable: object) -> Any:  # noqa: ANN401  # any function
    """Call a function inside a run with this config."""

    def call(_: object) -> Any:  # noqa: ANN401  # its result
        return function()

    return RunnableLambda(call).invoke(0, {"configurable": configurable})


def resolved(
    context: object = None, *, explicit: UserId | None = None, server: str = "", **config: object
) -> str | None:
    user: Any = Person(identity=server)
    info = ServerInfo("assistant", "graph", user if server else None)
    runtime: Runtime[Any] = Runtime(context=context, server_info=info)
    user_id: str | None = within(lambda: resolve_user(runtime, explicit), **config)
    return user_id


def test_order_of_the_sources() -> None:
    config = {"user_id": "c", "langgraph_user_id": "l"}
    assert resolved(Person("ann"), explicit="me", server="s", **config) == "me"
    assert resolved(Person("ann"), server="s", **config) == "ann"
    assert resolved({"user_id": "ann"}, server="s", **config) == "ann"
    assert resolved({"other": 1}, server="s", **config) == "s"
    assert resolved(Person(None), server="s", **config) == "s"
    assert resolved(None, **config) == "c"
    assert resolved(None, langgraph_user_id="l") == "l"
    assert resolved(None) is None


def test_callable_reads_the_runtime() -> None:
    assert resolved({"who": "eve"}, explicit=lambda runtime: runtime.context["who"]) == "eve"


def test_the_first_that_is_set_decides_alone() -> None:
    assert resolved({"user_id": "ann"}, explicit=lambda _: None) is None
    assert resolved({"user_id": " "}, user_id="c") is None
    assert resolved({"user_id": 7}, user_id="c") is None


def test_missing_user_is_refused_on_demand() -> None:
    runtime: Runtime[Any] = Runtime()
    with pytest.raises(UserRequiredError, match="user_id is missing"):
        within(lambda: resolve_user(runtime, None, "raise"))
    seven: Runtime[Any] = Runtime(context={"user_id": 7})
    with pytest.raises(UserRequiredError, match="user_id is an unusable int"):
        within(lambda: resolve_user(seven, None, "raise"))


def test_session_is_the_thread() -> None:
    assert within(session, thread_id="t1") == "t1"
    assert within(session, thread_id=7) == "7"
    assert within(session) == ""


@pytest.mark.parametrize(
    ("namespace", "inside"),
    [
        ("", False),
        ("prefmem.after_agent:1", False),
        ("tools:1", False),
        ("agent:1|learn:2", False),
        ("tools:1|learn:2", True),
        ("agent:1|tools:2|learn:3", True),
        ("my_tools:1|learn:2", False),
    ],
)
def test_inside_tool_looks_at_the_ancestors(namespace: str, inside: bool) -> None:
    assert within(inside_tool, checkpoint_ns=namespace) is inside
