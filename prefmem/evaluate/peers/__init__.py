"""`prefmem evaluate peers`: the same work on prefmem and on other memories.

Each has an environment of its own. The harness knows no peer: it asks driver scripts (`drivers/`)
for work over stdin and stdout, a JSON line each. `peers.toml` names the peers and pins what is
installed.
"""
