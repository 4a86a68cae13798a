"""A preference memory for chat agents: how each user likes things done.

from prefmem import PreferenceMemory

with PreferenceMemory("prefs.db") as memory:
    memory.learn([{"role": "user", "content": "When you write SQL, use CTEs."}], user_id="ann")
    print(memory.render(memory.recall("a query for monthly sales", user_id="ann")))
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from prefmem.config import Config
    from prefmem.elicit.question import Elicitation
    from prefmem.errors import (
        BasisMismatchError,
        ConfigError,
        EndpointError,
        InputError,
        MissingExtraError,
        NotFoundError,
        PrefmemError,
        StoreError,
        UserRequiredError,
        WeightsError,
    )
    from prefmem.interaction import UserState
    from prefmem.memory import PreferenceMemory
    from prefmem.render_check import broken_rules
    from prefmem.types import (
        Candidate,
        Card,
        Evidence,
        LearnReport,
        Preference,
        Recall,
        Rule,
        Scope,
        Turn,
        Window,
    )

_HOMES = {
    "memory": ("PreferenceMemory",),
    "config": ("Config",),
    "elicit.question": ("Elicitation",),
    "render_check": ("broken_rules",),
    "types": (
        "Candidate", "Card", "Evidence", "LearnReport", "Preference", "Recall", "Rule", "Scope",
        "Turn", "Window",
    ),
    "interaction": ("UserState",),
    "errors": (
        "BasisMismatchError", "ConfigError", "EndpointError", "InputError", "MissingExtraError",
        "NotFoundError", "PrefmemError", "StoreError", "UserRequiredError", "WeightsError",
    ),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  # by importance
    "PreferenceMemory",
    "Config",
    "Elicitation",
    "Candidate",
    "Card",
    "Evidence",
    "LearnReport",
    "Preference",
    "Recall",
    "Rule",
    "Scope",
    "Turn",
    "UserState",
    "Window",
    "broken_rules",
    "BasisMismatchError",
    "ConfigError",
    "EndpointError",
    "InputError",
    "MissingExtraError",
    "NotFoundError",
    "PrefmemError",
    "StoreError",
    "UserRequiredError",
    "WeightsError",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing the package costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'prefmem' has no attribute {name!r}")
    return getattr(import_module(f"prefmem.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*__all__, "__version__"])
