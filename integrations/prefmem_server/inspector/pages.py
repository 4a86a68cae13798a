"""Pages and their files: read once, served by name, with headers that let nothing else in.

A page is HTML, CSS and ES modules in a folder; it loads nothing from elsewhere, runs no inline
script, and asks for data with a key that its own script sends.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_POLICY", "HEADERS", "SHARED", "STATIC", "Shield", "page_router"]

STATIC = Path(__file__).parent / "static"
SHARED = tuple(STATIC / name for name in ("api.js", "base.css", "dom.js", "icon.svg"))
CONTENT_POLICY = MappingProxyType(
    {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
)
HEADERS = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Shield:
    """Puts headers on every response below a path, refusals among them.

    Pure ASGI, like `Frame`; where the app is mounted, or has a root path, that is no part of the
    path. A header that a response has already stays, so that a file may be kept
    by the browser that data may not.

    Args:
        app: What is inside.
        below: Beginning of the paths, such as `/inspect/`.
        policy: The content security policy, by directive.
        headers: The other headers; None leaves one out.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        below: str,
        policy: Mapping[str, str] = CONTENT_POLICY,
        headers: Mapping[str, str] = HEADERS,
    ) -> None:
        """Write the policy down."""
        written = "; ".join(f"{name} {value}" for name, value in policy.items())
        self._app, self._below = app, below
        self._headers = {"Content-Security-Policy": written, **headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not f"{_path(scope)}/".startswith(self._below):
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, shielded)


def _path(scope: Scope) -> str:
    """Give the path below the root path, as the router sees it; a proxy may have cut it off."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


def page_router(prefix: str, folder: Path, *, shared: Sequence[Path] = ()) -> APIRouter:
    """Make the routes of a page: `index.html` at the prefix, the other files at `static/NAME`.

    The files are read now; a request names one of them or finds nothing. Nobody needs a key for
    them: there is nothing of any user in them.

    Args:
        prefix: Where the page is, such as `/inspect`.
        folder: Its files.
        shared: Files from elsewhere that it uses, too; see `SHARED`.
    """
    router = APIRouter(prefix=prefix, include_in_schema=False)
    files = {
        path.name: path.read_bytes()
        for path in (*shared, *sorted(folder.iterdir()))
        if path.suffix in _KINDS
    }
    page = files.pop("index.html")
    tags = {name: f'"{sha256(content).hexdigest()[:16]}"' for name, content in files.items()}

    @router.get("")
    async def moved(request: Request) -> Response:
        """Send to the page's own path; relative, so that a proxy may put it anywhere."""
        return Response(
            status_code=308, headers={"Location": f"{request.url.path.rsplit('/')[-1]}/"}
        )

    @router.get("/")
    async def index() -> Response:
        return Response(page, media_type=_KINDS[".html"])

    @router.get("/static/{name}")
    async def file(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404)
        headers = {"ETag": tags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(files[name], media_type=_KINDS[Path(name).suffix], headers=headers)

    return router
