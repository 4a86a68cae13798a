"""Chat models for measurements: opened by name, and asked the same thing only once."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from prefmem.evaluate.obedience import Chat, Message

SMOLLM2 = "smollm2"
_TOGETHER = 24  # conversations answered at once, and lost at most when a run is ended


def open_chat(
    name: str, *, tokens: int, model: str | None = None, api_key: str | None = None,
    cache: Path | None = None,
) -> Chat:  # fmt: skip
    """Open a chat model; weights load with the first question.

    Args:
        name: `smollm2`, a folder, a name on the hub, or the address of an OpenAI-compatible
            endpoint.
        tokens: Length of an answer.
        model: Name of the model at an address.
        api_key: Key for an address.
        cache: Folder for the unpacked weights of `smollm2`; the user's own unless given.
    """
    if name.startswith(("http://", "https://")):
        return _endpoint(name, model, api_key, tokens)
    from prefmem.models.causal import CausalLM

    opened: list[CausalLM] = []

    def ask(conversations: Sequence[Sequence[Message]]) -> list[str]:
        if not opened:
            from prefmem.agent.base import source_of

            source = source_of(name, cache=cache)
            opened.append(CausalLM(source, max_new_tokens=tokens, batch_size=_TOGETHER))
        return opened[0].complete_many(conversations)

    return ask


def kept(
    name: str, folder: Path, *, tokens: int, model: str | None, api_key: str | None, cache: Path
) -> "Kept":
    """Open a chat model whose answers are kept in a folder; arguments as of `open_chat`.

    What they depend on is kept as a hash: an address may hold a password.
    """
    return Kept(
        open_chat(name, tokens=tokens, model=model, api_key=api_key, cache=cache),
        folder / "answers.jsonl",
        key=hashlib.sha256(repr((name, model, tokens)).encode()).hexdigest(),
    )


def named(name: str, model: str | None) -> str:
    """Name a chat model for a table, without an address, which may hold a password."""
    if name.startswith(("http://", "https://")):
        return model or "a model at an address"
    return "SmolLM2-135M-Instruct" if name == SMOLLM2 else name


class Kept:
    """A chat model whose answers are kept in a file, so that an ended run goes on where it was.

    Args:
        chat: Answers what is not in the file.
        path: The file: JSON lines, each the hash of a conversation and the answer.
        key: All that an answer depends on besides the conversation: model, length.
        progress: Told after each answer from the model how many of a call are answered.
    """

    def __init__(
        self, chat: Chat, path: Path, *, key: str,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:  # fmt: skip
        """Read what was kept; lines that were torn are left out."""
        self._chat, self._path, self._key, self._progress = chat, path, key, progress
        path.parent.mkdir(parents=True, exist_ok=True)
        self._answers = dict(_lines(path))

    def __call__(self, conversations: Sequence[Sequence[Message]]) -> list[str]:
        """Answer conversations, those of like length together."""
        keys = [self._hash(one) for one in conversations]
        new = dict(zip(keys, conversations, strict=True))
        order = sorted(
            (key for key in new if key not in self._answers), key=lambda k: _size(new[k])
        )
        for start in range(0, len(order), _TOGETHER):
            part = order[start : start + _TOGETHER]
            self._keep(dict(zip(part, self._chat([new[key] for key in part]), strict=True)))
            self._progress(len(new) - len(order) + start + len(part), len(new))
        return [self._answers[key] for key in keys]

    def _keep(self, answers: dict[str, str]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            for pair in answers.items():
                file.write(json.dumps(pair, ensure_ascii=False) + "\n")
        self._answers |= answers

    def _hash(self, conversation: Sequence[Message]) -> str:
        content = json.dumps([self._key, [dict(one) for one in conversation]], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _size(conversation: Sequence[Message]) -> int:
    return sum(len(one["content"]) for one in conversation)


def _lines(path: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                key, answer = json.loads(line)
            except ValueError:
                continue
            found.append((str(key), str(answer)))
        if not path.read_bytes().endswith(b"\n") and path.stat().st_size:
            path.write_bytes(path.read_bytes() + b"\n")
    return found


def _endpoint(url: str, model: str | None, api_key: str | None, tokens: int) -> Chat:
    """Ask an endpoint as many questions at once as it is sent."""
    from concurrent.futures import ThreadPoolExecutor

    from prefmem.models.endpoint import OpenAIChat

    steady = {"temperature": 0, "max_tokens": tokens}
    asked = OpenAIChat(url, model=model, api_key=api_key, extra=steady)
    pool = ThreadPoolExecutor(asked.concurrency)
    return lambda conversations: list(pool.map(asked, conversations))
