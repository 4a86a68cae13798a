from pathlib import Path

from prefmem.train.ranking import load_families
from prefmem.train.requests import RANKING

TEXT = """\
== hotels
@ choosing a hotel | booking a stay
+ I only sleep in quiet streets.
> keep it under 120 a night
? Where should I stay in Lisbon?
?2| What does a room cost?
! A story set in a hotel
== hotels
? And in Porto?
"""


def test_families_are_read_and_continued(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    (family,) = load_families(tmp_path)
    assert family.rules == [
        "I only sleep in quiet streets.",
        "When booking a stay, keep it under 120 a night.",
    ]
    assert family.queries == [
        ("Where should I stay in Lisbon?", (0, 1)),
        ("What does a room cost?", (1,)),
        ("And in Porto?", (0, 1)),
    ]
    assert family.baits == ["A story set in a hotel"]


def test_our_families_are_there() -> None:
    families = load_families(RANKING)
    assert len(families) == 103
    assert all(family.rules and family.queries for family in families)
