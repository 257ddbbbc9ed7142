-- Which migrations were applied.
CREATE TABLE IF NOT EXISTS ota_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at bigint NOT NULL
);
