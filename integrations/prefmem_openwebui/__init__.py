"""prefmem in Open WebUI: `filter.py`, one file that Open WebUI loads itself as a function.

Paste it under Admin Panel, Functions; see README.md beside it.
"""

from pathlib import Path

__all__ = ["FILTER"]

FILTER = Path(__file__).parent / "filter.py"  # what to paste
