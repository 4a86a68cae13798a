"""The Qwen3 extractor over a tiny Qwen3 that really answers; see tests/conftest.py."""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from prefmem import ConfigError, PreferenceMemory
from prefmem.extract.prompts import messages
from prefmem.extract.qwen3 import Qwen3Extractor
from prefmem.extract.verify import VerifiedExtractor
from prefmem.protocols import BatchExtractor
from prefmem.testing import HashEmbedder, check_extractor
from prefmem.types import Evidence, Preference, Scope, Turn, Window

SQL = "When you write SQL, always put the keywords in capitals."
SHORT = "Keep your answers short. And no tables in emails!"
LIMA = "What is the time in Lima?"
EMOJIS = "Please never use emojis."

# Windows, user first, and what the model is trained to find in the last turn: condition, action,
# confidence. In the turns before there is nothing.
WINDOWS: tuple[tuple[tuple[str, ...], tuple[tuple[str, str, float], ...]], ...] = (
    (("Use British spelling in my essays.",), (("writing essays", "use British spelling", 0.95),)),
    (("A cake for ten?", "With sugar and cream?", "No sugar in any recipe, thanks."),
     (("giving recipes", "use no sugar", 0.9),)),
    (("What is the capital of Peru?",), ()),
    (("Call me Sam, please.",), (("", "call the user Sam", 0.9),)),
    (("I only drink decaf after noon.",), (("it is after noon", "suggest decaf drinks", 0.8),)),
    (("Compare two phones.", "Here: $300, $400.", "Show prices in euros. And round them."),
     (("", "show prices in euros", 0.9), ("showing prices", "round them", 0.85))),
    (("Translate this into Welsh: good night.",), ()),
    (("My flights must be direct.",), (("booking flights", "choose direct flights", 0.9),)),
    (("Is rum strong?", "I am no doctor, but yes.", "Stop adding disclaimers!"),
     (("", "stop adding disclaimers", 0.95),)),
    (("I hate long intros in emails.",), (("writing emails", "avoid long intros", 0.85),)),
    (("How tall is that tower?",), ()),
    (("With my kids, keep jokes clean.",), (("the kids are there", "keep jokes clean", 0.8),)),
    (("For code I want type hints and tests.",),
     (("writing code", "add type hints", 0.9), ("writing code", "write tests", 0.9))),
    (("Name three films.", "Alien, Heat, Ran.", "Sort the list by year."), ()),
    (("Explain tables with an example, as ever.",),
     (("explaining tables", "give an example", 0.6),)),
    (("I like sources at the end of answers.",), (("", "put sources at the end", 0.75),)),
)  # fmt: skip


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


def test_an_invention_is_left_out_and_counted(tiny_qwen3_folder: Path) -> None:
    extractor = Qwen3Extractor(tiny_qwen3_folder)
    assert extractor.rejected == {}
    assert extractor.extract(window("Write a poem about rain."), ["0"]) == ()
    assert extractor.extract(window(SQL), ["0"]) == (sql("0"),)
    assert extractor.rejected == {"unsupported": 1}


def test_many_windows_are_read_as_each_alone(tiny_qwen3_folder: Path) -> None:
    items: list[tuple[Window, list[str]]] = [
        (window(SQL, "Fine.", SHORT), ["0", "2"]),
        (window(SQL, "Fine.", SHORT), ["2"]),
        (window(), []),
        (window("Write a poem about rain.", EMOJIS, LIMA), ["0", "1", "2"]),
        (window(SHORT), ["0", "7"]),
    ]
    extractor = Qwen3Extractor(tiny_qwen3_folder, batch_size=3)
    assert isinstance(extractor, BatchExtractor)
    assert extractor.extract_many(items) == [
        (sql("0"), *short("2")), short("2"), (), (), short("0")
    ]  # fmt: skip
    assert extractor.extract_many([]) == []
    for prompt in ("training", "card"):
        extractor = Qwen3Extractor(tiny_qwen3_folder, prompt=prompt)
        assert extractor.extract_many(items) == [extractor.extract(*item) for item in items]


def test_the_card_prompt_charges_a_rule_to_the_turn_that_said_it(tiny_qwen3_folder: Path) -> None:
    extractor = Qwen3Extractor(tiny_qwen3_folder, prompt="card")
    # Both windows are answered with the rule; it comes once, from the first turn.
    assert extractor.extract(window(SQL, "Fine.", LIMA), ["0", "2"]) == (sql("0"),)
    assert extractor.extract(window(SQL, "Fine.", LIMA), ["2"]) == ()
    dialogue = window(LIMA, f"Nine. {EMOJIS}", SHORT)
    assert extractor.extract(dialogue, ["0", "2"]) == short("2")


def test_noise_gives_nothing_that_the_user_did_not_say(
    tiny_qwen3_folder: Path, tmp_path: Path
) -> None:
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    config = transformers.AutoConfig.from_pretrained(tiny_qwen3_folder, initializer_range=1.0)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_qwen3_folder).save_pretrained(tmp_path)
    extractor = Qwen3Extractor(tmp_path)
    windows = [window(text) for text in (SQL, SHORT, LIMA, EMOJIS)]
    assert extractor.extract_many([(one, ["0"]) for one in windows]) == [()] * 4
    assert extractor.rejected["unsupported"] > 0
    assert extractor.rejected.keys() <= {"unsupported", "no_action", "duplicate", "confidence"}


def test_a_model_returns_what_it_was_trained_on(
    train_qwen3: Callable[[Path, Sequence[tuple[list[dict[str, str]], str]]], None], tmp_path: Path
) -> None:
    dialogues: list[tuple[list[dict[str, str]], str]] = []
    for texts, rules in WINDOWS:
        items = [{"condition": c, "action": a, "confidence": p} for c, a, p in rules]
        for text in texts[::2]:
            answer = json.dumps({"preferences": items if text == texts[-1] else []})
            dialogues.append((messages("training", window(text).turns), answer))
    train_qwen3(tmp_path, dialogues)
    right = 0
    extractor = Qwen3Extractor(tmp_path)
    with PreferenceMemory(":memory:", extractor=extractor, embedder=HashEmbedder()) as memory:
        for n, (texts, rules) in enumerate(WINDOWS):
            dialogue = [(turn.role, turn.text) for turn in window(*texts).turns]
            memory.learn(dialogue, user_id=f"user {n}")
            cards = memory.list(user_id=f"user {n}")
            found = {
                (c.preference.condition, c.preference.action, c.preference.confidence)
                for c in cards
            }
            right += found == set(rules)
    assert right >= 15


def test_qwen3_is_chosen_by_name_and_loads_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with PreferenceMemory(":memory:", extractor="qwen3", embedder=HashEmbedder()) as memory:
        assert isinstance(memory.extractor, VerifiedExtractor)
        assert isinstance(memory.extractor.extractor, Qwen3Extractor)


def test_an_unknown_name_or_prompt_is_refused() -> None:
    unknown: Any = "qwen9"
    with pytest.raises(ConfigError, match="extractor='qwen9'; known is 'qwen3'"):
        PreferenceMemory(":memory:", extractor=unknown, embedder=HashEmbedder())
    with pytest.raises(ConfigError, match="prompt='qwen9'; known are training, card"):
        Qwen3Extractor(prompt=unknown)
    with pytest.raises(ConfigError, match="batch_size=0; pass 1 or more"):
        Qwen3Extractor(batch_size=0)


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
