"""What the examples share: which model answers. Offline it is a parrot that says its rules.

Every example runs as it stands, without a network, and with a real model by two flags:
`python examples/02_langchain_agent.py --endpoint http://127.0.0.1:11434/v1 --model llama3.2`
(the key, where one is needed, in OPENAI_API_KEY).
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible address, the name of a model there, and a key."""

    url: str
    model: str
    key: str


@contextmanager
def endpoint(description: str | None) -> Generator[Endpoint]:
    """Give the model of --endpoint and --model, or a parrot on a port of this machine."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible, ends in /v1.")
    parser.add_argument("--model", default="parrot")
    given = parser.parse_args()
    if given.endpoint:
        key = os.environ.get("OPENAI_API_KEY", "none")  # noqa: TID251  # a program of its own
        yield Endpoint(given.endpoint, given.model, key)
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Parrot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", given.model, "none")
    server.shutdown()
    server.server_close()


@contextmanager
def served(*arguments: str, **environment: str) -> Generator[str]:
    """Run `prefmem serve` on a free port of this machine; gives its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "prefmem", "serve", "--port", str(port), *arguments]
    known = os.environ | environment  # noqa: TID251  # a program of its own
    process = subprocess.Popen([*command, "--log-level", "warning"], env=known)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/healthz", timeout=1).close()
                break
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


class _Parrot(BaseHTTPRequestHandler):
    """Answers with the rules that it was given, or with "Fine."; streams where it is asked to."""

    def do_POST(self) -> None:  # as in http.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        lines = "\n".join(_text(m.get("content")) for m in asked["messages"]).splitlines()
        rules = [json.loads(line)["rule"] for line in lines if line.startswith('{"rule"')]
        said = f"I keep to: {' '.join(rules)}" if rules else "Fine."
        whole = {"id": "1", "created": 0, "model": asked["model"]}
        if asked.get("stream"):
            parts = [{"role": "assistant"}, *({"content": f"{word} "} for word in said.split())]
            rows = [{"index": 0, "delta": part, "finish_reason": None} for part in [*parts, {}]]
            rows[-1]["finish_reason"] = "stop"
            kind = whole | {"object": "chat.completion.chunk"}
            events = [*(json.dumps(kind | {"choices": [row]}) for row in rows), "[DONE]"]
            self._send("text/event-stream", "".join(f"data: {event}\n\n" for event in events))
            return
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        kind = whole | {"object": "chat.completion", "choices": [choice], "usage": usage}
        self._send("application/json", json.dumps(kind))

    def _send(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # as in http.server
        """Stay quiet."""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part.get("text", "") for part in parts if isinstance(part, dict))
