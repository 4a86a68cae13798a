"""The inspector: look into a memory in a browser, correct it, and ask why.

app = create_app(memory, settings=settings)
add_inspector(app)  # the page is at /inspect/

`routes.py` has what the page reads and `pages.py` serves the files in `static/`. The user is named
by the header `Prefmem-User` or by the key, as everywhere in the server, and never by a path.
"""

from prefmem_server.inspector.install import add_inspector

__all__ = ["add_inspector"]
