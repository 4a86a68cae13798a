"""Tokens that the service signs itself: for one user, one use and a while."""

import time

import jwt
import pytest

from prefmem import ConfigError, InputError
from prefmem.types import UserKey
from prefmem_keys.bearer import Bearer
from prefmem_keys.tokens import OwnTokens, TokenError

SECRET = b"0123456789abcdef0123456789abcdef"
ANN = UserKey("ann", "shop")


def test_a_token_speaks_for_its_user_until_it_ends() -> None:
    tokens = OwnTokens(SECRET, "page")
    token, ends = tokens.make(ANN, ["read"], seconds=60)
    assert abs(ends - time.time() - 60) < 5
    told = tokens.read(token)
    assert told == Bearer("link", "shop", "ann", frozenset({"read"}), expires_at=ends + 10)
    assert OwnTokens(SECRET, "page").read(token) == told  # another process with the same secret


def test_a_token_that_is_over_opens_nothing() -> None:
    past = OwnTokens(SECRET, "page", clock=lambda: time.time() - 3600)
    token, _ = past.make(ANN, ["read"], seconds=1800)
    with pytest.raises(TokenError, match="expired"):
        past.read(token)


def test_a_token_of_another_use_or_secret_opens_nothing() -> None:
    token, _ = OwnTokens(SECRET, "page").make(ANN, ["read"], seconds=60)
    for other in (OwnTokens(SECRET, "mail"), OwnTokens(SECRET[::-1], "page")):
        with pytest.raises(TokenError, match="not valid here"):
            other.read(token)


@pytest.mark.parametrize("key", ["", SECRET.decode()])
def test_nobody_signs_with_the_secret_itself_or_without(key: str) -> None:
    claims = {"iss": "prefmem", "aud": "prefmem:page", "sub": "ann", "exp": int(time.time()) + 60}
    algorithm = "HS256" if key else "none"
    forged = jwt.encode(claims, key, algorithm=algorithm)
    with pytest.raises(TokenError, match="not valid here"):
        OwnTokens(SECRET, "page").read(forged)


def test_a_short_secret_and_a_token_for_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 bytes, 32 are needed"):
        OwnTokens(b"short", "page")
    with pytest.raises(InputError, match="scope"):
        OwnTokens(SECRET, "page").make(ANN, [], seconds=60)
