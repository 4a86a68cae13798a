"""`prefmem top`: how a store or a running server is doing, again and again."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from prefmem.cli.figures import Figures, read_server
from prefmem.cli.options import DB, Db, Json, Tenant, opened, shown
from prefmem.cli.show import console, counted, emit, grid, line
from prefmem.errors import PrefmemError
from prefmem.interaction import PastRecall
from prefmem.memory import PreferenceMemory

_USERS = 20  # whose logs are read where none is named: each reading reads all of a log
_NEWEST = 10  # recalls that are shown
_STATES = {0.0: "in use", 1.0: "tried again", 2.0: "left alone"}
_INJECTED = ("relevant", "global")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

    Attributes:
        screen: For people.
        data: The same for machines.
    """

    screen: RenderableType
    data: Mapping[str, Any]


def top(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="A running server, as http://127.0.0.1:8765.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="PREFMEM_KEY", help="Its key, with the scope admin; best in the "
                     "environment."),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option("--user", help="Whose recalls are shown of a store.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One picture, and end.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between pictures.")] = 2.0,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Watch recalls, the queue, what is withheld, and parts that fail; Ctrl-C ends it."""
    if url is not None:
        watch(_Server(url, key), interval, once=once, as_json=as_json)
        return
    with opened(ctx, db, tenant, made=False) as memory:
        reads = _Store(memory, shown(db), user)
        watch(reads, interval, once=once, as_json=as_json)


def watch(reads: Callable[[], Frame], interval: float, *, once: bool, as_json: bool) -> None:
    """Show pictures until Ctrl-C; one where that is wanted, or nobody watches a terminal."""
    screen = console()
    frame = reads()  # what fails at first ends the command
    if as_json:
        emit(frame.data)
        return
    if once or not screen.is_terminal:
        screen.print(frame.screen)
        return
    with (
        suppress(KeyboardInterrupt),
        Live(frame.screen, console=screen, screen=True, auto_refresh=False) as live,
    ):
        while True:
            sleep(interval)
            try:
                frame = reads()
            except PrefmemError as error:  # it may come back
                frame = Frame(Group(Text(str(error), "bold"), frame.screen), frame.data)
            live.update(frame.screen, refresh=True)


class _Store:
    """Reads a store: what waits, and the newest recalls of some users."""

    def __init__(self, memory: PreferenceMemory, name: str, users: list[str] | None) -> None:
        self._memory, self._name, self._named = memory, name, users

    def __call__(self) -> Frame:
        memory, now = self._memory, datetime.now(UTC)
        waits, users = memory.backlog(), memory.users()
        watched = self._named or (list(users) if len(users) <= _USERS else [])
        found = [
            (user, recall)
            for user in watched
            for recall in memory.recalls(user_id=user, newest=_NEWEST)
        ]
        found.sort(key=lambda each: each[1].at, reverse=True)
        newest = found[:_NEWEST]
        age = (now - waits.oldest).total_seconds() if waits.oldest else 0.0
        queue = {
            "waiting": waits.waiting, "running": waits.running, "dead": waits.dead,
            "oldest_seconds": round(max(0.0, age), 1),
        }  # fmt: skip
        withheld = _withheld(newest)
        parts: list[RenderableType] = [
            _title(self._name, now, counted(len(users), "user")), Text(_queued(queue)), Text(),
        ]  # fmt: skip
        if not watched and users:
            parts.append(Text("Too many users to read all logs: name some with --user, or watch "
                              "a server with --url."))  # fmt: skip
        else:
            parts += [Text("Recalled last", "bold"), _recalls(newest)]
            if withheld:
                parts += [Text(), Text(f"Withheld there: {_counts(withheld)}")]
        return Frame(
            Group(*parts),
            {
                "store": self._name, "at": now.isoformat(), "users": len(users), "queue": queue,
                "recalls": [_recall_data(user, recall) for user, recall in newest],
                "withheld": withheld,
            },
        )  # fmt: skip


class _Server:
    """Reads a running server, and tells what changed since the reading before."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url, key
        self._before: Figures | None = None

    def __call__(self) -> Frame:
        figures, before = read_server(self._url, self._key), self._before
        self._before = figures
        now = datetime.now(UTC)
        news = figures.since(before)
        seconds = None if before is None else max(1e-3, figures.at - before.at)
        data = _server_data(figures, news, seconds)
        queue: Mapping[str, float] = data["queue"]
        state = figures.ready
        if figures.left_alone:
            state += f", left alone: {', '.join(figures.left_alone)}"
        span = "since its start" if seconds is None else f"in the last {seconds:.0f} s"
        parts: list[RenderableType] = [
            _title(self._url, now, line(state)), Text(_queued(queue)), Text(),
            Text(f"Recalls {span}: {_recalled(data)}"),
            Text(f"Withheld {span}: {_counts(data['withheld']) or 'nothing'}"),
            Text(f"Went on without, in all: {_counts(data['degraded']) or 'nothing'}"), Text(),
            _parts(data["parts"]),
        ]  # fmt: skip
        if data["verbs"]:
            parts += [Text(), _verbs(data["verbs"])]
        return Frame(Group(*parts), {"server": self._url, "at": now.isoformat(), **data})


