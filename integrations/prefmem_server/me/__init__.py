"""The user's own page, "What my assistant knows about me": see, correct, confirm, forget, export.

app = create_app(memory, settings=settings)
add_me(app, settings=MeSettings(embed=("https://app.example",)))  # the page is at /me/

The host's backend asks `POST /v1/me/link` for a link that shows it to one user for a while;
`links.py` signs and reads these, `routes.py` is what the page asks, and no more.
"""

from prefmem_server.me.install import add_me
from prefmem_server.me.links import MeSettings

__all__ = ["MeSettings", "add_me"]
