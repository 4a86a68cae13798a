"""
title: prefmem
author: the prefmem authors
description: Remembers how each user likes things done; asks a prefmem server before and after.
version: 0.1.0
license: Apache-2.0
required_open_webui_version: 0.6.0
requirements: httpx
"""  # noqa: D205, D212, D415  # Open WebUI reads this header line by line

import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field

_log = logging.getLogger("prefmem")
_WINDOW = 40  # messages that are handed over; the server knows the earlier ones
_LONGEST = 32_000  # characters of a message; longer ones are pasted files


class Filter:
    """Puts a user's rules into the system message, and hands the chat over when it is answered."""

    class Valves(BaseModel):
        """What an administrator sets."""

        url: str = Field(default="http://127.0.0.1:8765", description="Address of prefmem serve.")
        key: str = Field(default="", description="Key of that server, made by --new-key.")
        identity: Literal["id", "email"] = Field(default="id", description="Names the user.")
        learn: bool = Field(default=True, description="Whether to learn from the chats.")
        max_tokens: int = Field(default=300, description="Size of the rules at most.")
        timeout: float = Field(default=3.0, description="Seconds that an answer waits for them.")
        priority: int = Field(default=100, description="A filter with a higher one comes later.")

    def __init__(self) -> None:
        """Start with the default valves; Open WebUI sets its own before each call."""
        self.valves = self.Valves()
        self.failures = 0  # of the memory, that chats survived
        self._warned = False

    async def inlet(
        self,
        body: dict[str, Any],
        __user__: dict[str, Any] | None = None,
        __metadata__: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Add the rules for the user's last message to the system message."""

        async def recall(user: str) -> None:
            asked = self._spoken(body)
            if not any(m["role"] == "user" for m in asked) or (__metadata__ or {}).get("task"):
                return  # a title is nobody's question
            wanted = {
                "messages": asked, "max_tokens": self.valves.max_tokens,
                "session_id": str((__metadata__ or {}).get("chat_id") or ""),
            }  # fmt: skip
            block = (await self._post("recall", user, wanted))["block"]
            if block:
                _append(body, block)

        await self._survive("recall", __user__, recall)
        return body

    async def outlet(
        self, body: dict[str, Any], __user__: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Hand the chat over; the server learns in the background, and each turn once."""

        async def learn(user: str) -> None:
            said = {
                "messages": self._spoken(body), "session_id": str(body.get("chat_id") or "")
            }  # fmt: skip
            await self._post("learn", user, said)

        if self.valves.learn:
            await self._survive("learn", __user__, learn)
        return body

    def _spoken(self, body: dict[str, Any]) -> list[dict[str, str]]:
        """Give the newest messages of the user and the assistant that are not pasted files."""
        turns = [(role, text) for role, text in _turns(body) if text and len(text) <= _LONGEST]
        return [{"role": role, "content": text} for role, text in turns[-_WINDOW:]]

    async def _post(self, verb: str, user: str, data: dict[str, Any]) -> dict[str, Any]:
        headers = {"Prefmem-User": quote(user, safe="")}
        if self.valves.key:
            headers["Authorization"] = f"Bearer {self.valves.key}"
        url = f"{self.valves.url.rstrip('/')}/v1/{verb}"
        async with httpx.AsyncClient(timeout=self.valves.timeout) as client:
            answer = await client.post(url, json=data, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def _survive(
        self, doing: str, who: dict[str, Any] | None, step: Callable[[str], Awaitable[None]]
    ) -> None:
        """Run a step for the signed-in user; the chat goes on without one, or when it fails."""
        try:
            user = (who or {}).get(self.valves.identity)
            if isinstance(user, str) and user.strip():
                await step(user)
            elif not self._warned:
                self._warned = True
                _log.warning("prefmem filter: a chat has no user, so it has no memory (said once)")
        except Exception as error:  # noqa: BLE001  # the chat goes on without memory
            self.failures += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            status = getattr(getattr(error, "response", None), "status_code", "no answer")
            _log.warning(  # never the message, which may quote the user
                "prefmem filter: %s failed with %s (%s) in %s; the chat goes on without it",
                doing, type(error).__name__, status, place.name,
            )  # fmt: skip


def _turns(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Read what the user and the assistant said; pictures and files are left out."""
    spoken = (m for m in body.get("messages") or () if m.get("role") in ("user", "assistant"))
    return [(m["role"], _text(m.get("content"))) for m in spoken]


def _text(content: Any) -> str:  # noqa: ANN401  # a text, or parts
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in content or () if part.get("type") == "text")
    return "\n".join(str(text or "") for text in texts)


def _append(body: dict[str, Any], block: str) -> None:
    """Put the block last in the system message; the stored chat stays as it is."""
    messages = list(body["messages"])
    system = messages[0] if messages and messages[0].get("role") == "system" else None
    said = f"{_text(system.get('content'))}\n\n{block}" if system else block
    body["messages"] = [{"role": "system", "content": said}, *messages[system is not None :]]
