"""The site's own modules, which lie beside its pages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".docs"))