def _server_data(figures: Figures, news: Figures, seconds: float | None) -> dict[str, Any]:
    count = news.total("prefmem_recall_seconds_count")
    verdicts = news.by("prefmem_verdicts_total", "reason")
    return {
        "ready": figures.ready,
        "left_alone": list(figures.left_alone),
        "queue": {
            name: figures.total(f"prefmem_queue_{name}")
            for name in ("waiting", "running", "dead", "oldest_seconds")
        },
        "recalls": {
            "count": int(count),
            "per_second": None if seconds is None else round(count / seconds, 2),
            "p50": _bound(news.quantile("prefmem_recall_seconds", 0.5)),
            "p95": _bound(news.quantile("prefmem_recall_seconds", 0.95)),
            "outcomes": _whole(news.by("prefmem_recalls_total", "outcome")),
        },
        "withheld": _whole({k: v for k, v in verdicts.items() if k not in _INJECTED}),
        "degraded": _whole(figures.by("prefmem_degraded_total", "part")),
        "parts": {
            part: {
                "state": _STATES.get(state, "?"),
                "failures": int(figures.total("prefmem_part_failures_total", part=part)),
                "refused": int(figures.total("prefmem_part_refused_total", part=part)),
                "p95": _bound(news.quantile("prefmem_part_seconds", 0.95, part=part)),
            }
            for part, state in sorted(figures.by("prefmem_breaker_state", "part").items())
        },
        "verbs": {
            verb: {
                "count": int(calls),
                "failed": int(news.total("prefmem_verb_failures_total", verb=verb)),
                "p95": _bound(news.quantile("prefmem_verb_seconds", 0.95, verb=verb)),
            }
            for verb, calls in sorted(news.by("prefmem_verb_seconds_count", "verb").items())
            if calls
        },
    }


def _title(name: str, now: datetime, state: str) -> Text:
    return Text(f"{name}  {now:%H:%M:%S} UTC  {state}", "bold")


def _queued(queue: Mapping[str, float]) -> str:
    text = (
        f"Queue: {queue['waiting']:.0f} waiting, {queue['running']:.0f} being learned, "
        f"{queue['dead']:.0f} dead"
    )
    age = queue["oldest_seconds"]
    return f"{text}; the oldest waits for {age:.0f} s" if queue["waiting"] else text


def _recalls(newest: list[tuple[str, PastRecall]]) -> RenderableType:
    if not newest:
        return Text("none logged yet")
    table = grid("when", "user", "recall", "shown", "came back", wide="user")
    for user, recall in newest:
        shown_ = sum(each.injected for each in recall.candidates)
        last = recall.answers[-1] if recall.answers else None
        table.add_row(
            f"{recall.at:%m-%d %H:%M:%S}", line(user), recall.recall_id[:8],
            f"{shown_} of {len(recall.candidates)}", f"{last.reward:+.2f}" if last else "",
        )  # fmt: skip
    return table


def _recall_data(user: str, recall: PastRecall) -> dict[str, Any]:
    return {
        "user_id": user,
        "id": recall.recall_id,
        "at": recall.at.isoformat(),
        "considered": len(recall.candidates),
        "shown": sum(each.injected for each in recall.candidates),
        "rewards": [answer.reward for answer in recall.answers],
    }


def _withheld(newest: list[tuple[str, PastRecall]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, recall in newest:
        for each in recall.candidates:
            if not each.injected:
                found[each.reason] = found.get(each.reason, 0) + 1
    return found


def _recalled(data: Mapping[str, Any]) -> str:
    recalls = data["recalls"]
    rate = "" if recalls["per_second"] is None else f" ({recalls['per_second']:g} a second)"
    text = f"{recalls['count']}{rate}"
    if recalls["p95"] is not None:
        text += f", half within {_time(recalls['p50'])}, 95 % within {_time(recalls['p95'])}"
    outcomes = _counts(recalls["outcomes"])
    return f"{text}; {outcomes}" if outcomes else text


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> Table:
    table = grid("part", "state", "failed", "spared", "95 % within", wide="state")
    for name, part in parts.items():
        style = "" if part["state"] == "in use" else "bold"
        row = (name, part["state"], str(part["failures"]), str(part["refused"]), _time(part["p95"]))
        table.add_row(*(Text(text, style) for text in row))
    return table


def _verbs(verbs: Mapping[str, Mapping[str, Any]]) -> Table:
    table = grid("verb", "calls", "failed", "95 % within", wide="verb")
    for name, verb in verbs.items():
        table.add_row(name, str(verb["count"]), str(verb["failed"]), _time(verb["p95"]))
    return table


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{line(name)} {count}" for name, count in ordered if count)


def _whole(counts: Mapping[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in counts.items() if value}


def _bound(seconds: float | None) -> float | str | None:
    """Give a bound of a histogram as JSON can hold it: the last one is no number."""
    return "over" if seconds == float("inf") else seconds


def _time(seconds: float | str | None) -> str:
    if seconds is None:
        return ""
    return "longer" if isinstance(seconds, str) else f"{seconds * 1000:g} ms"
