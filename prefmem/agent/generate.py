"""A preference agent in this process: a base model and the adapters of a registry."""

import hashlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from prefmem.agent.adapters import Adapter, AdapterLM, Answer, Asked, Held, check_bounds
from prefmem.agent.base import DEFAULT, source_of, weights_of
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.places import token_of
from prefmem.agent.prompts import Messages, rules_asked, written
from prefmem.agent.registry import Registry
from prefmem.agent.version import Version, check
from prefmem.agent.writing import kept, task_of
from prefmem.errors import AdapterError, ConfigError, InputError, WeightsError
from prefmem.types import UserKey

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

FewShot: TypeAlias = Callable[[UserKey], Sequence[Lesson]]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agent did since its start, and what it holds.

    Attributes:
        answered: Requests that a model wrote for.
        empty: Those of them whose answer held no rule that can be used.
        refused: Requests whose adapter or text could not be used.
        strangers: Requests of users without an adapter.
        held: Adapters in memory.
    """

    answered: int
    empty: int
    refused: int
    strangers: int
    held: Held


class _Request:
    """A request on its way through the agent; `outcome` is there when it has been served."""

    __slots__ = ("outcome", "task", "user")

    def __init__(self, user: UserKey, task: Task) -> None:
        self.user, self.task = user, task
        self.outcome: tuple[str, ...] | Exception | None = None


class LocalAgent:
    """Writes rules for users with their own adapters, all on one base model in this process.

    Requests of several threads that wait at the same time are answered in one batch, whichever
    users they come from; nobody is ever answered by another user's adapter. Which version answers
    is looked up when its turn comes, so that one that was removed or rolled back answers no more.
    Always the same rules for the same request and version, but for ties that rounding decides on a
    GPU. A `RuleWriter` for `PreferenceMemory`.

    Args:
        registry: Where the adapters are.
        base: What they were trained on: a name on the hub, a folder, or `smollm2`; unless given,
            what the first adapter says that is asked. An adapter of other weights is refused.
        revision: Commit, tag or branch on the hub; as `base` where that is not given.
        device: Where it runs, as torch names it; the first GPU unless there is none.
        dtype: Of base and adapters; bfloat16 on a GPU and float32 on the CPU unless given.
        load_in_4bit: Keeps the base in 4 bits, with bitsandbytes, on a GPU.
        max_adapters: Adapters in memory at most, from 1.
        max_bytes: Their size at most.
        max_new_tokens: Length of an answer; twelve rules take about 200.
        batch_size: Most requests that are answered at once.
        few_shot: Gives lessons of a user without an adapter, such as the first three; the base sees
            them and writes. Needs `base`.
        cache: Folder for the unpacked weights of `smollm2`.

    Raises:
        ConfigError: `few_shot` without `base`, or no room for an adapter.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        base: str | Path | None = None,
        revision: str | None = None,
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
        load_in_4bit: bool = False,
        max_adapters: int = 8,
        max_bytes: int = 2**30,
        max_new_tokens: int = 224,
        batch_size: int = 16,
        few_shot: FewShot | None = None,
        cache: Path | None = None,
    ) -> None:
        """Remember the settings; the weights load with the first answer."""
        if few_shot is not None and base is None:
            raise ConfigError("few_shot asks the base alone; pass base, as a name or a folder")
        self._registry, self._few_shot, self._cache = registry, few_shot, cache
        self._given, self._revision = base, revision
        self._most = max(1, batch_size)
        check_bounds(max_adapters, max_bytes)
        self._open = partial(
            AdapterLM, device=device, dtype=dtype, load_in_4bit=load_in_4bit,
            max_adapters=max_adapters, max_bytes=max_bytes, max_new_tokens=max_new_tokens,
            batch_size=batch_size,
        )  # fmt: skip
        self._base: _Base | None = None
        self._serving = Lock()  # held while requests are answered, or a user is forgotten
        self._waiting: deque[_Request] = deque()
        self._counts: Counter[str] = Counter()
        self._counting = Lock()

    @property
    def usage(self) -> Usage:
        """What it did since its start."""
        base = self._base
        with self._counting:
            counts = Counter(self._counts)
        held = base.model.held if base else Held()
        return Usage(
            counts["answered"], counts["empty"], counts["refused"], counts["strangers"], held
        )

    def version(self, user: UserKey) -> str:
        """Name what would answer for a user now; empty where nothing would.

        Raises:
            AdapterError: What the registry says of the user's adapter is damaged.
        """
        found = self._registry.current(user)
        if found is not None:
            return f"{found.number} {found.hash[:16]}"
        lessons = self._lessons(user)
        return f"shown {_hash(lessons)}" if lessons else ""

    def rules(self, query: str | Task, *, user: UserKey, context: str = "") -> tuple[str, ...]:
        """Write short rules that stand alone, the most important first.

        Args:
            query: What the user asks for now, or a task; its first 2,000 characters are read.
            user: Whose rules; none for a user without an adapter and without lessons to show.
            context: What the user asked for before; left out with a task.

        Raises:
            AdapterError: The user's adapter is missing, damaged, or of another base.
            MissingExtraError: torch, transformers or peft is not installed.
            WeightsError: The base cannot be had.
            InputError: The task is longer than what the base reads.
        """
        task = task_of(query, context) if isinstance(query, str) else query
        request = _Request(user, task)
        self._finish([request])
        if isinstance(request.outcome, Exception):
            raise request.outcome
        return request.outcome or ()

    def rules_many(self, asked: Sequence[tuple[UserKey, str | Task]]) -> list[tuple[str, ...]]:
        """Write rules for n requests of any users, for each what `rules` writes.

        A request whose adapter or text cannot be used has no rules; it is counted and logged.

        Raises:
            MissingExtraError, WeightsError: As `rules`; there is no answer then.
        """
        requests = [
            _Request(user, task_of(query) if isinstance(query, str) else query)
            for user, query in asked
        ]
        self._finish(requests)
        found: list[tuple[str, ...]] = []
        for request in requests:
            if isinstance(request.outcome, AdapterError | InputError):
                _log.warning("an agent's request was refused: %s", type(request.outcome).__name__)
                found.append(())
            elif isinstance(request.outcome, Exception):
                raise request.outcome
            else:
                found.append(request.outcome or ())
        return found

    def forget_user(self, user: UserKey) -> int:
        """Remove a user's adapters and all that they were made of, from disk and memory.

        What is being written ends first; nothing is written with them afterwards.

        Returns:
            How many adapters there were.

        Raises:
            StoreUnavailableError: A file cannot be deleted.
        """
        with self._serving:
            try:
                return self._registry.remove(user).adapters
            finally:
                if self._base is not None:
                    self._base.model.drop(token_of(user))

    def _finish(self, requests: Sequence[_Request]) -> None:
        """Serve requests until these have been; whoever comes to it serves those of others too."""
        left = [request for request in requests if not self._is_strange(request)]
        self._waiting.extend(left)
        while any(request.outcome is None for request in left):
            with self._serving:
                if any(request.outcome is None for request in left):
                    self._serve_next()

    def _is_strange(self, request: _Request) -> bool:
        """Whether a request needs no model: its user has nothing to write by."""
        try:
            if self._registry.current(request.user) or self._lessons(request.user):
                return False
            request.outcome = ()
        except AdapterError as error:
            request.outcome = error
        self._count("refused" if request.outcome else "strangers")
        return True

    def _serve_next(self) -> None:
        """Serve those that have waited for the longest time."""
        batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            self._serve(batch)
        except Exception as error:  # noqa: BLE001  # each caller is told
            for request in batch:
                request.outcome = error
        finally:  # an interrupted thread leaves the others' requests to them
            self._waiting.extendleft(
                request for request in reversed(batch) if request.outcome is None
            )

    def _serve(self, batch: Sequence[_Request]) -> None:
        asked: list[tuple[_Request, Asked]] = []
        for request in batch:
            try:
                found = self._asked(request)
            except AdapterError as error:
                self._refuse(request, error)
                continue
            if found is None:  # removed meanwhile
                request.outcome = ()
                self._count("strangers")
            else:
                asked.append((request, found))
        if not asked:
            return
        base = self._opened(None)
        try:
            answers = base.model.complete_as([found for _, found in asked])
        except WeightsError:
            self._base = None  # the next adapter may know a base that can be had
            raise
        for (request, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Answer):
                request.outcome = kept(answer.text, request.task, whole=answer.whole)
                self._count("answered")
                if not request.outcome:
                    self._count("empty")
            else:
                self._refuse(request, answer)

    def _asked(self, request: _Request) -> Asked | None:
        """Say with which adapter a request is answered, and what the model is asked."""
        messages = rules_asked(request.task)
        version = self._registry.current(request.user)
        if version is not None:
            base = self._opened(version)
            token = token_of(request.user)
            adapter = Adapter(
                f"{token} {version.number} {version.hash}", token, version.folder,
                check=lambda: check(version, weights=base.weights),
            )  # fmt: skip
            return adapter, messages
        lessons = self._lessons(request.user)
        if not lessons:
            return None
        shown: Messages = messages[:1]
        for lesson in lessons:
            shown += [
                rules_asked(lesson.task)[-1],
                {"role": "assistant", "content": written(lesson.rules)},
            ]
        return None, [*shown, messages[-1]]

    def _opened(self, version: Version | None) -> "_Base":
        if self._base is None:
            name, revision = self._given, self._revision
            if name is None and version is not None:
                name, revision = version.base, version.manifest["base"].get("revision")
            source = source_of(name or DEFAULT, cache=self._cache)
            self._base = _Base(self._open(source, revision=revision), source, revision)
        return self._base

    def _lessons(self, user: UserKey) -> Sequence[Lesson]:
        return self._few_shot(user) if self._few_shot else ()

    def _refuse(self, request: _Request, error: Exception) -> None:
        request.outcome = error
        self._count("refused")

    def _count(self, what: str) -> None:
        with self._counting:
            self._counts[what] += 1


class _Base:
    """An opened base, and the hash of its weights."""

    def __init__(self, model: AdapterLM, source: str | Path, revision: str | None) -> None:
        self.model = model
        self._source, self._revision = source, revision

    @cached_property
    def weights(self) -> str:
        """SHA-256 of the weights; they have been loaded."""
        return weights_of(self._source, revision=self._revision).sha256


def _hash(lessons: Sequence[Lesson]) -> str:
    return hashlib.sha256(
        repr([(lesson.task, lesson.rules) for lesson in lessons]).encode()
    ).hexdigest()[:16]
