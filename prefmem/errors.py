"""The error tree: everything that prefmem raises on purpose.

PrefmemError
├── ConfigError             an unknown or impossible setting (also a ValueError)
├── InputError              a message, id, file or record that cannot be taken (also a ValueError)
│   └── UserRequiredError   no user_id, or one that cannot be a key
├── NotFoundError           no such card for this user (also a KeyError)
├── MissingExtraError       an optional package is not installed (also an ImportError)
├── WeightsError            a weight file is missing or damaged
├── AdapterError            a user's LoRA adapter is missing, damaged, or of another base
├── EndpointError           a chat model cannot be reached, refuses, or gives no whole answer
├── BasisMismatchError      vectors of two embedders met
└── StoreError              the store cannot do what was asked
    ├── StoreClosedError    it was closed; open a new memory
    ├── StoreVersionError   the file was written by a newer prefmem, or is not ours
    └── StoreUnavailableError   read-only, full, locked or damaged
        └── ShardDownError      one of several stores is; users of the others are served
"""


class PrefmemError(Exception):
    """Base of all errors raised by prefmem."""


class ConfigError(PrefmemError, ValueError):
    """A setting is unknown, out of range, or contradicts another one."""


class InputError(PrefmemError, ValueError):
    """What the caller passed in cannot be used; nothing was stored."""


class UserRequiredError(InputError):
    """A call came without a user, or with a user id that cannot be a key."""


class NotFoundError(PrefmemError, KeyError):
    """The user has no card with this id."""

    def __str__(self) -> str:
        """Give the message itself; KeyError would quote it."""
        return str(self.args[0]) if self.args else ""


class MissingExtraError(PrefmemError, ImportError):
    """An optional package is needed; the message holds the install line."""


class WeightsError(PrefmemError):
    """A packaged weight file is missing, or its hash is not the one in its manifest."""


class AdapterError(PrefmemError):
    """A user's adapter cannot be used: missing, damaged, or trained on another base."""


class EndpointError(PrefmemError):
    """A chat model cannot be reached, refuses, or gives no whole answer; nothing was stored."""


class BasisMismatchError(PrefmemError):
    """Vectors made by different embedders, or of different widths, would have been mixed."""


class StoreError(PrefmemError):
    """The store cannot do what was asked; what was acknowledged before is safe."""


class StoreClosedError(StoreError):
    """The store was closed, by this memory or by the one that it is shared with."""


class StoreVersionError(StoreError):
    """The file belongs to a newer prefmem, or to another program."""


class StoreUnavailableError(StoreError):
    """The store is read-only, full, locked by another process, or damaged."""


class ShardDownError(StoreUnavailableError):
    """The store of some users, one of several, cannot be used; the others go on."""
