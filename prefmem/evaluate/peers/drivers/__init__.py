"""One script a peer, each run by the Python of that peer's environment, without prefmem.

`serve.py` is what they share. A script imports its peer in `load` and nothing else outside the
standard library, so that the import can be timed.
"""
