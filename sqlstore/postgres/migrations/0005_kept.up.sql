-- Agents whose call has not returned: the ID of the plan that made it, which may be gone, and the running instance of
-- an engine that made it. A row counts while that engine's lease has not ended.
CREATE TABLE ota_kept (
    agent  text COLLATE "C" NOT NULL,
    plan   text COLLATE "C" NOT NULL,
    engine text COLLATE "C" NOT NULL,
    PRIMARY KEY (agent, plan, engine)
);

-- Agents that their plan calls no more, although it has not ended.
CREATE TABLE ota_released (
    plan  bigint NOT NULL,
    agent text COLLATE "C" NOT NULL,
    PRIMARY KEY (plan, agent)
);
