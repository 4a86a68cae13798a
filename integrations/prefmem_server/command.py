"""`prefmem serve`: the REST service and, with --upstream, the OpenAI-compatible proxy."""

import logging
from collections import Counter
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from prefmem import ConfigError, MissingExtraError
from prefmem.cli.options import DB, Agents, Db, opened

if TYPE_CHECKING:
    from fastapi import APIRouter

    from prefmem import PreferenceMemory
    from prefmem_server.me import MeSettings
    from prefmem_server.proxy_settings import ProxySettings
    from prefmem_server.settings import ServerSettings
    from prefmem_server.tokens import JwtSettings

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_NEEDED = ("fastapi", "uvicorn", "jwt", "prometheus_client", "httpx")
_KEYS, _TOKENS, _PROXY, _ME = "Keys", "Tokens", "Proxy", "The users' own page"

TokenFile: TypeAlias = Path | None


def serve(
    ctx: typer.Context,
    db: Db = DB,
    agents: Agents = None,
    host: Annotated[
        str, typer.Option(envvar="PREFMEM_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PREFMEM_PORT", min=0, max=65535)] = 8765,
    keys: Annotated[
        Path | None,
        typer.Option(
            envvar="PREFMEM_KEYS", dir_okay=False, rich_help_panel=_KEYS,
            help="The keys file, JSON or TOML; holds hashes.",
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="No keys; answers this machine only.")
    ] = False,
    new_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", rich_help_panel=_KEYS,
            help="Make a key, put its hash into --keys, show it once, and end.",
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(rich_help_panel=_KEYS, help="Tenant of the new key.")
    ] = "",
    user: Annotated[
        str | None,
        typer.Option(rich_help_panel=_KEYS, help="The one user that the new key may act for."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=_KEYS, metavar="read|write|admin",
            help="What the new key may do; read and write.",
        ),
    ] = None,
    jwt_issuer: Annotated[
        str | None, typer.Option(envvar="PREFMEM_JWT_ISSUER", rich_help_panel=_TOKENS)
    ] = None,
    jwt_audience: Annotated[
        str | None, typer.Option(envvar="PREFMEM_JWT_AUDIENCE", rich_help_panel=_TOKENS)
    ] = None,
    jwt_secret_file: Annotated[
        TokenFile,
        typer.Option(
            envvar="PREFMEM_JWT_SECRET_FILE", rich_help_panel=_TOKENS, help="Secret of HS256."
        ),
    ] = None,
    jwt_key_file: Annotated[
        TokenFile,
        typer.Option(
            envvar="PREFMEM_JWT_KEY_FILE", rich_help_panel=_TOKENS,
            help="Public key, PEM, of RS256 or ES256.",
        ),
    ] = None,
    jwks_file: Annotated[
        TokenFile,
        typer.Option(
            envvar="PREFMEM_JWKS_FILE", rich_help_panel=_TOKENS, help="Public keys as a JWK set."
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            envvar="PREFMEM_UPSTREAM", rich_help_panel=_PROXY, metavar="URL",
            help="Base URL of an OpenAI-compatible API; turns the proxy on.",
        ),
    ] = None,
    upstream_key: Annotated[
        str | None,
        typer.Option(
            envvar="PREFMEM_UPSTREAM_KEY", rich_help_panel=_PROXY,
            help="Key of the upstream; better in the environment.",
        ),
    ] = None,
    placement: Annotated[
        Literal["system", "user"],
        typer.Option(rich_help_panel=_PROXY, help="Where in a request the rules go."),
    ] = "system",
    without_user: Annotated[
        Literal["skip", "refuse"],
        typer.Option(rich_help_panel=_PROXY, help="What happens to a chat that names no user."),
    ] = "skip",
    passthrough: Annotated[
        bool,
        typer.Option(
            "--passthrough", rich_help_panel=_PROXY,
            help="Forward the upstream's other paths, too: all that its key opens.",
        ),
    ] = False,
    recall_timeout: Annotated[
        float,
        typer.Option(rich_help_panel=_PROXY, help="Seconds that finding the rules may take."),
    ] = 0.4,
    inspect: Annotated[
        bool,
        typer.Option("--inspect", help="Serve the inspector, too: /inspect/, opened by the keys."),
    ] = False,
    me: Annotated[
        bool,
        typer.Option(
            "--me", rich_help_panel=_ME,
            help="Serve users their own page, by links: POST /v1/me/link.",
        ),
    ] = False,
    embed: Annotated[
        list[str] | None,
        typer.Option(
            envvar="PREFMEM_EMBED", rich_help_panel=_ME, metavar="ORIGIN",
            help="May show the page in a frame: https://app.example; may be given again.",
        ),
    ] = None,
    link_secret_file: Annotated[
        Path | None,
        typer.Option(
            envvar="PREFMEM_LINK_SECRET_FILE", rich_help_panel=_ME,
            help="Signs the links, for several processes and beyond a restart.",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="PREFMEM_PUBLIC_URL", rich_help_panel=_ME, metavar="URL",
            help="Where this server is reached from outside, for the links.",
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second for each key; 0 for no limit.")
    ] = 100.0,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds to finish learning in, at the end.")
    ] = 10.0,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="What is logged.")
    ] = "info",
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard", help="Print a Grafana dashboard for /metrics, and end."),
    ] = False,
) -> None:  # fmt: skip
    """Serve the memory over HTTP, and with --upstream as a proxy for any OpenAI client."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f'serve needs {missing[0]}: pip install "prefmem[server]"')
    if dashboard:
        typer.echo(files("prefmem_server").joinpath("grafana.json").read_text("utf-8"), nl=False)
        return
    if new_key is not None:
        _make_key(keys, new_key, tenant, user, scope)
        return
    if no_auth and host not in _LOOPBACK:
        raise ConfigError(
            f"--no-auth lets everybody in who reaches {host}; listen on 127.0.0.1, or use --keys"
        )
    from prefmem_server.limits import Rate
    from prefmem_server.settings import ServerSettings

    settings = ServerSettings(
        keys=keys,
        jwt=_tokens(jwt_issuer, jwt_audience, jwt_secret_file, jwt_key_file, jwks_file),
        no_auth=no_auth,
        rate=Rate(rate, max(1.0, 2 * rate)) if rate else None,
        drain_seconds=drain,
    )
    proxy = None
    if upstream is not None:
        from prefmem_server.proxy_settings import ProxySettings

        proxy = ProxySettings(
            upstream=upstream, api_key=upstream_key, placement=placement,
            on_missing_user=without_user, passthrough=passthrough, recall_timeout=recall_timeout,
        )  # fmt: skip
    own_page = None
    if me or embed:
        from prefmem_server.me import MeSettings

        own_page = MeSettings(tuple(embed or ()), link_secret_file, public_url)
        own_page.tokens()  # these two refuse before the store is made
    settings.gate()
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log each upstream call
    with opened(ctx, db, "", agents=agents) as memory:
        _run(memory, settings, host, port, proxy, own_page, inspected=inspect)


def _run(
    memory: "PreferenceMemory",
    settings: "ServerSettings",
    host: str,
    port: int,
    proxy: "ProxySettings | None",
    own_page: "MeSettings | None",
    *,
    inspected: bool,
) -> None:
    import uvicorn

    from prefmem_server.app import create_app

    counts = Counter[str]()
    routers: list[APIRouter] = []
    if proxy is not None:
        from prefmem_server.proxy import proxy_router

        routers.append(proxy_router(memory, proxy, counts=counts))
    app = create_app(memory, settings=settings, routers=routers, counts=counts)
    if inspected:
        from prefmem_server.inspector import add_inspector

        add_inspector(app)
    if own_page is not None:
        from prefmem_server.me import add_me

        add_me(app, settings=own_page)
    uvicorn.run(
        app,
        host=host, port=port, log_config=None, access_log=False, server_header=False, ws="none",
        lifespan="on",
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
    )  # fmt: skip


def _make_key(
    keys: Path | None,
    name: str,
    tenant: str,
    user: str | None,
    scope: list[str] | None,
) -> None:
    if keys is None:
        raise typer.BadParameter("--new-key needs --keys FILE, where its hash goes")
    from prefmem_server.keys import make_key

    made = make_key(keys, name, tenant=tenant, user=user, scopes=scope or ("read", "write"))
    typer.echo(made)
    typer.echo(f"{keys} has its hash. The key is shown this once; keep it.", err=True)


def _tokens(
    issuer: str | None,
    audience: str | None,
    secret: TokenFile,
    key: TokenFile,
    jwks: TokenFile,
) -> "JwtSettings | None":
    if not any((issuer, audience, secret, key, jwks)):
        return None
    from prefmem_server.tokens import JwtSettings

    return JwtSettings(issuer or "", audience or "", secret, key, jwks)
