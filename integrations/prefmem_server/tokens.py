"""JWTs that somebody else signs: `sub` is the user, `tenant` the tenant, `scope` what it may do.

The algorithm follows from the key that was configured, never from the token: HS256 for a secret,
RS256 for an RSA key, ES256 for a key on P-256.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.exceptions import HTTPException

from prefmem import ConfigError
from prefmem_server.auth import CHALLENGE, Principal, Scope

_LEEWAY = 10  # seconds that two clocks may differ
_SHORTEST = 32  # bytes of a secret: what HS256 asks for
_OURS: dict[str, Scope] = {
    "prefmem:read": "read",
    "prefmem:write": "write",
    "prefmem:admin": "admin",
}
_USUAL: frozenset[Scope] = frozenset({"read", "write"})  # where a token names none of ours


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """How tokens are checked; exactly one of the three files is needed.

    Attributes:
        issuer: What `iss` has to be.
        audience: What `aud` has to be, or to hold.
        secret_file: The shared secret of HS256, at least 32 bytes.
        key_file: The issuer's public key, PEM: RSA for RS256, P-256 for ES256.
        jwks_file: The issuer's public keys as a JWK set; a token names its own by `kid`.
    """

    issuer: str
    audience: str
    secret_file: Path | None = None
    key_file: Path | None = None
    jwks_file: Path | None = None


class TokenReader:
    """Checks tokens and says who they speak for.

    Args:
        settings: How.

    Raises:
        ConfigError: A setting is missing, or a file does not hold what it is to hold.
    """

    def __init__(self, settings: JwtSettings) -> None:
        """Load the keys."""
        given = (settings.secret_file, settings.key_file, settings.jwks_file)
        if sum(path is not None for path in given) != 1:
            raise ConfigError("tokens need exactly one of a secret, a public key and a JWKS file")
        if not settings.issuer or not settings.audience:
            raise ConfigError("tokens need an issuer and an audience: both are checked")
        self._settings = settings
        self._keys = _keys(settings)

    def read(self, token: str) -> Principal:
        """Give who a token speaks for.

        Raises:
            HTTPException: 401; it is not signed by the issuer, not for us, or not now.
        """
        try:
            key, algorithm = self._key(token)
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm], leeway=_LEEWAY,
                issuer=self._settings.issuer, audience=self._settings.audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise _refused("the token has expired; get a new one") from None
        except (jwt.PyJWTError, ValueError, RecursionError):  # a hostile header may be anything
            raise _refused(
                "the token is not valid here: signature, issuer, audience and sub are checked"
            ) from None
        return _principal(claims)

    def _key(self, token: str) -> tuple[Any, str]:
        if len(self._keys) == 1:
            return next(iter(self._keys.values()))
        named = jwt.get_unverified_header(token).get("kid")
        if named not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[named]


def _principal(claims: dict[str, Any]) -> Principal:
    user, tenant, scope = claims["sub"], claims.get("tenant", ""), claims.get("scope", "")
    if not isinstance(tenant, str) or not isinstance(scope, str) or not str(user).strip():
        raise _refused("the token's claims sub, tenant and scope have to be texts")
    ours: frozenset[Scope] = frozenset(_OURS[word] for word in scope.split() if word in _OURS)
    return Principal("jwt", tenant, str(user), ours or _USUAL)


def _keys(settings: JwtSettings) -> dict[str | None, tuple[Any, str]]:
    """Load the keys by `kid`, each with its algorithm."""
    if settings.secret_file is not None:
        secret = _bytes(settings.secret_file).strip()
        if len(secret) < _SHORTEST:
            raise ConfigError(
                f"{settings.secret_file} holds {len(secret)} bytes, a secret needs {_SHORTEST}: "
                "head -c 48 /dev/urandom | base64"
            )
        return {None: (secret, "HS256")}
    if settings.key_file is not None:
        try:
            key = load_pem_public_key(_bytes(settings.key_file))
        except ValueError as error:
            raise ConfigError(f"{settings.key_file} holds no public key in PEM") from error
        return {None: (key, _algorithm(key, settings.key_file))}
    path = cast(Path, settings.jwks_file)
    try:
        found = jwt.PyJWKSet.from_json(_bytes(path).decode()).keys
    except (jwt.PyJWTError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path} is no JWK set with usable keys") from error
    return {key.key_id: (key.key, _algorithm(key.key, path)) for key in found}


def _algorithm(key: object, path: Path) -> str:
    if isinstance(key, RSAPublicKey):
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    raise ConfigError(f"{path} holds a {type(key).__name__}; use public RSA or P-256 keys")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _refused(why: str) -> HTTPException:
    challenge = f'{CHALLENGE}, error="invalid_token"'
    return HTTPException(401, why, headers={"WWW-Authenticate": challenge})
