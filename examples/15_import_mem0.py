"""Coming from mem0 or langmem: the preferences among the memories become cards."""

import json
import tempfile
from pathlib import Path

from prefmem import PreferenceMemory
from prefmem_imports import import_langmem, import_mem0

MEM0 = {  # json.dump(mem0.get_all(filters={"user_id": "u-17"}), file)
    "results": [
        {"id": "1", "memory": "User prefers concise answers without preamble", "user_id": "u-17",
         "created_at": "2026-02-03T10:00:00-07:00"},
        {"id": "2", "memory": "Is allergic to peanuts", "user_id": "u-17"},
        {"id": "3", "memory": "User has a dog named Poppy", "user_id": "u-17"},
        {"id": "4", "memory": "User was recommended two films", "user_id": "u-17",
         "attributed_to": "assistant"},
        {"id": "5", "memory": "User wants code examples to include type hints", "user_id": "u-17"},
    ]
}  # fmt: skip
LANGMEM = [  # [item.dict() for item in store.search(("memories", "u-17"), limit=1000)]
    {"namespace": ["memories", "u-17"], "key": "a",
     "value": {"kind": "Memory", "content": {"content": "User does not want emojis in mails"}}},
]  # fmt: skip

with tempfile.TemporaryDirectory() as folder, PreferenceMemory(":memory:") as memory:
    file = Path(folder) / "mem0.json"
    file.write_text(json.dumps(MEM0), encoding="utf-8")
    # as `prefmem import mem0.json --from mem0 --user ann --owner u-17` does
    report = import_mem0(memory, json.loads(file.read_text()), user_id="ann", owner="u-17")
    for card in report.added:
        print(f"{card.text}  <- {card.preference.evidence[0].quote!r}, {card.valid_from.date()}")
    for left in report.skipped:
        print(f"left out: {left.entry.text!r}: {left.reason}")
    again = import_mem0(memory, MEM0, user_id="ann", owner="u-17")
    print("again:", len(again.added), "added")
    report = import_langmem(memory, LANGMEM, user_id="ann", owner="u-17")
    print("from langmem:", [card.text for card in report.added])
