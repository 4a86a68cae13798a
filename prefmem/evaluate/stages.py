"""Stages of a long measurement: what is done lies in a folder, and is not done twice."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, cast


class Stages:
    """Results by stage, as JSON files; a stage that was done with the same settings is read.

    Args:
        folder: Where they lie; made if missing. None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the folder."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each stage took when it was done, in this run or an earlier one."""
        return dict(self._seconds)

    def run(
        self,
        name: str,
        settings: Mapping[str, object],
        work: Callable[[], Mapping[str, Any]],
        *,
        whole: Callable[[Mapping[str, Any]], bool] = lambda result: True,
    ) -> Mapping[str, Any]:
        """Give the result of a stage, doing it unless it is there.

        Args:
            name: Of the stage, fit for a file's name.
            settings: All that the result depends on, as JSON.
            work: Gives the result, as JSON.
            whole: Whether what the result speaks of is still there.
        """
        path = None if self._folder is None else self._folder / f"{name}.json"
        wanted = json.loads(json.dumps(settings))
        kept = None if path is None else _read(path)
        if kept is None or kept["settings"] != wanted or not whole(kept["result"]):
            started = perf_counter()
            result = work()
            seconds = round(perf_counter() - started, 1)
            kept = {"settings": wanted, "seconds": seconds, "result": result}
            kept = cast(dict[str, Any], json.loads(json.dumps(kept)))
            if path is not None:
                _write(path, kept)
        self._seconds[name] = float(kept["seconds"])
        found: Mapping[str, Any] = kept["result"]
        return found


def _read(path: Path) -> dict[str, Any] | None:
    """Read a result; None where there is none, or no whole one."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict):
        return None
    told = cast(dict[str, Any], kept)
    return told if {"settings", "seconds", "result"} <= {*told} else None


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
