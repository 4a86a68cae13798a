"""Faults that the memory must survive, run against the user's own disk and database.

Nothing here loads weights: the store is what is tested, behind `PreferenceMemory` on fakes.
"""
