-- What lists select by and show, as the library computes it for each commit. Of plans that were made before, it comes
-- with their next commit.
ALTER TABLE ota_plans ADD COLUMN hold INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ota_plans ADD COLUMN since INTEGER;
ALTER TABLE ota_plans ADD COLUMN person INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ota_plans ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE ota_plans ADD COLUMN coverage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ota_plans ADD COLUMN show TEXT;

-- Two hexadecimal digits for each agent of a block: how its task ended, or why it waits.
ALTER TABLE ota_states ADD COLUMN reasons TEXT NOT NULL DEFAULT '';

-- The words of all numbers. Every Store that is opened brings them up to date.
CREATE TABLE ota_words (
    kind     TEXT NOT NULL,
    code     INTEGER NOT NULL,
    hex      TEXT NOT NULL,
    word     TEXT NOT NULL,
    sentence TEXT NOT NULL,
    PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;

DROP VIEW ota_claim_list;
DROP VIEW ota_event_list;
DROP VIEW ota_agent_list;
DROP VIEW ota_batch_list;
DROP VIEW ota_plan_list;

-- why says what holds the plan, since when it does, and needs_person whether a verb would let it go on. show has the rest as
-- JSON: batch, counts, who paused or canceled it, the open breach. All of it is as of the plan's last commit.
CREATE VIEW ota_plan_list AS
SELECT p.number, p.id, p.name, p.from_version, p.to_version, st.word AS status,
    CASE p.hold WHEN 0 THEN NULL ELSE h.word END AS hold,
    CASE p.hold WHEN 0 THEN NULL ELSE h.sentence END AS why,
    strftime('%Y-%m-%d %H:%M:%f', p.since / 1e9, 'unixepoch') AS since,
    p.person = 1 AS needs_person,
    p.owner, co.word AS coverage, p.show,
    strftime('%Y-%m-%d %H:%M:%f', p.created_at / 1e9, 'unixepoch') AS created_at,
    strftime('%Y-%m-%d %H:%M:%f', p.ended_at / 1e9, 'unixepoch') AS ended_at,
    p.created_by, p.source, p.agents, p.batches, p.revision, p.epoch, s.spec, c.control, p.progress
FROM ota_plans p
JOIN ota_plan_specs s ON s.plan = p.number
JOIN ota_plan_controls c ON c.plan = p.number
LEFT JOIN ota_words st ON st.kind = 'status' AND st.code = p.status
LEFT JOIN ota_words h ON h.kind = 'reason' AND h.code = p.hold
LEFT JOIN ota_words co ON co.kind = 'coverage' AND co.code = p.coverage;

CREATE VIEW ota_batch_list AS
SELECT p.id AS plan, b.idx AS batch, b.name, w.word AS status,
    b.first, b.size, b.pending, b.running, b.waiting, b.succeeded, b.failed, b.skipped, b.canceled, b.unknown,
    b.at_target, b.open, b.changed, b.unhealthy, b.accepted,
    strftime('%Y-%m-%d %H:%M:%f', b.started_at / 1e9, 'unixepoch') AS started_at,
    strftime('%Y-%m-%d %H:%M:%f', b.settled_at / 1e9, 'unixepoch') AS settled_at,
    strftime('%Y-%m-%d %H:%M:%f', b.closed_at / 1e9, 'unixepoch') AS closed_at
FROM ota_batches b
JOIN ota_plans p ON p.number = b.plan
LEFT JOIN ota_words w ON w.kind = 'batch status' AND w.code = b.status;

-- reason says how the agent's first task ended, or why it waits.
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent, w.word AS status,
    CASE r.code WHEN 0 THEN NULL ELSE r.word END AS reason,
    CASE r.code WHEN 0 THEN NULL ELSE r.sentence END AS why,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan
JOIN ota_states s ON s.plan = a.plan AND s.block = a.ordinal / 32
LEFT JOIN ota_words w ON w.kind = 'task status' AND w.code = CAST(substr(s.statuses, a.ordinal % 32 + 1, 1) AS integer)
LEFT JOIN ota_words r ON r.kind = 'reason' AND r.hex = substr(s.reasons, a.ordinal % 32 * 2 + 1, 2);

-- What a record says is in the library's own form: Engine.Watch reads it.
CREATE VIEW ota_event_list AS
SELECT p.id AS plan, l.revision, l.request, length(l.data) AS bytes
FROM ota_log l
JOIN ota_plans p ON p.number = l.plan;

CREATE VIEW ota_claim_list AS
SELECT c.agent, p.id AS plan
FROM ota_claims c
JOIN ota_plans p ON p.number = c.plan
WHERE p.status NOT IN (6, 8, 9);
