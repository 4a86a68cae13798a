"""prefmem as an MCP server: a model looks up, adds and corrects its user's preferences by tools.

server = preference_server(memory, user_id="ann")   # one user: server.run("stdio")
app = http_app(preference_server(memory, verifier=KeyVerifier(Path("keys.json"))))   # many, by key
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prefmem import MissingExtraError

if TYPE_CHECKING:
    from prefmem_mcp.identity import AnyOf, TokenUser
    from prefmem_mcp.keys import KeyVerifier
    from prefmem_mcp.server import http_app, preference_server
    from prefmem_mcp.tokens import JwtSettings, JwtVerifier

_HOME = {
    "preference_server": "server",
    "http_app": "server",
    "AnyOf": "identity",
    "TokenUser": "identity",
    "KeyVerifier": "keys",
    "JwtSettings": "tokens",
    "JwtVerifier": "tokens",
}
_NEEDED = {"mcp", "mcp_types", "starlette", "uvicorn", "anyio", "jwt", "cryptography"}

__all__ = [
    "AnyOf",
    "JwtSettings",
    "JwtVerifier",
    "KeyVerifier",
    "TokenUser",
    "http_app",
    "preference_server",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        MissingExtraError: The package that it needs is not installed.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'prefmem_mcp' has no attribute {name!r}")
    try:
        return getattr(import_module(f"prefmem_mcp.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MissingExtraError(
            f'prefmem_mcp.{name} needs mcp: pip install "prefmem[mcp]"'
        ) from error


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
