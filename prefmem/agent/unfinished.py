"""What a training leaves in a user's folder until it has ended, and how it ends with the user."""

import hashlib
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from transformers import TrainerCallback

from prefmem.errors import AdapterError, ConfigError, StoreUnavailableError
from prefmem.stores.filelock import FileLock

_SETTINGS = "settings.json"


class Watch(TrainerCallback):
    """Measures after the last step, and ends the run when the user has been removed."""

    def __init__(self, folder: Path) -> None:
        """Remember what the folder of the run holds."""
        self._settings = folder / _SETTINGS
        self._told = self._settings.read_bytes()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401  # transformers' own
        """Look, and ask for a measurement after the last step."""
        self.look()
        if state.global_step >= state.max_steps and args.eval_strategy != "no":
            control.should_evaluate = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401  # as above
        """Look."""
        del args, state, control
        self.look()

    def look(self) -> None:
        """Drop what the run has written since, where its user has been removed.

        Raises:
            AdapterError: The user has been removed.
        """
        try:
            if self._settings.read_bytes() == self._told:
                return
        except OSError:
            folder = self._settings.parent
            shutil.rmtree(folder, ignore_errors=True)
            for empty in (folder.parent, folder.parent.parent):
                with suppress(OSError):  # it holds other things
                    empty.rmdir()
        raise AdapterError("the user was removed while the adapter was trained; it is dropped")


@contextmanager
def run_folder(training: Path, settings: Mapping[str, Any], *, resume: bool) -> Generator[Path]:
    """Keep the folder of a run, which is gone when it has ended; a killed one leaves it.

    Args:
        training: Folder of the user's runs; one goes on at a time.
        settings: What the run is; the folder is named by their hash.
        resume: Whether what a killed run with these settings left is kept.

    Raises:
        ConfigError: A run is going on.
        AdapterError: The user was removed meanwhile.
        StoreUnavailableError: A file cannot be written; the run can go on later.
    """
    told = json.dumps(settings, sort_keys=True)
    folder = training / hashlib.sha256(told.encode()).hexdigest()[:12]
    training.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(str(training / "lock"))
    if not lock.acquire(0):
        raise ConfigError("a training of this user is going on; wait for it, or end it")
    try:
        if not resume and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / _SETTINGS).exists():
            (folder / _SETTINGS).write_text(f"{told}\n{uuid4().hex}\n", encoding="utf-8")
        watch = Watch(folder)
        try:
            yield folder
            shutil.rmtree(folder)
        except OSError as error:
            watch.look()
            raise StoreUnavailableError(
                f"{error.filename or folder}: {error.strerror or error}; free what is in the way, "
                "and start the same training again: it goes on"
            ) from error
    finally:
        lock.close()
