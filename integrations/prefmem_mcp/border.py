"""The border of the server: what fails inside is logged and counted, and the server lives on."""

import logging
import traceback
from collections import Counter

_log = logging.getLogger("prefmem.mcp")


class Border:
    """Takes failures.

    Attributes:
        failures: How often something failed, by the error's name.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.failures: Counter[str] = Counter()

    def survive(self, doing: str, error: Exception) -> str:
        """Log and count a failure by its kind and place, and give what the caller may know.

        The error's message stays here: it may quote the user or name a file.
        """
        kind = type(error).__name__
        self.failures[kind] += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.warning("%s failed with %s in %s, line %s", doing, kind, place.name, place.lineno)
        return (
            f"The preference memory could not do this now ({kind}). Go on without it; one more "
            "try later is fine, more are not."
        )
