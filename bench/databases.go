package main

import (
	"context"

	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

// onDatabase returns a measurement that runs f on one of the two databases.
func onDatabase(open func(ctx context.Context, t *trial) (place.Database, error),
	f func(ctx context.Context, t *trial, d place.Database) error,
) func(ctx context.Context, t *trial) error {
	return func(ctx context.Context, t *trial) error {
		d, err := open(ctx, t)
		if err != nil {
			return err
		}
		defer d.Close()
		t.uses(d.Name(), d.Version())
		return f(ctx, t, d)
	}
}

func sqlite(ctx context.Context, t *trial) (place.Database, error) {
	return place.NewSQLite(ctx, t.folder)
}

func postgres(ctx context.Context, _ *trial) (place.Database, error) { return place.NewPostgres(ctx) }

// uses records the version of the server or library that was measured.
func (t *trial) uses(name, version string) {
	if t.Machine.Servers == nil {
		t.Machine.Servers = map[string]string{}
	}
	t.Machine.Servers[name] = version
}
