"""PersonaLens (arXiv 2506.09902): profiles of affinities, and tasks that call for some of them.

The published folder `data/profile/USER` holds `profile.json` with `affinities` (by domain, then by
type) and `tasks.json` and `tasks_md.json`: an object of tasks with `User Intent` and `Relevant
Affinity Types`, and, across domains, `Relevant Domains`. Its dialogues are made by language models
and are not part of the data, so affinities are stored as rules, and tasks are what is asked.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks.case import Held, Request, User
from prefmem.evaluate.benchmarks.files import Entry, entries, whole

_TASK = ("User Intent", "Relevant Affinity Types")
_DOMAINS = "Relevant Domains"
_FILES = {"tasks.json": "one domain", "tasks_md.json": "several domains"}

Place = tuple[str, str]  # domain and type of an affinity


def users(path: Path, seed: int) -> tuple[User, ...]:
    """Read a user's folder, or a folder with those of many.

    Raises:
        InputError: There is no profile, or a file does not fit.
    """
    profile = path / "profile.json" if path.is_dir() else path
    profiles = [profile] if profile.is_file() else sorted(path.rglob("profile.json"))
    if not profiles:
        raise InputError(f"{str(path)!r} holds no profile.json; give a user's folder, or one above")
    return tuple(_user(file) for file in profiles)


def _user(profile: Path) -> User:
    told = whole(profile, "affinities", "demographics")
    affinities = _affinities(told)
    places = {place: n for n, (place, _) in enumerate(affinities)}
    requests = [
        _request(task, places, group)
        for name, group in _FILES.items()
        if (profile.parent / name).is_file()
        for task in entries(profile.parent / name, *_TASK)
    ]
    if not requests:
        raise InputError(f"{str(profile.parent)!r} holds no tasks.json beside profile.json")
    held = tuple(
        Held(f"helping with {domain.lower()}", f"{kind}: {value}")
        for (domain, kind), value in affinities
    )
    gold = tuple(f"{one.condition}: {one.action}" for one in held)
    return User(profile.parent.name, gold, (), tuple(requests), held)


def _affinities(told: Entry) -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []
    for domain in told.each("affinities", "a type of affinity"):
        for kind, value in domain.fields.items():
            values = cast(list[object], value) if isinstance(value, list) else [value]
            text = ", ".join(map(str, values))
            if text.strip():
                found.append(((domain.key, kind), text))
    return found


def _request(task: Entry, places: Mapping[Place, int], group: str) -> Request:
    """Read a task; the types it names count in the domains it names, or in all that have them."""
    kinds = set(task.texts("Relevant Affinity Types")) if task.fields.get(_TASK[1]) else set[str]()
    domains = set(task.texts(_DOMAINS)) if task.has(_DOMAINS) else set[str]()
    gold = {
        n
        for (domain, kind), n in places.items()
        if kind in kinds and (not domains or domain in domains)
    }
    return Request(task.text("User Intent"), frozenset(gold), group)
