"""The log of interaction and the user's state as bytes: figures and card numbers, never text.

A record is a JSON head with what is short, a newline, and the arrays one after the other, little
endian; a checksum stands before it.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from prefmem.errors import StoreUnavailableError
from prefmem.interaction import Flags, Observation, Offer, UserState
from prefmem.types import Reason

Payload: TypeAlias = Offer | Observation


_HEAD = struct.Struct("<BI")  # version, CRC32
_VERSION = 1
_REASONS: tuple[Reason, ...] = get_args(Reason)
_OFFERED = {"numbers": "<u4", "relevance": "<f4", "prior": "<f4", "chance": "<f4", "shown": "?"}
_OBSERVED = {
    "numbers": "<u4", "fit": "<f4", "prior": "<f4", "taught": "<u4", "taught_prior": "<f4",
    "paused": "<u4",
}  # fmt: skip
_STATE = struct.Struct("<BIIIIddHHI")  # version, CRC32, turns, sessions, last number, ...
_LEARNED = ("evidence", "amount", "prior")


def write_entry(payload: Payload) -> bytes:
    """Give a line of the log as bytes."""
    if isinstance(payload, Offer):
        head: dict[str, Any] = {
            "session": payload.session_id,
            "model": payload.model,
            "n": [len(payload.numbers)],
        }
        reasons = bytes(_REASONS.index(reason) for reason in payload.reasons)
        return _packed(head, payload, _OFFERED, reasons)
    head = {
        "recall": payload.recall_id,
        "session": payload.session_id,
        "label": payload.label,
        "rejects": payload.rejects,
        "heard": payload.heard,
        "reward": payload.reward,
        "said": payload.said,
        "similarity": payload.similarity,
        "n": [len(payload.numbers), len(payload.taught), len(payload.paused)],
    }
    return _packed(head, payload, _OBSERVED)


def read_offer(blob: bytes, *, recall_id: str, asked: str, at: datetime) -> Offer:
    """Read an offer.

    Raises:
        StoreUnavailableError: The bytes are damaged.
    """
    try:
        head, body = _unpacked(blob)
        count = head["n"][0]
        found, rest = _arrays(body, {name: (kind, count) for name, kind in _OFFERED.items()})
        reasons: tuple[Reason, ...] = tuple(_REASONS[code] for code in rest)
        if len(reasons) != count:
            raise ValueError
        return Offer(
            recall_id=recall_id, session_id=head["session"], asked=asked, reasons=reasons,
            model=head["model"], at=at, **found,
        )  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError):
        raise _damaged("offer") from None


def read_observation(blob: bytes) -> Observation:
    """Read an observation.

    Raises:
        StoreUnavailableError: The bytes are damaged.
    """
    try:
        head, body = _unpacked(blob)
        cards, taught, paused = head["n"]
        counts = {"taught": taught, "taught_prior": taught, "paused": paused}
        sizes = {name: (kind, counts.get(name, cards)) for name, kind in _OBSERVED.items()}
        found, rest = _arrays(body, sizes)
        if rest:
            raise ValueError
        return Observation(
            recall_id=head["recall"], session_id=head["session"], label=head["label"],
            reward=head["reward"], said=head["said"], rejects=head["rejects"],
            similarity=head["similarity"], heard=head["heard"], **found,
        )  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError):
        raise _damaged("observation") from None


def without_number(payload: Payload, number: int) -> Payload:
    """Take a card's columns out of a line of the log; the line itself where it has none."""
    if isinstance(payload, Offer):
        keep = payload.numbers != number
        if keep.all():
            return payload
        return replace(
            payload,
            reasons=tuple(r for r, kept in zip(payload.reasons, keep, strict=True) if kept),
            **_kept(payload, _OFFERED, keep),
        )
    keep, kept_taught = payload.numbers != number, payload.taught != number
    kept_paused = payload.paused != number
    if keep.all() and kept_taught.all() and kept_paused.all():
        return payload
    return replace(
        payload,
        **_kept(payload, ("numbers", "fit", "prior"), keep),
        **_kept(payload, ("taught", "taught_prior"), kept_taught),
        paused=payload.paused[kept_paused],
    )


