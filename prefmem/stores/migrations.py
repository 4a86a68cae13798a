"""The SQLite schema, as numbered steps. Steps are appended, never edited."""

# Version n is reached by MIGRATIONS[n - 1]; each step runs in one transaction.
MIGRATIONS: tuple[str, ...] = (
    """
    create table meta (key text primary key, value not null) without rowid;

    insert into meta values ('revision', 0);

    create table users (
        uid integer primary key,
        tenant text not null,
        ext_id text not null,
        rev integer not null default 0,       -- changes whenever the cards do
        seq integer not null default 0,       -- last event
        steps integer not null default 0,     -- optimistic lock of the state
        basis text not null default '',
        session_id text not null default '',
        state blob,
        unique (tenant, ext_id)
    );

    create table events (
        uid integer not null references users (uid) on delete cascade,
        seq integer not null,
        key text not null,                    -- idempotency key
        kind text not null,
        body text not null,                   -- the changes, JSON
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    ) without rowid;

    create table cards (
        uid integer not null references users (uid) on delete cascade,
        card_id text not null,
        rule_hash blob not null,              -- 16 bytes: what the rule says
        scope text not null,                  -- global | conditional
        status text not null,
        confidence real not null,
        created_seq integer not null,
        body text not null,                   -- the card, JSON
        vec blob not null,                    -- float16 unit vector
        primary key (uid, card_id)
    ) without rowid;

    create unique index cards_live on cards (uid, rule_hash)
        where status in ('active', 'quarantined');
    """,
    """
    drop index cards_live;

    create unique index cards_live on cards (uid, rule_hash)
        where status in ('active', 'candidate', 'quarantined');
    """,
)
