"""A preference agent behind an endpoint that serves many adapters by name, such as vLLM."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from prefmem.agent.lesson import Task
from prefmem.agent.prompts import rules_asked
from prefmem.agent.writing import kept, task_of
from prefmem.errors import ConfigError
from prefmem.models.endpoint import OpenAIChat
from prefmem.types import UserKey

# Qwen3 thinks unless it is told not to; the adapters have learned to answer at once.
_EXTRA = {"chat_template_kwargs": {"enable_thinking": False}}


class EndpointAgent:
    """Writes rules for users with adapters that a server holds, each as a model with a name.

    vLLM serves a folder of a `Registry` under a name (`--lora-modules NAME=FOLDER`, or while it
    runs `/v1/load_lora_adapter`). The server has to choose by the name: an answer in another
    model's name is refused, and a name that it does not know is an error, so that nobody is
    answered by another user's adapter. A server that loads one adapter and takes any name must
    not be used. A `RuleWriter` for `PreferenceMemory`; threads may share it.

    Args:
        url: Base address with the version, as in `http://localhost:8000/v1`.
        model_of: Gives the server's name of a user's adapter; None for a user without one. A new
            version of an adapter needs a new name.
        forget: Removes a user's adapters from the server and from disk, with what they were made
            of, and gives how many there were. Where it raises, the user is not forgotten.
        api_key: Sent as a bearer token.
        timeout: Seconds for an answer with all attempts and waits, above 0.
        retries: Attempts after the first, from 0.
        concurrency: Requests in flight at once, from 1.
        max_new_tokens: Length of an answer, from 1; twelve rules take about 200.
        extra: More fields of every request; unless given, what switches Qwen3's thinking off.

    Raises:
        ConfigError: The address is not a plain one of http or https, the key cannot be sent, or a
            number is out of range.
    """

    def __init__(
        self,
        url: str,
        *,
        model_of: Callable[[UserKey], str | None],
        forget: Callable[[UserKey], int],
        api_key: str | None = None,
        timeout: float = 30,
        retries: int = 1,
        concurrency: int = 8,
        max_new_tokens: int = 256,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Check the settings; nothing is sent yet."""
        if max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens={max_new_tokens!r}: at least 1")
        steady = {"temperature": 0, "max_tokens": max_new_tokens}
        self._chat = OpenAIChat(
            url, api_key=api_key, timeout=timeout, retries=retries, concurrency=concurrency,
            extra={**steady, **(_EXTRA if extra is None else extra)},
        )  # fmt: skip
        self._model_of, self._forget = model_of, forget

    def version(self, user: UserKey) -> str:
        """Name the adapter that would answer for a user now; empty where there is none."""
        return self._model_of(user) or ""

    def rules(self, query: str | Task, *, user: UserKey, context: str = "") -> tuple[str, ...]:
        """Write short rules that stand alone, the most important first.

        Args:
            query: What the user asks for now, or a task; its first 2,000 characters are sent.
            user: Whose rules; none for a user without an adapter.
            context: What the user asked for before; left out with a task.

        Raises:
            EndpointError: The server cannot be reached, does not know the adapter, answers with
                another one, takes too long, or gives no whole answer.
        """
        model = self._model_of(user)
        if not model:
            return ()
        task = task_of(query, context) if isinstance(query, str) else query
        return kept(self._chat(rules_asked(task), model=model), task)

    def rules_many(self, asked: Sequence[tuple[UserKey, str | Task]]) -> list[tuple[str, ...]]:
        """Write rules for n requests of any users, several at once, for each what `rules` writes.

        Raises:
            EndpointError: As `rules`, of the first request that fails.
        """
        if not asked:
            return []

        def write(one: tuple[UserKey, str | Task]) -> tuple[str, ...]:
            user, query = one
            return self.rules(query, user=user)

        with ThreadPoolExecutor(min(len(asked), self._chat.concurrency)) as pool:
            return list(pool.map(write, asked))

    def forget_user(self, user: UserKey) -> int:
        """Remove a user's adapters where they are served; gives how many there were."""
        return self._forget(user)
