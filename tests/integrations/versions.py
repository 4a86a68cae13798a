"""Run the tests of LangChain and LangGraph on the lowest and on the newest versions allowed.

python tests/integrations/versions.py                       # both, as pyproject.toml has them
python tests/integrations/versions.py lowest langchain==1.3.0 langgraph==1.2.0   # other pins

Makes a virtual environment for each below a temporary folder, installs the repository into it with
the extra `langchain`, and runs pytest there. Needs a package index; takes some minutes.
"""

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ("langchain", "langgraph", "langchain-core")
HELPERS = (
    "aiosqlite",
    "hypothesis",
    "langchain-tests",
    "langgraph-checkpoint-conformance",
    "langgraph-checkpoint-sqlite",
    "pytest",
    "pytest-asyncio",
)
TESTS = (
    "bad_input", "checkpoint_conformance", "confirm", "convert", "elicit_node", "identity",
    "langchain_package", "learning", "middleware", "middleware_check", "middleware_commands",
    "middleware_runs", "nodes", "pitfalls_runs", "pitfalls_state", "placing", "retriever", "tools",
    "without_memory",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run what is asked for; gives how many of the environments failed."""
    kinds = [arguments[0]] if arguments else ["lowest", "newest"]
    failed = 0
    for kind in kinds:
        if arguments[1:]:  # which the extra may not allow
            failed += not passes(kind, [str(ROOT), *arguments[1:]])
        else:
            failed += not passes(
                kind, [f"{ROOT}[langchain]", *(lowest() if kind == "lowest" else ())]
            )
    return failed


def lowest() -> list[str]:
    """Pin what the extras ask for to its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [r for extra in project["optional-dependencies"].values() for r in extra]
    found = [re.match(r"([\w-]+)>=([\w.]+)", requirement) for requirement in wanted]
    return [f"{m[1]}=={m[2]}" for m in found if m and m[1] in HOSTS]


def passes(kind: str, wanted: list[str]) -> bool:
    """Make an environment with these packages, and run the tests in it."""
    say(f"{kind}: {' '.join(wanted)}")
    with TemporaryDirectory(prefix=f"prefmem-{kind}-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        install = [python, "-m", "pip", "install", "--quiet", "--upgrade"]
        if subprocess.run([*install, *wanted, *HELPERS]).returncode:
            say(f"{kind}: cannot be installed")
            return False
        show = "from importlib.metadata import version as v; print(*[f'{n} {v(n)}' for n in %r])"
        subprocess.run([python, "-c", show % (HOSTS,)])
        tests = [str(ROOT / "tests" / "integrations" / f"test_{name}.py") for name in TESTS]
        command = [
            python,
            "-P",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:benchmark",
        ]
        return subprocess.run([*command, *tests], cwd=ROOT).returncode == 0


def say(text: str) -> None:
    """Report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
