# ruff: noqa: T201  # a script that reports
"""Runs the tests of each host with the host's own package, in a virtual environment of its own.

`python tests/integrations/hosts/run.py [HOST ...]`: the hosts' dependencies do not go together, so
the default suite skips what is not installed. Each environment takes a minute and 200 to 400 MB.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
TOOLS = ("pytest>=8.3", "pytest-asyncio>=0.25", "mypy>=1.15")
EXAMPLE = "tests/examples/test_examples.py::test_an_example_shows_what_prefmem_does"
HOSTS = {  # host: what it installs beside prefmem, the package to type-check against it, an example
    "pydantic_ai": (
        ("pydantic-ai-slim[openai]>=2.64,<3",),
        "prefmem_pydantic_ai",
        "12_pydantic_ai",
    ),
    "openai_agents": (("openai-agents>=0.20,<1",), "prefmem_openai_agents", "13_openai_agents"),
    "llamaindex": (("llama-index-core>=0.14.5,<0.15",), "prefmem_llamaindex", "14_llamaindex"),
    "openwebui": (
        ("fastapi>=0.115", "uvicorn>=0.30", "httpx>=0.27", "pyjwt[crypto]", "prometheus-client"),
        "prefmem_openwebui",
        "",
    ),
}


def main() -> int:
    """Run the hosts that are named, or all; gives how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", metavar="HOST", help=", ".join(HOSTS))
    parser.add_argument("--keep", type=Path, help="Folder for the environments, to use again.")
    given = parser.parse_args()
    if unknown := set(given.hosts) - HOSTS.keys():
        parser.error(f"no host {', '.join(sorted(unknown))}; there are {', '.join(HOSTS)}")
    told: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for host in given.hosts or HOSTS:
            told[host] = tested(host, (given.keep or Path(folder)) / host)
    print("\n".join(f"{host:15} {line}" for host, line in told.items()))
    return sum("failed" in line or "passed" not in line for line in told.values())


def tested(host: str, place: Path) -> str:
    """Make the environment where there is none, and run one host's tests and type check."""
    packages, package, example = HOSTS[host]
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    install = [str(python), "-m", "pip", "install", "-q", "-e", str(ROOT), *packages, *TOOLS]
    if subprocess.run(install, check=False).returncode:
        return "failed to install"
    tests = [
        str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--confcutdir", str(HERE),
        str(HERE / f"test_host_{host}.py"), *([f"{EXAMPLE}[{example}]"] if example else []),
    ]  # fmt: skip
    run = subprocess.run(tests, cwd=ROOT, capture_output=True, text=True, check=False)
    counts = re.findall(r"^=* ?(\d+ (?:passed|failed|skipped|error).*?)(?: =*)?$", run.stdout, re.M)
    if run.returncode or not counts:
        print(run.stdout[-5000:], run.stderr[-2000:], sep="\n")
        return f"failed: {counts[-1] if counts else 'no test ran'}"
    if "skipped" in counts[-1]:
        return f"failed: {counts[-1]}: the host is not there"
    types = [str(python), "-m", "mypy", "--cache-dir", str(place / "mypy"), "-p", package]
    if subprocess.run(types, cwd=ROOT, check=False).returncode:
        return f"failed: {counts[-1]}, types do not fit"
    return f"{counts[-1]}, types fit"


if __name__ == "__main__":
    sys.exit(main())
