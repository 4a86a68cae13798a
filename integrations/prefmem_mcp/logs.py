"""The log of a server's process: on stderr, and without anything that a user may have written."""

import logging

_OURS = ("prefmem", "uvicorn")  # these say nothing of what a request holds


class _Places(logging.Formatter):
    """Tells of others, the SDK among them, where something happened, not what they say of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line: level, name, and the message or the place."""
        told = f"{record.levelname} {record.name}: "
        if record.name.partition(".")[0] in _OURS:
            return told + record.getMessage()
        kind = record.exc_info[0] if record.exc_info else None
        failed = f" ({kind.__name__})" if kind else ""
        return f"{told}in {record.funcName}, line {record.lineno}{failed}"


def log_places() -> None:
    """Set up the log of this process; to be called before a server is made."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Places())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.INFO)
