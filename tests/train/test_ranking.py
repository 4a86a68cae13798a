from pathlib import Path

from prefmem.train.embedder import DATA
from prefmem.train.ranking import load_families, split

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


def test_the_split_parts_our_families() -> None:
    families = load_families(DATA)
    fit, held_out = split(families)
    assert len(fit) + len(held_out) == len(families) == 103
    assert len(held_out) >= 20
    assert not {f.name for f in fit} & {f.name for f in held_out}
