"""`prefmem mcp`: the MCP server, over stdio for one user or over HTTP for many."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prefmem import ConfigError, MissingExtraError, PreferenceMemory, UserRequiredError
from prefmem.cli.options import DB, Agents, Db, Tenant, opened
from prefmem_mcp.logs import log_places

if TYPE_CHECKING:
    from mcp.server.auth.provider import TokenVerifier

Transport = Annotated[
    Literal["stdio", "http"],
    typer.Option("--transport", help="stdio: a client starts it, for one user. http: many users."),
]
User = Annotated[
    str | None,
    typer.Option("--user", envvar="PREFMEM_USER", help="Whose preferences, over stdio."),
]
Ask = Annotated[
    bool,
    typer.Option(
        "--ask",
        help="Let the client ask the user to confirm a rule that waits; only with clients that "
        "show the question to a person.",
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", envvar="PREFMEM_KEYS", dir_okay=False, help="http: the keys file."),
]
NewKey = Annotated[
    str | None,
    typer.Option(
        "--new-key", metavar="NAME", help="Put a new key for --user into --keys, show it, and end."
    ),
]
Issuer = Annotated[str | None, typer.Option("--jwt-issuer", help="http: who signs the tokens.")]
Audience = Annotated[
    str | None, typer.Option("--jwt-audience", help="http: whom the tokens are for.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option("--jwt-secret-file", dir_okay=False, help="Shared secret, for HS256."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--jwt-key-file", dir_okay=False, help="The issuer's public key, in PEM."),
]
JwksFile = Annotated[
    Path | None,
    typer.Option("--jwt-jwks-file", dir_okay=False, help="The issuer's public keys, a JWK set."),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        help="http: address as clients know it, so that they find the issuer and sign in there.",
    ),
]
Host = Annotated[str, typer.Option("--host", help="http: address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="http: port.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="http: a name that clients call it by; may be repeated."),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", help="http: a web page that may call it; may be repeated."),
]


def mcp(
    ctx: typer.Context,
    transport: Transport = "stdio",
    user: User = None,
    db: Db = DB,
    agents: Agents = None,
    tenant: Tenant = "",
    ask: Ask = False,
    keys: Keys = None,
    new_key: NewKey = None,
    jwt_issuer: Issuer = None,
    jwt_audience: Audience = None,
    jwt_secret_file: SecretFile = None,
    jwt_key_file: KeyFile = None,
    jwt_jwks_file: JwksFile = None,
    public_url: PublicUrl = None,
    host: Host = "127.0.0.1",
    port: Port = 8766,
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Serve the preferences to a chat client as tools (MCP)."""
    if find_spec("mcp") is None:
        raise MissingExtraError('prefmem mcp needs mcp: pip install "prefmem[mcp]"')
    if new_key is not None:
        _made_key(keys, new_key, user, tenant)
        return
    if transport == "stdio":
        with opened(ctx, db, "", agents=agents) as memory:
            _over_stdio(memory, user, tenant, ask=ask)
        return
    if user is not None:
        typer.echo("over http the user comes from the key; --user is left aside", err=True)
    jwt_files = (jwt_secret_file, jwt_key_file, jwt_jwks_file)
    verifier = _verifier(keys, jwt_issuer, jwt_audience, jwt_files)
    hosts = _hosts(host, allow_host or [])
    with opened(ctx, db, "", agents=agents) as memory:
        _over_http(
            memory, verifier, issuer=jwt_issuer if public_url else None, public_url=public_url,
            ask=ask, host=host, port=port, hosts=hosts, origins=allow_origin or [],
        )  # fmt: skip


def _over_stdio(memory: PreferenceMemory, user: str | None, tenant: str, *, ask: bool) -> None:
    if user is None or not user.strip():
        raise UserRequiredError(
            "whose preferences? There is no default user: pass --user NAME, or set PREFMEM_USER "
            "in the environment that the client starts this server with"
        )
    from prefmem_mcp.server import preference_server

    log_places()
    preference_server(memory, user_id=user, tenant=tenant, ask=ask).run("stdio")


def _over_http(
    memory: PreferenceMemory,
    verifier: "TokenVerifier",
    *,
    issuer: str | None,
    public_url: str | None,
    ask: bool,
    host: str,
    port: int,
    hosts: list[str],
    origins: list[str],
) -> None:
    import uvicorn

    from prefmem_mcp.server import http_app, preference_server

    log_places()
    server = preference_server(
        memory, verifier=verifier, issuer=issuer, public_url=public_url, ask=ask
    )
    app = http_app(server, hosts=hosts, origins=origins)
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, server_header=False)


def _verifier(
    keys: Path | None,
    issuer: str | None,
    audience: str | None,
    files: tuple[Path | None, Path | None, Path | None],
) -> "TokenVerifier":
    """Make what knows the bearer tokens."""
    from prefmem_mcp.identity import AnyOf
    from prefmem_mcp.keys import KeyVerifier
    from prefmem_mcp.tokens import JwtSettings, JwtVerifier

    known: list[TokenVerifier] = []
    if keys is not None:
        known.append(KeyVerifier(keys))
    if issuer or audience or any(files):
        known.append(JwtVerifier(JwtSettings(issuer or "", audience or "", *files)))
    if not known:
        raise ConfigError(
            "over http each user needs a key: make one with 'prefmem mcp --keys keys.json "
            "--new-key NAME --user USER' and pass --keys keys.json, or pass --jwt-issuer, "
            "--jwt-audience and one of --jwt-secret-file, --jwt-key-file, --jwt-jwks-file"
        )
    return AnyOf(*known)


def _hosts(host: str, allowed: list[str]) -> list[str]:
    """Give the names that requests may call the server by."""
    from prefmem_mcp.server import LOOPBACK

    if allowed:
        return [*LOOPBACK, *allowed]
    if host not in {"127.0.0.1", "localhost", "::1"}:
        raise ConfigError(
            f"--host {host} is reachable from elsewhere: pass --allow-host with the name that "
            "clients call the server by, as in --allow-host prefs.example.org"
        )
    return list(LOOPBACK)


def _made_key(keys: Path | None, name: str, user: str | None, tenant: str) -> None:
    from prefmem_mcp.keys import make_key

    if keys is None or user is None:
        raise ConfigError("--new-key needs --keys FILE and --user USER")
    typer.echo(make_key(keys, name, user=user, tenant=tenant))
    typer.echo(f"It is in {keys} as a hash only: keep it now, it cannot be shown again.", err=True)
