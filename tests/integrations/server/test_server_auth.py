"""Keys: who gets in, for whom, to do what, and how often."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from prefmem import ConfigError, PreferenceMemory
from prefmem_server import Rate, ServerSettings, create_app
from prefmem_server.keys import KeyFile
from prefmem_server.limits import Limiter
from tests.integrations.server.conftest import Door

RECALL = {"query": "hello"}


def add(client: httpx.Client, action: str) -> httpx.Response:
    return client.post("/v1/cards", json={"action": action})


def actions(client: httpx.Client) -> list[str]:
    return [card["action"] for card in client.get("/v1/cards").json()["cards"]]


def test_no_key_and_wrong_keys_are_told_how_to_send_one(door: Door) -> None:
    nobody = door.client("ann", key=None)
    refused = nobody.post("/v1/recall", json=RECALL)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="prefmem"'
    assert "Authorization: Bearer" in refused.json()["detail"]
    for headers in (
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer key-backend2"},
        {"Authorization": "Basic a2V5LWJhY2tlbmQ="},
        {"Authorization": "Bearer"},
        {"Authorization": "key-backend"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer wrong", "X-API-Key": "key-backend"},
    ):
        answer = nobody.post("/v1/recall", json=RECALL, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="prefmem", error="')
    binary = nobody.get("/v1/cards", headers={b"Authorization": b"Bearer \xff\xfe"})
    assert binary.status_code == 401


def test_every_operation_asks_for_a_key(door: Door) -> None:
    nobody = door.client(key=None)
    document = nobody.get("/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method in methods:
            answer = nobody.request(method.upper(), path.replace("{", "").replace("}", ""))
            expected = 200 if path in ("/healthz", "/readyz") else 401
            assert answer.status_code == expected, (method, path)
            asked += 1
    assert asked == 22


def test_either_header_opens(door: Door) -> None:
    nobody = door.client("ann", key=None)
    for headers in ({"Authorization": "bearer key-backend"}, {"X-API-Key": "key-backend"}):
        assert nobody.post("/v1/recall", json=RECALL, headers=headers).status_code == 200


def test_a_key_of_one_user_needs_no_name_and_takes_no_other(door: Door) -> None:
    add(door.client("bob"), "sign as Bob")
    add(door.client("ann"), "sign as Ann")
    ann = door.client(key="key-ann")
    assert actions(ann) == ["sign as Ann"]
    assert actions(door.client("ann", key="key-ann")) == ["sign as Ann"]
    refused = door.client("bob", key="key-ann").get("/v1/cards")
    assert refused.status_code == 403
    assert "bob" not in refused.text.lower()
    for other in ("Ann", "ann ", "ann%00", "anna", "a%6En%2e"):
        answer = ann.get("/v1/cards", headers={"Prefmem-User": other.replace(" ", "%20")})
        assert answer.status_code == 403, other


def test_another_users_id_in_the_body_is_refused(door: Door) -> None:
    answer = door.client(key="key-ann").post("/v1/recall", json={**RECALL, "user_id": "bob"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["at"] == "#/user_id"


def test_a_key_of_a_tenant_must_name_the_user(door: Door) -> None:
    refused = door.client(None).get("/v1/cards")
    assert refused.status_code == 422
    assert "Prefmem-User" in refused.json()["detail"]
    assert door.client(None).get("/v1/cards", headers={"Prefmem-User": ""}).status_code == 422


def test_tenants_do_not_see_each_other(door: Door) -> None:
    here, shop = door.client("ann"), door.client("ann", key="key-shop")
    add(here, "answer in French")
    (card_id,) = (card["id"] for card in here.get("/v1/cards").json()["cards"])
    assert actions(shop) == []
    assert shop.get(f"/v1/cards/{card_id}").status_code == 404
    assert shop.delete(f"/v1/cards/{card_id}").status_code == 404
    add(shop, "answer in German")
    assert actions(here) == ["answer in French"]
    assert actions(shop) == ["answer in German"]


def test_scopes_bound_what_a_key_may_do(door: Door) -> None:
    reader, backend = door.client("ann", key="key-reader"), door.client("ann")
    assert reader.post("/v1/recall", json=RECALL).status_code == 200
    refused = add(reader, "sign as Ann")
    assert refused.status_code == 403
    assert refused.headers["WWW-Authenticate"] == (
        'Bearer realm="prefmem", error="insufficient_scope", scope="write"'
    )
    assert "'write'" in refused.json()["detail"]
    assert backend.get("/metrics").status_code == 403
    assert backend.post("/v1/flush").status_code == 403
    assert backend.request("DELETE", "/v1/user").status_code == 403
    add(backend, "sign as Ann")
    assert door.client(key="key-ann").request("DELETE", "/v1/user").json()["cards"] == 1


def test_a_key_that_asks_too_often_waits(serve: Callable[..., Door]) -> None:
    door = serve(limits={"rate": Rate(0.001, 2)})
    ann = door.client(key="key-ann")
    answers = [ann.post("/v1/recall", json=RECALL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1000"  # 1 request / 0.001 a second
    assert door.client("bob").post("/v1/recall", json=RECALL).status_code == 200
    assert ann.get("/healthz").status_code == 200


def test_a_bucket_fills_up_again_and_no_further() -> None:
    now = 0.0
    limiter = Limiter(Rate(2, 3), clock=lambda: now)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1]  # half a second, rounded up
    now = 0.5
    assert [limiter.take("a") for _ in range(2)] == [0, 1]
    now = 100.0
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1]
    assert limiter.take("b", Rate(0.1, 1)) == 0
    assert limiter.take("b", Rate(0.1, 1)) == 10
    assert [Limiter().take("a") for _ in range(100)] == [0] * 100


def test_ten_thousand_keys_are_counted_and_then_the_oldest_is_let_go() -> None:
    limiter = Limiter(Rate(1, 1), clock=lambda: 0.0)
    assert [limiter.take(number) for number in range(10_000)] == [0] * 10_000
    assert limiter.take(0) == 1  # which makes 1 the oldest
    assert limiter.take("one more") == 0
    assert (limiter.take(2), limiter.take(1)) == (1, 0)


def test_a_key_that_was_taken_back_opens_no_more(door: Door, keys_file: Path) -> None:
    ann, backend = door.client(key="key-ann"), door.client("ann")

    def answers() -> tuple[int, int]:
        return ann.get("/v1/cards").status_code, backend.get("/v1/cards").status_code

    whole = keys_file.read_text(encoding="utf-8")
    assert answers() == (200, 200)
    kept = [entry for entry in json.loads(whole)["keys"] if entry["name"] != "ann"]
    keys_file.write_text(json.dumps({"keys": kept}), encoding="utf-8")
    assert answers() == (401, 200)
    keys_file.write_text(whole[:-3], encoding="utf-8")
    assert answers() == (401, 401)
    keys_file.unlink()
    assert answers() == (401, 401)
    keys_file.write_text(whole, encoding="utf-8")
    assert answers() == (200, 200)


def test_keys_have_limits_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    digest = sha256(b"k").hexdigest()
    path.write_text(f'[[keys]]\nname = "a"\nsha256 = "{digest}"\nrate = 5\n')
    ((held, principal),) = KeyFile(path)
    assert held.hex() == digest
    assert principal.rate == Rate(5, 10)
    assert (principal.tenant, principal.user_id) == ("", None)
    assert principal.scopes == {"read", "write"}
    for rate, burst, expected in (
        ("0.1", "", Rate(0.1, 1)),
        ("5", "burst = 7\n", Rate(5, 7)),
        ("", "burst = 7\n", None),
    ):
        given = f"rate = {rate}\n{burst}" if rate else burst
        path.write_text(f'[[keys]]\nname = "a"\nsha256 = "{digest}"\n{given}')
        ((_, principal),) = KeyFile(path)
        assert principal.rate == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "neither JSON"),
        ('{"keys": []}', "holds no key; make one with: prefmem serve"),
        ('{"keys": [{"name": "a", "sha256": "00"}]}', r"keys\.0\.sha256"),
    ],
)
def test_a_broken_keys_file_is_refused_at_the_start(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=why):
        ServerSettings(keys=path).gate()


def test_a_server_that_nobody_or_everybody_could_call_does_not_start(
    memory: PreferenceMemory, tmp_path: Path, keys_file: Path
) -> None:
    with pytest.raises(ConfigError, match="--new-key"):
        create_app(memory, settings=ServerSettings())
    with pytest.raises(ConfigError, match="cannot read"):
        create_app(memory, settings=ServerSettings(keys=tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="exclude each other"):
        create_app(memory, settings=ServerSettings(keys=keys_file, no_auth=True))


def test_without_keys_this_machine_is_let_in(serve: Callable[..., Door]) -> None:
    door = serve(ServerSettings(no_auth=True))
    client = door.client("ann", key=None)
    assert client.post("/v1/recall", json=RECALL).status_code == 200
    assert client.get("/metrics").status_code == 200
    assert client.get("/v1/cards", headers={"Host": "localhost:1234"}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]"):
        answer = client.get("/v1/cards", headers={"Host": host})
        assert answer.status_code == 403, host
    assert door.client(None, key=None).get("/v1/cards").status_code == 422


async def test_without_keys_other_machines_are_not(memory: PreferenceMemory) -> None:
    app = create_app(memory, settings=ServerSettings(no_auth=True))
    for peer, status in (("127.0.0.1", 200), ("10.1.2.3", 403), ("testclient", 403)):
        transport = httpx.ASGITransport(app, client=(peer, 4000))
        headers = {"Prefmem-User": "ann"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            assert (await client.get("/v1/cards")).status_code == status
