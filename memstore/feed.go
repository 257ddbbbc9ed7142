package memstore

import "context"

// Changes implements Notifier. It loses nothing, but merges changes of one plan that were not read
// yet.
func (s *Store) Changes(ctx context.Context) (<-chan string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.feed.Subscribe(ctx), nil
}
