"""Tokens that somebody else signs: whom they speak for, and which are not to be trusted."""

import base64
import hmac
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from prefmem import ConfigError
from prefmem_keys.bearer import Bearer
from prefmem_keys.tokens import JwtReader, JwtSettings, TokenError

SECRET = b"0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
END = int(time.time()) + 600


def claims(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # claims may hold anything
    usual = {"iss": "https://id.example", "aud": "prefmem", "sub": "ann", "exp": END}
    return {name: value for name, value in (usual | changed).items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", **changed: Any) -> str:  # noqa: ANN401  # as above
    payload = json.dumps(claims(**changed)).encode()  # as no library would sign it
    return jwt.PyJWS().encode(payload, key, algorithm=algorithm)


def pem(key: Any) -> bytes:  # noqa: ANN401  # any private key
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


def reader(folder: Path, kind: str, data: bytes | None) -> JwtReader:
    path = folder / "held"
    if data is not None:
        path.write_bytes(data)
    return JwtReader(JwtSettings("https://id.example", "prefmem", **{kind: path}))


@pytest.fixture
def with_secret(tmp_path: Path) -> JwtReader:
    return reader(tmp_path, "secret_file", SECRET + b"\n")


@pytest.mark.parametrize(
    ("changed", "tenant", "scopes"),
    [
        ({}, "", {"read", "write"}),
        ({"aud": ["x", "prefmem"], "tenant": "acme"}, "acme", {"read", "write"}),
        ({"scope": "openid profile"}, "", {"read", "write"}),
        ({"scope": "openid prefmem:read"}, "", {"read"}),
        ({"scope": "prefmem:admin prefmem:read"}, "", {"read", "admin"}),
        ({"scope": "prefmem:admin"}, "", {"admin"}),
        ({"scope": "prefmem:everything"}, "", {"read", "write"}),
    ],
)
def test_a_token_names_user_tenant_and_scopes(
    with_secret: JwtReader, changed: dict[str, Any], tenant: str, scopes: set[Any]
) -> None:
    found = with_secret.read(signed(**changed))
    assert found == Bearer("jwt", tenant, "ann", frozenset(scopes), expires_at=END + 10)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"sub": None}, {"sub": ""}, {"sub": "  "}, {"sub": 7}, {"sub": "a\0b"}, {"sub": "x" * 300},
        {"sub": "\ud800"}, {"sub": ["ann"]},
        {"exp": END - 660}, {"exp": None}, {"exp": "soon"}, {"exp": [END]},
        {"exp": float("inf")}, {"exp": float("nan")},
        {"nbf": END}, {"nbf": float("inf")}, {"iat": END},
        {"tenant": 7}, {"tenant": ["shop"]}, {"tenant": "a\0"}, {"tenant": "x" * 300},
        {"scope": ["prefmem:read"]},
    ],
)  # fmt: skip
def test_a_token_that_is_not_for_us_opens_nothing(
    with_secret: JwtReader, changed: dict[str, Any]
) -> None:
    with pytest.raises(TokenError, match=r"^the token") as caught:
        with_secret.read(signed(**changed))
    assert "xxx" not in str(caught.value)
    assert "evil" not in str(caught.value)


def test_an_old_token_is_told_so_and_clocks_may_differ(with_secret: JwtReader) -> None:
    with pytest.raises(TokenError, match="has expired"):
        with_secret.read(signed(exp=time.time() - 60))
    assert with_secret.read(signed(exp=time.time() - 1)).user_id == "ann"


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b.c", "a.b", "ä.ö.ü", "\ud800.\ud800.\ud800", "\0.\0.\0", "x" * 100_000,
        f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
        f"{encoded({'alg': 'HS256', 'kid': ['a']})}.{encoded(claims())}.AAAA",
        f"{encoded([])}.{encoded(claims())}.AAAA",
        ".".join([base64.urlsafe_b64encode(b"[" * 20_000).decode()] * 3),
        signed(b"another secret of 32 bytes, or so"),
        signed(SECRET * 2, "HS512"),
        signed()[:-4],
    ],
)  # fmt: skip
def test_what_is_no_token_opens_nothing(with_secret: JwtReader, token: str) -> None:
    with pytest.raises(TokenError, match="not valid here"):
        with_secret.read(token)


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")], ids=["RSA", "EC", "Ed"]
)
def test_a_public_key_pins_its_algorithm(tmp_path: Path, key: Any, algorithm: str) -> None:  # noqa: ANN401  # three kinds
    found = reader(tmp_path, "key_file", pem(key))
    assert found.read(signed(key, algorithm)).user_id == "ann"
    # The oldest trick: HS256 with the public key, which everybody knows, as the secret.
    head, body = encoded({"alg": "HS256", "typ": "JWT"}), encoded(claims())
    seal = hmac.new(pem(key), f"{head}.{body}".encode(), "sha256").digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"
    for wrong in (forged, signed(), signed(OTHER, "RS256"), signed(RSA, "RS512")):
        with pytest.raises(TokenError, match="not valid here"):
            found.read(wrong)


