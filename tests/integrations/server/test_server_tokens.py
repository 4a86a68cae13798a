"""Tokens that somebody else signs."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from prefmem import ConfigError
from prefmem_server import JwtSettings, ServerSettings
from tests.integrations.server.conftest import Door

SECRET = b"0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()


def claims(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # claims may hold anything
    usual = {"iss": "https://id.example", "aud": "prefmem", "sub": "ann", "exp": time.time() + 60}
    return {name: value for name, value in (usual | changed).items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", **changed: Any) -> str:  # noqa: ANN401  # as above
    return jwt.encode(claims(**changed), key, algorithm)


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
        "longer hash": signed(SECRET * 2, "HS512"),
        "tenant": signed(tenant=["shop"]),
        "long user": signed(sub="x" * 300),
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


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (ED, "EdDSA")])
def test_a_public_key_opens_to_its_own_algorithm(
    serve: Callable[..., Door],
    tmp_path: Path,
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: str,
) -> None:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    door = serve(ServerSettings(jwt=settings(tmp_path, "key_file", public)))
    assert ask(door, signed(key, algorithm)).status_code == 200
    assert ask(door, signed()).status_code == 401


def test_a_key_set_is_asked_by_the_tokens_key_id(
    serve: Callable[..., Door], tmp_path: Path
) -> None:
    held: list[dict[str, Any]] = [
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "one"},
        {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "two"},
    ]
    both = json.dumps({"keys": held}).encode()
    door = serve(ServerSettings(jwt=settings(tmp_path, "jwks_file", both)))

    def answer(kid: str | None) -> int:
        headers = {"kid": kid} if kid else {}
        return ask(door, jwt.encode(claims(), ED, "EdDSA", headers)).status_code

    assert [answer(kid) for kid in ("two", "one", "three", None)] == [200, 401, 401, 401]


def test_keys_and_tokens_open_side_by_side(
    serve: Callable[..., Door], tmp_path: Path, keys_file: Path
) -> None:
    both = ServerSettings(keys=keys_file, jwt=settings(tmp_path, "secret_file", SECRET))
    door = serve(both)
    assert ask(door, "key-ann").status_code == 200
    assert ask(door, signed()).status_code == 200
    assert ask(door, "wrong").status_code == 401


def test_unusable_settings_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="5 bytes"):
        ServerSettings(jwt=settings(tmp_path, "secret_file", b"short")).gate()
    with pytest.raises(ConfigError, match="exactly one"):
        ServerSettings(jwt=JwtSettings("i", "a")).gate()
