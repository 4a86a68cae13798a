"""The pages that are made from the code say all of it."""

import dataclasses
import re

import pytest
from prefmem_docs import commands, messages, reference, text

from prefmem import Config, errors
from prefmem_server import JwtSettings, ProxySettings, ServerSettings

PAGES = reference.pages()
OPTIONS = PAGES["reference/options.md"]


def row(name: str) -> list[str]:
    (line,) = re.findall(rf"^\| `{name}` \|.*", OPTIONS, re.M)[:1]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_setting_of_the_memory_has_its_row() -> None:
    told = re.findall(r"^\| `(\w+)` \|", OPTIONS.split("## Of the server")[0], re.M)
    assert told == list(Config.model_fields)


def test_a_row_tells_default_unit_range_and_meaning() -> None:
    meaning = "Size of the injected block, in tokens."
    assert row("max_tokens") == ["`max_tokens`", "`400`", "tokens", "from 0 to 20,000", meaning]
    assert row("cache_bytes")[1:4] == ["`268435456` (256 MiB)", "bytes", "from 0"]
    assert row("rerank_budget")[1:4] == ["`None`", "ms", "above 0 or `None`"]
    assert row("on_conflict")[3] == '`"latest"`, `"keep_both"`, `"ask"`'


def test_every_number_has_a_unit() -> None:
    switches = {name for name, field in Config.model_fields.items() if field.annotation is bool}
    choices = {"on_conflict", "pii"}
    without = {
        name for name in Config.model_fields if not reference.unit_of(Config.model_fields[name])
    }
    assert without == switches | choices


@pytest.mark.parametrize("kind", [ServerSettings, ProxySettings, JwtSettings])
def test_every_setting_of_the_server_has_its_row(kind: type) -> None:
    table = reference.settings_table(kind)
    for field in dataclasses.fields(kind):
        assert re.search(rf"^\| `{field.name}` \|.*\w.* \|$", table, re.M)


def test_every_command_and_option_is_told() -> None:
    page = PAGES["reference/cli.md"]
    for name, command in commands.commands():
        section = page.split(f"# {name}\n")[1].split("\n#")[0]
        hidden = {n for p in command.params if getattr(p, "hidden", False) for n in p.opts}
        told = set(re.findall(r"`(--?[a-z][\w-]*)`", section))
        assert commands.options(command) - hidden - {"--help"} <= told, name


def test_a_command_is_told_as_its_help_tells_it() -> None:
    section = PAGES["reference/cli.md"].split("\n## prefmem backup\n")[1].split("\n## ")[0]
    assert "prefmem backup DB [options]" in section
    assert "| `--to` | path | must be given | The copy: one file. |" in section
    assert "`PREFMEM_DB`" in section
    assert "passphrase" not in section  # a hidden option


def test_every_error_is_told_with_what_to_do() -> None:
    page = PAGES["reference/errors.md"]
    for kind in messages.tree():
        section = page.split(f"\n## {kind.__name__}\n")[1].split("\n## ")[0]
        assert "**What happened.** " in section
        assert "**What to do.** " in section
    assert set(messages.TO_DO) <= {kind.__name__ for kind in messages.tree()}
    assert errors.PrefmemError in messages.tree()


def test_messages_are_read_out_of_the_code() -> None:
    found = messages.messages()
    assert "unknown setting …" in "".join(found["ConfigError"])
    assert "…: a user id is needed, there is no default user" in "".join(found["UserRequiredError"])


def test_examples_are_shown_as_they_are() -> None:
    page = PAGES["hosts/examples.md"]
    shown = {block.title: block.code for block in text.blocks(page)}
    files = sorted((text.ROOT / "examples").glob("[0-9]*.py"))
    assert list(shown) == [f"examples/{file.name}" for file in files]
    assert shown["examples/01_plain_loop.py"] == files[0].read_text(encoding="utf-8")
