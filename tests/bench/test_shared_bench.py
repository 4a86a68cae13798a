"""The product through the plugs, on the data beside the checkout: pytest -m bench."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[3] / "shared" / "bench"

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not BENCH.exists(), reason="../shared/bench is not beside this checkout"),
]


def run(script: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, script, "--data", "dev", *arguments]
    done = subprocess.run(command, cwd=BENCH, capture_output=True, text=True, check=True)
    results: dict[str, Any] = json.loads(done.stdout)["results"]
    return results


@pytest.fixture(scope="module")
def extraction() -> dict[str, Any]:
    found = run("run_extraction.py", "--n", "305", "--extractor", "prefmem.evaluate.plugs:extract")
    kinds: dict[str, Any] = found["custom"]
    return kinds


def test_explicit_statements_are_found(extraction: dict[str, Any]) -> None:
    assert extraction["pos_explicit"]["recall"] >= 0.95
    assert extraction["pos_explicit"]["precision"] >= 0.90


def test_real_chats_without_a_preference_give_none(extraction: dict[str, Any]) -> None:
    assert extraction["neg_lmsys_none"]["false_extraction_rate"] <= 0.10


def test_ranking_is_no_worse_than_the_cosine_of_the_original() -> None:
    found = run("run_retrieval.py", "--n", "20", "100", "--scorer", "prefmem.evaluate.plugs:score")
    assert found["N=20"]["custom"]["hit@5"] >= 0.93
    assert found["N=100"]["custom"]["hit@5"] >= 0.52
