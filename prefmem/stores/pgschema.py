"""The PostgreSQL schema, as numbered steps, and who may use it. Steps are appended, never edited.

Every key begins with `uid`, which stands for tenant and user: what a cluster would be split by.
Row-level security shows a transaction the rows of the user that it has named, and no others: also
where a statement forgets to say whose.
"""

from contextlib import suppress
from typing import Any, Literal, TypeAlias

from psycopg import Connection, errors, sql

from prefmem.errors import ConfigError, StoreVersionError
from prefmem.stores.pgpool import fixed

VectorType: TypeAlias = Literal["bytea", "halfvec"]
APP_ROLE = "prefmem_app"
_LOCK = 0x7072656D  # of a migration, for the whole database

# Version n is reached by STEPS[n - 1]; all missing ones run in one transaction.
STEPS: tuple[str, ...] = (
    """
    create table meta (key text collate "C" primary key, value text not null);

    create sequence revisions;

    create table users (
        uid uuid primary key,                 -- hash of tenant and user
        tenant text collate "C" not null,
        ext_id text collate "C" not null,
        rev bigint not null default 0,        -- changes whenever the cards do
        seq bigint not null default 0,        -- last event
        numbered bigint not null default 0,   -- last card's number
        steps bigint not null default 0,
        model text not null default '',
        basis text not null default '',
        session_id text not null default '',
        state bytea,
        moved text not null default ''        -- the store that the rows went to
    );

    create index users_of_tenant on users (tenant, ext_id);

    create table events (
        uid uuid not null references users on delete cascade,
        seq bigint not null,
        key text collate "C" not null,        -- idempotency key
        kind text not null,
        body text not null,                   -- the changes, JSON
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    );

    create table cards (
        uid uuid not null references users on delete cascade,
        card_id text collate "C" not null,
        rule_hash bytea not null,             -- 16 bytes: what the rule says
        scope text not null,                  -- global | conditional
        status text not null,
        confidence float8 not null,
        created_seq bigint not null,
        place bigint not null,
        ends float8,                          -- seconds since 1970
        body text not null,                   -- the card, JSON
        vec {vectors} not null,               -- float16 unit vector
        number bigint not null,
        primary key (uid, card_id)
    );

    alter table cards alter column vec set storage main;

    create unique index cards_live on cards (uid, rule_hash)
        where status in ('active', 'candidate', 'quarantined');

    create table retired (                    -- numbers of cards that undo took away
        uid uuid not null references users on delete cascade,
        card_id text collate "C" not null,
        number bigint not null,
        primary key (uid, card_id)
    );

    create table interactions (
        uid uuid not null references users on delete cascade,
        seq bigint not null,
        key text collate "C" not null,
        kind text not null,                   -- offer | observation
        asked text not null,                  -- keyed hash of session and query; empty if none
        body bytea not null,
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    );

    create index interactions_asked on interactions (uid, asked, seq) where kind = 'offer';

    create table edits (                      -- drafts and what the user made of them
        uid uuid not null references users on delete cascade,
        seq bigint not null,
        key text collate "C" not null,
        context text not null,
        draft text not null,
        final text not null,
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    );

    create table jobs (                       -- windows that wait to be learned from
        uid uuid not null references users on delete cascade,
        id bigint generated always as identity,
        session_id text not null,
        keys text not null,                   -- JSON: names of the new user turns
        body text not null,                   -- JSON: the window
        queued_at float8 not null,            -- times in seconds since 1970, UTC
        due float8 not null,
        owner text not null default '',       -- the worker that has leased it
        leased_until float8 not null default 0,
        tries bigint not null default 0,
        error text not null default '',       -- kind of the last failure
        died_at float8,                       -- null while it is tried
        primary key (uid, id)
    );

    create index jobs_by_id on jobs (id);

    create index jobs_by_due on jobs (due) where died_at is null;

    create table erasures (                   -- users that must not come back with a backup
        token bytea primary key,              -- keyed hash of tenant and user
        at text not null
    );

    create table audit (                      -- who did what, never rule text; append-only
        id bigint generated always as identity primary key,
        at text not null,
        actor text not null,
        action text not null,
        who bytea not null,                   -- keyed hash of tenant and user
        card_id text not null,
        n bigint not null,
        chain bytea not null                  -- hash of this line and the chain before
    );

    insert into meta values ('vectors', '{vectors}');

    insert into meta values ('secret', replace(
        gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));
    """,
    # key_id: name of the key that the user's values are sealed with, in a key ring elsewhere
    """
    alter table users add column key_id text collate "C" not null default '';

    create index users_by_key on users (key_id) where key_id <> '';
    """,
)
_OWNED = ("users", "events", "cards", "retired", "interactions", "edits", "jobs")
_ME = "uid = nullif(current_setting('prefmem.uid', true), '')::uuid"
_QUEUE = "current_setting('prefmem.everyone', true) = 'queue'"
_LISTED = "'of ' || tenant = current_setting('prefmem.tenant', true)"


