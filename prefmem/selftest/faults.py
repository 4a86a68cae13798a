"""The table of faults: a new one is a line here and a module with its name."""

from prefmem.selftest.ground import Fault

# fmt: off
FAULTS: tuple[Fault, ...] = (
    Fault("kill", 100, 1_000, "kills",
          "kill -9 at random points",
          "0 acknowledged lost, 0 doubled, integrity ok"),
    Fault("crowd", 2_560, 25_600, "turns",
          "4 processes x 16 threads, each turn sent twice",
          "0 lost, 0 doubled, p99 <= 100 ms, max <= 1 s, half the rate of plain transactions"),
    Fault("full", 60, 300, "points",
          "disk full at every write, read-only, no permission",
          "0 acknowledged lost, clear error, recall goes on, recovers without restart"),
    Fault("damage", 50, 200, "places",
          "truncation, bit flips and zeroed pages in db, wal, shm, state, card, vector",
          "0 silent wrong answers, the error names the restore command"),
    Fault("clock", 12, 200, "dialogues",
          "clock back a day, forward ten years, DST",
          "order, expiry and learned state as in a straight run"),
    Fault("fuzz", 10_000, 100_000, "cases",
          "hostile answers, exports, blobs, ids, messages and rules",
          "0 crashes, memory <= 50 MB more"),
    Fault("erase", 600, 20_000, "users",
          "half of the users erased, then every byte of every file searched",
          "0 traces, kept users complete, busy readers told, <= 60 s"),
    Fault("restore", 100, 2_000, "users",
          "a backup older than erasures put back, by command and by hand",
          "erased users absent before the first answer, kept users as in the backup"),
    Fault("migrate", 40, 1_000, "kills",
          "kill -9 before every statement of every migration, from every schema",
          "old or new schema, never between; cards, logs and learned state equal"),
    Fault("canary", 2_000, 100_000, "calls",
          "4 processes x 16 threads call all verbs for 10,000 users, some with others' ids",
          "0 foreign words, also without any WHERE on PostgreSQL", ("sqlite", "postgres")),
    Fault("shards", 400, 5_000, "turns",
          "users move between three shards under load, the mover killed at random points",
          "0 lost, 0 doubled, never two copies in use", ("sqlite", "postgres")),
    Fault("pgrestart", 2, 20, "restarts",
          "immediate restarts under load, ten clients or connections killed for each",
          "0 acknowledged lost, 0 doubled, through within 30 s", ("postgres",)),
    Fault("property", 100, 500, "runs",
          "50 random verbs on two handles, with crashes and replay, against a dict model",
          "0 differences", ("sqlite", "postgres")),
    Fault("sameids", 1_000, 10_000, "queries",
          "SQLite, PostgreSQL bytea and halfvec, FAISS and numpy asked the same",
          "the same ids in the same order", ("postgres",)),
    Fault("growth", 20_000, 1_000_000, "cards",
          "many cards of users of all sizes",
          "store's part of a recall p99 <= 5 ms, PostgreSQL 20 ms; half the rate of plain writes",
          ("sqlite", "postgres")),
    Fault("dependencies", 144, 10_000, "turns",
          "store, embedder and reranker slow, hanging, raising, busy",
          "0 exceptions to the agent, breakers open within 5 failures and close"),
    Fault("soak", 1, 60, "minutes",
          "50 turns/s of many users",
          "memory <= 1 MB in 10 minutes, no more files, WAL <= 64 MB, p99 <= 1.2 x the first"),
)
# fmt: on


def named(name: str) -> Fault | None:
    """Find a fault by its name."""
    return next((fault for fault in FAULTS if fault.name == name), None)
