"""A server that opens the browser once it listens, without telling others of the machine where."""

import webbrowser
from html import escape
from pathlib import Path
from socket import socket
from tempfile import NamedTemporaryFile
from threading import Thread

import uvicorn

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
<title>prefmem inspector</title>
<p><a href="{address}">prefmem inspector</a></p>
"""


class OpeningServer(uvicorn.Server):
    """Opens an address in the browser.

    A browser is started by a command line, which every user of the machine can read. So it is given
    a file that only this user can read, and that leads on; the file is gone when the server stops.

    Args:
        config: The server's.
        address: What to open, a secret in it.
    """

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        """Keep what is to be opened."""
        super().__init__(config)
        self._address = address
        self._page: Path | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen, then open the browser, which may take its time."""
        await super().startup(sockets=sockets)
        if self.started:
            self._page = _written(self._address)
            Thread(target=webbrowser.open, args=[self._page.as_uri()], daemon=True).start()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Remove the file, then stop."""
        if self._page is not None:
            self._page.unlink(missing_ok=True)
        await super().shutdown(sockets=sockets)


def _written(address: str) -> Path:
    """Write a page that leads on to an address, for this user's eyes only."""
    with NamedTemporaryFile(
        "w", encoding="utf-8", prefix="prefmem-", suffix=".html", delete=False
    ) as page:  # made with 0600
        page.write(_PAGE.format(address=escape(address)))
    return Path(page.name)
