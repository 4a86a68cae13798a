"""LoRA adapters in a loaded model: read from safetensors alone, checked, and placed with peft."""

from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

from prefmem.agent.lorafile import Weights, read
from prefmem.errors import AdapterError

if TYPE_CHECKING:
    import torch

if TYPE_CHECKING:
    pass

_EMPTY = "empty"
BASE = "__base__"  # peft's name for no adapter
_ADVICE = "train one on this base, or open the one that it was trained on"


@dataclass(frozen=True, slots=True)
class Adapter:
    """LoRA weights in a folder, as peft's `save_pretrained` writes them.

    Attributes:
        id: Names these very weights; others, of whichever user, have another one.
        owner: Whose they are; `Rack.drop` takes all of an owner.
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.
        check: Called before the files are read; raises AdapterError where they are not the ones
            that were saved, or were trained on another base.
    """

    id: str
    owner: str
    folder: Path
    check: Callable[[], object] = field(default=lambda: None, compare=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What is in memory of adapters.

    Attributes:
        adapters: How many.
        bytes: Size of their weights.
        loads: How many were read since the start, each time anew.
    """

    adapters: int = 0
    bytes: int = 0
    loads: int = 0


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in the model: its name there, whose it is, its layers, and its size in bytes."""

    name: str
    owner: str
    layers: tuple[str, ...]
    size: int


class Rack:
    """The adapters in a model; the one that was not used for the longest time leaves first.

    Which adapter reads a row is told by `reading` and holds for that thread alone. None is active
    by itself: rows that nobody named an adapter for are the base's. Only one thread may `seat` or
    `drop` at a time, and none may generate meanwhile.

    Args:
        model: A causal model of transformers, which is changed.
        max_adapters: At most in memory, from 1.
        max_bytes: Size of all in memory at most.
    """

    def __init__(self, model: Any, *, max_adapters: int, max_bytes: int) -> None:  # noqa: ANN401  # transformers' own types are half unknown
        """Begin with none."""
        self._model = model
        self._most, self._most_bytes = max_adapters, max_bytes
        self._slots: OrderedDict[str, _Slot] = OrderedDict()  # by adapter, the latest used last
        self._wrapped: set[str] = set()
        self._thread = local()
        self._made = self._loads = 0

    def __contains__(self, id: object) -> bool:
        """Whether an adapter is in memory."""
        return id in self._slots

    @property
    def held(self) -> Held:
        """What is in memory, also while another thread generates."""
        slots = list(self._slots.values())
        return Held(len(slots), sum(slot.size for slot in slots), self._loads)

    @contextmanager
    def reading(self, names: Sequence[str]) -> Generator[None]:
        """Let this thread's rows be read by the adapters of these names, one for each row."""
        self._thread.names = list(names)
        try:
            yield
        finally:
            self._thread.names = None

    def seat(self, adapter: Adapter, *, kept: Set[str]) -> str | None:
        """Bring an adapter into memory, unless it is there.

        Args:
            adapter: Which one.
            kept: Names that must not leave for it.

        Returns:
            Its name in the model; None where those that are kept leave no room.

        Raises:
            AdapterError: It is missing, damaged, no plain LoRA, too large, or does not fit the
                base; the model is as it was.
        """
        if adapter.id in self._slots:
            self._slots.move_to_end(adapter.id)
            return self._slots[adapter.id].name
        if len(self._slots) == self._most and all(s.name in kept for s in self._slots.values()):
            return None
        weights = self._read(adapter)
        gone = self._leaving(weights.size, kept)
        if gone is None:
            return None
        for id in gone:
            self._delete(self._slots.pop(id))
        name = self._place(weights)
        self._slots[adapter.id] = _Slot(name, adapter.owner, tuple(weights.layers), weights.size)
        self._loads += 1
        return name

    def drop(self, owner: str) -> int:
        """Take the adapters of an owner out of memory; gives how many were there."""
        ids = [id for id, slot in self._slots.items() if slot.owner == owner]
        for id in ids:
            self._delete(self._slots.pop(id))
        return len(ids)

    def _leaving(self, size: int, kept: Set[str]) -> list[str] | None:
        """Name the adapters that make room for another one; None where they cannot."""
        if size > self._most_bytes:
            raise AdapterError(
                f"the adapter has {size} bytes and max_bytes={self._most_bytes}; allow more, or "
                "train it with a smaller rank"
            )
        held = self.held
        count, total, gone = held.adapters, held.bytes + size, list[str]()
        for id, slot in self._slots.items():
            if count < self._most and total <= self._most_bytes:
                break
            if slot.name not in kept:
                gone.append(id)
                count, total = count - 1, total - slot.size
        return gone if count < self._most and total <= self._most_bytes else None

    def _read(self, adapter: Adapter) -> Weights:
        """Read weights that fit the model, on its device and in its dtype."""
        adapter.check()
        found = read(adapter.folder)
        for layer, (a, b) in found.layers.items():
            self._check(layer, (tuple(a.shape), tuple(b.shape)), found.rank)
        layers = {layer: (self._own(a), self._own(b)) for layer, (a, b) in found.layers.items()}
        return replace(found, layers=layers)

    def _own(self, matrix: "torch.Tensor") -> "torch.Tensor":
        """Copy a matrix: what safetensors gives is the file itself, which may change."""
        return matrix.to(device=self._model.device, dtype=self._model.dtype, copy=True)

    def _check(self, layer: str, found: tuple[tuple[int, ...], ...], rank: int) -> None:
        """Refuse matrices that are not those of a linear layer of the base."""
        try:
            module = self._model.get_submodule(layer)
            wanted = (rank, int(module.in_features)), (int(module.out_features), rank)
        except AttributeError:
            raise AdapterError(
                f"the base has no linear layer {layer!r}, which the adapter is for; {_ADVICE}"
            ) from None
        if found != wanted:
            raise AdapterError(
                f"the base's {layer!r} takes matrices of {wanted}, not {found}; {_ADVICE}"
            )

    def _place(self, weights: Weights) -> str:
        """Put weights into the model, under a name that it has not had before."""
        import torch

        self._wrap(weights.layers.keys() - self._wrapped)
        self._made += 1
        name = f"a{self._made}"
        for layer, (a, b) in weights.layers.items():
            module = self._model.get_submodule(layer)
            for holder, matrix in ((module.lora_A, a), (module.lora_B, b)):
                outer, inner = matrix.shape
                linear = torch.nn.Linear(inner, outer, bias=False, device="meta")
                linear.weight = torch.nn.Parameter(matrix, requires_grad=False)
                holder[name] = linear
            module.lora_dropout[name] = torch.nn.Identity()
            module.scaling[name] = weights.scale
        return name

    def _wrap(self, layers: Set[str]) -> None:
        """Make peft's layers of linear ones, once, with no adapter in them.

        Adapters are put in and out by hand: peft walks through the whole model for each, the longer
        the more of them there are.
        """
        if not layers:
            return
        peft: Any = import_module("peft")
        config = peft.LoraConfig(r=1, target_modules=sorted(layers), inference_mode=True)
        peft.inject_adapter_in_model(config, self._model, _EMPTY, low_cpu_mem_usage=True)
        del self._model.peft_config  # or peft warns of a second one
        for layer in layers:
            module = self._model.get_submodule(layer)
            module.delete_adapter(_EMPTY)
            module.set_adapter([])
            module.register_forward_pre_hook(self._named, with_kwargs=True)
        self._wrapped |= layers
        self._model.eval()

    def _named(self, module: object, args: Any, kwargs: Any) -> Any:  # noqa: ANN401  # torch's own types
        """Tell a layer whose rows it reads: those of this thread, or the base's."""
        del module
        names = getattr(self._thread, "names", None) or [BASE] * len(args[0])
        return args, {**kwargs, "adapter_names": names}

    def _delete(self, slot: _Slot) -> None:
        for layer in slot.layers:
            self._model.get_submodule(layer).delete_adapter(slot.name)
