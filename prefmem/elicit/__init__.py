"""Asking a new user how they like answers: what to ask, when not to, and what a reply means."""