def migrate(
    db: Connection[Any], schema: str, *, vectors: VectorType = "bytea", role: str | None = None
) -> int:
    """Bring the schema up to date, and let a role use it; gives its version.

    A superuser, whom row-level security does not bind, works as the role `prefmem_app`, which is
    made; any other owner is bound by it.

    Args:
        db: A connection of the owner, in autocommit.
        schema: Where the tables are; it is made if missing.
        vectors: The type of vectors, for new tables: `halfvec` needs pgvector 0.7.
        role: Whom to allow to use the tables, as an application that owns nothing.

    Raises:
        ConfigError: pgvector is missing, or the role is.
        StoreVersionError: A newer prefmem made the schema.
    """
    with db.transaction():
        db.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        there = db.execute("select 1 from pg_namespace where nspname = %s", (schema,)).fetchone()
        if there is None:  # asked first, as `if not exists` wants the right to make one
            db.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        if vectors == "halfvec":
            _want_halfvec(db)
        db.execute(sql.SQL("set local search_path to {}, public").format(sql.Identifier(schema)))
        before = version(db, schema)
        for number, step in enumerate(STEPS[before:], start=before + 1):
            text = step.replace("{vectors}", vectors)
            db.execute(fixed(text))
            db.execute(
                "insert into meta values ('schema', %s) "
                "on conflict (key) do update set value = excluded.value",
                (str(number),),
            )
        if before < len(STEPS):
            for table in _OWNED:
                _protect(db, table)
        names = {role} if role else set[str]()
        if exempt(db):
            _make_role(db)
            names.add(APP_ROLE)
        for name in sorted(names):
            _allow(db, schema, name)
    return len(STEPS)


def version(db: Connection[Any], schema: str) -> int:
    """Give the version of the schema; 0 where there is none.

    Raises:
        StoreVersionError: A newer prefmem made it.
    """
    found = db.execute("select to_regclass(format('%%I.meta', %s::text))", (schema,)).fetchone()
    if found is None or found[0] is None:
        return 0
    asked = sql.SQL("select value from {} where key = 'schema'").format(
        sql.Identifier(schema, "meta")
    )
    row = db.execute(asked).fetchone()
    held = int(row[0]) if row else 0
    if held > len(STEPS):
        raise StoreVersionError(
            f"the schema {schema!r} has version {held}, this prefmem knows up to {len(STEPS)}: "
            "a newer prefmem made it; upgrade this one"
        )
    return held


def vectors_of(db: Connection[Any], schema: str) -> VectorType:
    """Give the type of the vectors of a schema that is there."""
    row = db.execute(
        sql.SQL("select value from {} where key = 'vectors'").format(sql.Identifier(schema, "meta"))
    ).fetchone()
    return "halfvec" if row and row[0] == "halfvec" else "bytea"


def exempt(db: Connection[Any]) -> bool:
    """Whether row-level security does not bind who is connected."""
    row = db.execute(
        "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    ).fetchone()
    return bool(row and row[0])


def _protect(db: Connection[Any], table: str) -> None:
    name = sql.Identifier(table)
    for told in ("enable", "force"):
        db.execute(
            sql.SQL("alter table {} {} row level security").format(name, sql.SQL(fixed(told)))
        )
    policies = [("own", "all", _ME)]
    if table == "users":
        policies += [("listed", "select", _LISTED), ("queued", "select", _QUEUE)]
    if table == "jobs":
        policies.append(("queued", "all", _QUEUE))
    for policy, action, rule in policies:
        db.execute(sql.SQL("drop policy if exists {} on {}").format(sql.Identifier(policy), name))
        db.execute(
            sql.SQL("create policy {} on {} for {} using ({})").format(
                sql.Identifier(policy),
                name,
                sql.SQL(fixed(action)),
                sql.SQL(fixed(rule)),
            )
        )


def _want_halfvec(db: Connection[Any]) -> None:
    try:
        with db.transaction():
            db.execute("create extension if not exists vector with schema public")
            db.execute("select null::public.halfvec")
    except (errors.UndefinedFile, errors.UndefinedObject, errors.FeatureNotSupported,
            errors.InsufficientPrivilege) as error:  # fmt: skip
        raise ConfigError(
            "vectors='halfvec' needs the extension pgvector 0.7 or newer in the schema public; "
            "install it, or use vectors='bytea', which needs none"
        ) from error


def may_be(db: Connection[Any], role: str) -> bool:
    """Whether who is connected may work as a role."""
    held = "set" if db.info.server_version >= 160_000 else "member"
    row = db.execute(
        "select pg_has_role(current_user, oid, %s) from pg_roles where rolname = %s", (held, role)
    ).fetchone()
    return bool(row and row[0])


def _make_role(db: Connection[Any]) -> None:
    name = sql.Identifier(APP_ROLE)
    there = "select 1 from pg_roles where rolname = %s"
    with suppress(errors.DuplicateObject, errors.UniqueViolation), db.transaction():
        if db.execute(there, (APP_ROLE,)).fetchone() is None:
            db.execute(sql.SQL("create role {} nologin").format(name))
    if may_be(db, APP_ROLE):
        return
    try:
        with db.transaction():
            db.execute(sql.SQL("grant {} to current_user").format(name))
    except errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"row-level security does not bind this role, and it cannot work as {APP_ROLE!r}; let "
            f"a superuser run `grant {APP_ROLE} to ROLE`, or use a role without BYPASSRLS"
        ) from error


def _allow(db: Connection[Any], schema: str, role: str) -> None:
    found = db.execute(
        "select rolsuper or rolbypassrls from pg_roles where rolname = %s", (role,)
    ).fetchone()
    if found is None:
        raise ConfigError(f"there is no role {role!r}; create it first, with LOGIN")
    if found[0]:
        raise ConfigError(
            f"row-level security does not bind the role {role!r}; name one that is no superuser "
            "and has no BYPASSRLS"
        )
    names = {"schema": sql.Identifier(schema), "role": sql.Identifier(role)}
    for told in (
        "grant usage on schema {schema} to {role}",
        "grant select, insert, update, delete on all tables in schema {schema} to {role}",
        "revoke update, delete on {schema}.audit from {role}",
        "grant usage on all sequences in schema {schema} to {role}",
    ):
        db.execute(sql.SQL(fixed(told)).format(**names))
