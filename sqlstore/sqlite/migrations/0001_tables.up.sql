-- Tables of sqlstore. Times are Unix nanoseconds, NULL is none; the views show them, and every number, in words. What only the
-- library understands is bytes.

-- Plans that are being created, or being deleted: rows under their numbers are invisible.
CREATE TABLE ota_drafts (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    plan       TEXT NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT;

-- One row per plan: what is listed, and all that every commit changes. No index is on a column that every commit changes.
-- show is JSON for people.
CREATE TABLE ota_plans (
    number          INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    source          TEXT NOT NULL,
    request_key     TEXT UNIQUE,
    created_at      INTEGER NOT NULL,
    row_index       TEXT NOT NULL,
    name            TEXT NOT NULL,
    status          INTEGER NOT NULL,
    hold            INTEGER NOT NULL,
    since           INTEGER,
    person          INTEGER NOT NULL,
    ended_at        INTEGER,
    owner           TEXT NOT NULL,
    coverage        INTEGER NOT NULL,
    show            TEXT,
    epoch           INTEGER NOT NULL,
    control_number  INTEGER NOT NULL,
    progress_number INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    progress        BLOB NOT NULL
) STRICT;
CREATE INDEX ota_plans_source ON ota_plans (source) WHERE source <> '';
CREATE INDEX ota_plans_created ON ota_plans (created_at, id);

-- What never changes about a plan, and what people want of it. Apart, so that a commit of progress does not copy them.
CREATE TABLE ota_plan_specs (
    plan INTEGER PRIMARY KEY,
    spec BLOB NOT NULL
) STRICT;
CREATE TABLE ota_plan_controls (
    plan    INTEGER PRIMARY KEY,
    control BLOB NOT NULL
) STRICT;

CREATE TABLE ota_plan_labels (
    plan  INTEGER NOT NULL,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (plan, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX ota_plan_labels_value ON ota_plan_labels (name, value);

-- The rows of a plan of every kind but agents. Kind 1 is batches.
CREATE TABLE ota_rows (
    plan   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id     TEXT NOT NULL,
    batch  INTEGER NOT NULL,
    labels TEXT,
    fixed  BLOB,
    status INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    state  BLOB NOT NULL,
    show   TEXT,
    PRIMARY KEY (plan, kind, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ota_rows_id ON ota_rows (plan, kind, id) WHERE id <> '';

-- What never changes about agents.
CREATE TABLE ota_agents (
    plan    INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    batch   INTEGER NOT NULL,
    id      TEXT NOT NULL,
    labels  TEXT,
    fixed   BLOB,
    PRIMARY KEY (plan, ordinal),
    UNIQUE (plan, id)
) STRICT, WITHOUT ROWID;

-- The labels of agents that their plan's row_index names.
CREATE TABLE ota_agent_labels (
    plan    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (plan, name, value, ordinal)
) STRICT, WITHOUT ROWID;

-- What changes about agents, of 32 in one row: commits change agents that follow one another. statuses has one hexadecimal
-- digit for each, and reasons two. sizes has how many bytes each state takes, as a JSON array. Rows grow, from when nothing has happened to when all has, and stay on their page if
-- there is room.
CREATE TABLE ota_states (
    plan     INTEGER NOT NULL,
    block    INTEGER NOT NULL,
    statuses TEXT NOT NULL,
    reasons  TEXT NOT NULL,
    sizes    TEXT NOT NULL,
    states   BLOB NOT NULL,
    PRIMARY KEY (plan, block)
) STRICT, WITHOUT ROWID;

-- One record per commit, numbered by the revision that it made. A record without a time has the lowest one.
CREATE TABLE ota_log (
    plan     INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    notable  INTEGER NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (plan, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX ota_log_notable ON ota_log (at) WHERE notable = 1;

-- Which plan has claimed an agent. The row of a plan that has ended, or is gone, is void.
CREATE TABLE ota_claims (
    agent TEXT PRIMARY KEY,
    plan  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Agents whose call has not returned: the ID of the plan that made it, which may be gone, and the running instance of
-- an engine that made it. A row counts while that engine's lease has not ended.
CREATE TABLE ota_kept (
    agent  TEXT NOT NULL,
    plan   TEXT NOT NULL,
    engine TEXT NOT NULL,
    PRIMARY KEY (agent, plan, engine)
) STRICT, WITHOUT ROWID;

-- Agents that their plan calls no more, although it has not ended.
CREATE TABLE ota_released (
    plan  INTEGER NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (plan, agent)
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

-- The words of all numbers. Every Store that is opened brings them up to date.
CREATE TABLE ota_words (
    kind     TEXT NOT NULL,
    code     INTEGER NOT NULL,
    hex      TEXT NOT NULL,
    word     TEXT NOT NULL,
    sentence TEXT NOT NULL,
    PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;

-- Views for people: every number in words, every time as a time.

-- why says what holds the plan, since when it does, and needs_person whether a verb would let it go on. show has the rest as
-- JSON: batch, counts, who paused or canceled it, the open breach. All of it is as of the plan's last commit.
CREATE VIEW ota_plan_list AS
SELECT p.number, p.id, p.name, st.word AS status,
    CASE p.hold WHEN 0 THEN NULL ELSE h.word END AS hold,
    CASE p.hold WHEN 0 THEN NULL ELSE h.sentence END AS why,
    strftime('%Y-%m-%d %H:%M:%f', p.since / 1e9, 'unixepoch') AS since,
    p.person = 1 AS needs_person,
    p.owner, co.word AS coverage, p.show,
    strftime('%Y-%m-%d %H:%M:%f', p.created_at / 1e9, 'unixepoch') AS created_at,
    strftime('%Y-%m-%d %H:%M:%f', p.ended_at / 1e9, 'unixepoch') AS ended_at,
    p.source, p.revision, p.epoch
FROM ota_plans p
LEFT JOIN ota_words st ON st.kind = 'status' AND st.code = p.status
LEFT JOIN ota_words h ON h.kind = 'reason' AND h.code = p.hold
LEFT JOIN ota_words co ON co.kind = 'coverage' AND co.code = p.coverage;

-- show has the name, the size, the counts and the times of a batch, as JSON.
CREATE VIEW ota_batch_list AS
SELECT p.id AS plan, b.number AS batch, w.word AS status, b.show
FROM ota_rows b
JOIN ota_plans p ON p.number = b.plan
LEFT JOIN ota_words w ON w.kind = 'batch status' AND w.code = b.status
WHERE b.kind = 1;

-- reason says how the agent ended, or why it waits.
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent, w.word AS status,
    CASE r.code WHEN 0 THEN NULL ELSE r.word END AS reason,
    CASE r.code WHEN 0 THEN NULL ELSE r.sentence END AS why,
    a.labels
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan
JOIN ota_states s ON s.plan = a.plan AND s.block = a.ordinal / 32
LEFT JOIN ota_words w ON w.kind = 'task status' AND w.hex = '0' || substr(s.statuses, a.ordinal % 32 + 1, 1)
LEFT JOIN ota_words r ON r.kind = 'reason' AND r.hex = substr(s.reasons, a.ordinal % 32 * 2 + 1, 2);

-- What a record says is in the library's own form: Engine.Watch reads it.
CREATE VIEW ota_event_list AS
SELECT p.id AS plan, l.revision, strftime('%Y-%m-%d %H:%M:%f', l.at / 1e9, 'unixepoch') AS at, l.notable = 1 AS notable, length(l.data) AS bytes
FROM ota_log l
JOIN ota_plans p ON p.number = l.plan;

CREATE VIEW ota_claim_list AS
SELECT c.agent, p.id AS plan
FROM ota_claims c
JOIN ota_plans p ON p.number = c.plan
WHERE p.ended_at IS NULL;
