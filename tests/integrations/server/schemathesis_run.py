"""Fuzz the REST service by its own OpenAPI document: python schemathesis_run.py --calls 10000.

The service runs in this process on fakes. Half of the time the ids of cards, events and recalls are
real ones, so that calls get past the first check. Prints the number of calls, of answers by status,
and whatever broke a check; ends with 1 if anything did.
"""

import argparse
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from itertools import count
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.python import asgi
from starlette.types import Message, Receive, Scope, Send

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem_server import ServerSettings, create_app

CHECKED = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
_SLOW = (HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large)
KEY = "fuzz-key"
USERS = ("fuzz", "ann%40example.org", "%F0%9F%A6%89")


@dataclass
class Fuzz:
    """What came of a run.

    Attributes:
        statuses: Answers by status.
        operations: Calls by operation.
        broken: What broke a check, by a line that names the check and the operation.
    """

    statuses: Counter[int] = field(default_factory=Counter[int])
    operations: Counter[str] = field(default_factory=Counter[str])
    broken: Counter[str] = field(default_factory=Counter[str])

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())

    @property
    def server_errors(self) -> int:
        return sum(n for status, n in self.statuses.items() if status >= 500)


def fuzz(calls: int, *, start: int = 0) -> Fuzz:
    """Call every operation in turn until so many calls were made."""
    load_all_checks()
    found = Fuzz()
    with _served(found) as (app, memory):
        schema: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
        found.statuses.clear()  # that was one call for the document
        operations: list[Any] = [result.ok() for result in schema.get_all_operations()]
        dice = random.Random(start)
        ids = _Ids(memory, dice)
        for number in count(start):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                for operation in operations:
                    share = max(1, min(50, (calls - found.calls) // len(operations) // 2 + 1))
                    try:
                        _play(
                            operation.as_strategy(generation_mode=mode), ids, found, number, share
                        )
                    except Unsatisfiable:  # nothing of this operation can be wrong
                        continue
                    if found.calls >= calls:
                        return found
    raise AssertionError  # count() has no end


def _play(strategy: Any, ids: "_Ids", found: Fuzz, number: int, examples: int) -> None:  # noqa: ANN401  # schemathesis' own type
    registry: Any = import_module("schemathesis.checks").CHECKS
    checks: list[Any] = [registry.get_one(name) for name in CHECKED]

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=_SLOW,
    )  # fmt: skip
    @given(case=strategy)
    def one(case: Case[Any]) -> None:
        ids.put_in(case)
        found.operations[case.operation.label] += 1
        headers = {"Authorization": f"Bearer {KEY}", **ids.user()}
        with asgi.get_client(case.operation.app) as session:
            response = case.call(session=session, headers=headers)
        sent: Any = case
        try:
            sent.validate_response(response, checks=checks, headers=headers)
        except schemathesis.errors.FailureGroup as group:
            for failure in group.exceptions:
                found.broken[
                    f"{type(failure).__name__} {case.operation.label}: {failure!s:.300}"
                ] += 1

    one()


class _Ids:
    """Puts ids of what is there in the place of made up ones."""

    def __init__(self, memory: PreferenceMemory, dice: random.Random) -> None:
        self._memory, self._dice = memory, dice

    def user(self) -> dict[str, str]:
        """Give the header; now and then what was made up stays."""
        pick = self._dice.random()
        return {"Prefmem-User": self._dice.choice(USERS)} if pick < 0.9 else {}

    def put_in(self, case: Case[Any]) -> None:
        """Change a case, half of the time."""
        if self._dice.random() < 0.5:
            return
        cards = self._memory.list(user_id="fuzz")
        events = [e for c in cards[-3:] for e in self._memory.history(c.id, user_id="fuzz")]
        for name, values in (
            ("card_id", [c.id for c in cards]),
            ("event_id", [e.id for e in events]),
        ):
            if values and name in (case.path_parameters or {}):
                case.path_parameters[name] = self._dice.choice(values)
        body: Any = case.body
        if isinstance(body, dict) and "recall_id" in body and cards:
            recall = self._memory.recall(cards[-1].text, user_id="fuzz")
            body["recall_id"] = recall.id
        if isinstance(body, dict) and "card_ids" in body and cards:
            body["card_ids"] = [card.id for card in cards]


class _Counted:
    """An app that counts what it answers."""

    def __init__(self, app: FastAPI, found: Fuzz) -> None:
        self._app, self._found = app, found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._found.statuses[int(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, told)


@contextmanager
def _served(found: Fuzz) -> Generator[tuple[_Counted, PreferenceMemory]]:
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        entry = {
            "name": "fuzz",
            "sha256": sha256(KEY.encode()).hexdigest(),
            "scopes": ["read", "write", "admin"],
        }
        keys.write_text(dumps({"keys": [entry]}), encoding="utf-8")
        memory = PreferenceMemory(
            Path(folder) / "prefs.db", extractor=PhraseExtractor(), embedder=HashEmbedder(),
            relater=TableRelater(), reranker="none", judge=WordJudge(),
        )  # fmt: skip
        app = create_app(memory, settings=ServerSettings(keys=keys, rate=None))
        yield _Counted(app, found), memory
        asgi.shutdown_lifespans()


def main(arguments: Sequence[str]) -> int:
    """Run and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given_ = parser.parse_args(arguments)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    began = time.perf_counter()
    found = fuzz(given_.calls, start=given_.seed)
    seconds = time.perf_counter() - began
    print(f"{found.calls} calls in {seconds:.0f} s, {found.server_errors} answers of 5xx")  # noqa: T201
    print("by status:", dict(sorted(found.statuses.items())))  # noqa: T201
    for line, times in found.broken.most_common():
        print(f"{times} x {line}")  # noqa: T201
    return 1 if found.server_errors or found.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
