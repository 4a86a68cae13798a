"""Secrets and special categories: dropped, put aside or let pass, and never in a prompt."""

from collections.abc import Callable

import pytest

from prefmem import Config, ConfigError, Evidence, InputError, Preference, PreferenceMemory
from prefmem.defence.privacy import Kind, private_of, secrets_in, special_in

Open = Callable[..., PreferenceMemory]
SECRET = "Always sign with the api key sk-live-4kTz9WmQxR2vBn7L."
HEALTH = "Because of my asthma, always leave out smoky places."
PLAIN = "Always be brief."
NONE: set[Kind] = set()


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("pay with 4111 1111 1111 1111", {"card"}),
        ("pay with 4111 1111 1111 1112", NONE),  # the checksum is wrong
        ("my IBAN is DE89 3704 0044 0532 0130 00", {"account"}),
        ("my IBAN is DE88 3704 0044 0532 0130 00", NONE),
        ("the password is Tulip!22", {"password"}),
        ("the password is Ｔｕｌｉｐ！２２", {"password"}),  # full width
        ("the pass\u200bword is Tulip!22", {"password"}),
        ("passwords are long and never reused", NONE),
        ("use AKIAQ7RT2MZX4PLW9NKD", {"key"}),
        ("postgres://ann:tulip22@db/prefs", {"key"}),
        ("my SSN is 457-55-5462", {"number"}),
        ("use the key of G", NONE),
    ],
)
def test_secrets(text: str, kinds: set[Kind]) -> None:
    assert secrets_in(text) == kinds


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("I have diabetes", {"health"}),
        ("explain diabetes", NONE),
        ("I'm a Catholic union rep", {"religion", "union"}),
        ("write about unions and churches", NONE),
        ("I like articles about cancer", NONE),
    ],
)
def test_special_categories_are_a_persons(text: str, kinds: set[Kind]) -> None:
    assert special_in(text) == kinds


def test_the_quote_counts_too() -> None:
    quoted = Preference("", "avoid smoke", evidence=(Evidence("0", HEALTH),))
    assert private_of(quoted) == {"health"}


def test_by_default_they_wait(memory: PreferenceMemory) -> None:
    memory.learn([("user", SECRET), ("user", HEALTH), ("user", PLAIN)], user_id="ann")
    status = {card.preference.action: card.status for card in memory.list(user_id="ann")}
    assert status == {
        "sign with the api key sk-live-4kTz9WmQxR2vBn7L": "quarantined",
        "leave out smoky places": "active",  # its quote begins behind the reason
        "be brief": "active",
    }
    health = memory.add("", "no smoke, because of my asthma", user_id="ann")
    assert health.status == "quarantined"
    assert memory.edit(health.id, user_id="ann", status="active").status == "active"


def test_a_secret_cannot_be_confirmed(memory: PreferenceMemory) -> None:
    card = memory.add("", "sign with password Tulip!22", user_id="ann")
    assert card.status == "quarantined"
    with pytest.raises(InputError, match=r"holds a secret \(password\)") as refused:
        memory.edit(card.id, user_id="ann", status="active")
    assert "Tulip" not in str(refused.value)
    cleaned = memory.edit(card.id, user_id="ann", action="sign with my name", status="active")
    assert cleaned.status == "active"


def test_a_secret_that_got_in_never_gets_out(open_memory: Open) -> None:
    memory = open_memory()
    card = memory.add("", "be brief", user_id="ann")
    data = memory.export(user_id="ann")
    data["events"][0]["changes"][0]["card"]["action"] = "sign with password Tulip!22"
    memory.load(data, user_id="bob")
    assert [c.status for c in memory.list(user_id="bob")] == ["quarantined"]
    assert memory.recall("sign", user_id="bob").rules == ()
    assert memory.recall("x", user_id="ann").rules[0].card_ids == (card.id,)


def test_dropped_they_leave_no_trace(open_memory: Open) -> None:
    memory = open_memory(config=Config(pii="drop"))
    memory.learn([("user", SECRET), ("user", PLAIN)], user_id="ann")
    memory.command([("user", "Remember that my password is Tulip!22.")], user_id="ann")
    memory.learn_from_edit("Dear Bo", "Dear Bo, it is Tulip!22, my password is Tulip!22",
                           user_id="ann")  # fmt: skip
    with pytest.raises(InputError, match="password"):
        memory.add("", "sign with password Tulip!22", user_id="ann")
    (card,) = memory.list(user_id="ann")
    with pytest.raises(InputError, match="health"):
        memory.edit(card.id, user_id="ann", condition="I have asthma")
    assert card.text == "Be brief."
    held = str(memory.export(user_id="ann"))
    assert "Tulip" not in held
    assert "sk-live" not in held
    assert memory.degraded["pii"] == 3


def test_dropped_from_an_import(open_memory: Open) -> None:
    source = open_memory()
    source.add("", "sign with password Tulip!22", user_id="ann")
    source.add("", "be brief", user_id="ann")
    target = open_memory(config=Config(pii="drop"))
    target.load(source.export(user_id="ann"), user_id="bob")
    assert [card.text for card in target.list(user_id="bob")] == ["Be brief."]


def test_let_pass(open_memory: Open) -> None:
    memory = open_memory(config=Config(pii="allow"))
    assert memory.add("", "no smoke, because of my asthma", user_id="ann").status == "active"
    assert memory.add("", "sign with password Tulip!22", user_id="ann").status == "quarantined"


def test_the_policy_is_one_of_three() -> None:
    with pytest.raises(ConfigError, match="pii='keep'"):
        Config(pii="keep")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point
