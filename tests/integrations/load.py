"""Many users through one agent process, killed once: python tests/integrations/load.py.

Each user has a thread with one agent; every turn is streamed, learned in the background by the
packaged memory, and names the user and the turn. Between two turns a user thinks for 1 to 3
seconds. Half-way the process is killed with signal 9 and started again. In the end every turn that
the agent had finished must be in the log of its user, once, and no user's cards may name another.
What the memory adds to the end of a stream, from its last token on, is measured against an agent
without it, turn by turn in the same run.
"""

import argparse
import asyncio
import json
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from prefmem import PreferenceMemory
from prefmem_langchain import PreferenceMiddleware

TOPICS = (
    "mails", "SQL", "recipes", "poems", "reports", "tests", "speeches", "invoices", "tickets",
    "slides", "letters", "essays", "haikus", "summaries", "minutes", "agendas", "reviews",
)  # fmt: skip
TOKENS = [f"word{n} " for n in range(20)]


class Talker(BaseChatModel):
    """Streams twenty tokens at the pace of a hosted model, fifty a second."""

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:  # noqa: ANN401  # as in BaseChatModel
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(TOKENS)))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        *args: Any,  # noqa: ANN401  # as in BaseChatModel
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> AsyncIterator[ChatGenerationChunk]:
        for token in TOKENS:
            await asyncio.sleep(0.02)
            yield ChatGenerationChunk(message=AIMessageChunk(content=token))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def name(user: int) -> str:
    return f"user.{user}@example.org"


def said(user: int, turn: int) -> str:
    return f"When you write {TOPICS[turn % len(TOPICS)]} for me, always mention kite{user}x{turn}."


async def tail(agent: Any, text: str, thread: str, user: str) -> float:  # noqa: ANN401  # a compiled graph
    """Run one turn; gives the seconds from the last token to the end of the stream."""
    config = {"configurable": {"thread_id": thread}}
    last = 0.0
    async for _ in agent.astream(
        {"messages": [("user", text)]}, config, context={"user_id": user}, stream_mode="messages"
    ):
        last = time.perf_counter()
    return time.perf_counter() - last


async def talk(path: Path, users: int, turns: range) -> None:
    memory = PreferenceMemory(path)
    model = Talker()
    saver = InMemorySaver()
    make: Any = import_module("langchain.agents").create_agent
    plain = make(model, checkpointer=saver)
    minded = make(model, checkpointer=saver, middleware=[PreferenceMiddleware(memory)])

    async def one(user: int) -> None:
        for turn in turns:
            text, order = said(user, turn), ["plain", "minded"]
            random.Random(1000 * user + turn).shuffle(order)
            took = {
                kind: await tail(
                    plain if kind == "plain" else minded, text, f"{kind}{user}", name(user)
                )
                for kind in order
            }
            await asyncio.sleep(random.Random(turn).uniform(1, 3))  # the user reads and thinks
            say(json.dumps({"user": user, "turn": turn, **took}))

    await asyncio.gather(*(one(user) for user in range(users)))
    await memory.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--child", nargs=3, metavar=("DB", "FIRST", "LAST"))
    given = parser.parse_args()
    if given.child:
        db, first, last = given.child
        asyncio.run(talk(Path(db), given.users, range(int(first), int(last))))
        return
    with TemporaryDirectory() as folder:
        sys.exit(check(Path(folder) / "prefs.db", given.users, given.turns))


def check(path: Path, users: int, turns: int) -> int:
    half, rows = turns // 2, list[dict[str, float]]()
    for first, last, kill in ((0, half + 3, True), (half, turns, False)):
        command = [sys.executable, __file__, "--users", str(users), "--child", str(path)]
        process = subprocess.Popen(
            [*command, str(first), str(last)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for count, line in enumerate(process.stdout, start=1):
            rows.append(json.loads(line))
            if kill and count == users * half:
                process.send_signal(signal.SIGKILL)
        process.wait()
    finished = {(int(row["user"]), int(row["turn"])) for row in rows}
    with closing(sqlite3.connect(path)) as db:  # or wait a minute for the dead process's leases
        db.execute("update jobs set leased_until = 0")
        db.commit()
    memory = PreferenceMemory(path)
    left = memory.backlog()
    assert memory.flush()
    lost = twice = foreign = cards = 0
    for user in range(users):
        data = memory.export(user_id=name(user))
        learned = [e["key"] for e in data["events"] if e["kind"] == "learn"]
        wanted = {turn for who, turn in finished if who == user}
        lost += max(0, len(wanted) - len(learned))
        twice += len(learned) - len(set(learned)) + max(0, len(learned) - len(range(turns)))
        texts = [card.text for card in memory.list(user_id=name(user))]
        cards += len(texts)
        foreign += sum(
            f"kite{other}x" in text for text in texts for other in range(users) if other != user
        )
    memory.close()
    added = [1000 * (row["minded"] - row["plain"]) for row in rows]
    plain = [1000 * row["plain"] for row in rows]
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(added, k=len(added))) for _ in range(1000))
    late = sorted(added)[int(0.95 * len(added))]
    say(f"{users} users, {len(finished)} of {users * turns} turns finished, killed once;")
    say(f"{left.waiting + left.running} jobs were left at the end of the second process")
    say(f"turns lost {lost}, learned twice {twice}, cards {cards}, of another user {foreign}")
    say(f"end of stream without memory: {statistics.median(plain):.1f} ms after the last token")
    say(
        f"memory adds a median of {statistics.median(added):.1f} ms "
        f"[{medians[25]:.1f}, {medians[974]:.1f}], mean {statistics.mean(added):.1f} ms, "
        f"95th centile {late:.1f} ms"
    )
    return int(bool(lost or twice or foreign))


if __name__ == "__main__":
    main()
