"""Cards: their names, and how a new preference meets the ones that are there."""
