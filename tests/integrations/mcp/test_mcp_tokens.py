"""Who a bearer token is: keys of a file, JWTs of an issuer, and what is neither."""

import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from prefmem import ConfigError
from prefmem_mcp import AnyOf, JwtSettings, JwtVerifier, KeyVerifier, TokenUser
from prefmem_mcp.keys import make_key

SECRET = "s" * 48
END = int(time.time()) + 600


def claims(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # claims of a token
    given = {"iss": "https://id.example", "aud": "prefmem", "sub": "ann", "exp": END}
    return {name: value for name, value in (given | changed).items() if value is not None}


@pytest.fixture
def with_secret(tmp_path: Path) -> JwtVerifier:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n", encoding="utf-8")
    return JwtVerifier(JwtSettings("https://id.example", "prefmem", secret_file=path))


@pytest.mark.parametrize(
    ("changed", "tenant", "scopes"),
    [
        ({"tenant": "acme", "scope": "openid prefmem:read"}, "acme", ["read"]),
        ({"aud": ["x", "prefmem"]}, "", ["read", "write"]),
        ({"scope": "prefmem:write prefmem:admin"}, "", ["write"]),
        ({"scope": "prefmem:admin"}, "", []),
    ],
)
async def test_a_token_names_user_tenant_and_scopes(
    with_secret: JwtVerifier, changed: dict[str, Any], tenant: str, scopes: list[str]
) -> None:
    found = await with_secret.verify_token(jwt.encode(claims(**changed), SECRET))
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.tenant, found.scopes) == ("ann", tenant, scopes)
    assert (found.token, found.expires_at) == ("", END + 10)
    assert "ann" not in found.client_id


@pytest.mark.parametrize(
    "changed",
    [{"iss": "https://evil.example"}, {"aud": "other"}, {"sub": " "}, {"exp": 1}, {"tenant": 7}],
)
async def test_a_token_that_is_not_for_us_opens_nothing(
    with_secret: JwtVerifier, changed: dict[str, Any]
) -> None:
    payload = json.dumps(claims(**changed)).encode()  # as no library would sign it
    token = jwt.PyJWS().encode(payload, SECRET, algorithm="HS256")
    assert await with_secret.verify_token(token) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "ä.ö.ü", "\0.\0.\0", "x" * 100_000])
async def test_what_is_no_token_opens_nothing(with_secret: JwtVerifier, token: str) -> None:
    assert await with_secret.verify_token(token) is None


async def test_a_public_key_of_ed25519(tmp_path: Path) -> None:
    key, path = ed25519.Ed25519PrivateKey.generate(), tmp_path / "key.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    verifier = JwtVerifier(JwtSettings("https://id.example", "prefmem", key_file=path))
    assert await verifier.verify_token(jwt.encode(claims(), key, algorithm="EdDSA"))
    assert await verifier.verify_token(jwt.encode(claims(), SECRET)) is None


def test_settings_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        JwtVerifier(JwtSettings("i", "a"))
    with pytest.raises(ConfigError, match="an issuer and an audience"):
        JwtVerifier(JwtSettings("i", "", secret_file=tmp_path / "a"))


async def test_a_made_key_opens_until_it_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = make_key(path, "laptop", user="ann@example.org", tenant="acme")
    only = path.read_text(encoding="utf-8")
    other = make_key(path, "operator", user="bob", scopes=["read", "admin"])
    tenants = make_key(path, "backend", tenant="acme")
    both = path.read_text(encoding="utf-8")
    verifier = AnyOf(KeyVerifier(path))
    found = await verifier.verify_token(key)
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.tenant, found.scopes) == (
        "ann@example.org", "acme", ["read", "write"],
    )  # fmt: skip
    assert (found.token, found.expires_at) == ("", None)
    found = await verifier.verify_token(other)
    assert isinstance(found, TokenUser)
    assert (found.user_id, found.scopes) == ("bob", ["read"])  # `admin` is for other servers
    assert await verifier.verify_token(tenants) is None
    assert await verifier.verify_token(key[:-1]) is None
    path.write_text(only, encoding="utf-8")
    assert await verifier.verify_token(other) is None
    assert await verifier.verify_token(key)
    path.write_text(both[:-3], encoding="utf-8")
    assert await verifier.verify_token(key) is None
    path.write_text(both, encoding="utf-8")
    assert await verifier.verify_token(key)
    assert await verifier.verify_token(other)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("k.json", "{", "is neither JSON nor"),
        ("k.json", '{"keys": []}', "holds no key of a user; make one with: prefmem mcp"),
        ("k.json", '{"keys": [{"name": "a", "sha256": "%s"}]}', "holds no key of a user"),
        ("k.json", '{"keys": [{"name": "a", "user": " ", "sha256": "%s"}]}', "a user id is needed"),
    ],
)
def test_a_keys_file_that_opens_nothing_is_told(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(text.replace("%s", "0" * 64), encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        KeyVerifier(path)


async def test_a_keys_file_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    digest = sha256(b"pm_x").hexdigest()
    path.write_text(
        f'[[keys]]\nname = "a"\nsha256 = "{digest}"\nuser = "ann"\nrate = 5\n', encoding="utf-8"
    )
    added = make_key(path, "b", user="bob")
    for key, user in (("pm_x", "ann"), (added, "bob")):
        found = await KeyVerifier(path).verify_token(key)
        assert isinstance(found, TokenUser)
        assert found.user_id == user
