"""The models that run inside the process."""
