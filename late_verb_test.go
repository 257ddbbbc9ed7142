package ota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A verb that was decided on a plan as it was before its end does not land after it: the log would tell of a plan that goes on.
func TestNoVerbLandsAfterTheEnd(t *testing.T) {
	by := Request{Actor: "ann"}
	says := map[string]func(*command) error{
		"pause":    (*command).pause,
		"cancel":   func(w *command) error { return w.cancel(false) },
		"edit":     func(w *command) error { return w.edit(func(p *Policy) { p.Concurrency = 7 }) },
		"annotate": func(w *command) error { return w.annotate(map[string]string{"a": "b"}, nil) },
	}
	for _, loose := range []bool{false, true} { // as at first, and once it was refused
		for name, say := range says {
			t.Run(name, func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := s.start(Policy{Concurrency: 1}, Shape{}, names("ok", 2)...)
					stop := s.run(s.e)
					s.after(500 * time.Millisecond)
					row, err := s.store.Plan(s.ctx, id)
					require.NoError(s, err)
					s.after(time.Minute)
					require.NoError(s, stop())
					before := s.plan(id)
					require.Equal(s, StatusCompleted, before.Status)
					w := &command{ctx: s.ctx, store: s.store, verb: VerbAnnotate, request: by, row: row, now: time.Now(), inexact: loose}
					_, err = w.commit(say)
					require.ErrorIs(s, err, ErrConflict)
					require.Equal(s, before.Revision, s.plan(id).Revision)
				})
			})
		}
	}
}
