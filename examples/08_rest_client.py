"""The REST service: `prefmem serve`, and a client in any language; here Python's httpx."""

import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from shared import Endpoint, endpoint, served


def main(model: Endpoint, folder: Path) -> None:
    keys = str(folder / "keys.json")
    made = [sys.executable, "-m", "prefmem", "serve", "--keys", keys, "--new-key", "shop"]
    key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    with served("--db", str(folder / "prefs.db"), "--keys", keys) as address:
        headers = {"Authorization": f"Bearer {key}", "Prefmem-User": "ann%40example.org"}
        rest = httpx.Client(base_url=f"{address}/v1", headers=headers, timeout=30)
        chat = httpx.Client(
            base_url=f"{model.url}/", timeout=60,
            headers={"Authorization": f"Bearer {model.key}"},
        )  # fmt: skip
        for text in ("When you write mails for me, be very formal.", "A mail to my landlord?"):
            block = rest.post("/recall", json={"query": text}).json()["block"]
            messages = [{"role": "user", "content": text}]
            prompt = [{"role": "system", "content": block}, *messages] if block else messages
            said = chat.post("chat/completions", json={"model": model.model, "messages": prompt})
            answer = said.json()["choices"][0]["message"]
            print("assistant:", answer["content"])
            told = {"messages": [*messages, answer], "mode": "inline"}
            print(
                "learned:",
                [card["text"] for card in rest.post("/learn", json=told).json()["added"]],
            )
        print("without a key:", httpx.get(f"{address}/v1/cards").status_code)


with endpoint(__doc__) as at, tempfile.TemporaryDirectory() as place:
    main(at, Path(place))
