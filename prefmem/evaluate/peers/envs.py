"""The peers, and an environment of its own for each: made once, from pinned versions on PyPI."""

import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prefmem
from prefmem.errors import PrefmemError
from prefmem.evaluate.stamp import fingerprint, texts
from prefmem.train.progress import Progress

DRIVERS = Path(__file__).parent / "drivers"
_LIST = Path(__file__).with_name("peers.toml")
_MADE = "made.txt"  # in an environment that is complete: the fingerprint of what it is made of
_TOOLS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth")


class EnvironmentFailedError(PrefmemError):
    """A peer's environment could not be made."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer, as the list has it.

    Attributes:
        name: What it is called in the table.
        env: Its environment.
        driver: Its script, a file in `drivers/`.
        args: The script's arguments.
        most: Memories that it is measured with at most.
    """

    name: str
    env: str
    driver: str
    args: tuple[str, ...] = ()
    most: int = sys.maxsize


@dataclass(frozen=True, slots=True)
class Env:
    """What is installed for a peer.

    Attributes:
        asked: Requirements.
        pinned: Every version that comes with them.
        never: Packages that must not come with them.
    """

    asked: tuple[str, ...]
    pinned: tuple[str, ...]
    never: tuple[str, ...]

    @property
    def mark(self) -> str:
        """Name what the environment is made of; another one needs another environment."""
        ours = texts(_source()) if "prefmem" in self.asked else ""
        return fingerprint("\n".join([sys.version, *self.asked, *self.pinned, ours]).encode())


def read() -> tuple[tuple[Peer, ...], Mapping[str, Env]]:
    """Read the list of peers and their environments."""
    told: dict[str, Any] = tomllib.loads(_LIST.read_text(encoding="utf-8"))
    peers = tuple(
        Peer(
            one["name"], one["env"], one["driver"], tuple(one.get("args", ())),
            one.get("most", sys.maxsize),
        )
        for one in told["peers"]
    )  # fmt: skip
    envs = {
        name: Env(tuple(one["asked"]), tuple(one["pinned"]), tuple(told["never"]))
        for name, one in told["envs"].items()
    }
    return peers, envs


def prepare(folder: Path, envs: Mapping[str, Env], progress: Progress) -> Mapping[str, Path]:
    """Make the environments that are not there yet; gives the interpreter of each.

    prefmem itself is installed from the source that is running, or in its version from PyPI.

    Raises:
        EnvironmentFailedError: pip could not install what is pinned; the message tells why.
    """
    found: dict[str, Path] = {}
    for number, (name, env) in enumerate(envs.items()):
        progress(f"environment of {name}", number, len(envs))
        home = folder / name
        found[name] = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        if _mark_of(home) != env.mark:
            _make(home, found[name], env)
    progress("environments", len(envs), len(envs))
    return found


def weigh(python: Path) -> dict[str, Any]:
    """Count what an environment holds beside pip: packages, and bytes of their files."""
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    told = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=True)
    site = Path(told.stdout.strip())
    parts = [part for part in site.iterdir() if not part.name.startswith(_TOOLS)]
    files = [f for part in parts for f in ([part] if part.is_file() else part.rglob("*"))]
    counted = [f for f in files if f.is_file() and f.suffix != ".pyc"]
    return {
        "packages": sum(part.suffix == ".dist-info" for part in parts),
        "bytes": sum(f.stat().st_size for f in counted),
    }


def _make(home: Path, python: Path, env: Env) -> None:
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    limits = home / "constraints.txt"
    never = [f"{name}<0" for name in env.never]
    limits.write_text("\n".join([*env.pinned, *never, ""]), encoding="utf-8")
    asked = [_ourselves() if one == "prefmem" else one for one in env.asked]
    _pip(python, ["-c", str(limits), *asked])
    (home / _MADE).write_text(env.mark, encoding="utf-8")


def _mark_of(home: Path) -> str:
    made = home / _MADE
    return made.read_text(encoding="utf-8") if made.exists() else ""


def _source() -> list[Path]:
    """Give what decides how prefmem does; what measures it, and the training, do not."""
    package = Path(prefmem.__file__).parent
    apart = {"evaluate", "train", "selftest"}
    return [path for path in package.rglob("*.py") if apart.isdisjoint(path.parts)]


def _ourselves() -> str:
    source = Path(prefmem.__file__).parents[1]
    is_source = (source / "pyproject.toml").exists()
    return str(source) if is_source else f"prefmem=={prefmem.__version__}"


def _pip(python: Path, asked: Sequence[str]) -> None:
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *asked])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise EnvironmentFailedError(
            f"{' '.join(command[:4])} ... failed:\n{last}\nPyPI must be reachable the first time; "
            "keep the environments with --envs"
        )
