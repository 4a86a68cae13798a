"""Puts the user's own page into a server."""

from pathlib import Path

from fastapi import FastAPI

from prefmem_server.inspector.pages import CONTENT_POLICY, HEADERS, SHARED, Shield, page_router
from prefmem_server.me import routes
from prefmem_server.me.links import MeSettings

STATIC = Path(__file__).parent / "static"


def add_me(app: FastAPI, *, settings: MeSettings | None = None) -> None:
    """Serve the page at `/me/`, to those who have a link.

    Args:
        app: A server made by `create_app`.
        settings: How it is reached; in no frame, and by links of this process, unless given.

    Raises:
        ConfigError: The secret of the links cannot be read, or is too short.
    """
    settings = settings or MeSettings()
    app.state.me, app.state.links = settings, settings.tokens()
    app.include_router(page_router("/me", STATIC, shared=SHARED))
    app.include_router(routes.link)
    app.include_router(routes.page)
    framed = {"frame-ancestors": " ".join(settings.embed) or "'none'"}
    headers = dict(HEADERS)
    if settings.embed:  # the policy says by whom; the older header could say nobody only
        del headers["X-Frame-Options"]
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    app.add_middleware(Shield, below="/me/", policy={**CONTENT_POLICY, **framed}, headers=headers)
    app.add_middleware(Shield, below="/v1/me/")
