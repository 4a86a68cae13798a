"""Coverage-guided fuzzing of the doors of `prefmem.selftest.targets`, with atheris.

python tests/faults/atheris_targets.py "log blobs" -max_total_time=120 corpus/

Needs atheris (pip install atheris==2.3.0) in an environment with prefmem and hypothesis. Without a
name it lists the doors. Options and folders after the name are libFuzzer's. A crash ends the run
with exit code 77 and leaves the input in the folder that `-artifact_prefix=` names.
"""

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis

atheris: Any = import_module("atheris")  # types: none; installed in its own environment

with atheris.instrument_imports(include=["prefmem"]):
    import_module("prefmem.selftest.targets")
    import_module("prefmem_imports")

# What takes bytes or a text as it comes needs no strategy between it and libFuzzer.
RAW: dict[str, Callable[[bytes], object]] = {
    "extractor answers": lambda data: data.decode("utf-8", "replace"),
    "endpoint bodies": lambda data: data.decode("utf-8", "replace"),
    "log blobs": bytes,
    "state blobs": bytes,
    "stored cards": lambda data: data.decode("utf-8", "replace"),
    "stored events": lambda data: data.decode("utf-8", "replace"),
    "stored turns": lambda data: data.decode("utf-8", "replace"),
    "words": lambda data: data.decode("utf-8", "replace"),
}


def entry(name: str) -> Callable[[bytes], object]:
    """Give the function that libFuzzer calls for a door: half of the inputs by its strategy."""
    targets: Any = import_module("prefmem.selftest.targets")
    doors = {door.name: door for door in targets.targets()}
    if name not in doors:
        raise SystemExit("\n".join(doors))
    door = doors[name]

    def check(value: object) -> None:
        door.check(value)

    given: Any = hypothesis.given(door.inputs)
    test: Any = hypothesis.settings(database=None, deadline=None)(given(check))
    drawn: Callable[[bytes], object] = test.hypothesis.fuzz_one_input
    raw = RAW.get(name)

    def one(data: bytes) -> None:
        if raw is not None and data[:1] < b"\x80":
            door.check(raw(data[1:]))
        else:
            drawn(data[1:])

    return one


def plant(name: str, folders: Iterable[Path]) -> None:
    """Begin each corpus with the sound inputs of a door."""
    targets: Any = import_module("prefmem.selftest.targets")
    seeds = next(door.seeds for door in targets.targets() if door.name == name)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / f"seed{number}").write_bytes(b"\0" + seed)


def main() -> None:
    """Fuzz one door."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    one = entry(name)
    plant(name, (Path(word) for word in sys.argv[2:] if not word.startswith("-")))
    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
