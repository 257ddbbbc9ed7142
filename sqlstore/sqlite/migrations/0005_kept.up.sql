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
