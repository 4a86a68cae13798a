"""How the server is set up, and the gate that follows from it."""

from dataclasses import dataclass
from pathlib import Path

from prefmem import ConfigError
from prefmem_server.auth import Gate
from prefmem_server.keys import KeyFile
from prefmem_server.limits import Limiter, Rate
from prefmem_server.tokens import JwtSettings, TokenReader

_RATE = Rate(100, 200)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of the server.

    Attributes:
        keys: The keys file.
        jwt: How tokens are checked; None where none are taken.
        no_auth: Whether requests need no key; then only this machine is answered.
        rate: Limit of each key that has none of its own, per process; None for none.
        max_body: Size of a request, in bytes.
        max_backlog: Windows waiting to be learned above which the server is not ready.
        drain_seconds: Time to finish learning in, when the server stops.
    """

    keys: Path | None = None
    jwt: JwtSettings | None = None
    no_auth: bool = False
    rate: Rate | None = _RATE
    max_body: int = 8 * 2**20
    max_backlog: int = 5_000
    drain_seconds: float = 10.0

    def gate(self) -> Gate:
        """Make what lets requests in.

        Raises:
            ConfigError: Nothing would: no keys, no tokens, and `no_auth` is off; or `no_auth`
                stands beside them.
        """
        if self.no_auth and (self.keys or self.jwt):
            raise ConfigError("no_auth and keys or tokens exclude each other")
        if not (self.no_auth or self.keys or self.jwt):
            raise ConfigError(
                "nobody could call this server: make a key with "
                "'prefmem serve --keys keys.json --new-key NAME' and pass --keys keys.json, "
                "or pass --no-auth to let this machine in without one"
            )
        return Gate(
            KeyFile(self.keys) if self.keys else (),
            tokens=TokenReader(self.jwt) if self.jwt else None,
            open_to_all=self.no_auth,
            limiter=Limiter(self.rate),
        )
