-- What changes about agents moves out of their rows, of 32 agents into one: commits change agents that follow one another.
-- statuses has one digit for each, for queries; states their tasks, in the library's own compact form. Rows grow, from when
-- nothing has happened to when all has, and stay on their page if there is room.
CREATE TABLE ota_states (
    plan     bigint NOT NULL,
    block    integer NOT NULL,
    statuses text COLLATE "C" NOT NULL,
    states   bytea[] NOT NULL,
    PRIMARY KEY (plan, block)
) WITH (fillfactor = 30);
INSERT INTO ota_states (plan, block, statuses, states)
SELECT plan, ordinal / 32, string_agg(CAST(status AS text), '' ORDER BY ordinal), array_agg(state ORDER BY ordinal)
FROM ota_agents GROUP BY plan, ordinal / 32;

DROP VIEW ota_agent_list;
ALTER TABLE ota_agents DROP COLUMN status, DROP COLUMN state;
ALTER TABLE ota_agents SET (fillfactor = 100);
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent,
    CASE substr(s.statuses, a.ordinal % 32 + 1, 1) WHEN '0' THEN 'pending' WHEN '1' THEN 'running' WHEN '2' THEN 'waiting' WHEN '3' THEN 'succeeded' WHEN '4' THEN 'failed' WHEN '5' THEN 'skipped' WHEN '6' THEN 'canceled' WHEN '7' THEN 'unknown' END AS status,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan
JOIN ota_states s ON s.plan = a.plan AND s.block = a.ordinal / 32;
