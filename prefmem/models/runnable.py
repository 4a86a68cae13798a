"""Chat models of LangChain, and other foreign code, called apart from the run around them."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import Context
from functools import partial
from threading import BoundedSemaphore, Thread
from typing import Any, Protocol, runtime_checkable

from prefmem.errors import ConfigError, EndpointError


@runtime_checkable
class ChatModel(Protocol):
    """What a chat model of LangChain looks like from outside."""

    def bind(self, **kwargs: Any) -> Any:  # noqa: ANN401  # as in LangChain
        """Fix arguments."""
        ...

    def invoke(self, input: Any, config: Any = None, /) -> Any:  # noqa: ANN401  # as in LangChain
        """Answer (role, text) pairs with a message."""
        ...


class Apart:
    """Calls foreign code apart from the run around it, and gives up what takes too long.

    A call inside an agent's run inherits its callbacks, and with them whoever streams it, through
    context variables. So each call runs on a thread of its own in an empty context.

    Args:
        name: What is called, for errors.
        timeout: Seconds for an answer, above 0. A call that takes longer is given up, and holds its
            place among those in flight until it ends.
        concurrency: Calls in flight at once, from 1; others wait.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(self, name: str, *, timeout: float, concurrency: int) -> None:
        """Start with all places free."""
        if not (timeout > 0 and concurrency >= 1):
            raise ConfigError(
                f"timeout={timeout!r}, concurrency={concurrency!r}: timeout is above 0, "
                "concurrency at least 1"
            )
        self._name, self._timeout = name, timeout
        self._slots = BoundedSemaphore(concurrency)

    def __call__(self, call: Callable[[], object]) -> object:
        """Give what a call gives.

        Raises:
            EndpointError: It fails or takes too long.
        """
        end = time.monotonic() + self._timeout
        late = f"{self._name} gave no answer within {self._timeout} s; try again later"
        if not self._slots.acquire(timeout=self._timeout):
            raise EndpointError(late)
        done: Future[object] = Future()
        Thread(target=self._run, args=(call, done), daemon=True).start()
        try:
            error = done.exception(timeout=max(0.0, end - time.monotonic()))
        except TimeoutError:
            raise EndpointError(late) from None
        if error is not None:  # its own message may quote the user
            raise EndpointError(f"{self._name} failed with {type(error).__name__}") from error
        return done.result()

    def _run(self, call: Callable[[], object], done: Future[object]) -> None:
        try:
            # Free-threaded Python lets threads inherit a context.
            done.set_result(Context().run(call))
        except Exception as error:  # noqa: BLE001  # what is called is not ours, and raises its own
            done.set_exception(error)
        finally:
            self._slots.release()


class RunnableChat:
    """Asks a chat model of LangChain, of which neither tokens nor calls show up in a user's stream.

    What a model was given for itself, such as its own callbacks or tracing by environment, stays.

    Args:
        model: The model; it repeats failed calls as it is set to.
        timeout: Seconds for a reply, above 0; see `Apart`.
        concurrency: Calls in flight at once, from 1; others wait.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(self, model: ChatModel, *, timeout: float = 60, concurrency: int = 8) -> None:
        """Take the model as it is."""
        self._model, self._name, self.concurrency = model, type(model).__name__, concurrency
        self._apart = Apart(self._name, timeout=timeout, concurrency=concurrency)

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Give the reply to messages, each with `role` and `content`.

        Raises:
            EndpointError: The model fails, takes too long, or gives no text.
        """
        pairs = [(message["role"], message["content"]) for message in messages]
        # LangGraph streams no call with the tag `nostream`, whoever listens to it.
        config = {"callbacks": [], "tags": ["nostream"]}
        answer = self._apart(partial(self._model.invoke, pairs, config))
        text = getattr(answer, "text", answer)
        if not isinstance(text, str):
            raise EndpointError(f"{self._name} answered with {type(text).__name__}, not with text")
        return str(text)
