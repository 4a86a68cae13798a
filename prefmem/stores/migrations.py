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
    """
    create index cards_waiting on cards (uid) where status = 'candidate';
    """,
    # place: of the card among the changes of its first event; ends: seconds since 1970
    """
    alter table cards add column place integer not null default 0;

    alter table cards add column ends real;

    update cards set ends = cast(strftime('%s', json_extract(body, '$.valid_to')) as real);

    update cards set place = told.place from (
        select events.uid, seq, each.key as place, json_extract(each.value, '$.card.id') as name
        from events, json_each(events.body) as each
    ) as told
    where told.uid = cards.uid and told.seq = cards.created_seq and told.name = cards.card_id;
    """,
    # number: the user's cards counted from 1, never given twice; state: from the log of interaction
    """
    alter table cards add column number integer not null default 0;

    update cards set number = counted.number from (
        select uid, card_id,
            row_number() over (partition by uid order by created_seq, place, card_id) as number
        from cards
    ) as counted
    where counted.uid = cards.uid and counted.card_id = cards.card_id;

    alter table users add column numbered integer not null default 0;

    update users set numbered = (select count(*) from cards where cards.uid = users.uid);

    create table retired (                    -- numbers of cards that undo took away
        uid integer not null references users (uid) on delete cascade,
        card_id text not null,
        number integer not null,
        primary key (uid, card_id)
    ) without rowid;

    alter table users add column model text not null default '';

    update users set state = null, steps = 0, basis = '', session_id = '';

    create table interactions (
        uid integer not null references users (uid) on delete cascade,
        seq integer not null,
        key text not null,                    -- idempotency key
        kind text not null,                   -- offer | observation
        asked text not null,                  -- keyed hash of session and query; empty if none
        body blob not null,
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    ) without rowid;

    create table edits (                      -- drafts and what the user made of them
        uid integer not null references users (uid) on delete cascade,
        seq integer not null,
        key text not null,                    -- idempotency key
        context text not null,
        draft text not null,
        final text not null,
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    ) without rowid;

    create index interactions_asked on interactions (uid, asked, seq) where kind = 'offer';
    """,
    # jobs: windows that wait to be learned from
    """
    create table jobs (
        id integer primary key autoincrement, -- order of putting in, never given twice
        uid integer not null references users (uid) on delete cascade,
        session_id text not null,
        keys text not null,                   -- JSON: names of the new user turns
        body text not null,                   -- JSON: the window
        queued_at real not null,              -- times in seconds since 1970, UTC
        due real not null,
        owner text not null default '',       -- the worker that has leased it
        leased_until real not null default 0,
        tries integer not null default 0,
        error text not null default '',       -- kind of the last failure
        died_at real                          -- null while it is tried
    );

    create index jobs_by_user on jobs (uid, id);

    create index jobs_by_due on jobs (due) where died_at is null;
    """,
    # moved: the store that a user's rows went to; erasures, audit: whose they are as a keyed hash
    """
    alter table users add column moved text not null default '';

    create table erasures (                   -- users that must not come back with a backup
        token blob primary key,               -- keyed hash of tenant and user
        at text not null
    ) without rowid;

    create table audit (                      -- who did what, never rule text; append-only
        id integer primary key autoincrement,
        at text not null,
        actor text not null,
        action text not null,
        who blob not null,                    -- keyed hash of tenant and user
        card_id text not null,
        n integer not null,
        chain blob not null                   -- hash of this line and the chain before
    );

    insert into meta values ('secret', lower(hex(randomblob(32))));
    """,
    # key_id: name of the key that the user's values are sealed with, in a key ring elsewhere
    """
    alter table users add column key_id text not null default '';

    create index users_by_key on users (key_id) where key_id <> '';
    """,
)
