"""The same dialogue teaches once: in any cut, from any thread, from any process."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from prefmem import Config, PreferenceMemory
from prefmem.errors import StoreUnavailableError
from prefmem.messages import Message
from prefmem.stores.sqlite import SQLiteStore

Open = Callable[..., PreferenceMemory]

DIALOGUE: list[tuple[str, str]] = [
    ("assistant", "Hi!"),
    ("user", "Always use SI units."),
    ("assistant", "Sure."),
    ("user", "When cooking, always use grams."),
    ("assistant", "Fine."),
    ("user", "Thanks. Never use emojis."),
    ("assistant", "OK."),
    ("user", "What is the time in Lima?"),
]
RULES = ["Use SI units.", "When cooking, use grams.", "Never use emojis."]


def snapshot(memory: PreferenceMemory, user_id: str = "ann") -> dict[str, object]:
    data = memory.export(user_id=user_id)
    del data["exported_at"]
    return data


def texts(memory: PreferenceMemory, user_id: str = "ann") -> list[str]:
    return [card.text for card in memory.list(user_id=user_id)]


def test_from_dialogue_to_prompt(memory: PreferenceMemory) -> None:
    report = memory.learn(DIALOGUE, user_id="ann", session_id="s1")
    assert [card.text for card in report.added] == RULES
    assert (report.turns, report.skipped) == (4, 0)
    block = memory.render(memory.recall("cooking a soup", user_id="ann", session_id="s2"))
    for rule in RULES:
        assert f'"rule": "{rule}"' in block
    block = memory.render(memory.recall("a poem", user_id="ann", session_id="s2"))
    assert "grams" not in block
    assert "SI units" in block


def test_the_same_window_twice_changes_nothing(memory: PreferenceMemory) -> None:
    memory.learn(DIALOGUE, user_id="ann", session_id="s")
    before, vectors = snapshot(memory), memory.get_user("ann")
    report = memory.learn(DIALOGUE, user_id="ann", session_id="s")
    assert (report.added, report.updated, report.turns, report.skipped) == ((), (), 0, 4)
    assert snapshot(memory) == before
    assert memory.get_user("ann").short.tolist() == vectors.short.tolist()


def test_messages_with_fresh_ids_are_the_same_messages(memory: PreferenceMemory) -> None:
    from langchain_core.messages import AIMessage, HumanMessage

    def window(prefix: str) -> list[Message]:
        return [
            HumanMessage(text, id=f"{prefix}{n}") if role == "user" else AIMessage(text)
            for n, (role, text) in enumerate(DIALOGUE)
        ]

    memory.learn(window("a"), user_id="ann")
    before = snapshot(memory)
    assert memory.learn(window("b"), user_id="ann").skipped == 4
    memory.learn(DIALOGUE, user_id="ann")
    assert snapshot(memory) == before


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_overlapping_windows_teach_each_turn_once(memory: PreferenceMemory, size: int) -> None:
    memory.learn(DIALOGUE, user_id="ann")
    before = snapshot(memory)
    for start in range(len(DIALOGUE)):
        memory.learn(DIALOGUE[start : start + size], user_id="ann")
    assert snapshot(memory) == before


def test_a_growing_and_cut_history_teaches_each_turn_once(memory: PreferenceMemory) -> None:
    for stop in range(1, len(DIALOGUE) + 1):
        memory.learn(DIALOGUE[max(0, stop - 3) : stop], user_id="ann")
    assert texts(memory) == RULES
    assert [len(c.preference.evidence) for c in memory.list(user_id="ann")] == [1, 1, 1]
    assert len(memory.export(user_id="ann")["events"]) == 4


def test_saying_it_again_elsewhere_makes_it_surer(memory: PreferenceMemory) -> None:
    memory.learn(DIALOGUE[:2], user_id="ann", session_id="s1")
    (card,) = memory.learn(DIALOGUE[:2], user_id="ann", session_id="s2").updated
    assert card.preference.confidence == pytest.approx(0.99)
    memory.learn([("user", "As I said, always use SI units!")], user_id="ann", session_id="s1")
    (card,) = memory.list(user_id="ann")
    assert card.preference.confidence == pytest.approx(0.999)
    assert len(memory.history(card.id, user_id="ann")) == 3


def test_the_cards_are_a_fold_over_the_log(memory: PreferenceMemory) -> None:
    from prefmem.cards.fold import fold
    from prefmem.stores.codec import Export

    memory.learn(DIALOGUE, user_id="ann")
    card = memory.list(user_id="ann")[0]
    memory.edit(card.id, user_id="ann", action="use feet")
    memory.learn([("user", "Never ever use emojis. Never use emojis.")], user_id="ann")
    log = Export.read(memory.export(user_id="ann")).log("ann")
    assert set(fold(log).values()) == set(memory.list(user_id="ann"))


def test_eight_threads_on_one_memory(memory: PreferenceMemory) -> None:
    errors: list[Exception] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        try:
            for n in range(6):
                user = f"u{(number + n) % 3}"
                memory.learn(DIALOGUE, user_id=user)
                memory.add("", f"rule {number} {n}", user_id=user)
                memory.recall("cooking", user_id=user)
                memory.render(memory.recall("a poem", user_id=user))
        except Exception as error:  # noqa: BLE001  # any error of a thread fails the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for user in ("u0", "u1", "u2"):
        found = texts(memory, user)
        assert len(found) == 3 + 16
        assert set(RULES) <= set(found)
        events = memory.export(user_id=user)["events"]
        told = [event["seq"] for event in events]
        assert told == sorted(set(told))
        assert len(told) == 4 + 16
        assert sum(event["kind"] == "learn" for event in events) == 4


WORKER = """
import sys
from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
path, number = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
parts = {"embedder": HashEmbedder(), "relater": TableRelater()}
with PreferenceMemory(path, extractor=PhraseExtractor(), **parts) as memory:
    for n in range(30):
        window = [("assistant", f"Question {n}?"), ("user", f"Always do thing {n}.")]
        memory.learn(window, user_id=f"u{n % 2}", session_id="s")
        memory.recall(f"thing {n}", user_id="u0")
    memory.add("", f"worker {number} was here", user_id="u0")
