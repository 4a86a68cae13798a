-- A store of schema 3, as prefmem at f7b6afb, with step 3 wrote it with the fakes of prefmem.testing.
BEGIN TRANSACTION;
CREATE TABLE cards (
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
INSERT INTO "cards" VALUES(1,'c0000002',X'4E21DEF5F509AF0DF5070599F27F9C3A','global','active',0.99,1,'{"id":"c0000002","condition":"","action":"use SI units","polarity":"do","confidence":0.99,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Always use SI units"},{"turn_id":"0","quote":"always use si units"}],"status":"active","source":"said","session_id":"","valid_from":"2026-01-01T12:00:00Z","recorded_at":"2026-01-01T12:02:00Z","valid_to":null,"superseded_by":null}',X'88B288328832883288B288B2883288328832883288B2883288328832E6B88832');
INSERT INTO "cards" VALUES(1,'c0000005',X'8BECB13F7F7EA40E121F8F65BDFDA0A3','conditional','active',1.0,4,'{"id":"c0000005","condition":"writing SQL","action":"use views","polarity":"do","confidence":1.0,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"edited","session_id":"","valid_from":"2026-01-01T12:03:00Z","recorded_at":"2026-01-01T12:04:00Z","valid_to":null,"superseded_by":null}',X'D3AED32ED32ED3AE1EB544384438D32ED32E1E35D32E1EB5D3AED3AED3AED32E');
INSERT INTO "cards" VALUES(1,'c0000008',X'591188867308333211E3EED5517A4AF4','global','quarantined',1.0,6,'{"id":"c0000008","condition":"","action":"never use emojis","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"quarantined","source":"added","session_id":"","valid_from":"2026-01-01T12:05:00Z","recorded_at":"2026-01-01T12:06:00Z","valid_to":null,"superseded_by":null}',X'0FB10F310F31973797B70F310FB10F310F310FB10FB197B70FB10FB10F310F31');
INSERT INTO "cards" VALUES(1,'c000000d',X'B7BB1CF2129E54FDE0D669457AEEAEAB','conditional','active',0.9,10,'{"id":"c000000d","condition":"cooking","action":"use grams","polarity":"do","confidence":0.9,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"When cooking, always use grams"}],"status":"active","source":"said","session_id":"t","valid_from":"2026-01-01T12:09:00Z","recorded_at":"2026-01-01T12:09:00Z","valid_to":null,"superseded_by":null}',X'28B728330000000028B32837283728B328332833000028B300000000283328B3');
INSERT INTO "cards" VALUES(2,'c000000e',X'8738A38FF6EC8374540CE8D5F074D1F5','global','active',0.9,1,'{"id":"c000000e","condition":"","action":"never say é 日本","polarity":"avoid","confidence":0.9,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Never say é 日本"}],"status":"active","source":"said","session_id":"s","valid_from":"2026-01-01T12:10:00Z","recorded_at":"2026-01-01T12:10:00Z","valid_to":null,"superseded_by":null}',X'66B266B6663666B266B6000066B666B2663266B266320000000066B2663266B2');
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
INSERT INTO "events" VALUES(1,1,'4c95d567c9ef2d04570176b00ef5efc2:','learn','[{"op":"add","card":{"id":"c0000002","condition":"","action":"use SI units","polarity":"do","confidence":0.9,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Always use SI units"}],"status":"active","source":"said","session_id":"","valid_from":"2026-01-01T12:00:00Z","recorded_at":"2026-01-01T12:00:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:00:00+00:00');
INSERT INTO "events" VALUES(1,2,'04f19a6ef889ce81ab0f88b5daa9f6b2:94d19d742d71f2297555611cc5cf44f2','learn','[]','2026-01-01T12:01:00+00:00');
INSERT INTO "events" VALUES(1,3,'5628d8401b3a32dbcd045c83f8f48233:','learn','[{"op":"merge","card":{"id":"c0000002","condition":"","action":"use SI units","polarity":"do","confidence":0.99,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Always use SI units"},{"turn_id":"0","quote":"always use si units"}],"status":"active","source":"said","session_id":"","valid_from":"2026-01-01T12:00:00Z","recorded_at":"2026-01-01T12:02:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:02:00+00:00');
INSERT INTO "events" VALUES(1,4,'add:c0000004','add','[{"op":"add","card":{"id":"c0000005","condition":"writing SQL","action":"use CTEs","polarity":"do","confidence":1.0,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"added","session_id":"","valid_from":"2026-01-01T12:03:00Z","recorded_at":"2026-01-01T12:03:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:03:00+00:00');
INSERT INTO "events" VALUES(1,5,'edit:c0000006','edit','[{"op":"edit","card":{"id":"c0000005","condition":"writing SQL","action":"use views","polarity":"do","confidence":1.0,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"edited","session_id":"","valid_from":"2026-01-01T12:03:00Z","recorded_at":"2026-01-01T12:04:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:04:00+00:00');
INSERT INTO "events" VALUES(1,6,'add:c0000007','add','[{"op":"add","card":{"id":"c0000008","condition":"","action":"never use emojis","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"active","source":"added","session_id":"","valid_from":"2026-01-01T12:05:00Z","recorded_at":"2026-01-01T12:05:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:05:00+00:00');
INSERT INTO "events" VALUES(1,7,'edit:c0000009','edit','[{"op":"edit","card":{"id":"c0000008","condition":"","action":"never use emojis","polarity":"do","confidence":1.0,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[],"status":"quarantined","source":"added","session_id":"","valid_from":"2026-01-01T12:05:00Z","recorded_at":"2026-01-01T12:06:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:06:00+00:00');
INSERT INTO "events" VALUES(1,8,'add:c000000a','add','[]','2026-01-01T12:07:00+00:00');
INSERT INTO "events" VALUES(1,9,'forget:c000000c','forget','[]','2026-01-01T12:08:00+00:00');
INSERT INTO "events" VALUES(1,10,'66c93720b501cd41b04f5d101124da88:','learn','[{"op":"add","card":{"id":"c000000d","condition":"cooking","action":"use grams","polarity":"do","confidence":0.9,"scope":{"kind":"conditional","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"When cooking, always use grams"}],"status":"active","source":"said","session_id":"t","valid_from":"2026-01-01T12:09:00Z","recorded_at":"2026-01-01T12:09:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:09:00+00:00');
INSERT INTO "events" VALUES(2,1,'f1fff42141dfc194fec7c88aba13daa5:','learn','[{"op":"add","card":{"id":"c000000e","condition":"","action":"never say é 日本","polarity":"avoid","confidence":0.9,"scope":{"kind":"global","task":null,"audience":null,"language":null},"evidence":[{"turn_id":"0","quote":"Never say é 日本"}],"status":"active","source":"said","session_id":"s","valid_from":"2026-01-01T12:10:00Z","recorded_at":"2026-01-01T12:10:00Z","valid_to":null,"superseded_by":null}}]','2026-01-01T12:10:00+00:00');
CREATE TABLE meta (key text primary key, value not null) without rowid;
INSERT INTO "meta" VALUES('basis','hash-16');
INSERT INTO "meta" VALUES('revision',10);
INSERT INTO "meta" VALUES('width','16');
CREATE TABLE users (
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
INSERT INTO "users" VALUES(1,'','ann',9,10,9,'hash-16','t',X'504D535401000100100000007E925451573D2BBFB9BEF93EC4029D3E3A69BF3D986F33BF43FB313FE6348C3F9E8D003EB9BEF93E986F333F3A69BFBD1E029ABE3A69BF3D3A69BF3DF29106BF9E8D003E019E16BE9ABDB43DCEFCF0BCCEFCF0BC9ABDB4BD9ABDB43D9ABDB43D9ABDB4BD9ABDB43DCEFCF03CCEFCF03CCEFCF0BCCEFCF0BCCEFCF0BC9ABDB43D9ABDB4BD');
INSERT INTO "users" VALUES(2,'','bob',10,1,1,'hash-16','s',X'504D5354010001001000000059B4011A53E325BE53E3A5BE53E3A53E53E325BE53E3A5BE0000000053E3A5BE53E325BE53E3253E53E325BE53E3253E000000000000000053E325BE53E3253E53E325BE90C275BD90C2F5BD90C2F53D90C275BD90C2F5BD0000000090C2F5BD90C275BD90C2753D90C275BD90C2753D000000000000000090C275BD90C2753D90C275BD');
CREATE UNIQUE INDEX cards_live on cards (uid, rule_hash)
        where status in ('active', 'candidate', 'quarantined');
CREATE INDEX cards_waiting on cards (uid) where status = 'candidate';
COMMIT;
PRAGMA user_version = 3;
PRAGMA application_id = 1886545261;
