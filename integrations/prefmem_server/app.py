"""The server as an ASGI app: the verbs of a memory over HTTP.

app = create_app(PreferenceMemory("prefs.db"), settings=ServerSettings(keys=Path("keys.json")))
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

import prefmem
from prefmem import PreferenceMemory
from prefmem_server import routes_cards, routes_dialogue, routes_service, routes_user
from prefmem_server.auth import Gate
from prefmem_server.frame import Frame
from prefmem_server.metrics import Metrics
from prefmem_server.problems import MEDIA_TYPE, install
from prefmem_server.settings import ServerSettings

_DESCRIPTION = (
    "A memory of how each user likes things done. Recall before the answer, learn after it.\n\n"
    "The user comes from the key or token where it is bound to one; with a key for a whole tenant "
    "the header `Prefmem-User` names the user, percent-encoded."
)


def create_app(
    memory: PreferenceMemory,
    *,
    settings: ServerSettings,
    routers: Sequence[APIRouter] = (),
    counts: Mapping[str, int] | None = None,
    gate: Gate | None = None,
    learns: bool = True,
) -> FastAPI:
    """Make the server.

    Requests run on worker threads, so a slow one holds up no other. From its start the server
    learns what waits in the store; when it stops, the memory learns what is left, within
    `settings.drain_seconds`, and is closed.

    Args:
        memory: What answers; its tenant is that of keys without one.
        settings: Who may call, and the limits.
        routers: Further routes, such as the proxy's.
        counts: What the proxy counts, for the metrics.
        gate: What lets requests in; the one of the settings unless given.
        learns: Whether what waits is learned, at the start and at the end; without it, that is left
            to others.

    Raises:
        ConfigError: Nobody could call the server, or keys or tokens cannot be read.
    """
    gate, metrics = gate or settings.gate(), Metrics(memory, proxy=counts)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None]:
        del app
        if learns:
            memory.wake()
        yield
        await memory.aclose(settings.drain_seconds if learns else 0)

    app = FastAPI(
        title="prefmem", version=prefmem.__version__, description=_DESCRIPTION, lifespan=life,
        docs_url=None, redoc_url=None, redirect_slashes=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )  # fmt: skip
    app.state.memory, app.state.settings = memory, settings
    app.state.gate, app.state.metrics = gate, metrics
    install(app)
    for router in (
        routes_dialogue.router, routes_cards.router, routes_user.router,
        routes_service.health, routes_service.router, *routers,
    ):  # fmt: skip
        app.include_router(router)
    app.add_middleware(Frame, metrics=metrics)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(described())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Say of every refusal that it is a problem; FastAPI would call it plain JSON."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, told in operation["responses"].items():
                content = told.get("content", {})
                if status >= "400" and MEDIA_TYPE in content:
                    told["content"] = {MEDIA_TYPE: content.pop("application/json")}
    return document
