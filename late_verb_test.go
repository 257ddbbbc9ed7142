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

// A verb compares Progress only if its answer depends on it, and not twice. So a call may return, or be made, between the
// verb's read and its commit. Then the answer is the weaker status, never the stronger one. The right status is recorded in
// time, even if no engine ran when the verb landed. The end has one Control number.
func TestWeakerAnswersBecomeRight(t *testing.T) {
	const begun, observed, next = 500 * time.Millisecond, 30 * time.Second, 65 * time.Second // what is in flight: 1, 0, 1
	verbs := []struct {
		verb         Verb
		say          func(*command) error
		weak, strong Status
	}{
		{VerbPause, (*command).pause, StatusPausing, StatusPaused},
		{VerbCancel, func(w *command) error { return w.cancel(false) }, StatusCanceling, StatusCanceled},
	}
	cases := []struct {
		name        string
		read, lands time.Duration
		loose       bool   // an exact commit was refused before
		alive       bool   // an engine runs when the verb lands
		ends        uint64 // by how much the end raises the number
	}{
		{"the call returned", begun, observed, false, true, 0},
		{"the call returned, no engine", begun, observed, false, false, 0},
		{"nothing was in flight", observed, observed + time.Second, true, true, 0},
		{"nothing was in flight, no engine", observed, observed + time.Second, true, false, 0},
		{"a call was made", observed, next, true, true, 1},
	}
	for _, v := range verbs {
		for _, c := range cases {
			t.Run(v.verb.String()+"/"+c.name, func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := s.start(Policy{Soak: Soak{Duration: time.Minute}}, Shape{Size: 1}, "ok-1", "slow-2", "ok-3")
					stop := s.run(s.e)
					s.after(c.read)
					row, err := s.store.Plan(s.ctx, id)
					require.NoError(s, err)
					s.after(c.lands - c.read)
					if !c.alive {
						require.NoError(s, stop())
					}
					w := &command{ctx: s.ctx, store: s.store, verb: v.verb, request: Request{Actor: "ann"}, row: row, now: time.Now(), inexact: c.loose}
					row, err = w.commit(v.say)
					require.NoError(s, err)
					answer := w.plan(&row)
					require.Equal(s, v.weak.String(), answer.Status.String())
					require.Zero(s, answer.EndedAt)
					landed := s.plan(id).Generation
					require.Equal(s, answer.Generation, landed)
					if !c.alive {
						stop = s.run(s.engine(s.store, s.fleet, "two"))
					}
					s.after(3 * time.Minute)
					row, err = s.store.Plan(s.ctx, id)
					require.NoError(s, err)
					require.Equal(s, v.strong.String(), row.Status.String(), "the stored status, of which lists are made")
					require.NoError(s, stop())
					if v.strong.Ended() {
						require.Equal(s, landed+c.ends, row.ControlNumber)
						s.start(Policy{}, Shape{}, "ok-1", "slow-2", "ok-3") // its claims have ended
					} else {
						require.Equal(s, landed, row.ControlNumber)
					}
					s.stays(id, v.strong)
				})
			})
		}
	}
}
