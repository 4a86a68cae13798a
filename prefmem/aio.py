"""Async twins: each verb on a worker thread, with the verb's own signature and no logic."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def twin(
    verb: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Make the async twin of a method; the event loop stays free while it runs."""

    async def awaited(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(verb, self, *args, **kwargs)

    update_wrapper(awaited, verb)
    awaited.__name__ = f"a{verb.__name__}"
    awaited.__qualname__ = awaited.__qualname__.replace(verb.__name__, awaited.__name__)
    return awaited