def write_state(state: UserState) -> bytes:
    """Give what a user model learned as bytes: eight a card with evidence, and a bit for others."""
    last = int(state.numbers[-1]) if len(state.numbers) else 0
    present = np.zeros(last + 1, dtype=np.bool_)
    present[state.numbers] = True
    body = b"".join(
        (
            np.packbits(present).tobytes(),
            state.evidence.astype("<f4").tobytes(),
            state.amount.astype("<f2").tobytes(),
            state.prior.astype("<f2").tobytes(),
            state.long.astype("<f4").tobytes(),
            state.short.astype("<f4").tobytes(),
            state.paused.astype("<u4").tobytes(),
        )
    )
    head = (
        state.turns, state.sessions, last, state.restated, state.baseline, len(state.long),
        len(state.paused), len(state.numbers),
    )  # fmt: skip
    crc = zlib.crc32(repr(head).encode() + body)
    return _STATE.pack(_VERSION, crc, *head) + body


def read_state(
    blob: bytes, *, user_id: str, model: str, basis: str, session_id: str, steps: int
) -> UserState:
    """Read what a user model learned.

    Raises:
        StoreUnavailableError: The bytes are damaged.
    """
    try:
        version, crc, *head = _STATE.unpack(blob[: _STATE.size])
        body = blob[_STATE.size :]
        if version != _VERSION or crc != zlib.crc32(repr(tuple(head)).encode() + body):
            raise ValueError
        turns, sessions, last, restated, baseline, width, paused, cards = head
        bits = (last + 8) // 8
        present = np.unpackbits(np.frombuffer(body[:bits], dtype=np.uint8))[: last + 1]
        numbers = np.flatnonzero(present).astype(np.int64)
        sizes = {"evidence": ("<f4", cards), "amount": ("<f2", cards), "prior": ("<f2", cards)}
        sizes |= {"long": ("<f4", width), "short": ("<f4", width), "paused": ("<u4", paused)}
        found, rest = _arrays(body[bits:], sizes)
        if rest or (cards and len(numbers) != cards):
            raise ValueError
        return UserState(
            user_id=user_id, model=model, basis=basis, numbers=numbers[:cards], turns=turns,
            restated=restated, baseline=baseline, session_id=session_id, sessions=sessions,
            steps=steps, **found,
        )  # fmt: skip
    except (ValueError, struct.error):
        raise _damaged("user's state") from None


def forgotten(state: UserState, number: int) -> UserState:
    """Take a card's evidence out of a state."""
    keep = state.numbers != number
    paused = state.paused[state.paused != number]
    kept = {name: getattr(state, name)[keep] for name in ("numbers", *_LEARNED)}
    return replace(state, paused=paused, **kept)


def same(one: UserState, other: UserState) -> bool:
    """Whether two states are equal, bit for bit."""
    pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(UserState))
    return all(
        a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b for a, b in pairs
    )


def _packed(
    head: Mapping[str, object], payload: Payload, kinds: Mapping[str, str], rest: bytes = b""
) -> bytes:
    arrays = b"".join(getattr(payload, name).astype(kind).tobytes() for name, kind in kinds.items())
    text = _head(head) + b"\n" + arrays + rest
    return _HEAD.pack(_VERSION, zlib.crc32(text)) + text


def _head(head: Mapping[str, object]) -> bytes:
    return json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()


def _unpacked(blob: bytes) -> tuple[dict[str, Any], bytes]:
    text = blob[_HEAD.size :]
    head, newline, body = text.partition(b"\n")
    told = _HEAD.pack(_VERSION, zlib.crc32(text))
    if blob[: _HEAD.size] != told or not newline:
        raise ValueError
    try:
        found = cast("dict[str, Any]", json.loads(head))
        if _head(found) != head:  # other words, such as half a character, than are ever written
            raise ValueError
    except RecursionError:  # brackets without end
        raise ValueError from None
    return found, body


def _arrays(body: bytes, sizes: Mapping[str, tuple[str, int]]) -> tuple[dict[str, Any], bytes]:
    """Cut the arrays off a body, as the types that are used in memory; gives the rest, too."""
    found: dict[str, Any] = {}
    for name, (kind, count) in sizes.items():
        width = np.dtype(kind).itemsize * count
        if len(body) < width:
            raise ValueError
        array: npt.NDArray[Any] = np.frombuffer(body[:width], dtype=kind)
        found[name] = array.astype(
            np.int64 if kind == "<u4" else np.bool_ if kind == "?" else np.float32
        )
        body = body[width:]
    return found, body


def _kept(payload: Payload, names: Mapping[str, str] | tuple[str, ...], keep: Flags) -> Any:  # noqa: ANN401  # keyword arguments of `replace`
    return {name: getattr(payload, name)[keep] for name in names}


def _damaged(what: str) -> StoreUnavailableError:
    return StoreUnavailableError(f"a stored {what} is damaged; restore a backup of the store")
