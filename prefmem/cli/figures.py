"""The figures of a running server: read from /metrics and /readyz, and what two readings tell."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import cast
from urllib.parse import urlsplit

from prefmem.errors import InputError

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SECONDS = 5.0  # that a server may take
_LONGEST = 4 * 2**20  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading of a server.

    Attributes:
        values: By name, then by the labels as sorted pairs.
        ready: `ready`, or why not.
        left_alone: Models that failed too often a moment ago.
        at: When, in seconds that never go back.
    """

    values: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]
    ready: str = "ready"
    left_alone: tuple[str, ...] = ()
    at: float = field(default_factory=monotonic)

    def total(self, name: str, **labels: str) -> float:
        """Sum the values of a name over all labels, or over those that have these."""
        wanted = set(labels.items())
        return sum(value for key, value in self.values.get(name, {}).items() if wanted <= set(key))

    def by(self, name: str, label: str) -> dict[str, float]:
        """Sum the values of a name by one of its labels."""
        found: dict[str, float] = {}
        for key, value in self.values.get(name, {}).items():
            which = dict(key).get(label, "")
            found[which] = found.get(which, 0.0) + value
        return found

    def since(self, before: "Figures | None") -> "Figures":
        """Give what was counted since an earlier reading; all of it where there is none.

        A server that started anew in between counts from zero, and so does this.
        """
        if before is None or self.total("prefmem_recall_seconds_count") < before.total(
            "prefmem_recall_seconds_count"
        ):
            return self
        values = {
            name: {
                key: value - before.values.get(name, {}).get(key, 0.0) for key, value in by.items()
            }
            for name, by in self.values.items()
        }
        return Figures(values, self.ready, self.left_alone, self.at)

    def quantile(self, name: str, share: float, **labels: str) -> float | None:
        """Give the smallest bound that a share of a histogram kept, in seconds; None without."""
        wanted = set(labels.items())
        reached: dict[float, float] = {}
        for key, value in self.values.get(f"{name}_bucket", {}).items():
            if wanted <= set(key):
                bound = float(dict(key)["le"])
                reached[bound] = reached.get(bound, 0.0) + value
        most = max(reached.values(), default=0.0)
        if not most:
            return None
        return next(bound for bound in sorted(reached) if reached[bound] >= share * most)


def read_text(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Read Prometheus' text format; comments and what is no number are left out."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for raw in text.splitlines():
        line = None if raw.startswith("#") else _LINE.match(raw)
        if line is None:
            continue
        try:
            value = float(line[3])
        except ValueError:
            continue
        labels = tuple(
            sorted((name, _plain(value)) for name, value in _LABEL.findall(line[2] or ""))
        )
        found.setdefault(line[1], {})[labels] = value
    return found


def read_server(url: str, key: str | None) -> Figures:
    """Ask a server how it is.

    Args:
        url: Its base, http or https.
        key: A key with the scope `admin`; None for a server without keys.

    Raises:
        InputError: It cannot be reached, or the key does not open it.
    """
    base = url.rstrip("/")
    if urlsplit(base).scheme not in ("http", "https"):
        raise InputError(f"{url!r} is no address of a server; pass http://HOST:PORT")
    metrics, status = _get(f"{base}/metrics", key)
    if status in (401, 403):
        raise InputError(
            f"{base} wants a key with the scope admin: pass --key, or set PREFMEM_KEY; prefmem "
            "serve --keys FILE --new-key NAME --scope admin makes one"
        )
    if status != 200:
        raise InputError(f"{base}/metrics answers {status}; is a prefmem server there?")
    said, status = _get(f"{base}/readyz", key)
    told = _json(said)
    alone = told.get("left_alone")
    return Figures(
        read_text(metrics),
        "ready" if status == 200 else str(told.get("detail", f"not ready ({status})")),
        tuple(map(str, cast(list[object], alone))) if isinstance(alone, list) else (),
    )


class _Staying(urllib.request.HTTPRedirectHandler):
    """Goes where it was sent, and nowhere else: the key is for that server."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


_OPENER = urllib.request.build_opener(_Staying)


def _get(url: str, key: str | None) -> tuple[str, int]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    asked = urllib.request.Request(url, headers=headers)  # the scheme was checked
    try:
        with _OPENER.open(asked, timeout=_SECONDS) as answer:  # as above
            return answer.read(_LONGEST).decode(errors="replace"), answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.read(_LONGEST).decode(errors="replace"), error.code
    except (OSError, ValueError) as error:
        raise InputError(
            f"{url} cannot be reached ({type(error).__name__}); is the server running?"
        ) from error


def _json(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, object], found) if isinstance(found, dict) else {}


def _plain(value: str) -> str:
    return value.replace(r"\"", '"').replace(r"\n", "\n").replace("\\\\", "\\")
