"""What the mutants are: places found by regular expressions, and those that change nothing."""

from dataclasses import dataclass

STORES = "prefmem/stores/"
_SCHEMAS = (f"{STORES}migrations.py", f"{STORES}pgschema.py", f"{STORES}ring.py")
_FILES = (f"{STORES}sqlitefile.py", f"{STORES}ring.py")


@dataclass(frozen=True)
class Kind:
    """Places that are changed in one way.

    Attributes:
        name: What is taken away.
        files: Where, relative to the root; all of a folder if it ends with a slash.
        found: What stands there.
        put: What stands there instead, with groups of the match.
    """

    name: str
    files: tuple[str, ...]
    found: str
    put: str


@dataclass(frozen=True)
class Same:
    """A mutant that behaves as the code does.

    Attributes:
        kind: What is taken away.
        file: Where.
        near: Text within three lines of the place.
        reason: Why nothing changes.
    """

    kind: str
    file: str
    near: str
    reason: str

    def fits(self, kind: str, file: str, near: str) -> bool:
        """Whether it is this one."""
        return (kind, file) == (self.kind, self.file) and self.near in near


KINDS = (
    Kind("uid filter", (STORES,), r"(?:\bjobs\.)?\buid = \?(?!\w)", r"(\g<0> or true)"),
    Kind("tenant filter", (STORES,), r"tenant = \?", "(tenant = ? or true)"),
    Kind("unique key", _SCHEMAS, r",\n\s*unique \(\w+, \w+\)", ""),
    Kind("unique key", _SCHEMAS, r",\n\s*primary key \([^)]*\)", ""),
    Kind("unique key", (f"{STORES}ring.py",), r" unique\b", ""),
    Kind("unique index", _SCHEMAS, r"create unique index", "create index"),
    Kind("write lock", (STORES,), r"begin immediate", "begin"),
    Kind("row lock", (f"{STORES}postgres.py",), r" for update(?= of|\")", ""),
    Kind("row lock", (f"{STORES}postgres.py",), r" skip locked", ""),
    Kind("row lock", (f"{STORES}postgres.py",), r" for share", ""),
    Kind("advisory lock", (STORES,), r"pg_advisory_xact_lock\((\?|%s)\)", r"\1::bigint"),
    Kind("turn of processes", (f"{STORES}sqlitefile.py",),
         r"not self\._turn\.acquire\(_WAIT_MS / 1000\)", "False"),
    Kind("turn of processes", (f"{STORES}filelock.py", f"{STORES}erasures.py"),
         r"fcntl\.flock\(", "(lambda *given: None)("),
    Kind("lock of threads", (f"{STORES}sqlitefile.py",),
         r"self\._lock\.acquire\(\)", "threading.RLock().acquire()"),
    Kind("sync", _FILES, r"synchronous = full", "synchronous = off"),
    Kind("sync", (STORES,), r"os\.fsync\(", "(lambda file: None)("),
    Kind("sync", (STORES,), r"(?<!def )\bsync_folder\(", "(lambda path: None)("),
    Kind("overwriting", _FILES, r"secure_delete = on", "secure_delete = off"),
    Kind("overwriting", (f"{STORES}backup.py",), r"secure_delete = on", "secure_delete = off"),
    Kind("row-level security", (f"{STORES}pgschema.py",),
         r"for told in \(\"enable\", \"force\"\)", "for told in ()"),
    Kind("row-level security", (f"{STORES}pgschema.py",),
         r"(_ME|_QUEUE|_LISTED) = \"[^\n]*\"", r'\1 = "true"'),
    Kind("role", (f"{STORES}postgres.py",), r"if self\._role:", "if False:"),
    Kind("commit awaited", (f"{STORES}sqlitefile.py",), r"group\.done\.wait\(\)", "pass"),
    Kind("group's error", (f"{STORES}sqlitefile.py",),
         r"if group\.error is not None:(?=\n                raise)", "if False:"),
)  # fmt: skip

_POLICY = "row-level security shows the statement this user alone; test_postgres.py shows that"
_NUMBER = "the number alone names one row: it is given once in a table"
SAME = (
    Same("uid filter", f"{STORES}postgres.py", "_HELD: Final", _POLICY),
    Same("uid filter", f"{STORES}postgres.py", "learned =", _POLICY),
    Same("uid filter", f"{STORES}postgres.py", 'done = db.execute(f"delete from {table}', _POLICY),
    Same("tenant filter", f"{STORES}postgres.py", "select ext_id from users",
         "row-level security lists the users of the tenant that was named, and no others"),
    Same("uid filter", f"{STORES}jobs.py", '"where id = ? and uid = ?",\n', _NUMBER),
    Same("uid filter", f"{STORES}jobs.py", 'delete from jobs where id = ? and uid = ?"', _NUMBER),
    Same("uid filter", f"{STORES}sealed.py", "update jobs set keys", _NUMBER),
    Same("uid filter", f"{STORES}cipher.py", "return str(row[0])",
         "only notes on PostgreSQL get there, and " + _POLICY),
    Same("overwriting", f"{STORES}backup.py", "db.backup(new)",
         "all that is deleted in a copy is a mark that says nothing of a user"),
    Same("unique index", f"{STORES}migrations.py", "where status in ('active', 'quarantined')",
         "the second step drops this index"),
    Same("write lock", f"{STORES}sqlite.py", "if self._base.uid(db, user) == -1",
         "SQLite refuses to write on a picture that is old: the note is dropped, as it may be"),
    Same("write lock", f"{STORES}sqlitefile.py", "for number, step in enumerate(MIGRATIONS",
         "who upgrades has the turn of processes; without it SQLite lets one of two write, and the "
         "other one begins anew"),
)  # fmt: skip
