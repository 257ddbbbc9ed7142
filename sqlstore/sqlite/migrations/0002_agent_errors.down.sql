DROP VIEW ota_agent_list;
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
DROP TABLE ota_agent_shows;
