// Package sqlite keeps the plans of package ota in a SQLite file. It links the driver of SQLite and no
// other.
//
//	store, err := sqlite.Open(ctx, "fleet.db", sqlite.Options{})
//
// Package sqlstore describes durability, tables and migrations.
package sqlite
