DROP VIEW ota_agent_list;
ALTER TABLE ota_agents SET (fillfactor = 50);
ALTER TABLE ota_agents ADD COLUMN status smallint NOT NULL DEFAULT 0, ADD COLUMN state bytea NOT NULL DEFAULT '';
ALTER TABLE ota_agents ALTER COLUMN status DROP DEFAULT, ALTER COLUMN state DROP DEFAULT;
UPDATE ota_agents AS a SET
    status = CAST(substr(s.statuses, a.ordinal % 32 + 1, 1) AS smallint),
    state = s.states[a.ordinal % 32 + 1]
FROM ota_states s WHERE s.plan = a.plan AND s.block = a.ordinal / 32;
DROP TABLE ota_states;
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent,
    CASE a.status WHEN 0 THEN 'pending' WHEN 1 THEN 'running' WHEN 2 THEN 'waiting' WHEN 3 THEN 'succeeded' WHEN 4 THEN 'failed' WHEN 5 THEN 'skipped' WHEN 6 THEN 'canceled' WHEN 7 THEN 'unknown' END AS status,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan;
