"""An agent behaves the same on our SQLite file, on SqliteStore, PostgresStore and InMemoryStore."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore

from prefmem import Config, NotFoundError, PreferenceMemory
from prefmem.protocols import Store
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem_langchain import PreferenceMiddleware
from prefmem_langchain.store_memory import memory_on
from tests.integrations.basestores import KINDS, items, opened, words

ANN, BOB = {"user_id": "ann@example.org"}, {"user_id": "bob"}
Opened = tuple[PreferenceMemory, "BaseStore | None"]


@pytest.fixture(params=["file", *KINDS])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Give a memory on one of the stores, and the host's store if it is one."""
    parts: dict[str, Any] = {
        "embedder": HashEmbedder(), "extractor": PhraseExtractor(), "relater": TableRelater(),
        "reranker": "none", "judge": WordJudge(),
    }  # fmt: skip
    settings = Config(learn_delay=0.01)

    def make(storage: Store, config: Config) -> PreferenceMemory:
        return PreferenceMemory(store=storage, config=config, **parts)

    with ExitStack() as stack:
        if request.param == "file":
            memory = PreferenceMemory(tmp_path / "prefs.db", config=settings, **parts)
            yield stack.enter_context(memory), None
        else:
            host = stack.enter_context(opened(request.param, tmp_path))
            yield stack.enter_context(memory_on(host, config=settings, make=make)), host


class Chat:
    """An agent with a thread for each conversation; what was said is learned before the next."""

    def __init__(self, kept: Opened, model: Any, learn: Any = "background") -> None:  # noqa: ANN401  # hosts are loosely typed
        self.memory, host = kept
        self.model = model
        middleware: Any = PreferenceMiddleware(self.memory, learn=learn, on_error="raise")
        self.app: Any = create_agent(
            model, [], middleware=[middleware], checkpointer=InMemorySaver(), store=host
        )

    def say(self, text: str, user: dict[str, str], thread: str = "t") -> str:
        """Say something, and give the system message that the model got; empty for none."""
        config = {"configurable": {"thread_id": f"{user['user_id']}-{thread}"}}
        self.app.invoke({"messages": [HumanMessage(text)]}, config, context=user)
        assert self.memory.flush(60), "what was said was not learned"
        first = self.model.seen[-1][0]
        return str(first.text) if first.type == "system" else ""

    def rules(self, user: dict[str, str]) -> list[tuple[str, str]]:
        return [(card.text, card.status) for card in self.memory.list(user_id=user["user_id"])]


@pytest.mark.parametrize("learn", ["background", "inline"])
def test_what_a_user_says_is_known_in_another_conversation(
    kept: Opened, scribe: Callable[..., Any], learn: str
) -> None:
    chat = Chat(kept, scribe(), learn)
    assert chat.say("Hello. Always use SI units.", ANN) == ""
    assert "Use SI units." in chat.say("When I write SQL, always use CTEs.", ANN)
    assert chat.rules(ANN) == [
        ("Use SI units.", "active"),
        ("When I write SQL, use CTEs.", "active"),
    ]
    prompt = chat.say("I write SQL: what now?", ANN, "another")
    assert "Use SI units." in prompt
    assert "When I write SQL, use CTEs." in prompt
    assert "CTEs" not in chat.say("How far is the moon?", ANN, "third")
    log = chat.memory.export(user_id=ANN["user_id"])
    assert [event["kind"] for event in log["events"]] == ["learn"] * 4
    assert chat.memory.backlog().waiting == 0


def test_two_users_never_meet(kept: Opened, scribe: Callable[..., Any]) -> None:
    chat = Chat(kept, scribe())
    for user, unit in ((ANN, "metres"), (BOB, "feet")):
        chat.say(f"Always use {unit}.", user)
        chat.say(f"Always use {unit}.", user)  # said again: one card
    assert chat.rules(ANN) == [("Use metres.", "active")]
    assert chat.rules(BOB) == [("Use feet.", "active")]
    assert "feet" not in chat.say("How far is it?", ANN, "new")
    assert "metres" not in chat.say("How far is it?", BOB, "new")
    other = chat.memory.in_tenant("other")
    assert other.list(user_id="bob") == ()
    receipt = chat.memory.forget_user(user_id="bob")
    assert receipt.cards == 1
    assert receipt.events >= 3
    assert (chat.rules(BOB), chat.rules(ANN)) == ([], [("Use metres.", "active")])
    assert chat.memory.export(user_id="bob")["events"] == []
    assert "feet" not in chat.say("How far is it now?", BOB, "newer")


