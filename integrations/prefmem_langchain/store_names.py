"""Where things lie in a langgraph store: namespaces and keys.

A label of a namespace may not be empty and holds no dot and no NUL, and the stores give other
characters a meaning of their own in some questions (`%`, `_`, `*`, brackets). Ids are therefore
written with ASCII letters, digits and a few signs that mean nothing anywhere; every other byte is
`=` and two hexadecimal digits. That can be read back, so two ids never meet, and an id of 256 bytes
takes 768 characters at most. Labels of our own begin with `=` and a letter beyond F: no id does.
"""

import hashlib
from string import ascii_letters, digits

from prefmem.types import UserKey

ROOT = "prefmem"
_PLAIN = frozenset((ascii_letters + digits + "-@+").encode())
_EMPTY = "="

Namespace = tuple[str, ...]

SETTINGS: Namespace = (ROOT, "=settings")
JOBS: Namespace = (ROOT, "=queue")
ERASED: Namespace = (ROOT, "=erased")  # random names of logs that were erased: of nobody any more


def label(text: str) -> str:
    """Write any text without NUL as a label."""
    signs = (chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in text.encode())
    return "".join(signs) or _EMPTY


def heads(tenant: str) -> Namespace:
    """Where the version items of a tenant's users lie; the key is the user's label."""
    return (ROOT, "=users", label(tenant))


def everything(user: UserKey) -> Namespace:
    """Prefix of a user's commits, offers and edits."""
    return (ROOT, label(user.tenant), label(user.user_id))


def commits(user: UserKey) -> Namespace:
    """Where a user's commits lie."""
    return (*everything(user), "log")


def offers(user: UserKey) -> Namespace:
    """Where the notes of a user's recalls lie."""
    return (*everything(user), "offers")


def edits(user: UserKey) -> Namespace:
    """Where a user's kept edits lie."""
    return (*everything(user), "edits")


def queued(user: UserKey) -> Namespace:
    """Where a user's jobs lie."""
    return (*JOBS, label(user.tenant), label(user.user_id))


def windows(user: UserKey) -> Namespace:
    """Where the words of a user's jobs lie."""
    return (*everything(user), "windows")


def short(text: str) -> str:
    """Name any text by 32 characters, as a key."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
