"""`python -m prefmem.selftest.worker MODULE.FUNCTION JSON`: one role, in a process of its own.

What a role tells is on its way to the parent before the next thing is done: whatever was told and
is not there after a kill was lost.
"""

import json
import os
import sys
from importlib import import_module


def tell(data: object) -> None:
    """Tell the parent something, now and in one piece, from any thread."""
    os.write(1, json.dumps(data, separators=(",", ":")).encode() + b"\n")


def main() -> None:
    """Run the role that the arguments name."""
    module, _, function = sys.argv[1].partition(".")
    role = getattr(import_module(f"prefmem.selftest.{module}"), function)
    role(json.loads(sys.argv[2]), tell)


if __name__ == "__main__":
    main()
