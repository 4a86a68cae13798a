"""JWTs that somebody else signs: `sub` is the user, `tenant` the tenant, `scope` what it may do.

The algorithm follows from the key that was configured, never from the token.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from mcp.server.auth.provider import AccessToken

from prefmem import ConfigError, UserRequiredError
from prefmem.types import UserKey
from prefmem_mcp.identity import READ, WRITE, TokenUser

_LEEWAY = 10  # seconds that two clocks may differ
_SHORTEST = 32  # bytes of a secret: what HS256 asks for
_OURS = {"prefmem:read": READ, "prefmem:write": WRITE}
_USUAL = frozenset({READ, WRITE})  # where a token names none of ours


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


class JwtVerifier:
    """Checks tokens and says who they speak for.

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

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give who a token speaks for; None for one of another issuer, for others, or too old."""
        if token.count(".") != 2:  # header, claims, signature
            return None
        try:
            key, algorithm = self._key(token)
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm], leeway=_LEEWAY,
                issuer=self._settings.issuer, audience=self._settings.audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
            return _user(claims)
        except (jwt.PyJWTError, UserRequiredError, ValueError, TypeError, RecursionError):
            return None  # a hostile token may be anything

    def _key(self, token: str) -> tuple[Any, str]:
        if len(self._keys) == 1:
            return next(iter(self._keys.values()))
        named = jwt.get_unverified_header(token).get("kid")
        if named not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[named]


def _user(claims: dict[str, Any]) -> TokenUser | None:
    tenant, scope = claims.get("tenant", ""), claims.get("scope", "")
    if not isinstance(tenant, str) or not isinstance(scope, str):
        return None
    ours = frozenset(_OURS[word] for word in scope.split() if word in _OURS)
    user = UserKey(claims["sub"], tenant)
    return TokenUser.of(user, ours or _USUAL, expires_at=int(claims["exp"]) + _LEEWAY)


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
        except ValueError as error:
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
