-- tasks is what the agent's tasks are, NULL for one task of which nothing is said; more is what few batches have.
ALTER TABLE ota_agents ADD COLUMN tasks TEXT;
ALTER TABLE ota_batches ADD COLUMN more TEXT;

DROP VIEW ota_agent_list;
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent,
    CASE a.status WHEN 0 THEN 'pending' WHEN 1 THEN 'running' WHEN 2 THEN 'waiting' WHEN 3 THEN 'succeeded' WHEN 4 THEN 'failed' WHEN 5 THEN 'skipped' WHEN 6 THEN 'canceled' WHEN 7 THEN 'unknown' END AS status,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan;
