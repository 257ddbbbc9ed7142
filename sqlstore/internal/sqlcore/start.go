package sqlcore

import (
	"context"
)

// Start makes a database ready for use, and closes it if that fails. Errors name the place: a file,
// or a database.
func Start(ctx context.Context, db Database, place string, mode MigrateMode) (*Store, error) {
	s := &Store{db: db}
	if err := s.start(ctx, mode); err != nil {
		db.Close()
		return nil, wrap(ctx, "open "+place, "", err)
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, mode MigrateMode) error {
	if err := s.db.Ready(ctx); err != nil {
		return err
	}
	switch mode {
	case MigrateApply:
		have, err := s.Version(ctx)
		if err != nil {
			return err
		}
		if have != Latest() {
			if err := s.Migrate(ctx, Latest()); err != nil {
				return err
			}
		}
		if err := s.writeWords(ctx); err != nil {
			return err
		}
		return s.sweepDead(ctx, hour)
	case MigrateCheck:
		return s.Validate(ctx)
	default:
		return nil
	}
}
