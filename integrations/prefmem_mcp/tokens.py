"""Signed tokens as the SDK asks for them, see `prefmem_keys.tokens`: a refusal is None."""

from mcp.server.auth.provider import AccessToken

from prefmem_keys.tokens import JwtReader, JwtSettings, TokenError
from prefmem_mcp.identity import TokenUser

__all__ = ["JwtSettings", "JwtVerifier"]


class JwtVerifier:
    """Checks tokens and says who they speak for.

    Args:
        settings: How.

    Raises:
        ConfigError: A setting is missing, or a file does not hold what it is to hold.
    """

    def __init__(self, settings: JwtSettings) -> None:
        """Load the keys."""
        self._reader = JwtReader(settings)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give who a token speaks for; None for one of another issuer, for others, or too old."""
        try:
            return TokenUser.from_bearer(self._reader.read(token))
        except TokenError:
            return None
