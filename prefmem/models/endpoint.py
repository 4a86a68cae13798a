"""Chat models behind an OpenAI-compatible HTTP endpoint."""

import http.client
import io
import json
import random
import socket
import time
import urllib.parse
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, cast

from prefmem.errors import ConfigError, EndpointError

MAX_ANSWER_BYTES = 1_048_576
_CONNECT_SECONDS = 10.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between attempts
_STEADY = {"temperature": 0, "max_tokens": 2048}  # of an answer that has to keep to a schema
_REFUSALS = (400, 422)  # what a server says of a field that it does not know
_HINTS = {
    400: "check the model's name and how much it can read",
    401: "check the key",
    403: "check the key",
    404: "check the address and the model's name",
    429: "ask less often, or allow fewer requests at once",
}


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    retry_after: int  # seconds
    content: bytes


class OpenAIChat:
    """Asks an OpenAI-compatible endpoint, such as Ollama, llama.cpp, vLLM or a hosted one.

    Follows no redirect, so that the key stays where it was sent. Threads may share it. Its errors
    name neither what was asked nor what was answered.

    Args:
        url: Base address with the version, as in `http://localhost:11434/v1`.
        model: Name of the model; left out of the request unless given.
        api_key: Sent as a bearer token.
        timeout: Seconds for a reply with all attempts and waits, above 0; connecting takes 10 of
            them at most.
        retries: Attempts after the first where the server is busy, fails or breaks off, from 0. The
            waits grow from half a second; one that the server asks for is kept up to 30 seconds,
            and a longer one ends it.
        concurrency: Requests in flight at once, from 1; others wait.
        extra: More fields of every request, such as
            `{"chat_template_kwargs": {"enable_thinking": False}}` for Qwen3 on vLLM.
        sleep: Waits between attempts, for some seconds.
        rng: Gives the jitter of the waits, in [0, 1).

    Raises:
        ConfigError: The address is not a plain one of http or https, the key cannot be sent, or a
            number is out of range.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        timeout: float = 60,
        retries: int = 2,
        concurrency: int = 8,
        extra: Mapping[str, object] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        """Check the settings; nothing is sent yet."""
        if not (timeout > 0 and retries >= 0 and concurrency >= 1):
            raise ConfigError(
                f"timeout={timeout!r}, retries={retries!r}, concurrency={concurrency!r}: the least "
                "are above 0, 0 and 1"
            )
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise ConfigError("api_key holds characters that no HTTP header takes; copy it again")
        self._address = _address(url)
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._fields = {**(extra or {}), **({} if model is None else {"model": model})}
        self._timeout, self._retries = timeout, retries
        self.concurrency = concurrency
        self._slots = BoundedSemaphore(concurrency)
        self._sleep, self._rng = sleep, rng
        self._refused = 0  # forms of a request with a schema that the server does not take

    def __call__(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, object] | None = None,
        model: str | None = None,
    ) -> str:
        """Give the reply.

        Args:
            messages: Each with `role` and `content`.
            schema: JSON schema of the reply. A server that refuses it is asked for any JSON, one
                that refuses that too for text; what it takes is remembered.
            model: Name of the model for this call, in place of the one given at first; a reply in
                another model's name is refused.

        Raises:
            EndpointError: The server cannot be reached, refuses, takes too long, or gives no whole
                answer of at most 1 MB.
        """
        end = time.monotonic() + self._timeout
        named = {} if model is None else {"model": model}
        body = {"messages": [dict(message) for message in messages], **self._fields, **named}
        forms = _forms(schema)
        form = min(self._refused, len(forms) - 1)
        reply = self._ask(forms[form] | body, end)
        while reply.status in _REFUSALS and form < len(forms) - 1:
            form += 1
            reply = self._ask(forms[form] | body, end)
        if not 200 <= reply.status < 300:
            raise EndpointError(f"{self._url} answered {reply.status}; {_hint(reply.status)}")
        self._refused = max(self._refused, form)
        return self._text(reply.content, model)

    def _ask(self, fields: Mapping[str, object], end: float) -> _Reply:
        """Send the request, again where that may help, until `end` on the monotonic clock."""
        body = json.dumps(fields).encode()
        problem, cause = "", None
        for attempt in range(self._retries + 1):
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * (0.5 + self._rng() / 2)
            try:
                with self._slot(end):
                    reply = self._send(body, end)
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                problem = f"cannot be reached: {_reason(error)}; check that the server runs"
                cause = error
            else:
                if reply.status != 429 and reply.status < 500:
                    return reply
                problem, cause = f"answered {reply.status}; {_hint(reply.status)}", None
                wait = max(wait, reply.retry_after)
            late = time.monotonic() + wait >= end
            if attempt == self._retries or wait > _LONGEST_WAIT or late:
                break
            self._sleep(wait)
        raise EndpointError(f"{self._url} {problem}") from cause

    @contextmanager
    def _slot(self, end: float) -> Generator[None]:
        if not self._slots.acquire(timeout=max(0.0, end - time.monotonic())):
            raise TimeoutError(f"{self.concurrency} requests are in flight")
        try:
            yield
        finally:
            self._slots.release()

    def _send(self, body: bytes, end: float) -> _Reply:
        secure, host, port, path = self._address
        left = max(0.001, end - time.monotonic())
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(host, port, timeout=min(left, _CONNECT_SECONDS))
        try:
            connection.connect()
            connection.sock.settimeout(max(0.001, end - time.monotonic()))
            connection.request("POST", path, body, self._headers)
            timed = cast("socket.socket", _Timed(connection.sock, end))
            with http.client.HTTPResponse(timed, method="POST") as response:
                response.begin()
                return self._read(response)
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse) -> _Reply:
        after = response.headers.get("Retry-After", "")
        seconds = int(after[:9]) if after.isdecimal() else 0
        if not 200 <= response.status < 300:
            return _Reply(response.status, seconds, b"")
        content = response.read(MAX_ANSWER_BYTES + 1)
        if len(content) > MAX_ANSWER_BYTES:
            raise EndpointError(
                f"{self._url} answered with more than {MAX_ANSWER_BYTES} bytes; check the address"
            )
        if response.length:  # what was announced and did not come
            raise http.client.IncompleteRead(b"", response.length)
        return _Reply(response.status, seconds, content)

    def _text(self, content: bytes, model: str | None) -> str:
        answered: Any = None
        try:
            reply: Any = json.loads(content)
            text: Any = reply["choices"][0]["message"]["content"]
            answered = reply.get("model")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = content  # no text either
        if not isinstance(text, str | None):
            raise EndpointError(
                f"{self._url} answered in another format than chat completions; check the address"
            )
        if model is not None and answered != model:
            raise EndpointError(
                f"{self._url} answered with another model than the one that was asked for; check "
                "that it serves this model by its name"
            )
        return text or ""


class _Timed(io.RawIOBase):
    """Reads a socket until a time on the monotonic clock, however slowly the bytes come."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def makefile(self, mode: str) -> io.BufferedReader:
        """Stand in for the socket in `HTTPResponse`."""
        del mode
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  # a buffer has no type before 3.12
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


def _address(url: str) -> tuple[bool, str, int, str]:
    """Take an address apart: whether it is https, host, port, and the path of completions."""
    refusal = "pass one without a user, query or fragment, as http://localhost:11434/v1"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"url is no http address; {refusal}") from None
    plain = parts.username is None and parts.password is None and not parts.query + parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ConfigError(f"url is no http address; {refusal}")
    secure = parts.scheme == "https"
    path = f"{parts.path.rstrip('/')}/chat/completions"
    return secure, parts.hostname, port or (443 if secure else 80), path


def _forms(schema: Mapping[str, object] | None) -> list[dict[str, object]]:
    """Give the fields that ask for a schema, the strictest first; the last form has none."""
    if schema is None:
        return [{}]
    strict = {"name": "preferences", "strict": True, "schema": schema}
    return [
        {"response_format": {"type": "json_schema", "json_schema": strict}, **_STEADY},
        {"response_format": {"type": "json_object"}, **_STEADY},
        dict(_STEADY),
        {},
    ]


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed, pass the address it leads to"
    return _HINTS.get(status, "try again later" if status >= 500 else "check the address")


def _reason(error: Exception) -> str:
    """Say what went wrong on the wire, without what the server said."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
