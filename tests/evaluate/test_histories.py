"""A memory that lives through dated sessions."""

import pytest

from prefmem.evaluate.plugs import history_system

pytestmark = pytest.mark.model


def session(name: str, date: str, text: str) -> dict[str, object]:
    return {"id": name, "date": date, "turns": [{"role": "user", "content": text}]}


def test_rules_hold_on_their_days() -> None:
    system = history_system()
    system.learn(session("s1", "2026-03-01", "I don't want any emojis."))
    system.learn(session("s2", "2026-03-02", "Until 2026-03-10, please keep your answers short."))
    texts = [str(rule["text"]) for rule in system.rules()]
    assert all(rule["active"] for rule in system.rules())
    assert any("emojis" in text for text in texts)
    (short,) = [text for text in texts if "short" in text]
    assert "2026" not in short
    system.ask("How tall is the Eiffel tower?", "2026-03-11")
    assert {rule["text"]: rule["active"] for rule in system.rules()}[short] is False
