"""Who a bearer token is: keys of a file, JWTs of an issuer, and what is neither."""

import base64
import hmac
import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import RSAAlgorithm

from prefmem import ConfigError
from prefmem.types import UserKey
from prefmem_mcp import AnyOf, JwtSettings, JwtVerifier, KeyVerifier, TokenUser
from prefmem_mcp.keys import make_key

SECRET = "s" * 48
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # claims of a token
    given = {"iss": "https://id.example", "aud": "prefmem", "sub": "ann", "exp": time.time() + 60}
    return {name: value for name, value in (given | changed).items() if value is not None}


@pytest.fixture
def with_secret(tmp_path: Path) -> JwtVerifier:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n", encoding="utf-8")
    return JwtVerifier(JwtSettings("https://id.example", "prefmem", secret_file=path))


async def test_a_token_names_user_tenant_and_scopes(with_secret: JwtVerifier) -> None:
    token = jwt.encode(claims(tenant="acme", scope="openid prefmem:read"), SECRET)
    found = await with_secret.verify_token(token)
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.tenant, found.scopes) == ("ann", "acme", ["read"])
    assert found.token == ""
    found = await with_secret.verify_token(jwt.encode(claims(aud=["x", "prefmem"]), SECRET))
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.tenant, found.scopes) == ("ann", "", ["read", "write"])


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"sub": None}, {"sub": ""}, {"sub": "  "}, {"sub": 7}, {"sub": "a\0b"}, {"sub": "x" * 300},
        {"exp": time.time() - 60}, {"exp": None}, {"exp": "soon"}, {"nbf": time.time() + 600},
        {"tenant": 7}, {"scope": ["prefmem:read"]},
    ],
)  # fmt: skip
async def test_a_token_that_is_not_for_us_opens_nothing(
    with_secret: JwtVerifier, changed: dict[str, Any]
) -> None:
    payload = json.dumps(claims(**changed)).encode()  # as no library would sign it
    token = jwt.PyJWS().encode(payload, SECRET, algorithm="HS256")
    assert await with_secret.verify_token(token) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "ä.ö.ü", "\0.\0.\0", "x" * 100_000])
async def test_what_is_no_token_opens_nothing(with_secret: JwtVerifier, token: str) -> None:
    assert await with_secret.verify_token(token) is None


def encoded(part: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


async def test_the_algorithm_is_not_the_tokens_choice(tmp_path: Path) -> None:
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = tmp_path / "key.pem"
    path.write_bytes(public)
    verifier = JwtVerifier(JwtSettings("https://id.example", "prefmem", key_file=path))
    assert await verifier.verify_token(jwt.encode(claims(), RSA, algorithm="RS256"))
    assert await verifier.verify_token(jwt.encode(claims(), OTHER, algorithm="RS256")) is None
    none = jwt.encode(claims(), "", algorithm="none")
    assert await verifier.verify_token(none) is None
    header, body = encoded({"alg": "HS256"}), encoded(claims())
    forged = hmac.new(public, header + b"." + body, "sha256").digest()
    confused = b".".join((header, body, base64.urlsafe_b64encode(forged).rstrip(b"="))).decode()
    assert await verifier.verify_token(confused) is None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
async def test_other_kinds_of_keys(tmp_path: Path, key: Any, algorithm: str) -> None:  # noqa: ANN401  # two kinds
    path = tmp_path / "key.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    verifier = JwtVerifier(JwtSettings("https://id.example", "prefmem", key_file=path))
    assert await verifier.verify_token(jwt.encode(claims(), key, algorithm=algorithm))


async def test_a_key_set_knows_its_keys_by_name(tmp_path: Path) -> None:
    keys = [
        {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}
        for name, key in (("one", RSA), ("two", OTHER))
    ]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": keys}), encoding="utf-8")
    verifier = JwtVerifier(JwtSettings("https://id.example", "prefmem", jwks_file=path))

    def signed(key: rsa.RSAPrivateKey, kid: Any) -> str:  # noqa: ANN401  # a hostile one may be anything
        return jwt.encode(claims(), key, algorithm="RS256", headers={"kid": kid} if kid else None)

    assert await verifier.verify_token(signed(RSA, "one"))
    assert await verifier.verify_token(signed(OTHER, "two"))
    assert await verifier.verify_token(signed(RSA, "two")) is None
    assert await verifier.verify_token(signed(RSA, "three")) is None
    assert await verifier.verify_token(signed(RSA, None)) is None


def private() -> bytes:
    return RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("name", "held", "told"),
    [
        ("secret_file", b"short", "holds 5 bytes, a secret needs 32"),
        ("secret_file", None, "cannot read"),
        ("key_file", private(), "holds no public key in PEM"),
        ("key_file", b"x", "holds no public key in PEM"),
        ("jwks_file", b'{"keys": []}', "is no JWK set"),
        ("jwks_file", b"[]", "is no JWK set"),
        ("jwks_file", b"\xff", "is no JWK set"),
    ],
)
def test_a_file_that_holds_no_key_is_told(
    tmp_path: Path, name: str, held: bytes | None, told: str
) -> None:
    path = tmp_path / "file"
    if held is not None:
        path.write_bytes(held)
    with pytest.raises(ConfigError, match=told):
        JwtVerifier(JwtSettings("https://id.example", "prefmem", **{name: path}))


def test_settings_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        JwtVerifier(JwtSettings("i", "a"))
    with pytest.raises(ConfigError, match="exactly one"):
        JwtVerifier(JwtSettings("i", "a", secret_file=tmp_path / "a", key_file=tmp_path / "b"))
    with pytest.raises(ConfigError, match="an issuer and an audience"):
        JwtVerifier(JwtSettings("i", "", secret_file=tmp_path / "a"))


async def test_a_made_key_opens_and_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = make_key(path, "laptop", UserKey("ann@example.org", "acme"))
    other = make_key(path, "phone", UserKey("bob"))
    text = path.read_text(encoding="utf-8")
    assert key not in text
    assert path.stat().st_mode & 0o777 == 0o600
    verifier = AnyOf(KeyVerifier(path))
    found = await verifier.verify_token(key)
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.tenant) == ("ann@example.org", "acme")
    assert isinstance(await verifier.verify_token(other), TokenUser)
    assert await verifier.verify_token(key[:-1]) is None
    with pytest.raises(ConfigError, match="two keys have the same name"):
        make_key(path, "laptop", UserKey("eve"))
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("k.json", "{", "is neither JSON nor"),
        ("k.json", "[]", "is no keys file"),
        ("k.json", '{"keys": [{"name": "a", "sha256": "12"}]}', r"keys\.0\.sha256"),
        ("k.json", '{"keys": []}', "holds no key of a user"),
        ("k.toml", "keys = 3", "is no keys file: keys"),
        (
            "k.json",
            '{"keys": [{"name": "a", "user": " ", "sha256": "%s"}]}' % ("0" * 64),
            "a user id is needed",
        ),
    ],
)
def test_a_broken_keys_file_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        KeyVerifier(path)


async def test_a_keys_file_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    digest = sha256(b"pm_x").hexdigest()
    path.write_text(
        f'[[keys]]\nname = "a"\nsha256 = "{digest}"\nuser = "ann"\nrate = 5\n', encoding="utf-8"
    )
    found = await KeyVerifier(path).verify_token("pm_x")
    assert isinstance(found, TokenUser)
    assert found.user_id == "ann"
    with pytest.raises(ConfigError, match="JSON files only"):
        make_key(path, "b", UserKey("bob"))
