"""Learning off the reply path: what is handed over is on disk, and survives a crash."""

import tempfile
from pathlib import Path

from openai import OpenAI
from shared import Endpoint, endpoint

from prefmem import PreferenceMemory

TURNS = ("Whenever you write Python for me, add type hints.", "A function that parses dates?")


def answered(model: Endpoint, memory: PreferenceMemory, text: str) -> str:
    """Answer one turn with the rules that apply, and hand it over to be learned."""
    client = OpenAI(base_url=model.url, api_key=model.key)
    messages = [{"role": "user", "content": text}]
    block = memory.render(memory.recall(text, user_id="ann"))
    prompt = [{"role": "system", "content": block}, *messages] if block else messages
    answer = client.chat.completions.create(model=model.model, messages=prompt)
    said = str(answer.choices[0].message.content)
    memory.learn_later([*messages, {"role": "assistant", "content": said}], user_id="ann")
    return said  # at once; a thread of this process learns, or `prefmem worker`


with endpoint(__doc__) as at, tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "prefs.db"
    first = PreferenceMemory(path)
    print("assistant:", answered(at, first, TURNS[0]))
    first.close(timeout=0)  # as if the process had ended here: what waits stays in the file

    with PreferenceMemory(path) as memory:
        print("left to learn:", memory.backlog().waiting)
        print("all learned:", memory.flush())  # or memory.wake(), and go on
        print("rules:", [card.text for card in memory.list(user_id="ann")])
        again = memory.learn_later([("user", TURNS[0])], user_id="ann")
        print("the first turn, handed over again, is new:", again)
        print("assistant:", answered(at, memory, TURNS[1]))
