"""A short run of schemathesis; `schemathesis_run.py --calls 10000` is the long one."""

import pytest

from tests.integrations.server.schemathesis_run import fuzz


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_two_hundred_generated_calls() -> None:
    found = fuzz(200)
    assert found.calls >= 200
    assert found.server_errors == 0
    assert not found.broken
    assert len(found.operations) == 22
    assert found.statuses[200] > 20
