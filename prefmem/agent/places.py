"""Where the files of a user lie below the home of the agents: a folder that does not name them."""

import hashlib
import json
from pathlib import Path

from prefmem.types import UserKey

DOCUMENTS = "documents.jsonl"
QUARANTINE = "quarantine.jsonl"
REPORT = "documents.json"


def token_of(user: UserKey) -> str:
    """Name a user by 32 hexadecimal digits: the SHA-256 of tenant and id, cut."""
    said = json.dumps([user.tenant, user.user_id]).encode()
    return hashlib.sha256(said).hexdigest()[:32]


def folder_of(home: Path, user: UserKey) -> Path:
    """Give the folder of a user; it need not be there."""
    return home / token_of(user)
