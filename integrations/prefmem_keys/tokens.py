"""JWTs: `sub` is the user, `tenant` the tenant, `scope` what it may do.

`JwtReader` reads those that somebody else signs, `OwnTokens` makes and reads our own. The algorithm
follows from the key that was configured, never from the token: HS256 for a secret, RS256 for an RSA
key, ES256 for a key on P-256, EdDSA for Ed25519.
"""

import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from prefmem import ConfigError, InputError, UserRequiredError
from prefmem.types import UserKey
from prefmem_keys.bearer import USUAL, Bearer, Scope

LEEWAY = 10  # seconds that two clocks may differ
_ISSUER = "prefmem"  # of our own tokens
_SHORTEST = 32  # bytes of a secret: what HS256 asks for
_OURS: dict[str, Scope] = {
    "prefmem:read": "read",
    "prefmem:write": "write",
    "prefmem:admin": "admin",
}


class TokenError(InputError):
    """A token that opens nothing; the message says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """How tokens are checked; exactly one of the three files is needed.

    Attributes:
        issuer: What `iss` has to be.
        audience: What `aud` has to be, or to hold.
        secret_file: The shared secret of HS256, at least 32 bytes.
        key_file: The issuer's public key, PEM: RSA for RS256, P-256 for ES256, or Ed25519.
        jwks_file: The issuer's public keys as a JWK set; a token names its own by `kid`.
    """

    issuer: str
    audience: str
    secret_file: Path | None = None
    key_file: Path | None = None
    jwks_file: Path | None = None


class JwtReader:
    """Checks tokens and says whom they speak for.

    Args:
        settings: How.

    Raises:
        ConfigError: A setting is missing, or a file does not hold what it is to hold.
    """

    def __init__(self, settings: JwtSettings) -> None:
        """Load the keys."""
        if not settings.issuer or not settings.audience:
            raise ConfigError("tokens need an issuer and an audience: both are checked")
        self._settings, self._keys = settings, _keys(settings)

    def read(self, token: str) -> Bearer:
        """Give whom a token speaks for: one user, always.

        Raises:
            TokenError: It is not signed by the issuer, not for us, not now, or for no user.
        """
        settings = self._settings
        claims = _claims(token, self._key, issuer=settings.issuer, audience=settings.audience)
        return _bearer(claims)

    def _key(self, token: str) -> tuple[Any, str]:
        if len(self._keys) == 1:
            return next(iter(self._keys.values()))
        named = jwt.get_unverified_header(token).get("kid")
        if named not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[named]


class OwnTokens:
    """Tokens that the service signs and reads itself: each is for one user, one use and a while.

    Args:
        secret: At least 32 bytes, the same in every process that is to read them.
        use: What they are for; those of another use are not read.
        clock: Seconds since 1970, for signing.

    Raises:
        ConfigError: The secret is too short.
    """

    def __init__(self, secret: bytes, use: str, *, clock: Callable[[], float] = time.time) -> None:
        """Derive the key of this use, so that no other use of the secret opens anything here."""
        if len(secret) < _SHORTEST:
            raise ConfigError(
                f"the secret has {len(secret)} bytes, {_SHORTEST} are needed: "
                "head -c 48 /dev/urandom | base64"
            )
        self._key = hmac.digest(secret, f"prefmem:{use}".encode(), "sha256")
        self._use, self._clock = f"prefmem:{use}", clock

    def make(self, user: UserKey, scopes: Iterable[Scope], *, seconds: int) -> tuple[str, int]:
        """Sign a token.

        Returns:
            The token, and when it ends in seconds since 1970.

        Raises:
            InputError: It would be for nothing: no scope is given.
        """
        now, named = int(self._clock()), sorted(f"prefmem:{scope}" for scope in scopes)
        if not named:
            raise InputError("a token needs a scope: read, write or both")
        claims = {
            "iss": _ISSUER, "aud": self._use, "sub": user.user_id, "tenant": user.tenant,
            "scope": " ".join(named),
            "iat": now, "exp": now + seconds,
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm="HS256"), now + seconds

    def read(self, token: str) -> Bearer:
        """Give whom a token speaks for.

        Raises:
            TokenError: It was not signed here, is for another use, or is over.
        """
        claims = _claims(token, lambda _: (self._key, "HS256"), issuer=_ISSUER, audience=self._use)
        return replace(_bearer(claims), name="link")


def _claims(
    token: str, key_of: Callable[[str], tuple[Any, str]], *, issuer: str, audience: str
) -> dict[str, Any]:
    """Check a token and give what it claims; the algorithm belongs to the key."""
    try:
        key, algorithm = key_of(token)
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[algorithm], leeway=LEEWAY, issuer=issuer, audience=audience,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise TokenError("the token has expired; get a new one") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise TokenError(  # a hostile token may be anything
            "the token is not valid here: signature, issuer, audience and sub are checked"
        ) from None
    return claims


def _bearer(claims: dict[str, Any]) -> Bearer:
    tenant, scope = claims.get("tenant", ""), claims.get("scope", "")
    if not isinstance(tenant, str) or not isinstance(scope, str):
        raise TokenError("the token's claims tenant and scope have to be texts")
    try:
        user = UserKey(claims["sub"], tenant)
    except UserRequiredError:  # whose message quotes the id
        raise TokenError("the token's claims sub and tenant cannot name a user") from None
    ours: frozenset[Scope] = frozenset(_OURS[word] for word in scope.split() if word in _OURS)
    ends = int(claims["exp"]) + LEEWAY
    return Bearer("jwt", user.tenant, user.user_id, ours or USUAL, expires_at=ends)


def _keys(settings: JwtSettings) -> dict[str | None, tuple[Any, str]]:
    """Load the keys by `kid`, each with its algorithm."""
    given = (settings.secret_file, settings.key_file, settings.jwks_file)
    path = next((p for p in given if p is not None), None)
    if path is None or sum(p is not None for p in given) != 1:
        raise ConfigError("tokens need exactly one of a secret, a public key and a JWKS file")
    held = _bytes(path)
    if path is settings.secret_file:
        if len(held.strip()) < _SHORTEST:
            raise ConfigError(
                f"{path} holds {len(held.strip())} bytes, a secret needs {_SHORTEST}: "
                "head -c 48 /dev/urandom | base64"
            )
        return {None: (held.strip(), "HS256")}
    if path is settings.key_file:
        try:
            key = load_pem_public_key(held)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path} holds no public key in PEM") from error
        return {None: (key, _algorithm(key, path))}
    try:
        found = jwt.PyJWKSet.from_json(held.decode()).keys
    except (jwt.PyJWTError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path} is no JWK set with usable keys") from error
    return {key.key_id: (key.key, _algorithm(key.key, path)) for key in found}


def _algorithm(key: object, path: Path) -> str:
    if isinstance(key, RSAPublicKey):
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    raise ConfigError(f"{path} holds a {type(key).__name__}; use public RSA, P-256 or Ed25519 keys")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
