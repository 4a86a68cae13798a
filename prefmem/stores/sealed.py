"""Whether a store and keys belong together, and what makes a sealed store of a plain one.

`meta` holds `sealed`, the name of the key ring, once a store is sealed; `sealing` while a plain
store is being sealed; `swept`, the number of the last dropped key whose user is known to be gone.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from prefmem.errors import ConfigError, StoreUnavailableError
from prefmem.stores.base import Base, Connection, Row, Uid
from prefmem.stores.keys import UserKeys
from prefmem.stores.rows import EDIT_TEXTS
from prefmem.stores.seal import OPEN, Seal
from prefmem.types import UserKey

_IN_A_QUERY = 500
_MARK = "insert into meta values (?, ?) on conflict (key) do update set value = excluded.value"


def check_seal(base: Base, keys: UserKeys | None, name: str) -> None:
    """Refuse a store whose keys are missing or others, before anything is read; mark a new one.

    Raises:
        ConfigError: The store is sealed and there are no keys, or other ones; or it is plain and
            holds users, and there are keys.
    """
    held, users = base.read_all(_looked)
    if "sealing" in held:
        raise ConfigError(
            f"the encryption of {name} was begun and did not end; close every use of it, and run "
            "`prefmem encrypt` again, which goes on"
        )
    if keys is None:
        if "sealed" in held:
            raise ConfigError(
                f"{name} is encrypted; pass the keys it was written with: encryption=UserKeys(...),"
                " or PREFMEM_KEYS with PREFMEM_MASTER_KEY for the command line"
            )
        return
    if "sealed" not in held:
        if users:
            raise ConfigError(
                f"{name} holds users in plain text; close every use of it, and run "
                "`prefmem encrypt`, or open it without encryption"
            )
        _mark(base, "sealed", keys.id)
        held, _ = base.read_all(_looked)
    _check_ring(held["sealed"], keys, name)


def seal_store(base: Base, keys: UserKeys, name: str, *, rewrite: Callable[[], bool]) -> int:
    """Seal everything that a plain store holds; gives how many users were in plain text.

    Nobody else may use the store meanwhile. A run that was stopped or killed goes on with the next.

    Args:
        base: The database.
        keys: The keys; new users get theirs.
        name: What the store is called in messages.
        rewrite: Clears the bytes of what was replaced; False where someone reads.

    Raises:
        ConfigError: The store is sealed with other keys.
        StoreUnavailableError: The plain bytes could not be cleared.
    """
    held, _ = base.read_all(_looked)
    if "sealed" in held or "sealing" in held:
        _check_ring(held.get("sealed") or held["sealing"], keys, name)
    if "sealed" in held:
        return 0
    _mark(base, "sealing", keys.id)
    count = 0
    while users := base.read_all(_plain_users):
        for user in users:
            with base.hold(user) as (db, uid):
                _seal_user(db, uid, base.seal(db, user, uid, writing=True))
            count += 1
    if not rewrite():
        raise StoreUnavailableError(
            f"{name} is sealed, but its plain bytes are still on disk, as someone reads it; close "
            "every use of it, and run `prefmem encrypt` again"
        )
    with base.write_all() as db:
        db.execute(_MARK, ("sealed", keys.id))
        db.execute("delete from meta where key = 'sealing'")
    return count


def gone_users(base: Base, keys: UserKeys) -> Iterator[tuple[Sequence[UserKey], int]]:
    """Give the users whose key was dropped and whose rows are there, as after a restore.

    With each part comes a number: once its users are gone, `swept` takes it.
    """
    held, _ = base.read_all(_looked)
    dropped = keys.dropped(int(held.get("swept", 0)))
    for start in range(0, len(dropped), _IN_A_QUERY):
        part = dropped[start : start + _IN_A_QUERY]
        yield base.read_all(partial(_users_of, names=[name for _, name in part])), part[-1][0]


def swept(base: Base, number: int) -> None:
    """Write down that the users of the keys dropped up to here are gone."""
    _mark(base, "swept", str(number))


def drop_keys(db: Connection, keys: UserKeys | None, uids: Sequence[Uid]) -> None:
    """Destroy the keys of users, within a transaction that removes their rows.

    The keys go first: where the transaction fails, what it leaves cannot be read any more.
    """
    if keys is None:
        return
    names: list[str] = []
    for uid in uids:
        row = db.execute("select key_id from users where uid = ?", (uid,)).fetchone()
        if row and row[0]:
            names.append(str(row[0]))
    keys.drop(names)


def _looked(db: Connection) -> tuple[dict[str, str], bool]:
    """Read the marks, and whether there are users."""
    held = dict(
        db.execute(
            "select key, value from meta where key in ('sealed', 'sealing', 'swept')"
        ).fetchall()
    )
    return held, db.execute("select 1 from users limit 1").fetchone() is not None


def _mark(base: Base, key: str, value: str) -> None:
    with base.write_all() as db:
        db.execute(_MARK, (key, value))


def _check_ring(held: str, keys: UserKeys, name: str) -> None:
    if held != keys.id:
        raise ConfigError(
            f"{name} was written with other keys; pass the key ring that it was written with"
        )


def _plain_users(db: Connection) -> list[UserKey]:
    rows = db.execute(
        "select tenant, ext_id from users where key_id = '' limit ?", (_IN_A_QUERY,)
    ).fetchall()
    return [UserKey(ext_id, tenant) for tenant, ext_id in rows]


def _users_of(db: Connection, names: Sequence[str]) -> list[UserKey]:
    marks = ",".join("?" * len(names))
    rows = db.execute(
        f"select tenant, ext_id from users where key_id <> '' and key_id in ({marks})",  # noqa: S608  # only question marks are put in
        tuple(names),
    ).fetchall()
    return [UserKey(ext_id, tenant) for tenant, ext_id in rows]


def _seal_user(db: Connection, uid: Uid, seal: Seal) -> None:
    """Seal the rows of a user, each value for its place."""
    seal.name(b"")  # a user without rows gets a key, too

    def rows(sql: str) -> list[Row]:
        return db.execute(f"{sql} where uid = ?", (uid,)).fetchall()

    def blob(plain: bytes, column: str, row: str | int = "") -> bytes:
        return seal.blob(OPEN.open_blob(plain, column, row), column, row)

    def text(plain: str, column: str, row: str | int) -> str:
        return seal.text(OPEN.open_text(plain, column, row), column, row)

    db.executemany(
        "update cards set rule_hash = ?, body = ?, vec = ? where uid = ? and card_id = ?",
        [
            (
                seal.name(rule), text(body, "cards.body", card_id),
                blob(vec, "cards.vec", card_id), uid, card_id,
            )
            for card_id, rule, body, vec in rows("select card_id, rule_hash, body, vec from cards")
        ],
    )  # fmt: skip
    db.executemany(
        "update events set key = ?, body = ? where uid = ? and seq = ?",
        [
            (seal.key(key, "events.key"), text(body, "events.body", seq), uid, seq)
            for seq, key, body in rows("select seq, key, body from events")
        ],
    )
    db.executemany(
        "update interactions set key = ?, asked = ?, body = ? where uid = ? and seq = ?",
        [
            (
                seal.key(key, "interactions.key"), seal.key(asked, "interactions.asked"),
                blob(body, "interactions.body", seq), uid, seq,
            )
            for seq, key, asked, body in rows("select seq, key, asked, body from interactions")
        ],
    )  # fmt: skip
    db.executemany(
        "update edits set key = ?, context = ?, draft = ?, final = ? where uid = ? and seq = ?",
        [
            (
                seal.key(key, "edits.key"),
                *(
                    text(said, f"edits.{name}", key)
                    for name, said in zip(EDIT_TEXTS, texts, strict=True)
                ),
                uid, seq,
            )
            for seq, key, *texts in rows("select seq, key, context, draft, final from edits")
        ],
    )  # fmt: skip
    db.executemany(
        "update jobs set keys = ?, body = ? where uid = ? and id = ?",
        [
            (
                json.dumps([seal.key(key, "jobs.keys") for key in json.loads(keys)]),
                text(body, "jobs.body", session_id), uid, number,
            )
            for number, session_id, keys, body in rows(
                "select id, session_id, keys, body from jobs"
            )
        ],
    )  # fmt: skip
    (state,) = db.execute("select state from users where uid = ?", (uid,)).fetchone()
    if state is not None:
        db.execute("update users set state = ? where uid = ?", (blob(state, "users.state"), uid))
