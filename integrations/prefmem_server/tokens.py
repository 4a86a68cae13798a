"""Signed tokens as the gate reads them, see `prefmem_keys.tokens`: a refusal is a 401."""

from starlette.exceptions import HTTPException

from prefmem_keys.tokens import JwtReader, JwtSettings, TokenError
from prefmem_server.auth import CHALLENGE, Principal

__all__ = ["JwtSettings", "TokenReader"]


class TokenReader:
    """Checks tokens and says who they speak for.

    Args:
        settings: How.

    Raises:
        ConfigError: A setting is missing, or a file does not hold what it is to hold.
    """

    def __init__(self, settings: JwtSettings) -> None:
        """Load the keys."""
        self._reader = JwtReader(settings)

    def read(self, token: str) -> Principal:
        """Give who a token speaks for.

        Raises:
            HTTPException: 401; it is not signed by the issuer, not for us, or not now.
        """
        try:
            return Principal.of(self._reader.read(token))
        except TokenError as error:
            challenge = f'{CHALLENGE}, error="invalid_token"'
            raise HTTPException(401, str(error), {"WWW-Authenticate": challenge}) from None
