DROP VIEW ota_claim_list;
DROP VIEW ota_event_list;
DROP VIEW ota_agent_list;
DROP VIEW ota_batch_list;
DROP VIEW ota_plan_list;
DROP TABLE ota_words;
ALTER TABLE ota_states DROP COLUMN reasons;
ALTER TABLE ota_plans DROP COLUMN hold;
ALTER TABLE ota_plans DROP COLUMN since;
ALTER TABLE ota_plans DROP COLUMN person;
ALTER TABLE ota_plans DROP COLUMN owner;
ALTER TABLE ota_plans DROP COLUMN coverage;
ALTER TABLE ota_plans DROP COLUMN show;

CREATE VIEW ota_plan_list AS
SELECT p.number, p.id, p.name, p.from_version, p.to_version,
    CASE p.status WHEN 0 THEN 'unknown' WHEN 1 THEN 'pending' WHEN 2 THEN 'running' WHEN 3 THEN 'pausing' WHEN 4 THEN 'paused' WHEN 5 THEN 'canceling' WHEN 6 THEN 'canceled' WHEN 7 THEN 'rolling_back' WHEN 8 THEN 'rolled_back' WHEN 9 THEN 'completed' END AS status,
    strftime('%Y-%m-%d %H:%M:%f', p.created_at / 1e9, 'unixepoch') AS created_at,
    strftime('%Y-%m-%d %H:%M:%f', p.ended_at / 1e9, 'unixepoch') AS ended_at,
    p.created_by, p.source, p.agents, p.batches, p.revision, p.epoch, s.spec, c.control, p.progress
FROM ota_plans p
JOIN ota_plan_specs s ON s.plan = p.number
JOIN ota_plan_controls c ON c.plan = p.number;

CREATE VIEW ota_batch_list AS
SELECT p.id AS plan, b.idx AS batch, b.name,
    CASE b.status WHEN 0 THEN 'pending' WHEN 1 THEN 'running' WHEN 2 THEN 'observing' WHEN 3 THEN 'completed' WHEN 4 THEN 'canceled' END AS status,
    b.first, b.size, b.pending, b.running, b.waiting, b.succeeded, b.failed, b.skipped, b.canceled, b.unknown,
    b.at_target, b.open, b.changed, b.unhealthy, b.accepted,
    strftime('%Y-%m-%d %H:%M:%f', b.started_at / 1e9, 'unixepoch') AS started_at,
    strftime('%Y-%m-%d %H:%M:%f', b.settled_at / 1e9, 'unixepoch') AS settled_at,
    strftime('%Y-%m-%d %H:%M:%f', b.closed_at / 1e9, 'unixepoch') AS closed_at
FROM ota_batches b
JOIN ota_plans p ON p.number = b.plan;

CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent,
    CASE substr(s.statuses, a.ordinal % 32 + 1, 1) WHEN '0' THEN 'pending' WHEN '1' THEN 'running' WHEN '2' THEN 'waiting' WHEN '3' THEN 'succeeded' WHEN '4' THEN 'failed' WHEN '5' THEN 'skipped' WHEN '6' THEN 'canceled' WHEN '7' THEN 'unknown' END AS status,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan
JOIN ota_states s ON s.plan = a.plan AND s.block = a.ordinal / 32;

CREATE VIEW ota_event_list AS
SELECT p.id AS plan, l.revision, l.request, CAST(l.data AS TEXT) AS record
FROM ota_log l
JOIN ota_plans p ON p.number = l.plan;

CREATE VIEW ota_claim_list AS
SELECT c.agent, p.id AS plan
FROM ota_claims c
JOIN ota_plans p ON p.number = c.plan
WHERE p.status NOT IN (6, 8, 9);
