"""Many users at a steady pace for an hour: what grows, and what becomes slower."""

import math
import os
import resource
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from prefmem.config import Config
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import action, difference, request, rule, window
from prefmem.selftest.worker import Tell, warm

_RATE = 50.0  # turns in a second: one call each
_MIX = {"recall": 50, "learn": 35, "later": 9, "edit": 5, "forget": 1}
_THREADS = 4
_USERS = 200  # that are there at a time
_CARDS = 40  # of a user, at most; with the last one the user is erased, and another one comes
_CACHE_BYTES = 2**21  # filled in a minute, so that what grows afterwards is no cache
_WARM = 0.2  # of the time
_SAMPLE = 5.0  # seconds
_SLOPE, _WAL, _SLOWER = 1.0, 64.0, 1.2  # MB in ten minutes, MB, times
_ENOUGH = 30  # minutes from which a slope can be told from noise
_TENTHS, _BINS, _FIRST, _STEP = 10, 1_000, 1e-5, math.log(1.015)  # 10 us to 29 s, 1.5 % each


def run(ground: Ground, size: int) -> Finding:
    """Let a process of its own serve users for `size` minutes, and look at what it tells."""
    samples: list[dict[str, float]] = []
    end: dict[str, float] = {}
    seconds = size * 60
    with ground.work("soak.serve", path=ground.target(), seconds=seconds, seed=ground.seed) as work:
        for said in work.all():
            if "at" in said:
                samples.append(said)
                ground.tell("minutes", int(said["at"] // 60), size)
            else:
                end = said
    if not end:
        return Finding("soak", False, size, {}, "the process that served the users died")
    later = [s for s in samples if s["at"] >= _WARM * seconds]
    slope = _slope(later, "rss_mb")
    quarter = max(1, len(later) // 4)
    files = max(s["files"] for s in later[-quarter:]) - max(s["files"] for s in later[:quarter])
    wal = max(s["wal_mb"] for s in samples)
    slower = end["last_p99_ms"] / end["first_p99_ms"]
    wrong = int(end["wrong"] + end["errors"])
    judged = size >= _ENOUGH
    passed = not wrong and files <= 0 and wal <= _WAL
    passed = passed and (not judged or (slope <= _SLOPE and slower <= _SLOWER))
    return Finding(
        "soak", passed, size,
        {
            "rss_slope_mb_per_10_min": slope, "rss_mb": later[-1]["rss_mb"], "files_grown": files,
            "wal_max_mb": wal, "file_mb": samples[-1]["file_mb"], "slower": slower, **end,
        },
        f"{end['turns']:,.0f} turns in {size} minutes, {end['erased']:,.0f} users erased: memory "
        f"{slope:+.2f} MB in 10 minutes at {later[-1]['rss_mb']:.0f} MB, {files:+.0f} open files, "
        f"WAL at most {wal:.1f} MB; p99 of a turn {end['first_p99_ms']:.0f} ms in the first tenth "
        f"after warming, {end['last_p99_ms']:.0f} ms in the last; {end['late']:,.0f} turns begun "
        f"over a second late, {wrong} errors or differences"
        + ("" if judged else f" (slopes are judged from {_ENOUGH} minutes)"),
    )  # fmt: skip


def _slope(samples: list[dict[str, float]], name: str) -> float:
    """Fit a line by least squares; gives its rise in ten minutes."""
    if len(samples) < 3:
        return 0.0
    at, what = (np.array([s[key] for s in samples]) for key in ("at", name))
    return float(np.polyfit(at, what, 1)[0] * 600)


class _Served:
    """What one thread has done; its size does not grow."""

    def __init__(self) -> None:
        self.held: dict[str, dict[int, str]] = {}
        self.calls: npt.NDArray[np.int64] = np.zeros((_TENTHS, _BINS), dtype=np.int64)
        self.users = self.erased = self.late = self.errors = 0

    def count(self, part: float, seconds: float) -> None:
        """Count a call that was due after a part of the whole time."""
        place = int(math.log(max(seconds, _FIRST) / _FIRST) / _STEP)
        self.calls[min(int(part * _TENTHS), _TENTHS - 1), min(place, _BINS - 1)] += 1


def serve(given: Mapping[str, Any], tell: Tell) -> None:
    """Serve users on four threads, telling every few seconds what is used."""
    warm()
    path, seconds = Path(given["path"]), float(given["seconds"])
    begun, stop = time.monotonic(), threading.Event()
    served = [_Served() for _ in range(_THREADS)]
    config = Config(learn_delay=0, cache_bytes=_CACHE_BYTES, max_new_cards_per_hour=None)
    with opened(path, config=config) as memory:

        def work(number: int) -> None:
            rng, mine, turns = Random(f"{given['seed']}:{number}"), served[number], 0
            while not stop.is_set():
                due = begun + (turns * _THREADS + number) / _RATE
                if (wait := due - time.monotonic()) > 0 and stop.wait(wait):
                    break
                mine.late += time.monotonic() - due > 1
                since = time.perf_counter()
                try:
                    _turn(memory, mine, number, rng)
                except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                    mine.errors += 1
                    sys.stderr.write(f"{told(error)}\n")
                mine.count((due - begun) / seconds, time.perf_counter() - since)
                turns += 1

        threads = [threading.Thread(target=work, args=(n,)) for n in range(_THREADS)]
        for thread in threads:
            thread.start()
        while (passed := time.monotonic() - begun) < seconds:
            time.sleep(min(_SAMPLE, max(0.0, seconds - passed)))
            tell({"at": time.monotonic() - begun, **_used(path)})
        stop.set()
        for thread in threads:
            thread.join()
        memory.flush(60)
        wrong = sum(
            bool(difference(memory, user, frozenset(rules.values())))
            for mine in served
            for user, rules in mine.held.items()
        )
    calls = np.stack([mine.calls for mine in served]).sum(axis=0)
    tell({
        "turns": int(calls.sum()), "wrong": wrong,
        "errors": sum(mine.errors for mine in served), "late": sum(m.late for m in served),
        "erased": sum(mine.erased for mine in served), "p50_ms": _quantile(calls.sum(axis=0), 0.5),
        "first_p99_ms": _quantile(calls[int(_WARM * _TENTHS)], 0.99),
        "last_p99_ms": _quantile(calls[-1], 0.99),
    })  # fmt: skip


def _turn(memory: PreferenceMemory, mine: _Served, thread: int, rng: Random) -> None:
    """Serve one turn of one user."""
    if len(mine.held) < _USERS // _THREADS:
        mine.held[f"u{thread}.{mine.users}"] = {}
        mine.users += 1
    user = rng.choice(list(mine.held))
    rules, number = mine.held[user], rng.randrange(1_000_000)
    what = rng.choices(list(_MIX), list(_MIX.values()))[0]
    if what == "recall":
        memory.render(memory.recall(request(user, number), user_id=user, session_id=user))
    elif what in ("learn", "later") or not rules:
        learn = memory.learn_later if what == "later" else memory.learn
        learn(window(user, number), user_id=user, session_id=user)
        rules[number] = rule(user, number)
        if rng.random() < len(rules) / _CARDS**2 * 2 or len(rules) >= _CARDS:
            memory.forget_user(user_id=user)
            del mine.held[user]
            mine.erased += 1
    else:
        _change(memory, user, rules, rng, what)


def _change(
    memory: PreferenceMemory, user: str, rules: dict[int, str], rng: Random, what: str
) -> None:
    """Edit or forget one of a user's cards, unless it is still to be learned."""
    number = rng.choice(list(rules))
    card = next((c for c in memory.list(user_id=user) if c.text == rules[number]), None)
    if card is None:
        return
    if what == "edit":
        memory.edit(card.id, user_id=user, action=action(user, number))
        rules[number] = rule(user, number, edited=True)
    else:
        memory.forget(card.id, user_id=user)
        del rules[number]


def _used(path: Path) -> dict[str, float]:
    """Measure the memory and the open files of this process, and the store's files."""
    wal, own = path.with_name(f"{path.name}-wal"), Path("/proc/self")
    if own.exists():
        pages = int((own / "statm").read_text("ascii").split()[1])
        rss, files = pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(own / "fd"))
    else:  # the most so far, which does not fall
        rss, files = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    return {
        "rss_mb": rss / 2**20, "files": float(files), "file_mb": _size(path) / 2**20,
        "wal_mb": _size(wal) / 2**20,
    }  # fmt: skip


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _quantile(bins: npt.NDArray[np.int64], q: float) -> float:
    """Give the time in ms under which a share of the calls lies; 0 without any."""
    if not bins.sum():
        return 0.0
    below = np.asarray(np.cumsum(bins), dtype=np.int64)
    place = int((below < q * below[-1]).sum())
    return _FIRST * math.exp(_STEP * (place + 1)) * 1e3
