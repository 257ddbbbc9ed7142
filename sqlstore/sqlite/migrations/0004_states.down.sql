DROP VIEW ota_agent_list;
ALTER TABLE ota_agents ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ota_agents ADD COLUMN state BLOB NOT NULL DEFAULT x'';
UPDATE ota_agents SET
    status = (SELECT CAST(substr(s.statuses, ordinal % 32 + 1, 1) AS INTEGER) FROM ota_states s WHERE s.plan = ota_agents.plan AND s.block = ordinal / 32),
    state = (SELECT substr(s.states,
            1 + coalesce((SELECT sum(j.value) FROM json_each(s.sizes) j WHERE j.key < ordinal % 32), 0),
            (SELECT j.value FROM json_each(s.sizes) j WHERE j.key = ordinal % 32))
        FROM ota_states s WHERE s.plan = ota_agents.plan AND s.block = ordinal / 32);
DROP TABLE ota_states;
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent,
    CASE a.status WHEN 0 THEN 'pending' WHEN 1 THEN 'running' WHEN 2 THEN 'waiting' WHEN 3 THEN 'succeeded' WHEN 4 THEN 'failed' WHEN 5 THEN 'skipped' WHEN 6 THEN 'canceled' WHEN 7 THEN 'unknown' END AS status,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan;
