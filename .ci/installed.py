"""Checks an installed wheel from a folder outside the tree: python installed.py base|all."""

import importlib
import subprocess
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

HEAVY = ("torch", "transformers", "langchain", "langchain_core", "langgraph")
MOST_PACKAGES, MOST_MEGABYTES = 36, 450

kind = sys.argv[1]
assert find_spec("integrations") is None, "the shelf must not be importable"

import prefmem  # noqa: E402  # after the check above

loaded = [name for name in HEAVY if name in sys.modules]
assert not loaded, f"import prefmem loads {loaded}"

with prefmem.PreferenceMemory(":memory:") as memory:
    text = "When you write SQL for me, always put the keywords in capitals."
    report = memory.learn([("user", text)], user_id="ann")
    assert report.added, "nothing was learned from a plain statement"
    block = memory.render(memory.recall("a SQL query for monthly sales", user_id="ann"))
    assert "capitals" in block, block
print(block)

import prefmem_langchain  # noqa: E402  # the wheel ships it, its needs are an extra

if kind == "base":
    assert not any(find_spec(name) for name in HEAVY)
    try:
        prefmem_langchain.PreferenceMiddleware
    except ImportError as error:
        assert "pip install" in str(error), error
        print(error)
    else:
        raise AssertionError("PreferenceMiddleware came without langchain")
    command = [sys.executable, "-m", "prefmem", "evaluate", "user-model", "--users", "1"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "pip install" in told, told  # not a traceback
    assert "Traceback" not in told, told
    packages = {d.metadata["Name"].lower() for d in distributions()} - {"pip", "setuptools"}
    root = Path(prefmem.__file__).parent.parent
    size = sum(f.stat().st_size for f in root.rglob("*") if f.is_file()) / 2**20
    print(f"{len(packages)} packages, {size:.0f} MB")
    assert len(packages) <= MOST_PACKAGES, sorted(packages)
    assert size <= MOST_MEGABYTES
else:
    for name in ("PreferenceMiddleware", "RecallNode", "LearnNode", "PreferenceState"):
        assert getattr(prefmem_langchain, name)
    importlib.import_module("prefmem.train.tagger")
    subprocess.run([sys.executable, "-m", "prefmem", "demo", "--who", "code"], check=True)
subprocess.run([sys.executable, "-m", "prefmem", "doctor"], check=True)
