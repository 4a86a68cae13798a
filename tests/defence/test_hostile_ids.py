"""Ids are data: a hostile one makes the round trip whole, or is refused with an error of ours."""

from collections.abc import Callable
from pathlib import Path

import pytest

from prefmem import InputError, NotFoundError, PreferenceMemory
from prefmem.stores.sqlite import SQLiteStore

Open = Callable[..., PreferenceMemory]
IDS = [
    # paths and files
    "../../etc/passwd", "..\\..\\windows\\system32", "/", "\\", ".", "..", "~", "~root",
    "/dev/null",
    "con", "nul.txt", "aux", "a/b", "a\\b", "a:b", "file:///etc/hosts", "prefs.db", "-rf", "--help",
    "*", "?", "a|b", "$(id)", "`id`", "$HOME", "%PATH%", "&& ls", "; ls", "|| ls", "#", "!",
    # SQL and its like
    "'", "''", "\"", "`", "';", "' or '1'='1", "1; drop table cards", "x'--", "/*", "*/", "%",
    "_", "\\'",
    "union select 1", "0x31", "null", "NULL", "None", "true", "undefined", "NaN", "inf", "-1",
    "0", "1e9",
    "01", "1_000", "{}", "[]", "{{x}}", "${x}", "{0}", "%s", "%n", "%d%d", "<b>", "</a>", "<!--",
    "]]>",
    "&amp;", "&", "\\u0000", "\\x00", "javascript:x", "http://a.example/?q=1&b=2", "a@b.example",
    # letters
    "ß", "\u1e9e", "\ufb01", "\u0130", "\u0131", "\u00c5", "A\u030a", "\u212b", "\u00e9", "e\u0301",
    "\u03a9", "\u2126", "日本", "한국", "العربية", "עברית", "ไทย", "𝒜", "😀",
    "👩‍👩‍👧", "🇩🇪", "a\u200bb", "\u202eabc", "\ufeffa", "a\u00adb", "a\u0301\u0301\u0301",
    "\U000e0041",
    "\ufffd", "\ue000", "\uffff", "a\u2028b", "a\u0085b", "²", "①", "Ａ", "A", "a", "a ", " a",
    "a\tb", "a\nb",
    "a\r\nb", "\x01", "\x1b[31m", "\x7f", "x" * 256, "é" * 128,
]  # fmt: skip
REFUSED = ["", " ", "\t\n", "\0", "a\0b", "\ud800", "a\udfff", "x" * 257, "é" * 129, "😀" * 65]


def test_a_hundred_of_them_differ() -> None:
    assert len(set(IDS)) == len(IDS) >= 100


def test_users_and_sessions_make_the_round_trip(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    for number, name in enumerate(IDS):
        text = f"Always greet guest number {number}."
        assert memory.learn([("user", text)], user_id=name, session_id=name).added
    before = {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()}
    for number, name in enumerate(IDS):
        (card,) = memory.list(user_id=name)
        assert (card.user_id, card.session_id) == (name, name)
        assert card.preference.action == f"greet guest number {number}"
        assert memory.export(user_id=name)["user_id"] == name
    assert all(name.startswith("prefs.db") for name in before)
    memory.forget_user(user_id=IDS[0])
    assert memory.list(user_id=IDS[0]) == ()
    assert all(memory.list(user_id=name) for name in IDS[1:])


def test_tenants_make_the_round_trip(open_memory: Open) -> None:
    memory = open_memory()
    for number, name in enumerate(IDS):
        memory.in_tenant(name).add("", f"greet guest number {number}", user_id="ann")
    for number, name in enumerate(IDS):
        (card,) = memory.in_tenant(name).list(user_id="ann")
        assert card.preference.action == f"greet guest number {number}"
    assert memory.list(user_id="ann") == ()


@pytest.mark.parametrize("name", REFUSED)
def test_the_others_are_refused(open_memory: Open, name: str) -> None:
    memory = open_memory()
    for call in (memory.list, memory.export, memory.forget_user):
        with pytest.raises(InputError):
            call(user_id=name)
    if name.strip():
        with pytest.raises(InputError):
            memory.learn([("user", "Always rest.")], user_id="ann", session_id=name)
        with pytest.raises(InputError):
            memory.in_tenant(name).list(user_id="ann")
    assert memory.list(user_id="ann") == ()


@pytest.mark.parametrize("name", [*IDS, *REFUSED])
def test_no_card_has_such_a_name(memory: PreferenceMemory, name: str) -> None:
    memory.add("", "be brief", user_id="ann")
    for call in (memory.get, memory.forget, memory.history, memory.edit):
        with pytest.raises(NotFoundError):
            call(name, user_id="ann")
    assert memory.render([name], user_id="ann") == ""
    assert len(memory.list(user_id="ann")) == 1


@pytest.mark.parametrize("name", ["\0", "a\0b"])
def test_a_file_is_named_without_nul(name: str) -> None:
    with pytest.raises((InputError, ValueError)):
        SQLiteStore(name)
