// Package sqlstore keeps the plans of package ota in SQLite or PostgreSQL.
//
//	store, err := sqlstore.Open(ctx, "fleet.db", sqlstore.Options{})                 // SQLite
//	store, err := sqlstore.Open(ctx, "postgres://user@host/database", sqlstore.Options{})
//
// A [Store] implements [ota.Store] and every companion of it. SQLite is for one process on one
// machine. Further processes may use the same file; one of them writes at a time. PostgreSQL is for
// any number of replicas.
//
// This package links the drivers of both databases. A program that needs one of them imports
// sqlstore/sqlite or sqlstore/postgres, and links that driver only. Both also open a Store on a
// pool of the caller's.
//
// # Durability
//
// Commit returns when the change is on the disk. SQLite runs with a write-ahead log and
// synchronous=FULL. A PostgreSQL session with synchronous_commit=off is refused. A commit is one
// transaction and one flush, and on PostgreSQL one statement and one round trip, whatever it
// changes. The engine groups changes into commits.
//
// An error that is none of ota's may mean that the commit landed: a connection can break after the
// server has committed. The Store retries serialization failures and deadlocks, because the
// database guarantees that it applied nothing.
//
// # Tables
//
// Read them freely; write to them only through this package. Every name begins with
// [Options.TablePrefix], ota_ by default.
//
//	ota_plans          one row per plan: its names, its Head, numbers, and Progress as bytes
//	ota_plan_specs     the part of a plan that never changes, as bytes
//	ota_plan_controls  its Control, as bytes
//	ota_plan_labels    its labels
//	ota_rows           one row per batch, and rows of further kinds
//	ota_agents         one row per agent: the part that never changes
//	ota_agent_labels   the labels of agents that the plan's index names
//	ota_states         the states of 32 agents per row: statuses, reasons, and bytes
//	ota_agent_shows    the errors of agents, for people
//	ota_log            one record per commit
//	ota_claims         the plan that has claimed an agent
//	ota_kept           agents whose calls have not returned, by plan and engine
//	ota_released       agents that a plan has released
//	ota_leases         the end of each engine's lease
//	ota_inbox          reports on their way to a plan's owner
//	ota_drafts         plans that are being created or deleted
//	ota_words          the words of statuses and reasons; opening a Store brings them up to date
//	ota_migrations     the migrations that were applied
//
// The views ota_plan_list, ota_batch_list, ota_agent_list, ota_event_list and ota_claim_list show
// the same with plan IDs, statuses and reasons in words, and times as times.
//
// # Migrations
//
// By default Open brings the tables up to date. If a tool of your own runs migrations, give it the
// SQL in Migrations of sqlstore/sqlite or sqlstore/postgres, and open with [MigrateCheck]. Tables
// that are newer than this package are refused with [ErrSchema].
package sqlstore
