"""Every verb has an async twin with its signature, and the twins work."""

import asyncio
import inspect
import threading
from collections.abc import Callable

import pytest

from prefmem import NotFoundError, PreferenceMemory, UserRequiredError
from prefmem.aio import twin

VERBS = [
    name
    for name, member in inspect.getmembers(PreferenceMemory, inspect.isfunction)
    if not name.startswith("_")
    and name not in {"wake", "in_tenant", "listen", "supposing"}  # which wait for nothing
    and not inspect.iscoroutinefunction(member)
]


def test_the_verbs_are_the_ones_promised() -> None:
    promised = (
        "learn learn_later flush recall add edit forget forget_user undo list get get_user history "
        "export load render close"
    )
    assert set(promised.split()) <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_twin_with_its_signature(verb: str) -> None:
    sync, awaited = getattr(PreferenceMemory, verb), getattr(PreferenceMemory, f"a{verb}")
    assert inspect.iscoroutinefunction(awaited)
    assert inspect.signature(awaited) == inspect.signature(sync)
    assert awaited.__doc__ == sync.__doc__
    assert awaited.__name__ == f"a{verb}"
    assert awaited.__qualname__ == f"{sync.__qualname__.removesuffix(verb)}a{verb}"


def test_there_is_no_twin_without_a_verb() -> None:
    twins = {
        name for name, member in inspect.getmembers(PreferenceMemory)
        if inspect.iscoroutinefunction(member) and not name.startswith("_")
    }  # fmt: skip
    assert twins == {f"a{verb}" for verb in VERBS}


async def test_the_twins_do_what_the_verbs_do(memory: PreferenceMemory) -> None:
    report = await memory.alearn([("user", "Always use SI units.")], user_id="ann")
    (card,) = report.added
    assert await memory.alist(user_id="ann") == memory.list(user_id="ann") == (card,)
    assert await memory.aget(card.id, user_id="ann") == card
    recall = await memory.arecall("how tall is it?", user_id="ann", limit=1)
    assert "Use SI units." in await memory.arender(recall)
    added = await memory.aadd("writing SQL", "use CTEs", user_id="ann")
    edited = await memory.aedit(added.id, user_id="ann", action="use views")
    assert edited.text == "When writing SQL, use views."
    assert len(await memory.ahistory(added.id, user_id="ann")) == 2
    await memory.aforget(added.id, user_id="ann")
    data = await memory.aexport(user_id="ann")
    state = await memory.aget_user("ann")
    assert state.model == "ledger/1"
    assert (await memory.aforget_user(user_id="ann")).cards == 1
    assert len((await memory.aload(data, user_id="ann")).added) == 1
    await memory.aclose()


async def test_errors_come_through(memory: PreferenceMemory) -> None:
    with pytest.raises(UserRequiredError):
        await memory.alearn([("user", "x")], user_id="")
    with pytest.raises(NotFoundError):
        await memory.aget("nope", user_id="ann")


async def test_many_at_once(open_memory: Callable[..., PreferenceMemory]) -> None:
    memory = open_memory()
    await asyncio.gather(
        *(
            memory.alearn([("user", f"Always do thing {n}.")], user_id=f"u{n % 4}")
            for n in range(20)
        )
    )
    counts = [len(await memory.alist(user_id=f"u{n}")) for n in range(4)]
    assert counts == [5, 5, 5, 5]


async def test_the_loop_stays_free() -> None:
    class Worker:
        def work(self, *, extra: int) -> tuple[int, bool]:
            """Work."""
            return extra, threading.current_thread() is threading.main_thread()

        awork = twin(work)

    assert await Worker().awork(extra=3) == (3, False)
