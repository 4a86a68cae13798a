"""Puts the inspector into a server."""

from fastapi import FastAPI

from prefmem_server.inspector import routes
from prefmem_server.inspector.pages import STATIC, Shield, page_router


def add_inspector(app: FastAPI) -> None:
    """Serve the inspector at `/inspect/`, to those whom the server's keys let in.

    Args:
        app: A server made by `create_app`.
    """
    app.include_router(page_router("/inspect", STATIC))
    app.include_router(routes.router)
    app.add_middleware(Shield, below="/inspect/")
