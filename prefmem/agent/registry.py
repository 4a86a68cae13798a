"""The adapters of each user on disk: numbered versions, which of them writes, and their removal.

A user's folder lies below the home and is named by a hash; nothing in it names the user. It holds
documents, lessons and cached answers (`places`), unfinished trainings, and the adapters:

    adapters/current        the number of the version that writes rules
    adapters/3/             adapter_model.safetensors, adapter_config.json, manifest.json
    training/9f2c01ab/      checkpoints of a run that has not ended

A version is written whole or not at all, and not changed afterwards. No model is loaded here.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefmem.agent.places import DOCUMENTS, QUARANTINE, folder_of
from prefmem.agent.version import FILES, MANIFEST, Version, check, opened, sha256, to_disk, write
from prefmem.errors import AdapterError, NotFoundError, StoreUnavailableError
from prefmem.types import UserKey

LESSONS = "lessons.jsonl"
_ADAPTERS, _CURRENT, _TRAINING, _GONE = "adapters", "current", "training", ".gone-"


@dataclass(frozen=True, slots=True)
class Removed:
    """What the removal of a user deleted.

    Attributes:
        adapters: Versions.
        lessons: Lessons they learned from.
        documents: Texts of the user.
        files: All files, caches and checkpoints with them.
    """

    adapters: int = 0
    lessons: int = 0
    documents: int = 0
    files: int = 0


class Registry:
    """The adapters of all users below one folder; processes may share it.

    Args:
        home: The folder; made when the first adapter comes.
    """

    def __init__(self, home: str | Path) -> None:
        """Remember the folder."""
        self.home = Path(home)

    def folder(self, user: UserKey) -> Path:
        """Give the folder of a user's files; it need not be there."""
        return folder_of(self.home, user)

    def training(self, user: UserKey) -> Path:
        """Give the folder of a user's unfinished trainings; it need not be there."""
        return self.folder(user) / _TRAINING

    def numbers(self, user: UserKey) -> tuple[int, ...]:
        """Give the numbers of a user's versions, damaged ones with them, oldest first."""
        folder = self.folder(user) / _ADAPTERS
        if not folder.is_dir():
            return ()
        return tuple(sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()))

    def version(self, user: UserKey, number: int) -> Version:
        """Give one version by its manifest; `check` looks at its files.

        Raises:
            NotFoundError: There is none of this number.
            AdapterError: Its manifest is missing or damaged.
        """
        if number not in self.numbers(user):
            raise NotFoundError(f"there is no version {number} of this user's adapter")
        return opened(self.folder(user) / _ADAPTERS / str(number), number)

    def versions(self, user: UserKey) -> tuple[Version, ...]:
        """Give all versions of a user, oldest first.

        Raises:
            AdapterError: A manifest is missing or damaged.
        """
        return tuple(self.version(user, number) for number in self.numbers(user))

    def current(self, user: UserKey) -> Version | None:
        """Give the version that writes a user's rules; None where there is none.

        Raises:
            AdapterError: What names it, or its manifest, is missing or damaged.
        """
        number = self.current_number(user)
        if number is None:
            return None
        try:
            return self.version(user, number)
        except NotFoundError:
            if self.current_number(user) is None:  # removed in this moment
                return None
            raise AdapterError(
                f"version {number} of the adapter in {self.folder(user).name} is gone; roll back, "
                "or train again"
            ) from None

    def current_number(self, user: UserKey) -> int | None:
        """Give the number of the version that writes a user's rules; None where there is none.

        Raises:
            AdapterError: The file that names it is damaged.
        """
        path = self.folder(user) / _ADAPTERS / _CURRENT
        try:
            told = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            told = ""
        if not told.isdecimal():
            raise AdapterError(f"{path} does not name a version; roll back to one by its number")
        return int(told)

    def publish(self, user: UserKey, made: Path, manifest: Mapping[str, Any]) -> Version:
        """Take the files of an adapter as the user's next version; one for rules becomes current.

        Args:
            user: Whose.
            made: Folder with the adapter's files, below the user's own; they are moved.
            manifest: What `Version.manifest` says, without `files` and `version`.

        Raises:
            FileNotFoundError: The user was removed, and the files with them.
        """
        files = {name: sha256(made / name) for name in FILES}
        folder = self.folder(user) / _ADAPTERS
        folder.mkdir(exist_ok=True, mode=0o700)  # where the user was removed there is no parent
        number = max((*self.numbers(user), 0)) + 1
        partial = folder / f".{uuid4().hex}"
        partial.mkdir(mode=0o700)
        try:
            for name in FILES:
                os.replace(made / name, partial / name)
                (partial / name).chmod(0o600)
                to_disk(partial / name)
            while True:
                told = {**manifest, "version": number, "files": files}
                write(partial / MANIFEST, json.dumps(told, indent=2) + "\n")
                try:
                    partial.rename(folder / str(number))
                    break
                except OSError:
                    if not (folder / str(number)).exists():
                        raise
                    number += 1  # another process was quicker
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # there only where it failed
        to_disk(folder)
        if manifest["target"] == "rules":
            self._point(user, number)
        return opened(folder / str(number), number)

    def rollback(self, user: UserKey, *, to: int | None = None) -> Version:
        """Let an older version of a user write; the newer ones stay.

        Args:
            user: Whose.
            to: Its number; the one before the current unless given.

        Raises:
            NotFoundError: There is no such version, or none before.
            AdapterError: That version is damaged, or writes no rules.
        """
        if to is None:
            now = self.current_number(user) or 0
            older = [n for n in self.numbers(user) if n < now and self._writes(user, n)]
            if not older:
                raise NotFoundError("there is no older version of this user's adapter")
            to = older[-1]
        version = self.version(user, to)
        check(version)
        if version.target != "rules":
            raise AdapterError(f"version {to} writes {version.target}, not rules; choose another")
        self._point(user, to)
        return version

    def remove(self, user: UserKey) -> Removed:
        """Delete all files of a user: adapters, documents, lessons, caches, unfinished trainings.

        From its first moment on no reader finds the adapters. A training of the user that is
        going on ends with an error at its next step. Files are unlinked, not overwritten.

        Raises:
            StoreUnavailableError: A file cannot be deleted; another `remove` goes on with it.
        """
        folder = self.folder(user)
        left = list(self.home.glob(f"{_GONE}{folder.name}-*"))  # of a removal that broke off
        try:
            if folder.exists():
                hidden = self.home / f"{_GONE}{folder.name}-{uuid4().hex}"
                folder.rename(hidden)
                left.append(hidden)
            counts = [_counted(path) for path in left]
            for path in left:
                _delete(path)
        except OSError as error:
            raise StoreUnavailableError(
                f"{error.filename or self.home}: {error.strerror}; free the files of this user's "
                "agent, and remove again"
            ) from error
        return Removed(
            sum(c.adapters for c in counts), sum(c.lessons for c in counts),
            sum(c.documents for c in counts), sum(c.files for c in counts),
        )  # fmt: skip

    def _writes(self, user: UserKey, number: int) -> bool:
        try:
            return self.version(user, number).target == "rules"
        except AdapterError:
            return False

    def _point(self, user: UserKey, number: int) -> None:
        path = self.folder(user) / _ADAPTERS / _CURRENT
        partial = path.with_name(f".{uuid4().hex}")
        write(partial, f"{number}\n")
        os.replace(partial, path)
        to_disk(path.parent)


def _counted(folder: Path) -> Removed:
    return Removed(
        adapters=sum(path.name.isdecimal() for path in (folder / _ADAPTERS).glob("*")),
        lessons=_lines(folder / LESSONS),
        documents=_lines(folder / DOCUMENTS) + _lines(folder / QUARANTINE),
        files=sum(path.is_file() for path in folder.rglob("*")),
    )


def _lines(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(bool(line.strip()) for line in file)


def _delete(folder: Path) -> None:
    """Delete a folder, whose files another process may be deleting, too."""
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
