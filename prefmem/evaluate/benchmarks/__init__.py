"""Adapters for benchmark files that a user brings along; none of their text is in this package."""
