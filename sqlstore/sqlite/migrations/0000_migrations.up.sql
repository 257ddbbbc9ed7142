-- Which migrations were applied.
CREATE TABLE IF NOT EXISTS ota_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
