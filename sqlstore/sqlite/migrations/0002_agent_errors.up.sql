-- The last errors of agents, as JSON for people. A row stays when its agent succeeds later. The view leaves it out.
CREATE TABLE ota_agent_shows (
    plan   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    show   TEXT NOT NULL,
    PRIMARY KEY (plan, number)
) STRICT, WITHOUT ROWID;

-- reason says how the agent ended, or why it waits. error is that of the last failed attempt.
DROP VIEW ota_agent_list;
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent, w.word AS status,
    CASE r.code WHEN 0 THEN NULL ELSE r.word END AS reason,
    CASE r.code WHEN 0 THEN NULL ELSE r.sentence END AS why,
    CASE WHEN w.word IN ('pending', 'succeeded', 'canceled') THEN NULL ELSE e.show->>'error' END AS error,
    a.labels
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan
JOIN ota_states s ON s.plan = a.plan AND s.block = a.ordinal / 32
LEFT JOIN ota_words w ON w.kind = 'task status' AND w.hex = '0' || substr(s.statuses, a.ordinal % 32 + 1, 1)
LEFT JOIN ota_words r ON r.kind = 'reason' AND r.hex = substr(s.reasons, a.ordinal % 32 * 2 + 1, 2)
LEFT JOIN ota_agent_shows e ON e.plan = a.plan AND e.number = a.ordinal;
