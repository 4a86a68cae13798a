"""Links to a user's own page: who signs them, how long they hold, and the one door they open."""

import re
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fastapi import Request, Response

from prefmem import ConfigError
from prefmem_keys.tokens import OwnTokens, TokenError
from prefmem_server.auth import Gate, Principal, credentials, unauthorized
from prefmem_server.guarded import GuardedRoute

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_USE = "me-link"


@dataclass(frozen=True, slots=True)
class MeSettings:
    """How the page is reached.

    Attributes:
        embed: Origins whose pages may show it in a frame, such as `https://app.example`; none
            unless given.
        secret_file: What links are signed with, at least 32 bytes, for several processes or links
            that outlive a restart; random, and this process's own, unless given.
        public_url: Where the server is reached from outside, with its path if it has one; read off
            the request unless given.

    Raises:
        ConfigError: An origin or the address has another form.
    """

    embed: tuple[str, ...] = ()
    secret_file: Path | None = None
    public_url: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would end up in a header as something else."""
        for origin in self.embed:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"embed={origin!r} is no origin; give scheme, host and port in lower case, "
                    "without a path: https://app.example"
                )
        if self.public_url is not None and not re.match(r"https?://[^/]+", self.public_url):
            raise ConfigError(
                f"public_url={self.public_url!r} is no address; give one like "
                "https://app.example/memory"
            )

    def tokens(self) -> OwnTokens:
        """Make what signs and reads links.

        Raises:
            ConfigError: The secret cannot be read, or is too short.
        """
        if self.secret_file is None:
            return OwnTokens(secrets.token_bytes(32), _USE)
        try:
            return OwnTokens(self.secret_file.read_bytes().strip(), _USE)
        except OSError as error:
            raise ConfigError(f"cannot read {self.secret_file}: {error.strerror}") from error

    def base(self, request: Request) -> str:
        """Give the server's address, with a slash at its end."""
        return f"{(self.public_url or str(request.base_url)).rstrip('/')}/"


class LinkRoute(GuardedRoute):
    """A route that the token of a link opens, and no key; every other route is closed to it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Ask whom the link is for, then go on as any route."""
        handle = super().get_route_handler()

        async def opened(request: Request) -> Response:
            request.state.principal = _admitted(request)
            return await handle(request)

        return opened


def _admitted(request: Request) -> Principal:
    given = credentials(request)
    if given is None:
        raise unauthorized("this page opens with a link that your app gives you", None)
    try:
        bearer = cast(OwnTokens, request.app.state.links).read(given.decode("ascii", "replace"))
    except TokenError as error:
        raise unauthorized(str(error), "invalid_token") from None
    principal = Principal.of(bearer)
    cast(Gate, request.app.state.gate).count(principal)
    return principal
