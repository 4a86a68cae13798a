"""What mem0 and langmem remember of a user, taken into a prefmem memory as cards.

report = import_mem0(memory, json.load(open("mem0.json")), user_id="ann")
report = import_langmem(memory, items, user_id="ann", owner="user-17")
"""

from prefmem_imports.entries import Entry, ImportReport, Skipped
from prefmem_imports.langmem import import_langmem
from prefmem_imports.mem0 import import_mem0
from prefmem_imports.person import first_person

__all__ = ["Entry", "ImportReport", "Skipped", "first_person", "import_langmem", "import_mem0"]
