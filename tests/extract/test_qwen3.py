"""The Qwen3 extractor over a tiny Qwen3 that really answers; see tests/conftest.py."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from prefmem import ConfigError, PreferenceMemory
from prefmem.extract.prompts import messages
from prefmem.extract.qwen3 import Qwen3Extractor
from prefmem.testing import HashEmbedder, check_extractor
from prefmem.types import Evidence, Preference, Scope, Turn, Window

SQL = "When you write SQL, always put the keywords in capitals."
SHORT = "Keep your answers short. And no tables in emails!"
LIMA = "What is the time in Lima?"
EMOJIS = "Please never use emojis."


def sql(turn_id: str) -> Preference:
    return Preference(
        "writing SQL", "put keywords in capitals", "do", 0.9, Scope("conditional"),
        (Evidence(turn_id, SQL),),
    )  # fmt: skip


def short(turn_id: str) -> tuple[Preference, Preference]:
    return (
        Preference(
            "", "keep answers short", "do", 0.8, Scope("global"),
            (Evidence(turn_id, "Keep your answers short."),),
        ),
        Preference(
            "writing emails", "use no tables", "avoid", 0.7, Scope("conditional"),
            (Evidence(turn_id, "And no tables in emails!"),),
        ),
    )  # fmt: skip


def window(*texts: str) -> Window:
    """Alternate the texts between user and assistant."""
    turns = (Turn(str(n), "assistant" if n % 2 else "user", t) for n, t in enumerate(texts))
    return Window("ann", "s", tuple(turns))


def test_a_memory_learns_what_the_model_finds(tiny_qwen3_folder: Path) -> None:
    extractor = Qwen3Extractor(tiny_qwen3_folder)
    dialogue = [("user", SQL), ("assistant", EMOJIS), ("user", LIMA), ("user", SHORT)]
    with PreferenceMemory(":memory:", extractor=extractor, embedder=HashEmbedder()) as memory:
        report = memory.learn(dialogue, user_id="ann")
        assert report.turns == 3
        found = {card.preference for card in memory.list(user_id="ann")}
    assert found == {sql("0"), *short("3")}


def test_the_extractor_keeps_its_contract(tiny_qwen3_folder: Path) -> None:
    check_extractor(Qwen3Extractor(tiny_qwen3_folder), EMOJIS)


def test_an_invention_is_left_out(tiny_qwen3_folder: Path) -> None:
    found = Qwen3Extractor(tiny_qwen3_folder).extract(window("Write a poem about rain."), ["0"])
    assert found == ()


def test_the_card_prompt_charges_a_rule_to_the_turn_that_said_it(tiny_qwen3_folder: Path) -> None:
    extractor = Qwen3Extractor(tiny_qwen3_folder, prompt="card")
    # Both windows are answered with the rule; it comes once, from the first turn.
    assert extractor.extract(window(SQL, "Fine.", LIMA), ["0", "2"]) == (sql("0"),)
    assert extractor.extract(window(SQL, "Fine.", LIMA), ["2"]) == ()
    dialogue = window(LIMA, f"Nine. {EMOJIS}", SHORT)
    assert extractor.extract(dialogue, ["0", "2"]) == short("2")


def test_noise_gives_nothing(tiny_qwen3_folder: Path, tmp_path: Path) -> None:
    transformers: Any = import_module("transformers")
    config = transformers.AutoConfig.from_pretrained(tiny_qwen3_folder)
    transformers.Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_qwen3_folder).save_pretrained(tmp_path)
    assert Qwen3Extractor(tmp_path).extract(window(SQL), ["0"]) == ()


def test_qwen3_is_chosen_by_name_and_loads_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with PreferenceMemory(":memory:", extractor="qwen3", embedder=HashEmbedder()) as memory:
        assert isinstance(memory.extractor, Qwen3Extractor)


def test_an_unknown_name_or_prompt_is_refused() -> None:
    unknown: Any = "qwen9"
    with pytest.raises(ConfigError, match="extractor='qwen9'; known is 'qwen3'"):
        PreferenceMemory(":memory:", extractor=unknown, embedder=HashEmbedder())
    with pytest.raises(ConfigError, match="prompt='qwen9'; known are training, card"):
        Qwen3Extractor(prompt=unknown)


def test_prompts_are_the_published_ones() -> None:
    turns = window(LIMA, "Nine.", SHORT).turns
    assert messages("training", turns) == [
        {
            "role": "system",
            "content": "Extract user preferences from the query into JSON format based on the "
            "PreferenceList schema. If no preferences are found, return "
            '{"preferences": []}.',
        },
        {"role": "user", "content": SHORT},
    ]
    assert messages("card", turns) == [
        {
            "role": "system",
            "content": "You are a preference extractor. Given the dialogue window, extract "
            "preferences into JSON format.",
        },
        {"role": "user", "content": f"User: {LIMA}\nAssistant: Nine.\nUser: {SHORT}"},
    ]


def test_long_windows_lose_their_oldest_turns_and_long_turns_their_middle() -> None:
    long = "a" * 2_500 + "b" * 2_500
    (_, asked) = messages("training", window(long).turns)
    assert asked["content"] == "a" * 2_000 + "\n...\n" + "b" * 2_000
    (_, asked) = messages("card", window("old", "x" * 4_000, "y" * 3_900, "z" * 3_900, "new").turns)
    # From the newest: 9 + 3,911 + 3,906 leave 4,174 of 12,000, and 4,011 more fit; "User: old" too.
    assert asked["content"].startswith("User: old\nAssistant: x")
    (_, asked) = messages("card", window("x" * 4_000, "y" * 4_000, "z" * 4_000).turns)
    # 4,006 + 4,011 leave 3,983, and the first line has 4,006.
    assert asked["content"].startswith("Assistant: y")
