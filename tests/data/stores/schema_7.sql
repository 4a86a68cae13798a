-- A store of schema 7, as prefmem at 94dd2c0 wrote it with the fakes of prefmem.testing.
BEGIN TRANSACTION;
CREATE TABLE audit (                      -- who did what, never rule text; append-only
        id integer primary key autoincrement,
        at text not null,
        actor text not null,
        action text not null,
        who blob not null,                    -- keyed hash of tenant and user
        card_id text not null,
        n integer not null,
        chain blob not null                   -- hash of this line and the chain before
    );
CREATE TABLE cards (
        uid integer not null references users (uid) on delete cascade,
        card_id text not null,
        rule_hash blob not null,              -- 16 bytes: what the rule says
        scope text not null,                  -- global | conditional
        status text not null,
        confidence real not null,
        created_seq integer not null,
        body text not null,                   -- the card, JSON
        vec blob not null, place integer not null default 0, ends real, number integer not null default 0,                    -- float16 unit vector
        primary key (uid, card_id)
    ) without rowid;
INSERT INTO "cards" VALUES(1,'c0000002',X'4E21DEF5F509AF0DF5070599F27F9C3A','global','active',0.99,1,'{"id":"c0000002","condition":"","action":"use SI units","polarity":"do","confidence":0.99,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Always use SI units"},{"turn_id":"0","quote":"always use si units"}],"status":"active","source":"said","session_id":"","valid_from":"2026-01-01T12:00:00Z","recorded_at":"2026-01-01T12:01:00Z","valid_to":null,"superseded_by":null,"links":[]}',X'88B288328832883288B288B2883288328832883288B2883288328832E6B88832',0,NULL,1);
INSERT INTO "cards" VALUES(1,'c0000004',X'8BECB13F7F7EA40E121F8F65BDFDA0A3','conditional','active',1.0,4,'{"id":"c0000004","condition":"writing SQL","action":"use views","polarity":"do","confidence":1.0,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"edited","session_id":"","valid_from":"2026-01-01T12:02:00Z","recorded_at":"2026-01-01T12:03:00Z","valid_to":null,"superseded_by":null,"links":[]}',X'D3AED32ED32ED3AE1EB544384438D32ED32E1E35D32E1EB5D3AED3AED3AED32E',0,NULL,2);
INSERT INTO "cards" VALUES(1,'c0000007',X'591188867308333211E3EED5517A4AF4','global','quarantined',1.0,6,'{"id":"c0000007","condition":"","action":"never use emojis","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"quarantined","source":"added","session_id":"","valid_from":"2026-01-01T12:04:00Z","recorded_at":"2026-01-01T12:05:00Z","valid_to":null,"superseded_by":null,"links":[]}',X'0FB10F310F31973797B70F310FB10F310F310FB10FB197B70FB10FB10F310F31',0,NULL,3);
INSERT INTO "cards" VALUES(1,'c000000d',X'B7BB1CF2129E54FDE0D669457AEEAEAB','conditional','active',0.99,10,'{"id":"c000000d","condition":"cooking","action":"use grams","polarity":"do","confidence":0.99,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"When cooking, always use grams"},{"turn_id":"2","quote":"when cooking, always use grams"}],"status":"active","source":"said","session_id":"t","valid_from":"2026-01-01T12:08:00Z","recorded_at":"2026-01-01T12:11:00Z","valid_to":null,"superseded_by":null,"links":[]}',X'28B728330000000028B32837283728B328332833000028B300000000283328B3',0,NULL,5);
INSERT INTO "cards" VALUES(2,'c000000e',X'8738A38FF6EC8374540CE8D5F074D1F5','global','active',0.9,1,'{"id":"c000000e","condition":"","action":"never say é 日本","polarity":"avoid","confidence":0.9,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Never say é 日本"}],"status":"active","source":"said","session_id":"s","valid_from":"2026-01-01T12:09:00Z","recorded_at":"2026-01-01T12:09:00Z","valid_to":null,"superseded_by":null,"links":[]}',X'66B266B6663666B266B6000066B666B2663266B266320000000066B2663266B2',0,NULL,1);
CREATE TABLE edits (                      -- drafts and what the user made of them
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
INSERT INTO "edits" VALUES(1,16,'f0d4cca0b07dc0d1e03eda8c389ca18d','a mail','Dear Sir or Madam, thank you.','Hi, thanks.','2026-01-01T12:13:00+00:00');
CREATE TABLE erasures (                   -- users that must not come back with a backup
        token blob primary key,               -- keyed hash of tenant and user
        at text not null
    ) without rowid;
CREATE TABLE events (
        uid integer not null references users (uid) on delete cascade,
        seq integer not null,
        key text not null,                    -- idempotency key
        kind text not null,
        body text not null,                   -- the changes, JSON
        at text not null,
        primary key (uid, seq),
        unique (uid, key)
    ) without rowid;
INSERT INTO "events" VALUES(1,1,'4c95d567c9ef2d04570176b00ef5efc2:','learn','[{"op":"add","card":{"id":"c0000002","condition":"","action":"use SI units","polarity":"do","confidence":0.9,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Always use SI units"}],"status":"active","source":"said","session_id":"","valid_from":"2026-01-01T12:00:00Z","recorded_at":"2026-01-01T12:00:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:00:00+00:00');
INSERT INTO "events" VALUES(1,2,'04f19a6ef889ce81ab0f88b5daa9f6b2:94d19d742d71f2297555611cc5cf44f2','learn','[]','2026-01-01T12:00:00+00:00');
INSERT INTO "events" VALUES(1,3,'5628d8401b3a32dbcd045c83f8f48233:','learn','[{"op":"merge","card":{"id":"c0000002","condition":"","action":"use SI units","polarity":"do","confidence":0.99,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Always use SI units"},{"turn_id":"0","quote":"always use si units"}],"status":"active","source":"said","session_id":"","valid_from":"2026-01-01T12:00:00Z","recorded_at":"2026-01-01T12:01:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:01:00+00:00');
INSERT INTO "events" VALUES(1,4,'add:c0000005','add','[{"op":"add","card":{"id":"c0000004","condition":"writing SQL","action":"use CTEs","polarity":"do","confidence":1.0,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"added","session_id":"","valid_from":"2026-01-01T12:02:00Z","recorded_at":"2026-01-01T12:02:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:02:00+00:00');
INSERT INTO "events" VALUES(1,5,'edit:c0000006','edit','[{"op":"edit","card":{"id":"c0000004","condition":"writing SQL","action":"use views","polarity":"do","confidence":1.0,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"edited","session_id":"","valid_from":"2026-01-01T12:02:00Z","recorded_at":"2026-01-01T12:03:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:03:00+00:00');
INSERT INTO "events" VALUES(1,6,'add:c0000008','add','[{"op":"add","card":{"id":"c0000007","condition":"","action":"never use emojis","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"added","session_id":"","valid_from":"2026-01-01T12:04:00Z","recorded_at":"2026-01-01T12:04:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:04:00+00:00');
INSERT INTO "events" VALUES(1,7,'edit:c0000009','edit','[{"op":"edit","card":{"id":"c0000007","condition":"","action":"never use emojis","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"quarantined","source":"added","session_id":"","valid_from":"2026-01-01T12:04:00Z","recorded_at":"2026-01-01T12:05:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:05:00+00:00');
INSERT INTO "events" VALUES(1,8,'add:c000000b','add','[]','2026-01-01T12:06:00+00:00');
INSERT INTO "events" VALUES(1,9,'forget:c000000c','forget','[]','2026-01-01T12:07:00+00:00');
INSERT INTO "events" VALUES(1,10,'66c93720b501cd41b04f5d101124da88:','learn','[{"op":"add","card":{"id":"c000000d","condition":"cooking","action":"use grams","polarity":"do","confidence":0.9,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"When cooking, always use grams"}],"status":"active","source":"said","session_id":"t","valid_from":"2026-01-01T12:08:00Z","recorded_at":"2026-01-01T12:08:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:08:00+00:00');
INSERT INTO "events" VALUES(1,12,'630868612098f5e5c5dd45e76d6e0caa:','learn','[]','2026-01-01T12:11:00+00:00');
INSERT INTO "events" VALUES(1,13,'76afccac2c03b88ee75fb6468bc11a5c:f49c89eee6ccdabfed954575d11e7739','learn','[{"op":"merge","card":{"id":"c000000d","condition":"cooking","action":"use grams","polarity":"do","confidence":0.99,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"When cooking, always use grams"},{"turn_id":"2","quote":"when cooking, always use grams"}],"status":"active","source":"said","session_id":"t","valid_from":"2026-01-01T12:08:00Z","recorded_at":"2026-01-01T12:11:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:11:00+00:00');
INSERT INTO "events" VALUES(1,17,'edit:f0d4cca0b07dc0d1e03eda8c389ca18d','learn','[]','2026-01-01T12:14:00+00:00');
INSERT INTO "events" VALUES(1,18,'add:c0000012','add','[{"op":"add","card":{"id":"c0000011","condition":"","action":"use tabs","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"added","session_id":"","valid_from":"2026-01-01T12:15:00Z","recorded_at":"2026-01-01T12:15:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:15:00+00:00');
INSERT INTO "events" VALUES(1,19,'undo:4aa219d53994:c0000013','undo','[{"op":"remove","card":{"id":"c0000011","condition":"","action":"use tabs","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"added","session_id":"","valid_from":"2026-01-01T12:15:00Z","recorded_at":"2026-01-01T12:15:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:16:00+00:00');
INSERT INTO "events" VALUES(2,1,'f1fff42141dfc194fec7c88aba13daa5:','learn','[{"op":"add","card":{"id":"c000000e","condition":"","action":"never say é 日本","polarity":"avoid","confidence":0.9,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Never say é 日本"}],"status":"active","source":"said","session_id":"s","valid_from":"2026-01-01T12:09:00Z","recorded_at":"2026-01-01T12:09:00Z","valid_to":null,"superseded_by":null,"links":[]},"reason":null}]','2026-01-01T12:09:00+00:00');
CREATE TABLE interactions (
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
INSERT INTO "interactions" VALUES(1,11,'offer:c000000f','offer','3fc62886047a6df7',X'0175623C5C7B2273657373696F6E223A2274222C226D6F64656C223A226C65646765722F31222C226E223A5B335D7D0A0500000002000000010000006854DC3EF027A83C00000000FEFFFF3E253D193E7B142E3F0000803F0000000000000000010001010200','2026-01-01T12:10:00+00:00');
INSERT INTO "interactions" VALUES(1,14,'heard:76afccac2c03b88ee75fb6468bc11a5c:f49c89eee6ccdabfed954575d11e7739','observation','',X'01201885757B22726563616C6C223A226330303030303066222C2273657373696F6E223A2274222C226C6162656C223A22646973736174697366696564222C2272656A65637473223A66616C73652C226865617264223A747275652C22726577617264223A2D312E302C2273616964223A302E3939392C2273696D696C6172697479223A302E353139363734363538373735333239362C226E223A5B332C302C305D7D0A050000000200000001000000000040411F99CFBE177231BFFEFFFF3E253D193E7B142E3F','2026-01-01T12:11:00+00:00');
INSERT INTO "interactions" VALUES(1,15,'feedback:k','observation','',X'013AE492377B22726563616C6C223A226330303030303066222C2273657373696F6E223A2274222C226C6162656C223A22736174697366696564222C2272656A65637473223A66616C73652C226865617264223A66616C73652C22726577617264223A312E302C2273616964223A302E302C2273696D696C6172697479223A302E302C226E223A5B302C302C305D7D0A','2026-01-01T12:12:00+00:00');
CREATE TABLE jobs (
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
INSERT INTO "jobs" VALUES(1,2,'later','["848cf34302179c16e420fb5fca2ee0e6:"]','[{"id":"0","role":"user","text":"Always greet in French.","at":"2026-01-01T12:17:00Z","origin":"typed"}]',1.79530690533817410469e+09,1.79530696533817410464e+09,'',0.0,0,'',NULL);
CREATE TABLE meta (key text primary key, value not null) without rowid;
INSERT INTO "meta" VALUES('basis','hash-16');
INSERT INTO "meta" VALUES('revision',13);
INSERT INTO "meta" VALUES('secret','5378aa12cebae946e18e971c98dfa3a595a3cbc8980af4843376211ee5cb06b9');
INSERT INTO "meta" VALUES('width','16');
CREATE TABLE retired (                    -- numbers of cards that undo took away
        uid integer not null references users (uid) on delete cascade,
        card_id text not null,
        number integer not null,
        primary key (uid, card_id)
    ) without rowid;
INSERT INTO "retired" VALUES(1,'c0000011',6);
CREATE TABLE users (
        uid integer primary key,
        tenant text not null,
        ext_id text not null,
        rev integer not null default 0,       -- changes whenever the cards do
        seq integer not null default 0,       -- last event
        steps integer not null default 0,     -- optimistic lock of the state
        basis text not null default '',
        session_id text not null default '',
        state blob, numbered integer not null default 0, model text not null default '', moved text not null default '',
        unique (tenant, ext_id)
    );
INSERT INTO "users" VALUES(1,'','ann',13,19,3,'','t',X'010F1F478F0100000001000000050000002B8716D9CEF7EF3F000000000000000000000000020000004433AF2D3926C87F3F6636FF3B71390038',6,'ledger/1','');
INSERT INTO "users" VALUES(2,'','bob',10,1,0,'','',NULL,1,'','');
CREATE UNIQUE INDEX cards_live on cards (uid, rule_hash)
        where status in ('active', 'candidate', 'quarantined');
CREATE INDEX cards_waiting on cards (uid) where status = 'candidate';
CREATE INDEX interactions_asked on interactions (uid, asked, seq) where kind = 'offer';
CREATE INDEX jobs_by_user on jobs (uid, id);
CREATE INDEX jobs_by_due on jobs (due) where died_at is null;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
COMMIT;
PRAGMA user_version = 7;
PRAGMA application_id = 1886545261;
