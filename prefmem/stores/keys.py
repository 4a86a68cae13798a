"""A data key for each user, wrapped with the caller's master key; dropping one is an erasure.

from prefmem.stores.keys import UserKeys, master_key

with UserKeys("keys.db", master=master_key("master.key")) as keys:
    memory = PreferenceMemory("prefs.db", encryption=keys)

The wrapped keys lie in a key ring apart from the store: whoever drops one makes every copy of the
user's rows unreadable at once, in backups, in PostgreSQL's write-ahead log and on replicas. The
copies of the key ring are what is left to look after.

What is sealed: cards, vectors, the log, the user's state, edits and waiting turns, with AES-256-GCM
and a random nonce; idempotency keys with AES-SIV, which keeps equal ones equal within a user. What
stays in the clear: tenants, user and session ids, card ids, times, counts, sizes, and of a card its
status, confidence, kind of scope and end.
"""

import base64
import binascii
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from prefmem.errors import ConfigError, MissingExtraError, StoreUnavailableError
from prefmem.stores.base import Connection, Uid
from prefmem.stores.ring import KeyFile, KeyRing
from prefmem.stores.seal import OPEN, Seal
from prefmem.types import UserKey

if TYPE_CHECKING:
    from prefmem.stores.cipher import Ciphers

KEY_BYTES = 32
_IN_ADVANCE = 64  # keys that are made at once, at most
_CHECK = "check"  # name of the key that tells whether the master key is the right one
_ABOUT = b"prefmem user key 1\0"


@runtime_checkable
class Master(Protocol):
    """Wraps and unwraps data keys; a key service can take the place of a key in memory."""

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """Encrypt a key of 32 bytes, bound to `about`."""
        ...

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """Decrypt a key.

        Raises:
            ValueError: It was not wrapped by this master, or not about this.
        """
        ...


