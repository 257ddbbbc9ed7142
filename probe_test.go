package ota

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowProber upgrades all but those whose IDs begin with fail, and takes half a minute to say that an agent is well.
type slowProber struct{}

func (slowProber) Execute(_ context.Context, a Attempt) (Result, error) {
	if strings.HasPrefix(a.Agent, "fail") {
		return Result{}, Permanent(errors.New("no"))
	}
	return Result{}, nil
}

func (slowProber) Health(context.Context, Attempt) (Health, error) {
	time.Sleep(30 * time.Second)
	return Health{Healthy: true}, nil
}

// A paused plan comes to rest although its batch was closed while its agents were being asked.
func TestARoundEndsWithItsBatch(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(slowProber{})
		p := Policy{Soak: Soak{Duration: 50 * time.Second, Interval: 10 * time.Second}}
		id := s.start(p, Shape{Size: 3}, "ok-1", "ok-2", "fail-1", "ok-3", "ok-4")
		rested := make(chan Plan, 1)
		go func() {
			plan, err := s.e.RunPlan(s.ctx, id)
			if err != nil {
				s.Error(err)
			}
			rested <- plan
		}()
		s.after(5 * time.Minute)
		select {
		case plan := <-rested:
			require.Equal(s, StatusPaused, plan.Status)
		default:
			s.Fatal("the plan is paused and nothing is out, but it is driven on")
		}
		require.Equal(s, BatchCompleted, s.batch(id, 0).Status)
		s.stays(id, StatusPaused)
		s.said(s.e.Resume(s.ctx, id, Accept(1), Request{}))
		s.drive(id)
		s.status(id, StatusCompleted)
	})
}
