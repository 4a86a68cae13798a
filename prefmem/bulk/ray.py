"""Ray Data as the engine: the same shards on the actors of a cluster, with GPUs where asked for.

Every machine of a cluster must see the logs and the folder of the run under the same paths.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from typing import Any

from prefmem import errors
from prefmem.bulk.logs import Shard
from prefmem.bulk.run import Job, Read, extract_shard
from prefmem.bulk.shards import Receipt
from prefmem.errors import ConfigError, MissingExtraError, PrefmemError

_STORE_BYTES = 128 * 2**20  # Ray carries numbers and receipts; the rules go to the folder


class RayEngine:
    """Runs shards on Ray actors.

    Args:
        workers: How many actors, from 1; each takes one CPU.
        gpus: With 1 or more, there are so many actors instead, and each takes one GPU.
        address: Of a running cluster; Ray runs on this machine for the run unless given.
    """

    def __init__(self, workers: int, *, gpus: int = 0, address: str | None = None) -> None:
        """Remember the settings; Ray starts with the first shard.

        Raises:
            MissingExtraError: Ray is not installed.
        """
        if find_spec("ray") is None or find_spec("pyarrow") is None:
            raise MissingExtraError('this engine is Ray: pip install "prefmem[ray]"')
        self._actors, self._gpus, self._address = gpus or workers, gpus, address

    def __call__(
        self, job: Job, todo: Sequence[Shard], tell: Callable[[int], None]
    ) -> Generator[Receipt]:
        """Give the receipts as the shards are finished.

        Raises:
            ConfigError: The cluster has not enough CPUs or GPUs, or cannot be reached.
            PrefmemError: What an actor raised.
        """
        if not todo:
            return
        actors = min(self._actors, len(todo))
        with self._connected(actors, job.out):
            done = 0
            for row in self._dataset(job, todo, actors).iter_rows():
                receipt = _receipt(row)
                done += receipt.rows
                tell(done)
                yield receipt

    def _dataset(self, job: Job, todo: Sequence[Shard], actors: int) -> Any:  # noqa: ANN401  # Ray's types are half unknown
        data = import_module("ray.data")
        places = data.from_items(list(range(len(todo))), override_num_blocks=len(todo))
        return places.map_batches(
            _Actor,
            fn_constructor_args=(job, tuple(todo)),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
            num_cpus=1,
            num_gpus=1 if self._gpus else None,
        )

    @contextmanager
    def _connected(self, actors: int, out: Path) -> Generator[None]:
        """Start Ray or join a cluster, quietly, and leave nothing behind."""
        _quiet()
        ray: Any = import_module("ray")
        folder = _session_folder(out)
        rmtree(folder, ignore_errors=True)  # of a run that was killed
        local = {
            "address": "local", "num_cpus": actors, "include_dashboard": False,
            "object_store_memory": _STORE_BYTES, "_temp_dir": str(folder),
        }  # fmt: skip
        try:
            _init(ray, {"address": self._address} if self._address else local)
            _settle(ray, actors, self._gpus)
            yield
        finally:
            ray.shutdown()
            rmtree(folder, ignore_errors=True)


class _Actor:
    """One worker: makes its extractor with its first shard."""

    def __init__(self, job: Job, shards: Sequence[Shard]) -> None:
        self._job, self._shards = job, shards
        self._read: Read | None = None

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
        found = {"receipt": "", "error": ""}
        try:
            self._read = self._read or self._job.make()
            shard = self._shards[int(batch["item"][0])]
            found["receipt"] = extract_shard(self._job, shard, self._read).model_dump_json()
        except PrefmemError as error:  # Ray would wrap it, and try again
            found["error"] = json.dumps([type(error).__name__, str(error)])
        return {name: [text] for name, text in found.items()}


def _receipt(row: Mapping[str, str]) -> Receipt:
    if row["error"]:
        name, message = json.loads(row["error"])
        raise getattr(errors, name, PrefmemError)(message)
    return Receipt.model_validate_json(row["receipt"])


def _session_folder(out: Path) -> Path:
    """Name Ray's own folder after the run's, so that a run that goes on finds what a kill left.

    It is not in the run's folder, nor in a longer path: the names of sockets may have 107 bytes.
    """
    base = Path("/tmp") if Path("/tmp").is_dir() else Path(gettempdir())
    return base / f"prefmem-ray-{hashlib.sha256(str(out).encode()).hexdigest()[:16]}"


def _quiet() -> None:
    """Keep Ray from reporting home, and from logging what is no error."""
    # Ray and its processes read both from the environment alone.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # noqa: TID251
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # noqa: TID251
    context = import_module("ray.data").DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _init(ray: Any, settings: Mapping[str, object]) -> None:  # noqa: ANN401  # Ray's types are half unknown
    try:
        ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises bare exceptions where it cannot start
        raise ConfigError(
            f"Ray cannot be started or reached ({error}); check the address, the machine's load "
            "and memory, or use --engine local"
        ) from error


def _settle(ray: Any, actors: int, gpus: int) -> None:  # noqa: ANN401  # Ray's types are half unknown
    """Refuse a cluster that would let the actors wait for ever."""
    has: Mapping[str, float] = ray.cluster_resources()
    for name, wanted in (("CPU", actors), ("GPU", actors if gpus else 0)):
        if has.get(name, 0) < wanted:
            raise ConfigError(
                f"Ray has {has.get(name, 0):g} {name}s, {wanted} are needed; ask for fewer"
            )