def test_commands_work_and_forgetting_leaves_no_words(
    kept: Opened, scribe: Callable[..., Any]
) -> None:
    chat = Chat(kept, scribe())
    chat.say("Always use zigzag lines.", ANN)
    chat.say("Please remember that I like short answers.", ANN)
    assert len(chat.rules(ANN)) == 2
    assert "zigzag" in chat.say("Draw something.", ANN, "new")
    chat.say("Forget the rule about zigzag lines.", ANN, "new")
    assert ["zigzag" in text for text, _ in chat.rules(ANN)] == [False]
    assert "zigzag lines." not in chat.say("Draw something else.", ANN, "newer")
    host = kept[1]
    if host is not None:
        assert "Always use zigzag" not in words(host)
        chat.memory.forget_user(user_id=ANN["user_id"])
        gone = {item.namespace[1] for item in items(host)}
        assert gone <= {"=settings", "=erased"}


def test_verbs_by_hand_do_the_same(kept: Opened) -> None:
    memory, _ = kept
    ann = ANN["user_id"]
    first = memory.add("I write SQL", "use CTEs", user_id=ann)
    assert memory.add("i write sql", "Use CTEs.", user_id=ann).id == first.id
    edited = memory.edit(first.id, user_id=ann, action="use views")
    assert [e.kind for e in memory.history(first.id, user_id=ann)] == ["add", "add", "edit"]
    memory.undo(memory.history(first.id, user_id=ann)[-1].id, user_id=ann)
    assert memory.get(first.id, user_id=ann).preference.action == "use CTEs"
    assert edited.preference.action == "use views"
    recall = memory.recall("I write SQL", user_id=ann, session_id="s")
    assert [rule.text for rule in recall.rules] == ["When I write SQL, use CTEs."]
    assert memory.feedback(recall, 1.0, user_id=ann, card_id=first.id, key="thumb")
    assert not memory.feedback(recall, 1.0, user_id=ann, card_id=first.id, key="thumb")
    assert memory.get_user(ann).numbers.tolist() == [1]
    exported = memory.export(user_id=ann)
    memory.load(exported, user_id="copy")
    memory.load(exported, user_id="copy")
    copied = memory.export(user_id="copy")
    assert [c["action"] for c in copied["cards"]] == ["use CTEs"]
    assert len(copied["interactions"]) == len(exported["interactions"]) == 2
    memory.forget(first.id, user_id=ann)
    with pytest.raises(NotFoundError):
        memory.get(first.id, user_id=ann)
    with pytest.raises(NotFoundError):
        memory.forget(first.id, user_id=ann)
    assert memory.get_user(ann).numbers.tolist() == []
    assert [card.text for card in memory.list(user_id="copy")] == ["When I write SQL, use CTEs."]


def test_edits_teach_and_leave_with_what_they_taught(kept: Opened) -> None:
    memory, host = kept
    for n in range(6):
        memory.learn_from_edit(
            f"Dear Sam,\n\nThe figures of week {n} are here! They look great!",
            f"Dear Sam,\n\nThe figures of week {n} are here. They look great.",
            "a mail to a colleague", user_id="ann",
        )  # fmt: skip
    again = memory.learn_from_edit(
        "Dear Sam,\n\nThe figures of week 0 are here! They look great!",
        "Dear Sam,\n\nThe figures of week 0 are here. They look great.",
        "a mail to a colleague", user_id="ann",
    )  # fmt: skip
    assert again.skipped == 1
    taught = memory.list(user_id="ann")
    assert len(taught) == 1
    assert len(memory.export(user_id="ann")["edits"]) == 6
    memory.forget(taught[0].id, user_id="ann")
    assert memory.export(user_id="ann")["edits"] == []
    assert host is None or "figures" not in words(host)
