"""Chat models of LangChain, asked apart from the run that they are asked in."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextvars import Context
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


class RunnableChat:
    """Asks a chat model of LangChain, of which neither tokens nor calls show up in a user's stream.

    A call inside an agent's run inherits its callbacks, and with them whoever streams it, through
    context variables. So each call runs on a thread of its own in an empty context; what a model
    was given for itself, such as its own callbacks or tracing by environment, stays.

    Args:
        model: The model; it repeats failed calls as it is set to.
        timeout: Seconds for a reply, above 0. A call that takes longer is given up, and holds its
            place among those in flight until it ends.
        concurrency: Calls in flight at once, from 1; others wait.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(self, model: ChatModel, *, timeout: float = 60, concurrency: int = 8) -> None:
        """Take the model as it is."""
        if not (timeout > 0 and concurrency >= 1):
            raise ConfigError(
                f"timeout={timeout!r}, concurrency={concurrency!r}: timeout is above 0, "
                "concurrency at least 1"
            )
        self._model, self._name = model, type(model).__name__
        self._timeout, self.concurrency = timeout, concurrency
        self._slots = BoundedSemaphore(concurrency)

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Give the reply to messages, each with `role` and `content`.

        Raises:
            EndpointError: The model fails, takes too long, or gives no text.
        """
        end = time.monotonic() + self._timeout
        late = f"{self._name} gave no answer within {self._timeout} s; try again later"
        if not self._slots.acquire(timeout=self._timeout):
            raise EndpointError(late)
        done: Future[object] = Future()
        pairs = [(message["role"], message["content"]) for message in messages]
        Thread(target=self._invoke, args=(pairs, done), daemon=True).start()
        try:
            error = done.exception(timeout=max(0.0, end - time.monotonic()))
        except TimeoutError:
            raise EndpointError(late) from None
        if error is not None:  # its own message may quote the user
            raise EndpointError(f"{self._name} failed with {type(error).__name__}") from error
        text = getattr(done.result(), "text", done.result())
        if not isinstance(text, str):
            raise EndpointError(f"{self._name} answered with {type(text).__name__}, not with text")
        return str(text)

    def _invoke(self, pairs: list[tuple[str, str]], done: Future[object]) -> None:
        # LangGraph streams no call with the tag `nostream`, whoever listens to it.
        config = {"callbacks": [], "tags": ["nostream"]}
        try:
            # Free-threaded Python lets threads inherit a context.
            done.set_result(Context().run(self._model.invoke, pairs, config))
        except Exception as error:  # noqa: BLE001  # the model is not ours, and raises its own
            done.set_exception(error)
        finally:
            self._slots.release()
