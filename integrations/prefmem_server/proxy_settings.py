"""Settings of the proxy: where the upstream is, and what the proxy may do."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from prefmem import ConfigError

Placement: TypeAlias = Literal["system", "user"]
OnMissingUser: TypeAlias = Literal["skip", "refuse"]

# Open WebUI's task prompts, and LibreChat's two for titles, begin with these words.
CLIENT_TASKS = (
    "### Task:",
    "Provide a concise, 5-word-or-less title",
    "Analyze this conversation and provide",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Settings of the proxy.

    Attributes:
        upstream: Address of the OpenAI-compatible API behind the proxy, as a client's base URL
            would be: `https://api.openai.com/v1`.
        api_key: The upstream's key; without one, a client's header `X-Upstream-Authorization` is
            sent as `Authorization`.
        placement: `system` puts the rules last in the opening system message, or in a new one;
            `user` puts them before the words of the user's last message, for models that take no
            system message.
        on_missing_user: `skip` lets a chat without a user through without memory; `refuse` answers
            it with 400.
        passthrough: Whether paths other than chat completions and models are forwarded, untouched.
            Clients then reach everything that the upstream's key opens.
        client_tasks: Openings of messages that chat clients write by themselves, for titles and
            tags; where the last message of the user opens so, the request has no memory.
        recall_timeout: Seconds that finding the rules may take; what is found in three quarters of
            them has to do, and after them the request goes on without rules.
        connect_timeout: Seconds to reach the upstream.
        read_timeout: Seconds that the upstream may be silent, before its first byte and between
            two.
        max_connections: Connections to the upstream at once; more requests wait.
        max_body_bytes: Size of a request's body; a larger one is answered with 413.

    Raises:
        ConfigError: The address cannot be used, or a value is out of its range.
    """

    upstream: str
    api_key: str | None = field(default=None, repr=False)
    placement: Placement = "system"
    on_missing_user: OnMissingUser = "skip"
    passthrough: bool = False
    client_tasks: tuple[str, ...] = CLIENT_TASKS
    recall_timeout: float = 0.4
    connect_timeout: float = 10.0
    read_timeout: float = 600.0
    max_connections: int = 200
    max_body_bytes: int = 32 * 2**20

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_address(self.upstream)
        _one_of("placement", self.placement, ("system", "user"))
        _one_of("on_missing_user", self.on_missing_user, ("skip", "refuse"))
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigError("api_key holds what no header can carry; pass the key as it is")
        for name in ("recall_timeout", "connect_timeout", "read_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}={getattr(self, name)!r}: seconds above 0 are needed")
        for name in ("max_connections", "max_body_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)!r} is below 1")
        if not all(self.client_tasks):
            raise ConfigError("client_tasks holds an empty opening, which every message has")


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        shown = "an address with a key or query" if "@" in address or "?" in address else address
        raise ConfigError(
            f"upstream={shown!r}: pass the base URL of an OpenAI-compatible API, such as "
            "https://api.openai.com/v1; keys go into api_key"
        )


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name}={value!r}: pass one of {known!r}")