class UserKeys:
    """The data keys of the users of one store or of several; safe to share between threads.

    Args:
        ring: Path of a key ring, made if missing; or another ring.
        master: 32 random bytes, or what wraps and unwraps.
        cached: Keys that are kept unwrapped in memory, those used last.

    Raises:
        ConfigError: The ring was wrapped with another master key.
        MissingExtraError: `cryptography` is not installed.
        StoreError: The ring cannot be used.
    """

    def __init__(
        self, ring: str | Path | KeyRing, *, master: bytes | Master, cached: int = 4096
    ) -> None:
        """Open the ring, and check that the master key fits."""
        try:
            from prefmem.stores.cipher import Ciphers
        except ImportError:
            raise MissingExtraError(
                'encryption needs cryptography: pip install "prefmem[encryption]"'
            ) from None
        self._master = _master(master)
        self._ring: KeyRing = KeyFile(ring) if isinstance(ring, str | Path) else ring
        self._ciphers: Callable[[bytes], Ciphers] = Ciphers
        self._most = cached
        self._begin_anew()
        try:
            self.id = self._check().hex()[:32]
        except BaseException:
            self._ring.close()
            raise

    def _begin_anew(self) -> None:
        self._pid, self._lock, self._making = os.getpid(), threading.Lock(), threading.Lock()
        self._spare, self._next = list[tuple[str, bytes]](), 1
        self._known: OrderedDict[str, Ciphers] = OrderedDict()
        self._drops = 0  # those up to here are known of

    def make(self) -> str:
        """Make a key for a new user; gives its name, once it is durable.

        A process that makes many writes down some in advance, as each write waits for the disk.

        Raises:
            StoreUnavailableError: Another process changed the master key.
        """
        self._here()
        with self._making:
            if not self._spare:
                made = {
                    secrets.token_hex(16): secrets.token_bytes(KEY_BYTES) for _ in range(self._next)
                }
                wrapped = {name: self._wrapped(name, key) for name, key in made.items()}
                if not self._ring.put(wrapped, guard=(_CHECK, self._checked)):
                    raise StoreUnavailableError(
                        "the keys were wrapped anew with another master key; start again with that "
                        "one"
                    )
                self._spare, self._next = list(made.items()), min(2 * self._next, _IN_ADVANCE)
            name, key = self._spare.pop()
        self._keep(name, key)
        return name

    def find(self, name: str) -> "Ciphers | None":
        """Give what a user's key seals with; None where it was dropped.

        Raises:
            StoreUnavailableError: The ring does not know the key, or cannot be used.
        """
        self._forget_dropped()
        with self._lock:
            found = self._known.get(name)
            if found is not None:
                self._known.move_to_end(name)
                return found
        wrapped = self._ring.get(name)
        if wrapped is None:
            if any(name == dropped for _, dropped in self._ring.dropped()):
                return None
            raise StoreUnavailableError(
                "the key ring does not know the key of this user: it is another ring than the "
                "store was written with, or an older copy of it"
            )
        return self._keep(name, self._unwrapped(name, wrapped))

    def drop(self, names: Sequence[str]) -> None:
        """Destroy keys for good: nothing that was sealed with them can be read again, anywhere."""
        if names:
            self._ring.drop(names)
            self._forget_dropped()

    def dropped(self, after: int = 0) -> tuple[tuple[int, str], ...]:
        """Give the names of dropped keys, numbered as they were dropped: those above `after`."""
        return self._ring.dropped(after)

    def rewrap(self, master: bytes | Master) -> int:
        """Wrap every key with another master key, all or none; gives how many.

        Nothing that the store holds changes. Other processes go on reading, and need the new master
        key before they meet a new user.
        """
        new = _master(master)
        count = self._ring.rewrap(
            lambda name, wrapped: new.wrap(self._unwrapped(name, wrapped), _about(name))
        )
        self._master = new
        self._check()
        return count - 1

    def close(self) -> None:
        """Forget the keys and close the ring; closing twice is fine."""
        self._begin_anew()
        self._ring.close()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _check(self) -> bytes:
        """Give the ring's own random bytes, by which a store knows it, if the master key fits."""
        wrapped = self._ring.get(_CHECK)
        if wrapped is None:
            self._ring.put({_CHECK: self._wrapped(_CHECK, secrets.token_bytes(KEY_BYTES))})
            wrapped = self._ring.get(_CHECK)
        if wrapped is None:
            raise StoreUnavailableError("the key ring keeps nothing")
        self._checked = wrapped
        try:
            return self._master.unwrap(wrapped, _about(_CHECK))
        except ValueError:
            raise ConfigError(
                "the master key is not the one that these keys were wrapped with; pass that one"
            ) from None

    def _wrapped(self, name: str, key: bytes) -> bytes:
        return self._master.wrap(key, _about(name))

    def _unwrapped(self, name: str, wrapped: bytes) -> bytes:
        try:
            return self._master.unwrap(wrapped, _about(name))
        except ValueError:
            raise StoreUnavailableError(
                "a user's key does not unwrap: the key ring is damaged, or another process changed "
                "the master key; bring back the ring, or start again with the new master key"
            ) from None

    def _keep(self, name: str, key: bytes) -> "Ciphers":
        made = self._ciphers(key)
        with self._lock:
            self._known[name] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made

    def _here(self) -> None:
        """Begin anew in a forked process: a lock may have been held, and its keys are another's."""
        if os.getpid() != self._pid:
            self._begin_anew()

    def _forget_dropped(self) -> None:
        """Forget the keys that any process has dropped since."""
        self._here()
        dropped = self._ring.dropped(self._drops)
        if dropped:
            with self._lock:
                for number, name in dropped:
                    self._known.pop(name, None)
                    self._drops = max(self._drops, number)


def seal_of(
    keys: UserKeys | None, db: Connection, user: UserKey, uid: Uid, *, writing: bool
) -> Seal:
    """Give what seals and opens the values of a user on a connection within a transaction."""
    if keys is None:
        return OPEN
    from prefmem.stores.cipher import UserSeal

    return UserSeal(keys, db, user, uid, writing=writing)


def master_key(path: str | Path) -> bytes:
    """Read a master key from a file: 32 bytes in base64 or hexadecimal digits, or as they are.

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    try:
        held = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the master key: {error}") from None
    return held if len(held) == KEY_BYTES else read_key(held.decode("ascii", "replace"))


def read_key(text: str) -> bytes:
    """Read a master key from text: 32 bytes in base64 or hexadecimal digits.

    Raises:
        ConfigError: It is something else.
    """
    text = text.strip()
    for read in (bytes.fromhex, _read_base64):
        try:
            key = read(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise ConfigError(
        f"no master key: it is {KEY_BYTES} bytes in base64 or hexadecimal digits; "
        "`prefmem keys new FILE` makes one"
    )


def _read_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _master(given: bytes | Master) -> Master:
    if isinstance(given, bytes):
        from prefmem.stores.cipher import LocalMaster

        return LocalMaster(given)
    return given


def _about(name: str) -> bytes:
    return _ABOUT + name.encode()