def test_a_key_set_is_asked_by_the_tokens_key_id(tmp_path: Path) -> None:
    held: list[dict[str, Any]] = [
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "one"},
        {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "two"},
        {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "three"},
        {**RSAAlgorithm.to_jwk(OTHER.public_key(), as_dict=True), "kid": "four"},
    ]
    found = reader(tmp_path, "jwks_file", json.dumps({"keys": held}).encode())

    def named(key: Any, algorithm: str, kid: str | None) -> str:  # noqa: ANN401  # any key
        return jwt.encode(claims(), key, algorithm, {"kid": kid} if kid else {})

    for token in (
        named(RSA, "RS256", "one"),
        named(EC, "ES256", "two"),
        named(ED, "EdDSA", "three"),
        named(OTHER, "RS256", "four"),
    ):
        assert found.read(token).user_id == "ann"
    for token in (
        named(RSA, "RS256", "two"),
        named(RSA, "RS256", "four"),
        named(RSA, "RS256", "five"),
        named(RSA, "RS256", None),
        named(ED, "EdDSA", "two"),
    ):
        with pytest.raises(TokenError, match="not valid here"):
            found.read(token)


def test_a_single_key_of_a_set_needs_no_name(tmp_path: Path) -> None:
    held = {"keys": [OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True)]}
    found = reader(tmp_path, "jwks_file", json.dumps(held).encode())
    assert found.read(signed(ED, "EdDSA")).user_id == "ann"


def private() -> bytes:
    return RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("secret_file", b"short", "holds 5 bytes, a secret needs 32"),
        ("secret_file", b" " * 40, "holds 0 bytes, a secret needs 32"),
        ("secret_file", None, "cannot read"),
        ("key_file", b"no key", "no public key in PEM"),
        ("key_file", private(), "no public key in PEM"),
        ("key_file", pem(ec.generate_private_key(ec.SECP384R1())), "RSA, P-256 or Ed25519"),
        ("key_file", pem(ed448.Ed448PrivateKey.generate()), "RSA, P-256 or Ed25519"),
        ("key_file", pem(dsa.generate_private_key(2048)), "RSA, P-256 or Ed25519"),
        ("jwks_file", b"{}", "no JWK set"),
        ("jwks_file", b'{"keys": []}', "no JWK set"),
        ("jwks_file", b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', "RSA, P-256 or Ed25519"),
        ("jwks_file", b"[]", "no JWK set"),
        ("jwks_file", b"[1]", "no JWK set"),
        ("jwks_file", b"\xff", "no JWK set"),
    ],
)
def test_unusable_keys_are_refused_at_the_start(
    tmp_path: Path, kind: str, data: bytes | None, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        reader(tmp_path, kind, data)


def test_a_key_set_of_private_keys_is_refused(tmp_path: Path) -> None:
    held = {"keys": [OKPAlgorithm.to_jwk(ED, as_dict=True)]}
    with pytest.raises(ConfigError, match=r"holds a .*Private.*; use public RSA"):
        reader(tmp_path, "jwks_file", json.dumps(held).encode())


def test_tokens_need_one_key_an_issuer_and_an_audience(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    for wrong, why in (
        (JwtSettings("i", "a"), "exactly one"),
        (JwtSettings("i", "a", path, path), "exactly one"),
        (JwtSettings("i", "a", secret_file=tmp_path / "a", jwks_file=tmp_path / "b"), "exactly"),
        (JwtSettings("", "a", path), "an issuer and an audience"),
        (JwtSettings("i", "", path), "an issuer and an audience"),
        (JwtSettings("i", "a", tmp_path / "none"), "cannot read"),
    ):
        with pytest.raises(ConfigError, match=why):
            JwtReader(wrong)


def test_keys_need_neither_a_server_nor_jwt() -> None:
    program = """
import sys
import prefmem_keys, prefmem_keys.file
assert not {"jwt", "cryptography", "fastapi", "starlette", "mcp", "torch"} & set(sys.modules)
import prefmem_keys.tokens
assert not {"fastapi", "starlette", "mcp", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
