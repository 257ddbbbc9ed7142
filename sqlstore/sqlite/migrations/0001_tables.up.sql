-- Tables of sqlstore. Times are Unix nanoseconds, NULL is none; the views show them, and every status, in words.

-- Plans that are being created, or being deleted: rows under their numbers are invisible.
CREATE TABLE ota_drafts (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    plan       TEXT NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT;

-- One row per plan: what is listed, and all that every commit changes. No index is on a column that changes.
CREATE TABLE ota_plans (
    number          INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    from_version    TEXT NOT NULL,
    to_version      TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    source          TEXT NOT NULL,
    request_key     TEXT UNIQUE,
    fingerprint     TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    agents          INTEGER NOT NULL,
    batches         INTEGER NOT NULL,
    status          INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    control_number  INTEGER NOT NULL,
    progress_number INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    progress        TEXT NOT NULL
) STRICT;
CREATE INDEX ota_plans_source ON ota_plans (source) WHERE source <> '';

-- What never changes about a plan, and what people want of it. Apart, so that a commit of progress does not copy them.
CREATE TABLE ota_plan_specs (
    plan INTEGER PRIMARY KEY,
    spec TEXT NOT NULL
) STRICT;
CREATE TABLE ota_plan_controls (
    plan    INTEGER PRIMARY KEY,
    control TEXT NOT NULL
) STRICT;

CREATE TABLE ota_plan_labels (
    plan  INTEGER NOT NULL,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (plan, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX ota_plan_labels_value ON ota_plan_labels (name, value);

CREATE TABLE ota_batches (
    plan          INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    name          TEXT NOT NULL,
    first         INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    cursor_at     INTEGER NOT NULL,
    pending       INTEGER NOT NULL,
    running       INTEGER NOT NULL,
    waiting       INTEGER NOT NULL,
    succeeded     INTEGER NOT NULL,
    failed        INTEGER NOT NULL,
    skipped       INTEGER NOT NULL,
    canceled      INTEGER NOT NULL,
    unknown       INTEGER NOT NULL,
    at_target     INTEGER NOT NULL,
    tasks_pending   INTEGER NOT NULL,
    tasks_running   INTEGER NOT NULL,
    tasks_waiting   INTEGER NOT NULL,
    tasks_succeeded INTEGER NOT NULL,
    tasks_failed    INTEGER NOT NULL,
    tasks_skipped   INTEGER NOT NULL,
    tasks_canceled  INTEGER NOT NULL,
    tasks_unknown   INTEGER NOT NULL,
    tasks_at_target INTEGER NOT NULL,
    open          INTEGER NOT NULL,
    changed       INTEGER NOT NULL,
    unhealthy     INTEGER NOT NULL,
    accepted      INTEGER NOT NULL,
    continued     INTEGER NOT NULL,
    started_at    INTEGER,
    settled_at    INTEGER,
    healthy_since INTEGER,
    closed_at     INTEGER,
    PRIMARY KEY (plan, idx)
) STRICT, WITHOUT ROWID;

-- state holds the agent's tasks in the library's own compact form; status is the agent's, for queries.
CREATE TABLE ota_agents (
    plan    INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    batch   INTEGER NOT NULL,
    status  INTEGER NOT NULL,
    id      TEXT NOT NULL,
    version TEXT NOT NULL,
    target  TEXT NOT NULL,
    labels  TEXT,
    state   BLOB NOT NULL,
    PRIMARY KEY (plan, ordinal),
    UNIQUE (plan, id)
) STRICT, WITHOUT ROWID;

-- One record per commit, numbered by the revision that it made.
CREATE TABLE ota_log (
    plan     INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    request  TEXT NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (plan, revision)
) STRICT, WITHOUT ROWID;

-- Which plan holds an agent. The row of a plan that has ended, or is gone, is void.
CREATE TABLE ota_claims (
    agent TEXT PRIMARY KEY,
    plan  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ota_leases (
    engine TEXT PRIMARY KEY,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ota_inbox (
    plan   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id     TEXT NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (plan, number),
    UNIQUE (plan, id)
) STRICT, WITHOUT ROWID;
