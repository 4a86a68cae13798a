"""prefmem over HTTP: a REST service, and a proxy that gives any OpenAI client a memory.

app = create_app(PreferenceMemory("prefs.db"), settings=ServerSettings(keys=Path("keys.json")))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prefmem import MissingExtraError

if TYPE_CHECKING:
    from prefmem_server.app import create_app
    from prefmem_server.limits import Rate
    from prefmem_server.proxy import proxy_router
    from prefmem_server.proxy_settings import ProxySettings
    from prefmem_server.settings import ServerSettings
    from prefmem_server.tokens import JwtSettings

_HOME = {
    "create_app": "app",
    "ServerSettings": "settings",
    "JwtSettings": "tokens",
    "Rate": "limits",
    "ProxySettings": "proxy_settings",
    "proxy_router": "proxy",
}
_OURS = ("prefmem", "prefmem_server")

__all__ = [
    "JwtSettings",
    "ProxySettings",
    "Rate",
    "ServerSettings",
    "create_app",
    "proxy_router",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        MissingExtraError: The package that it needs is not installed.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'prefmem_server' has no attribute {name!r}")
    try:
        return getattr(import_module(f"prefmem_server.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        raise MissingExtraError(
            f'prefmem_server.{name} needs {error.name}: pip install "prefmem[server]"'
        ) from error


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
