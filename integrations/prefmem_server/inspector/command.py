"""`prefmem inspect`: the inspector for one person at this machine, opened by a link."""

import logging
from hashlib import sha256
from importlib.util import find_spec
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Annotated

import typer

from prefmem import MissingExtraError
from prefmem.cli.options import DB, Agents, Db, Tenant, opened
from prefmem.cli.show import say

if TYPE_CHECKING:
    from fastapi import FastAPI

    from prefmem import PreferenceMemory

_NEEDED = ("fastapi", "uvicorn", "jwt", "prometheus_client")
_HOST = "127.0.0.1"
_NAMES = ["127.0.0.1", "localhost"]  # a page that rebinds its own name to here comes by another


def inspect(
    ctx: typer.Context,
    db: Db = DB,
    tenant: Tenant = "",
    agents: Agents = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether a browser is opened.")
    ] = True,
) -> None:
    """Look into a memory in the browser: rules and their evidence, why, what if; correct it."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f'inspect needs {missing[0]}: pip install "prefmem[server]"')
    logging.basicConfig(level="WARNING", format="%(levelname)s %(message)s")
    secret = token_urlsafe(32)
    with opened(ctx, db, tenant, made=False, agents=agents) as memory:
        _run(inspector_app(memory, secret), secret, port, browser=browser)


def inspector_app(memory: "PreferenceMemory", secret: str) -> "FastAPI":
    """Make a server with the inspector that a secret opens, by this machine's own names only.

    What waits to be learned goes on waiting for the service, whose models and settings it is for.

    Args:
        memory: What is looked into, in its own tenant.
        secret: The key, for all users and with every scope; nobody else may know it.
    """
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from prefmem_server.app import create_app
    from prefmem_server.auth import Gate, Principal, Scope
    from prefmem_server.inspector.install import add_inspector
    from prefmem_server.settings import ServerSettings

    scopes: frozenset[Scope] = frozenset({"read", "write", "admin"})
    operator = Principal("local", "", None, scopes)
    gate = Gate([(sha256(secret.encode()).digest(), operator)])
    app = create_app(memory, settings=ServerSettings(), gate=gate, learns=False)
    add_inspector(app)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_NAMES, www_redirect=False)
    return app


def _run(app: "FastAPI", secret: str, port: int, *, browser: bool) -> None:
    import uvicorn

    from prefmem_server.inspector.opening import OpeningServer

    config = uvicorn.Config(
        app, host=_HOST, port=port, log_config=None, access_log=False, server_header=False,
        ws="none", lifespan="on",
    )  # fmt: skip
    listening = config.bind_socket()
    # Behind the # nothing goes over the network, and the page takes it out of the address.
    address = f"http://{_HOST}:{listening.getsockname()[1]}/inspect/#key={secret}"
    typer.echo(address)
    say("Open this address; it works until you stop the command with Ctrl+C. Keep it to yourself.")
    server = OpeningServer(config, address) if browser else uvicorn.Server(config)
    server.run(sockets=[listening])
