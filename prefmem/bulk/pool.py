"""Worker processes on this machine: each makes its extractor once, and dies with the run."""

import os
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from prefmem.bulk.logs import Shard
from prefmem.bulk.run import Job, Read, extract_shard
from prefmem.bulk.shards import Receipt
from prefmem.errors import PrefmemError

_LOOK = 0.2  # seconds between two looks at the workers' progress


class Pool:
    """Runs shards on worker processes.

    Args:
        workers: How many, from 1.
    """

    def __init__(self, workers: int) -> None:
        """Remember the number; processes start with the first shard."""
        self._workers = workers

    def __call__(
        self, job: Job, todo: Sequence[Shard], tell: Callable[[int], None]
    ) -> Generator[Receipt]:
        """Give the receipts as the shards are finished.

        Raises:
            PrefmemError: A worker was killed, or raised it.
        """
        if not todo:
            return
        context = get_context("spawn")
        done, stop = context.Value("q", 0), context.Event()
        workers = min(self._workers, len(todo))
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start, initargs=(job, done, stop)
        )
        rest = iter(todo)
        waiting = {pool.submit(_run, shard) for shard in islice(rest, 2 * workers)}
        try:
            while waiting:
                finished, waiting = wait(waiting, _LOOK, return_when=FIRST_COMPLETED)
                tell(done.value)
                yield from (future.result() for future in finished)
                waiting |= {pool.submit(_run, shard) for shard in islice(rest, len(finished))}
        except BrokenProcessPool as error:
            raise PrefmemError(
                "a worker process was killed, as when memory runs out; what is finished stays: run "
                "the same command again to go on, with fewer --workers if memory is short"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Worker:
    job: Job
    done: Any
    stop: Any
    read: Read | None = None

    def tell(self, rows: int) -> None:
        """Count rows for the progress, and leave the shard when the run is over."""
        with self.done.get_lock():
            self.done.value += rows
        if self.stop.is_set():
            raise CancelledError


_workers: list[_Worker] = []  # the one of this process: a pool's tasks share nothing else


def _start(job: Job, done: Any, stop: Any) -> None:  # noqa: ANN401  # a context's own types
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and stops us
    Thread(target=_follow, daemon=True).start()
    _workers[:] = [_Worker(job, done, stop)]


def _follow() -> None:
    """Die when the parent does: nobody waits for the rest."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(shard: Shard) -> Receipt:
    worker = _workers[0]
    worker.read = worker.read or worker.job.make()
    return extract_shard(worker.job, shard, worker.read, worker.tell)
