"""One base model that answers many users, each with an adapter of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeAlias

from prefmem.agent.lora import BASE, Adapter, Held, Rack
from prefmem.errors import AdapterError, ConfigError, InputError, MissingExtraError
from prefmem.models.causal import CausalLM
from prefmem.models.loading import Loaded, Messages
from prefmem.types import Vector

if TYPE_CHECKING:
    import torch

__all__ = ["Adapter", "AdapterLM", "Answer", "Asked", "Held", "Outcome", "check_bounds"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote.

    Attributes:
        text: The answer.
        whole: Whether the model ended it; otherwise it was cut at its longest.
    """

    text: str
    whole: bool


Asked: TypeAlias = tuple[Adapter | None, Messages]
Outcome: TypeAlias = Answer | AdapterError | InputError


class AdapterLM(CausalLM):
    """A causal model that answers with an adapter, another one for each conversation if need be.

    Conversations of several adapters are answered in one batch, through peft, each as its adapter
    answers it alone; one without an adapter has the base's answer. Threads may share the model:
    they take turns.

    Args:
        model: The base, as `CausalLM` takes it.
        device: As `CausalLM`.
        dtype: As `CausalLM`; adapters are held in it, too.
        revision: As `CausalLM`.
        load_in_4bit: As `CausalLM`.
        max_adapters: Adapters in memory at most, from 1; the one that was not used for the longest
            time leaves first.
        max_bytes: Size of the adapters in memory at most; a larger one is refused.
        max_new_tokens: Length of an answer.
        batch_size: Most conversations that are answered at once.

    Raises:
        ConfigError: No adapter would have room.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
        revision: str | None = None,
        load_in_4bit: bool = False,
        max_adapters: int = 8,
        max_bytes: int = 2**30,
        max_new_tokens: int = 192,
        batch_size: int = 16,
    ) -> None:
        """Remember the settings; the weights load with the first answer."""
        check_bounds(max_adapters, max_bytes)
        super().__init__(
            model, device=device, dtype=dtype, revision=revision, load_in_4bit=load_in_4bit,
            max_new_tokens=max_new_tokens, batch_size=batch_size,
        )  # fmt: skip
        self._bounds = max_adapters, max_bytes
        self._busy = RLock()  # whoever generates, or changes which adapters are in the model
        self._rack: Rack | None = None

    @property
    def held(self) -> Held:
        """What is in memory of adapters, at once even while it generates."""
        rack = self._rack
        return rack.held if rack else Held()

    def complete_many(self, conversations: Sequence[Messages]) -> list[str]:
        """Give the base's answers, as `CausalLM.complete_many`."""
        with self._busy:
            return super().complete_many(conversations)

    def likelihoods(self, messages: Messages, answers: Sequence[str]) -> Vector:
        """Give how likely the base finds answers, as `CausalLM.likelihoods`."""
        with self._busy:
            return super().likelihoods(messages, answers)

    def complete_as(self, asked: Sequence[Asked]) -> list[Outcome]:
        """Answer n conversations, each with an adapter, or with the base alone.

        Returns:
            For each an answer; or why there is none: an AdapterError for an adapter that cannot be
            used, an InputError for messages that are too long. One of them stops no other.

        Raises:
            MissingExtraError: torch, transformers or peft is not installed.
            WeightsError: The base cannot be had.
        """
        if not asked:
            return []
        with self._busy:
            loaded, rack = self._ready()
            found: dict[int, Outcome] = {}
            rows: dict[int, list[int]] = {}
            for n, (_, messages) in enumerate(asked):
                try:
                    rows[n] = self._encode(loaded, messages)
                except InputError as error:
                    found[n] = error
            left = list(rows)
            while left:
                names, refused = _seated(rack, {n: asked[n][0] for n in left})
                found.update(refused)
                found.update(self._answers(loaded, rack, {n: rows[n] for n in names}, names))
                left = [n for n in left if n not in found]
        return [found[n] for n in range(len(asked))]

    def prepare(self, adapter: Adapter) -> None:
        """Bring an adapter into memory before it is asked for; another one may have to leave.

        Raises:
            AdapterError: It cannot be used.
            MissingExtraError, WeightsError: As `complete_as`.
        """
        with self._busy:
            _, rack = self._ready()
            rack.seat(adapter, kept=frozenset())

    def drop(self, owner: str) -> int:
        """Take the adapters of an owner out of memory, after what is being written.

        Returns:
            How many were there.
        """
        with self._busy:
            return self._rack.drop(owner) if self._rack else 0

    def _ready(self) -> tuple[Loaded, Rack]:
        if find_spec("peft") is None:
            raise MissingExtraError('adapters need peft: pip install "prefmem[local]"')
        with self._loading:
            loaded = self._loaded
        if self._rack is None:
            most, size = self._bounds
            self._rack = Rack(loaded.model, max_adapters=most, max_bytes=size)
        return loaded, self._rack

    def _answers(
        self,
        loaded: Loaded,
        rack: Rack,
        rows: Mapping[int, list[int]],
        names: Mapping[int, str],
    ) -> dict[int, Outcome]:
        """Answer encoded prompts with adapters that are in memory, those of like length at once."""
        ends = set(loaded.model.generation_config.eos_token_id)
        order = sorted(rows, key=lambda n: len(rows[n]))
        found: dict[int, Outcome] = {}
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            with rack.reading([names[n] for n in batch]):
                written = self._write(loaded, [rows[n] for n in batch])
            texts = loaded.tokenizer.batch_decode(written, skip_special_tokens=True)
            for n, tokens, text in zip(batch, written, texts, strict=True):
                found[n] = Answer(text, whole=not ends.isdisjoint(tokens))
        return found


def check_bounds(max_adapters: int, max_bytes: int) -> None:
    """Refuse bounds that no adapter would have room in, with a ConfigError."""
    if max_adapters < 1 or max_bytes < 1:
        raise ConfigError(
            f"max_adapters={max_adapters!r}, max_bytes={max_bytes!r}: at least 1 of each"
        )


def _seated(
    rack: Rack, asked: Mapping[int, Adapter | None]
) -> tuple[dict[int, str], dict[int, AdapterError]]:
    """Bring as many adapters into memory as fit at once, first those that are there.

    Returns:
        Their names in the model by conversation, at least one unless all are refused; and the
        conversations whose adapter cannot be used.
    """
    names = {n: BASE for n, adapter in asked.items() if adapter is None}
    users: dict[str, tuple[Adapter, list[int]]] = {}
    for n, adapter in asked.items():
        if adapter is not None:
            users.setdefault(adapter.id, (adapter, []))[1].append(n)
    refused: dict[int, AdapterError] = {}
    for adapter, theirs in sorted(users.values(), key=lambda user: user[0].id not in rack):
        try:
            name = rack.seat(adapter, kept=frozenset(names.values()))
        except AdapterError as error:
            refused |= dict.fromkeys(theirs, error)
            continue
        if name is None:
            break
        names |= dict.fromkeys(theirs, name)
    return names, refused
