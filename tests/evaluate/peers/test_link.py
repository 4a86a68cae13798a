"""A driver in a process of its own: asked, killed, dead, late; and what an environment weighs."""

import sys
from pathlib import Path

from prefmem.evaluate.peers import envs, material
from prefmem.evaluate.peers.link import ProcessLink

DRIVER = f"""
import os, sys, time
from pathlib import Path
sys.path.insert(0, {str(envs.DRIVERS)!r})
from serve import serve

class Held(list):
    def add(self, user, condition, action):
        print("libraries talk")
        if len(self) == 3 and "dies" in sys.argv:
            os._exit(7)
        if "sleeps" in sys.argv:
            time.sleep(60)
        self.append(condition)
        return condition

class Maker:
    keeps, durability, packages = "memory", "none", ("numpy",)
    def load(self): import numpy
    def open(self, folder, vectors): return Held()

serve(Maker())
"""


def link(tmp_path: Path, *args: str, seconds: float = 60) -> ProcessLink:
    script = tmp_path / "for_test.py"
    script.write_text(DRIVER, encoding="utf-8")
    drawn = material.make(tmp_path / "material", memories=20, queries=1, seed=0)
    made = ProcessLink(Path(sys.executable), script, args, tmp_path, seconds=seconds)
    assert set(made.ask(do="load")["versions"]) == {"numpy"}
    made.ask(do="open", folder=str(tmp_path), material=str(drawn.folder))
    return made


def test_a_driver_answers_and_ends(tmp_path: Path) -> None:
    asked = link(tmp_path)
    told = asked.ask(do="add", items=[["ann", 0], ["ann", 1]])
    assert len(told["cpu"]) == len(told["wall"]) == 2
    assert told["memory"] > 1e6
    assert "AttributeError" in asked.ask(do="delete", items=[["ann", 0]])["error"]
    asked.end()


def test_what_was_acknowledged_before_a_death_is_told(tmp_path: Path) -> None:
    asked = link(tmp_path, "dies")
    asked.start(do="stream", items=[["ann", n] for n in range(9)])
    assert [line.get("done") for line in asked.told()] == [0, 1, 2, None]
    assert asked.ask(do="close")["error"] == "the process died (7)"
    asked.kill()


def test_a_kill_ends_a_driver_that_works(tmp_path: Path) -> None:
    asked = link(tmp_path)
    asked.start(do="stream", items=[["ann", n % 20] for n in range(100_000)])
    lines = asked.told()
    assert next(lines) == {"done": 0}
    asked.kill()
    assert list(lines)[-1]["error"] == "the process died (-9)"


def test_a_driver_that_is_late_is_killed(tmp_path: Path) -> None:
    asked = link(tmp_path, "sleeps")
    asked._seconds = 0.2  # pyright: ignore[reportPrivateUsage]  # the start takes longer
    assert asked.ask(do="add", items=[["ann", 0]])["error"] == "no answer in 0 s"
    asked.end()


def test_every_peer_has_a_driver_and_an_environment_of_pinned_versions() -> None:
    peers, made = envs.read()
    assert peers[0].name == "prefmem"
    for peer in peers:
        assert (envs.DRIVERS / peer.driver).is_file()
        assert peer.env in made
    for env in made.values():
        named = {one.partition("==")[0].lower() for one in env.pinned}
        assert all("==" in one for one in env.pinned)
        assert named.isdisjoint(env.never)
        assert {"torch", "tensorflow"} <= set(env.never)


def test_an_environment_is_weighed_without_pip_and_bytecode(tmp_path: Path) -> None:
    site = tmp_path / "site"
    sizes = {
        "one/a.py": 10, "one/a.pyc": 500, "one-1.dist-info/METADATA": 7, "two.py": 5,
        "pip/b.py": 900, "pip-1.dist-info/METADATA": 900,
    }  # fmt: skip
    for name, size in sizes.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {site}\n", encoding="utf-8")
    python.chmod(0o755)
    assert envs.weigh(python) == {"packages": 1, "bytes": 22}
