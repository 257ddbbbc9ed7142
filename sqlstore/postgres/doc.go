// Package postgres keeps the plans of package ota in PostgreSQL. It links the driver of PostgreSQL
// and no other.
//
//	store, err := postgres.Open(ctx, "postgres://user@host/database", postgres.Options{})
//
// Package sqlstore describes durability, tables and migrations.
package postgres
