"""`python -m prefmem.selftest.worker MODULE.FUNCTION JSON`: one role, in a process of its own.

What a role tells is on its way to the parent before the next thing is done: whatever was told and
is not there after a kill was lost.
"""

import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias

Tell: TypeAlias = Callable[[object], None]
Role: TypeAlias = Callable[[Mapping[str, Any], Tell], None]


def tell(data: object) -> None:
    """Tell the parent something, now and in one piece, from any thread."""
    os.write(1, json.dumps(data, separators=(",", ":")).encode() + b"\n")


def found(name: str) -> Role:
    """Find the role `module.function`."""
    module, _, function = name.partition(".")
    role: Role = getattr(import_module(f"prefmem.selftest.{module}"), function)
    return role


def warm() -> None:
    """Load what a first call waits for."""
    opened = import_module("prefmem.selftest.ground").opened
    with opened(":memory:") as memory:
        memory.learn([("user", "Always be brief.")], user_id="warm")
        memory.recall("Write a line.", user_id="warm")


def nest(given: Mapping[str, Any], tell: Tell) -> None:
    """Fork a process for each line of JSON on stdin, once the one before has ended."""
    del given
    warm()
    warnings.simplefilter("ignore", DeprecationWarning)  # libraries' threads do nothing yet
    for line in sys.stdin:
        asked = json.loads(line)
        role = found(asked["role"])
        pid = os.fork()
        if pid == 0:
            tell({"pid": os.getpid()})
            try:
                role(asked["args"], tell)
            except BaseException:  # noqa: BLE001  # the end of this process
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        tell({"ended": os.waitpid(pid, 0)[1]})


def main() -> None:
    """Run the role that the arguments name."""
    logging.getLogger("prefmem").setLevel(logging.ERROR)  # failures are what is tested
    found(sys.argv[1])(json.loads(sys.argv[2]), tell)


if __name__ == "__main__":
    main()
