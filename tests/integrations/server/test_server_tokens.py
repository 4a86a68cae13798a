"""Tokens that somebody else signs."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from prefmem import ConfigError
from prefmem_server import JwtSettings, ServerSettings
from prefmem_server.tokens import TokenReader
from tests.integrations.server.conftest import Door

SECRET = b"0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def claims(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # claims may hold anything
    usual = {"iss": "https://id.example", "aud": "prefmem", "sub": "ann", "exp": time.time() + 60}
    return {name: value for name, value in (usual | changed).items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", **changed: Any) -> str:  # noqa: ANN401  # as above
    return jwt.encode(claims(**changed), key, algorithm)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def settings(folder: Path, kind: str, data: bytes) -> JwtSettings:
    path = folder / "key"
    path.write_bytes(data)
    return JwtSettings("https://id.example", "prefmem", **{kind: path})


@pytest.fixture
def door(serve: Callable[..., Door], tmp_path: Path) -> Door:
    return serve(ServerSettings(jwt=settings(tmp_path, "secret_file", SECRET + b"\n")))


def ask(door: Door, token: str, user: str | None = None) -> httpx.Response:
    return door.client(user, key=token).get("/v1/cards")


def test_a_token_speaks_for_its_user_and_no_other(door: Door) -> None:
    ann = door.client(key=signed())
    ann.post("/v1/cards", json={"action": "sign as Ann"})
    assert len(ask(door, signed()).json()["cards"]) == 1
    assert ask(door, signed(sub="bob")).json() == {"cards": []}
    assert ask(door, signed(), user="bob").status_code == 403
    assert ask(door, signed(tenant="shop")).json() == {"cards": []}
    assert ann.request("DELETE", "/v1/user").json()["cards"] == 1


def test_tokens_that_are_not_to_be_trusted(door: Door) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=").decode()
    whole = signed()
    for name, token in {
        "signature": signed(b"another secret of 32 bytes, or so"),
        "none": f"{header}.{whole.split('.')[1]}.",
        "issuer": signed(iss="https://evil.example"),
        "audience": signed(aud="other"),
        "no issuer": signed(iss=None),
        "no audience": signed(aud=None),
        "no end": signed(exp=None),
        "no user": signed(sub=None),
        "blank user": signed(sub="  "),
        "not yet": signed(nbf=time.time() + 600),
        "longer hash": signed(SECRET * 2, "HS512"),
        "tenant": signed(tenant=["shop"]),
        "cut": whole[:-4],
        "deep": f"{deep}.{deep}.{deep}",
        "dots": "..",
    }.items():
        answer = ask(door, token)
        assert answer.status_code == 401, name
        assert "invalid_token" in answer.headers["WWW-Authenticate"], name
    late = ask(door, signed(exp=time.time() - 60))
    assert late.status_code == 401
    assert "expired" in late.json()["detail"]


def test_scopes_of_a_token_bound_it(door: Door) -> None:
    reader = door.client(key=signed(scope="openid prefmem:read"))
    assert reader.get("/v1/cards").status_code == 200
    assert reader.post("/v1/cards", json={"action": "sign as Ann"}).status_code == 403
    assert ask(door, signed(scope="openid profile")).status_code == 200
    assert door.client(key=signed()).get("/metrics").status_code == 403
    assert door.client(key=signed(scope="prefmem:admin")).get("/metrics").status_code == 200


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")])
def test_a_public_key_pins_its_algorithm(
    serve: Callable[..., Door],
    tmp_path: Path,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    algorithm: str,
) -> None:
    door = serve(ServerSettings(jwt=settings(tmp_path, "key_file", pem(key))))
    assert ask(door, signed(key, algorithm)).status_code == 200
    assert ask(door, signed()).status_code == 401
    # The oldest trick: HS256 with the public key, which everybody knows, as the secret.
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    body = signed().split(".")[1]
    seal = hmac.new(pem(key), f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"
    assert ask(door, forged).status_code == 401


def test_a_key_set_is_asked_by_the_tokens_key_id(
    serve: Callable[..., Door], tmp_path: Path
) -> None:
    one: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"kid": "one"}
    two: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(EC.public_key())) | {"kid": "two"}
    both = json.dumps({"keys": [one, two]}).encode()
    door = serve(ServerSettings(jwt=settings(tmp_path, "jwks_file", both)))

    def answer(key: Any, algorithm: str, kid: str | None) -> int:  # noqa: ANN401  # either key
        headers = {"kid": kid} if kid else {}
        return ask(door, jwt.encode(claims(), key, algorithm, headers)).status_code

    assert answer(RSA, "RS256", "one") == 200
    assert answer(EC, "ES256", "two") == 200
    assert answer(RSA, "RS256", "two") == 401
    assert answer(RSA, "RS256", "three") == 401
    assert answer(RSA, "RS256", None) == 401


def test_keys_and_tokens_open_side_by_side(
    serve: Callable[..., Door], tmp_path: Path, keys_file: Path
) -> None:
    both = ServerSettings(keys=keys_file, jwt=settings(tmp_path, "secret_file", SECRET))
    door = serve(both)
    assert ask(door, "key-ann").status_code == 200
    assert ask(door, signed()).status_code == 200
    assert ask(door, "wrong").status_code == 401


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("secret_file", b"short", "5 bytes"),
        ("key_file", b"no key", "no public key in PEM"),
        ("key_file", pem(ec.generate_private_key(ec.SECP384R1())), "RSA or P-256"),
        ("jwks_file", b"{}", "no JWK set"),
        ("jwks_file", b'{"keys": []}', "no JWK set"),
        ("jwks_file", b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', "RSA or P-256"),
        ("jwks_file", b"[1]", "no JWK set"),
    ],
)
def test_unusable_keys_are_refused_at_the_start(
    tmp_path: Path, kind: str, data: bytes, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        TokenReader(settings(tmp_path, kind, data))


def test_tokens_need_one_key_an_issuer_and_an_audience(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    for wrong, why in (
        (JwtSettings("i", "a"), "exactly one"),
        (JwtSettings("i", "a", path, path), "exactly one"),
        (JwtSettings("", "a", path), "issuer"),
        (JwtSettings("i", "", path), "audience"),
        (JwtSettings("i", "a", tmp_path / "none"), "cannot read"),
    ):
        with pytest.raises(ConfigError, match=why):
            TokenReader(wrong)
