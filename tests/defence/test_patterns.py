"""The patterns that read turns and rules take linear time on hostile text as long as they read.

A process of its own runs them, so that one that hangs is cut off and named.
"""

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import importlib, pkgutil, re, sys, time
import prefmem

SIZE = 100_000
HOSTILE = [
    "a" * SIZE, " " * SIZE, "\\n" * SIZE, "a " * (SIZE // 2), "1" * SIZE, "1 " * (SIZE // 2),
    "\\"" * SIZE, "'a" * (SIZE // 2), "`" * SIZE, "[" * SIZE, "<a " * (SIZE // 3),
    "> " * (SIZE // 2),
    "“" * SIZE, "a." * (SIZE // 2), "a, " * (SIZE // 3), "never " * (SIZE // 6), "ä" * SIZE,
    "from: a\\n" * (SIZE // 8), "i prefer the " * (SIZE // 13), "http://" * (SIZE // 7),
    "A1" * (SIZE // 2),
    "remember that " * (SIZE // 14), "he said " * (SIZE // 8), "{" * SIZE, "- a\\n" * (SIZE // 4),
]
READING = ("prefmem.defence", "prefmem.cards.authority", "prefmem.messages", "prefmem.render")

def patterns(value, seen):
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from patterns(item, seen)
    elif isinstance(value, dict):
        for item in value.values():
            yield from patterns(item, seen)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for name in value.__dataclass_fields__:
            yield from patterns(getattr(value, name, None), seen)

BOUNDED = eval(sys.argv[1])
found, module_of = {}, {}
for module in pkgutil.walk_packages(prefmem.__path__, "prefmem."):
    if not module.name.startswith(READING):
        continue
    try:
        loaded = importlib.import_module(module.name)
    except ImportError:
        continue
    for name, value in vars(loaded).items():
        for number, pattern in enumerate(patterns(value, set())):
            if isinstance(pattern.pattern, str):
                found.setdefault(pattern, f"{module.name}.{name}[{number}]")
                module_of[found[pattern]] = module.name
slow = {}
for pattern, name in found.items():
    size = BOUNDED.get(module_of[name], SIZE)
    for text in HOSTILE:
        print(name, file=sys.stderr, flush=True)
        began = time.process_time()
        for _ in pattern.finditer(text[:size]):
            pass
        spent = time.process_time() - began
        if spent > 2.0:
            slow[name] = max(spent, slow.get(name, 0))
            if spent > 10:
                break
print(len(found), slow)
"""
# Characters that a module's patterns are shown at most; two slots of the longest setting.
BOUNDED = {
    "prefmem.cards.authority": 20_000, "prefmem.defence.privacy": 20_000,
    "prefmem.defence.facets": 8_000, "prefmem.render_check": 10_000,
}  # fmt: skip


@pytest.mark.long
def test_patterns_are_linear(tmp_path: Path) -> None:
    errors = tmp_path / "names"
    with errors.open("w") as names:
        run = subprocess.run(
            [sys.executable, "-c", PROBE, repr(BOUNDED)],
            stdout=subprocess.PIPE, stderr=names, text=True, timeout=1_200, check=False,
        )  # fmt: skip
    last = errors.read_text().splitlines()[-1:]
    assert run.returncode == 0, last
    count, slow = run.stdout.strip().split(" ", 1)
    assert int(count) > 20
    assert slow == "{}"