"""


def test_two_processes_that_learn_the_same_leave_one_copy(tmp_path: Path) -> None:
    path = tmp_path / "prefs.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:  # both wait here, and start on a file that is not there yet
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=100)
        assert (worker.returncode, errors) == (0, "")

    store = SQLiteStore(path)
    from prefmem.types import UserKey

    for user, extra in (("u0", 2), ("u1", 0)):
        cards, events = store.cards(UserKey(user)), store.events(UserKey(user))
        assert len(cards) == len({card.text for card in cards}) == 15 + extra
        assert len(events) == len({event.key for event in events}) == 15 + extra
        told = [event.seq for event in events]
        assert told == sorted(set(told))
        said = [card for card in cards if card.source == "said"]
        assert {card.preference.confidence for card in said} == {0.9}
    assert store.check()["integrity"] == "ok"
    store.close()


def test_a_full_disk_keeps_what_was_acknowledged(open_memory: Open, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "small.db")
    memory = open_memory(store=store, config=Config(max_new_cards_per_hour=None))
    memory.learn(DIALOGUE, user_id="ann")
    with store._file.alone() as connection:  # pyright: ignore[reportPrivateUsage]  # a fault on its own connection
        pass
    pages = connection.execute("pragma page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {pages}")
    big = [("user", "Always " + "be very brief " * 15 + f"{n}.") for n in range(50)]
    before = snapshot(memory)
    with pytest.raises(StoreUnavailableError, match="free disk space"):
        memory.learn(big, user_id="ann")
    assert snapshot(memory) == before
    assert memory.recall("cooking", user_id="ann").rules
    connection.execute("pragma max_page_count = 1000000")
    assert len(memory.learn(big, user_id="ann").added) == 50
    assert store.check()["integrity"] == "ok"


def test_a_read_only_store_still_recalls(open_memory: Open, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "fixed.db")
    memory = open_memory(store=store)
    memory.learn(DIALOGUE, user_id="ann")
    with store._file.alone() as connection:  # pyright: ignore[reportPrivateUsage]  # a fault on its own connection
        pass
    connection.execute("pragma query_only = on")
    for write in (
        lambda: memory.learn([("user", "Always lie.")], user_id="ann"),
        lambda: memory.add("", "lie", user_id="ann"),
        lambda: memory.forget_user(user_id="ann"),
    ):
        with pytest.raises(StoreUnavailableError, match="readonly"):
            write()
    assert memory.learn(DIALOGUE, user_id="ann").skipped == 4
    assert "SI units" in memory.render(memory.recall("x", user_id="ann"))
    connection.execute("pragma query_only = off")
    assert len(memory.learn([("user", "Always lie.")], user_id="ann").added) == 1
