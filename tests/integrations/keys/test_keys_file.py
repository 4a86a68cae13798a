"""The keys file: what stands in it, what it opens, and what happens when it breaks."""

import errno
import json
import logging
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from prefmem import ConfigError
from prefmem_keys.bearer import Bearer
from prefmem_keys.file import KeyFile, make_key, read_keys


def entry(name: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401  # any field
    return {"name": name, "sha256": sha256(f"key-{name}".encode()).hexdigest(), **given}


def written(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"keys": entries}), encoding="utf-8")
    return path


def names(keys: KeyFile) -> list[str]:
    return [bearer.name for bearer in keys.known().values()]


def test_a_key_opens_what_its_entry_says(tmp_path: Path) -> None:
    path = written(
        tmp_path / "keys.json",
        entry("all"),
        entry("ann", user="ann@example.org", tenant="shop", scopes=["read", "admin"]),
        entry("slow", rate=5, burst=7),
    )
    keys = KeyFile(path)
    assert keys.find(b"key-all") == Bearer("all", "", None, frozenset({"read", "write"}))
    assert keys.find(b"key-ann") == Bearer(
        "ann", "shop", "ann@example.org", frozenset({"read", "admin"})
    )
    slow = keys.find(b"key-slow")
    assert slow is not None
    assert (slow.rate, slow.burst, slow.expires_at) == (5, 7, None)
    assert list(keys.known()) == [sha256(f"key-{n}".encode()).digest() for n in names(keys)]
    for wrong in (b"", b"key-an", b"key-ann ", b"\xff\xfe", sha256(b"key-ann").digest()):
        assert keys.find(wrong) is None


def test_a_key_that_was_taken_out_opens_nothing_from_then_on(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.json", entry("one"), entry("two"))
    keys = KeyFile(path)
    assert names(keys) == ["one", "two"]
    written(path, entry("two"))
    assert names(keys) == ["two"]
    written(path, entry("two", scopes=["read"]))
    found = keys.find(b"key-two")
    assert found is not None
    assert found.scopes == {"read"}
    written(path)
    assert names(keys) == []


def taken_away(path: Path) -> None:
    path.unlink()


def half_written(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8")[:-3], encoding="utf-8")


def not_a_keys_file(path: Path) -> None:
    path.write_text('{"keys": {"pm_secret": "ann@example.org"}}', encoding="utf-8")


def a_key_as_a_field(path: Path) -> None:
    written(path, entry("a", pm_secret="ann@example.org"))


def a_user_that_cannot_be(path: Path) -> None:
    written(path, entry("a", user="ann@example.org\0pm_secret"))


def a_key_for_its_hash(path: Path) -> None:
    written(path, {"name": "a", "sha256": "pm_secret", "user": "ann@example.org"})


def not_utf8(path: Path) -> None:
    path.write_bytes(b'{"keys": [{"name": "pm_secret\xff')


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        taken_away, half_written, not_a_keys_file, a_key_as_a_field, a_user_that_cannot_be,
        a_key_for_its_hash, not_utf8, a_folder,
    ],
)  # fmt: skip
def test_a_file_that_breaks_closes_at_once_and_heals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    caplog.set_level(logging.INFO, "prefmem.keys")
    path = written(tmp_path / "keys.json", entry("one"))
    keys = KeyFile(path)
    assert keys.find(b"key-one")
    spoil(path)
    for _ in range(3):
        assert keys.find(b"key-one") is None
    (told,) = caplog.messages  # once, not with every question
    assert told.startswith("no key opens anything until this is put right: ")
    assert str(path) in told
    assert "secret" not in told
    assert "example" not in told
    if path.is_dir():
        path.rmdir()
    written(path, entry("one"))
    assert keys.find(b"key-one")
    assert caplog.messages[1:] == ["read 1 keys anew"]


