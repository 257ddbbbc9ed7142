-- What changes about agents moves out of their rows, of 32 agents into one: commits change agents that follow one another.
-- statuses has one digit for each, for queries; states their tasks, in the library's own compact form, one after the other, and
-- sizes how many bytes each takes, as a JSON array.
CREATE TABLE ota_states (
    plan     INTEGER NOT NULL,
    block    INTEGER NOT NULL,
    statuses TEXT NOT NULL,
    sizes    TEXT NOT NULL,
    states   BLOB NOT NULL,
    PRIMARY KEY (plan, block)
) STRICT, WITHOUT ROWID;
INSERT INTO ota_states (plan, block, statuses, sizes, states)
SELECT plan, ordinal / 32,
    (SELECT group_concat(status, '') FROM (SELECT status FROM ota_agents b WHERE b.plan = a.plan AND b.ordinal >= a.ordinal AND b.ordinal < a.ordinal + 32 ORDER BY b.ordinal)),
    (SELECT json_group_array(length(state)) FROM (SELECT state FROM ota_agents b WHERE b.plan = a.plan AND b.ordinal >= a.ordinal AND b.ordinal < a.ordinal + 32 ORDER BY b.ordinal)),
    (SELECT CAST(group_concat(state, '') AS BLOB) FROM (SELECT state FROM ota_agents b WHERE b.plan = a.plan AND b.ordinal >= a.ordinal AND b.ordinal < a.ordinal + 32 ORDER BY b.ordinal))
FROM ota_agents a WHERE ordinal % 32 = 0;

DROP VIEW ota_agent_list;
ALTER TABLE ota_agents DROP COLUMN status;
ALTER TABLE ota_agents DROP COLUMN state;
CREATE VIEW ota_agent_list AS
SELECT p.id AS plan, a.ordinal, a.batch, a.id AS agent,
    CASE substr(s.statuses, a.ordinal % 32 + 1, 1) WHEN '0' THEN 'pending' WHEN '1' THEN 'running' WHEN '2' THEN 'waiting' WHEN '3' THEN 'succeeded' WHEN '4' THEN 'failed' WHEN '5' THEN 'skipped' WHEN '6' THEN 'canceled' WHEN '7' THEN 'unknown' END AS status,
    a.version, a.target, a.labels, a.tasks
FROM ota_agents a
JOIN ota_plans p ON p.number = a.plan
JOIN ota_states s ON s.plan = a.plan AND s.block = a.ordinal / 32;
