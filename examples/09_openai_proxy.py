"""The proxy: any OpenAI client gets a memory by another base URL, and knows nothing of it."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from openai import OpenAI
from shared import Endpoint, endpoint, served


def main(model: Endpoint, folder: Path) -> None:
    keys = str(folder / "keys.json")
    made = [sys.executable, "-m", "prefmem", "serve", "--keys", keys, "--new-key", "ann",
            "--user", "ann"]  # fmt: skip
    key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    arguments = ("--db", str(folder / "prefs.db"), "--keys", keys, "--upstream", model.url)
    with served(*arguments, PREFMEM_UPSTREAM_KEY=model.key) as address:
        client = OpenAI(base_url=f"{address}/v1", api_key=key)  # these two are all that changes
        rest = httpx.Client(base_url=f"{address}/v1", headers={"Authorization": f"Bearer {key}"})
        for text in ("When you write mails for me, be very formal.", "A mail to my landlord?"):
            stream = client.chat.completions.create(
                model=model.model, messages=[{"role": "user", "content": text}], stream=True
            )
            words = (chunk.choices[0].delta.content for chunk in stream if chunk.choices)
            print("assistant:", "".join(word or "" for word in words))
            for _ in range(100):  # it learns in the background; the same server answers REST
                query = {"query": "A mail to my landlord?"}
                if rules := rest.post("/recall", json=query, timeout=60).json()["rules"]:
                    break
                time.sleep(0.1)
        print("learned:", [rule["text"] for rule in rules])


with endpoint(__doc__) as at, tempfile.TemporaryDirectory() as place:
    main(at, Path(place))