def test_a_file_that_breaks_twice_is_told_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "keys.json", entry("one"))
    keys = KeyFile(path)
    for _ in range(2):
        path.unlink()
        assert names(keys) == []
        written(path, entry("one"))
        assert names(keys) == ["one"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_a_file_that_comes_back_as_it_was_opens_again(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.json", entry("one"))
    keys = KeyFile(path)
    path.rename(tmp_path / "elsewhere")
    assert names(keys) == []
    (tmp_path / "elsewhere").rename(path)
    assert names(keys) == ["one"]


def test_a_read_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "keys.json", entry("one"))
    keys = KeyFile(path)
    written(path, entry("one"), entry("two"))

    def no_more_files(path: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", no_more_files)
        assert names(keys) == []
        assert names(keys) == []
    assert names(keys) == ["one", "two"]  # though the file did not change meanwhile
    assert len(caplog.messages) == 1
    assert "Too many open files" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("k.json", "{", "neither JSON"),
        ("k.json", "[]", "the top level"),
        ("k.json", "[" * 100_000, "neither JSON"),
        ("k.json", '{"keys": [], "key": []}', "the top level: an unknown field; known are keys$"),
        ("k.json", '{"keys": [{"name": "a", "sha256": "00"}]}', r"keys\.0\.sha256"),
        ("k.json", '{"keys": [{"name": "a b", "sha256": "%s"}]}', r"keys\.0\.name"),
        (
            "k.json",
            '{"keys": [{"name": "a", "sha256": "%s", "role": "x"}]}',
            r"keys\.0: an unknown field; known are name, sha256, tenant, user, scopes, rate, burst",
        ),
        ("k.json", '{"keys": [{"name": "a", "sha256": "%s", "scopes": ["all"]}]}', r"0\.scopes"),
        ("k.json", '{"keys": [{"name": "a", "sha256": "%s", "rate": 0}]}', r"keys\.0\.rate"),
        (
            "k.json",
            '{"keys": [{"name": "a", "sha256": "%s"}, {"name": "b", "sha256": "%s"}]}',
            "two keys have the same sha256",
        ),
        ("k.json", '{"keys": [{"name": "a", "sha256": "%s", "user": "a\\u0000"}]}', r"0\.user"),
        (
            "k.json",
            '{"keys": [{"name": "a", "sha256": "%s", "user": " "}]}',
            r"keys\.0\.user: a user id is needed",
        ),
        ("k.json", '{"keys": [{"name": "a", "sha256": "%s", "user": "\\ud800"}]}', r"0\.user"),
        (
            "k.json",
            '{"keys": [{"name": "a", "sha256": "%s", "user": "' + "ä" * 129 + '"}]}',  # 258 bytes
            r"keys\.0\.user: a user id is needed, not blank, 256 bytes at most",
        ),
        (
            "k.json",
            '{"keys": [{"name": "a", "sha256": "%s", "tenant": "\\u0000"}]}',
            r"keys\.0\.tenant: a tenant has 256 bytes at most and no NUL",
        ),
        ("k.toml", "keys = 3", "is no keys file: keys"),
        ("k.toml", '{"keys": []}', "neither JSON nor, by the name .toml, TOML"),
    ],
)
def test_a_broken_keys_file_is_refused_by_field(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    path = tmp_path / name
    path.write_text(text.replace("%s", "ab" * 32), encoding="utf-8")
    with pytest.raises(ConfigError, match=why):
        KeyFile(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the keys file"):
        KeyFile(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["keys.json", "keys.toml"])
def test_a_made_key_opens_and_is_not_in_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    key = make_key(path, "laptop", user="änn🙂@example.org", tenant='a"c\\me', scopes=["read"])
    other = make_key(path, "backend")
    text = path.read_text(encoding="utf-8")
    assert key.startswith("pm_")
    assert len(key) == 46  # pm_ and 32 bytes in base64url
    assert key not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = KeyFile(path)
    assert keys.find(key.encode()) == Bearer(
        "laptop", 'a"c\\me', "änn🙂@example.org", frozenset({"read"})
    )
    assert keys.find(other.encode()) == Bearer("backend")
    assert keys.find(key[:-1].encode()) is None
    for taken, given, why in (
        ("laptop", "eve", "two keys have the same name"),
        ("a b", "eve", "no key was made: name"),
        ("new", " ", "no key was made: user: a user id is needed"),
    ):
        with pytest.raises(ConfigError, match=why):
            make_key(path, taken, user=given)
    with pytest.raises(ConfigError, match="no key was made: scopes"):
        make_key(path, "new", scopes=["all"])
    assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_toml_file_keeps_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text("# ours\n", encoding="utf-8")
    for name in ("a", "b"):
        make_key(path, name)
    assert path.read_text(encoding="utf-8").startswith("# ours\n")
    assert [key.name for key in read_keys(path)] == ["a", "b"]


@pytest.mark.parametrize("text", ["keys = []\n", 'keys = [{name = "a", sha256 = "%s"}]\n'])
def test_a_toml_file_of_another_form_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text.replace("%s", "ab" * 32), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"takes no \[\[keys\]\] at its end"):
        make_key(path, "b")
    assert path.read_text(encoding="utf-8") == text.replace("%s", "ab" * 32)


def test_a_key_that_cannot_be_kept_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*; no key was made"):
        make_key(tmp_path / "no" / "keys.json", "a")
