"""What the servers share: whom a bearer key or a signed token speaks for.

found = KeyFile(Path("keys.json")).find(b"pm_...")    # prefmem_keys.file: a file of hashes
found = JwtReader(JwtSettings(...)).read(token)       # prefmem_keys.tokens, needs pyjwt[crypto]

Both give a `Bearer` (prefmem_keys.bearer); what it may do there is for each server to say.
"""
