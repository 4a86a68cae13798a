"""How well a preference agent learns how its user writes, measured on authors of our own."""
