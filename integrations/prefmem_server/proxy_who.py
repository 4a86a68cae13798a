"""Whose memory a chat request uses, and which conversation it belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request

from prefmem_server.auth import Principal
from prefmem_server.proxy_body import ChatBody, last_user, text_of
from prefmem_server.proxy_errors import RefusedError
from prefmem_server.proxy_settings import ProxySettings

_USER = (b"x-prefmem-user", b"prefmem-user")  # the second is that of the REST service
_SESSION = (b"x-prefmem-session", b"prefmem-session")
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_MOST_BYTES = 256  # of a user id or the name of a conversation


@dataclass(frozen=True, slots=True)
class Who:
    """The user and the conversation of a request.

    Attributes:
        tenant: The tenant of the key.
        user_id: The user.
        session_id: The conversation.
        learns: Whether the key may write.
    """

    tenant: str
    user_id: str
    session_id: str
    learns: bool = True


def who_asks(
    request: Request, principal: Principal, body: ChatBody | None, settings: ProxySettings
) -> Who | str:
    """Find the user and the conversation.

    The user is the key's. Where the key may act for any user of its tenant, the header
    `X-Prefmem-User` names the user, or else the body's `user` or `safety_identifier`. The
    conversation is named by the header `X-Prefmem-Session`, or else by the body's metadata; chat
    clients send neither, so its first words of the user name it: they stay the same while it goes
    on, and what was learned of a conversation is known by its name.

    Returns:
        Both, or why the request has no memory.

    Raises:
        RefusedError: The request names another user than the key's, no user where one is needed,
            or one that cannot be.
    """
    off = next((v for k, v in request.scope["headers"] if k == b"x-prefmem-memory"), b"")
    fields: Mapping[str, Any] = body.fields if body else {}
    claimed = _header(request, _USER) or _named(fields, "user") or _named(
        fields, "safety_identifier"
    )  # fmt: skip
    if claimed is None and principal.user_id is None:
        if settings.on_missing_user == "refuse":
            raise RefusedError(
                400, "user_required",
                "the key may act for any user of its tenant, so the request must name one: send "
                "the header X-Prefmem-User or the field 'user'",
            )  # fmt: skip
        return "no-user"
    try:
        user_id = principal.acting_for(claimed)
        principal.require("read")
    except HTTPException as error:
        raise RefusedError.of(error) from None
    _check_id(user_id)
    if off.strip().lower() == b"off":
        return "asked"
    if body is None:
        return "unreadable-body"
    position = last_user(body.messages)
    if position is None:
        return "no-question"
    if text_of(body.messages[position]).lstrip().startswith(settings.client_tasks):
        return "client-task"
    return Who(principal.tenant, user_id, _session(request, body), "write" in principal.scopes)


def _session(request: Request, body: ChatBody) -> str:
    metadata: object = body.fields.get("metadata")
    held = cast(dict[str, object], metadata) if isinstance(metadata, dict) else {}
    names = [_header(request, _SESSION)]
    for key in ("session_id", "conversation_id", "conversation"):
        value = held.get(key)
        names.append(value if isinstance(value, str) else None)
    name = next((n for n in names if n and n.strip()), None)
    if name is None:
        said = (text_of(m) for m in body.messages if m.get("role") == "user")
        name = _digest(next((text for text in said if text.strip()), ""))
    if len(name.encode(errors="replace")) > _MOST_BYTES or not _carried(name):
        return _digest(name)
    return name


def _digest(text: str) -> str:
    return f"chat-{sha256(text.encode(errors='replace')).hexdigest()[:32]}"


def _named(fields: Mapping[str, Any], key: str) -> str | None:
    """Read a user from the body; an empty one is none.

    Raises:
        RefusedError: It is no text.
    """
    value: object = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RefusedError(400, "invalid_user", f"the field {key!r} must be a string")
    return value if value.strip() else None


def _header(request: Request, names: tuple[bytes, ...]) -> str | None:
    """Read a header of UTF-8, percent-encoded where the client does so; an empty one is none.

    Raises:
        RefusedError: It is sent with two values, or is not UTF-8.
    """
    sent = {value.strip() for name, value in request.scope["headers"] if name in names}
    sent.discard(b"")
    if not sent:
        return None
    try:
        if len(sent) > 1:
            raise ValueError
        return _decoded(sent.pop()) or None
    except ValueError:
        raise RefusedError(
            400, "invalid_header",
            f"the header {names[0].decode().title()} is needed once, as UTF-8 or percent-encoded "
            "(% itself is %25)",
        ) from None  # fmt: skip


def _decoded(sent: bytes) -> str:
    """Decode a percent-encoded text; a lone % is an error, as nobody can say what it means."""
    if _LONE_PERCENT.search(sent):
        raise ValueError
    return unquote_to_bytes(sent).decode()


def _check_id(user_id: str) -> None:
    if not user_id.strip() or not _carried(user_id):
        why = "is blank, or holds NUL or a lone surrogate"
    elif len(user_id.encode()) > _MOST_BYTES:
        why = f"has {len(user_id.encode())} bytes, at most {_MOST_BYTES} fit; send a hash instead"
    else:
        return
    raise RefusedError(400, "invalid_user", f"the user id {why}")


def _carried(text: str) -> bool:
    """Whether a store can carry a text."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
