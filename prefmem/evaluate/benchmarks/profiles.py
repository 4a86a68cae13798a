"""MultiSessionCollab's profiles (arXiv 2601.02702): users with three preferences on how to answer.

The published `user_profiles.json` is a list of objects with `i`, `persona` and `preferences`, texts
such as "When the agent ..., you prefer ...". The user says each in a session of its own, with "you"
and "the agent" turned round. All three hold for any problem, so the requests are our own.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks.case import Request, Said, Session, User
from prefmem.evaluate.benchmarks.files import entries
from prefmem.evaluate.draws import drawn
from prefmem.evaluate.obedience import REQUESTS

_FILE = "user_profiles.json"
_NEEDED = ("i", "persona", "preferences")
_ASKED = 4  # requests of a user
_TURNED = {
    "you": "I", "your": "my", "yours": "mine", "yourself": "myself", "you are": "I am",
    "the agent": "you", "the agent is": "you are", "the agent's": "your",
    "the agent responses": "your responses", "agent responses": "your responses",
}  # fmt: skip
_WORDS = re.compile(rf"\b({'|'.join(sorted(_TURNED, key=len, reverse=True))})\b", re.I)


def users(path: Path, seed: int) -> tuple[User, ...]:
    """Read a file of profiles, or the folder that holds it.

    Raises:
        InputError: There is none, or it does not fit.
    """
    files = [path] if path.is_file() else sorted(path.rglob(_FILE))
    if not files:
        raise InputError(
            f"{str(path)!r} holds no {_FILE}; give MultiSessionCollab's file of profiles"
        )
    found: list[User] = []
    for file in files:
        for one in entries(file, *_NEEDED):
            rng = np.random.default_rng([seed, len(found)])
            asked = drawn(REQUESTS, rng, most=_ASKED)
            wanted = one.texts("preferences")
            every = frozenset(range(len(wanted)))
            sessions = tuple(
                Session((Said("user", said(text), frozenset({n})),))
                for n, text in enumerate(wanted)
            )
            requests = tuple(replace(Request("", every), text=text) for text in asked)
            found.append(User(str(one.number("i")), wanted, sessions, requests))
    return tuple(found)


def said(preference: str) -> str:
    """Turn a preference about "you" and "the agent" into what the user would say."""
    turned = _WORDS.sub(lambda match: _TURNED[match[0].lower()], preference)
    return turned[:1].upper() + turned[1:]
