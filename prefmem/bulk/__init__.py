"""Batches over logs: the rules of millions of windows, in a folder that survives a kill."""
