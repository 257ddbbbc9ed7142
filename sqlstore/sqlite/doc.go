// Package sqlite keeps the plans of package ota in a SQLite file. It links the driver of SQLite and
// no other.
//
//	store, err := sqlite.Open(ctx, "fleet.db", sqlite.Options{})
//
// The file must stay where it is while a Store has it open: see [ErrFileLost]. On Unix the Store
// compares its device and inode, on Windows its volume and file index. Windows itself keeps
// programs from deleting or renaming an open database; there the comparison finds a truncated one.
//
// Package sqlstore describes durability, tables and migrations.
package sqlite
