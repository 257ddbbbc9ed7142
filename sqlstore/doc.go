// Package sqlstore keeps the plans of package ota in SQLite or PostgreSQL.
//
//	store, err := sqlstore.Open(ctx, "fleet.db", sqlstore.Options{})                 // SQLite
//	store, err := sqlstore.Open(ctx, "postgres://user@host/database", sqlstore.Options{})
//
// A [Store] implements [ota.Store] and every companion of it. SQLite is for one process on one machine; further
// processes may use the same file, one of them writes at a time. PostgreSQL is for any number of replicas.
//
// # Durability
//
// Commit returns when the change is on the disk: SQLite runs with a write-ahead log and synchronous=FULL, and a
// PostgreSQL session with synchronous_commit=off is refused. A commit is one transaction, one flush, and on PostgreSQL
// one statement and one round trip, whatever it changes. Grouping is the engine's business.
//
// An error that is none of ota's may mean that the commit landed: a connection can break after the server has
// committed. Serialization failures and deadlocks, of which the database says that nothing was applied, are retried
// inside.
//
// # Tables
//
// Read them freely; write to them only through this package. Every name begins with [Options.TablePrefix], ota_ by
// default.
//
//	ota_plans          one row per plan: what is listed, its status and numbers, and its Progress as JSON
//	ota_plan_specs     what never changes about a plan, as JSON
//	ota_plan_controls  its Control, as JSON
//	ota_plan_labels    its labels
//	ota_batches        one row per batch, with its counters
//	ota_agents         one row per agent: what never changes about it
//	ota_states         what does, of 32 agents to a row: a status for each, and their tasks in ota's compact form
//	ota_log            one record per commit
//	ota_claims         which plan holds an agent
//	ota_leases         until when an engine is alive
//	ota_inbox          reports on their way to a plan's owner
//	ota_drafts         plans that are being created or deleted
//	ota_migrations     which migrations were applied
//
// The views ota_plan_list, ota_batch_list, ota_agent_list, ota_event_list and ota_claim_list show the same with plan
// IDs, statuses in words and times as times.
//
// # Migrations
//
// By default Open brings the tables up to date. Those who run migrations with a tool of their own find the SQL in
// [Migrations], and open with [MigrateCheck]. A schema that is newer than this package is refused with [ErrSchema].
package sqlstore
