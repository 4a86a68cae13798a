"""Every error is a PrefmemError, and the builtin one that callers expect."""

import pytest

import prefmem
from prefmem import errors


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.InputError, ValueError),
        (errors.UserRequiredError, errors.InputError),
        (errors.NotFoundError, KeyError),
        (errors.MissingExtraError, ImportError),
        (errors.WeightsError, prefmem.PrefmemError),
        (errors.AdapterError, prefmem.PrefmemError),
        (errors.EndpointError, prefmem.PrefmemError),
        (errors.BasisMismatchError, prefmem.PrefmemError),
        (errors.StoreVersionError, errors.StoreError),
        (errors.StoreUnavailableError, errors.StoreError),
    ],
)
def test_the_tree(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, prefmem.PrefmemError)
    assert issubclass(error, builtin)
    assert error.__name__ in (errors.__doc__ or "")


def test_not_found_reads_as_its_message() -> None:
    assert str(errors.NotFoundError("no card 'x'")) == "no card 'x'"
    assert str(errors.NotFoundError()) == ""
