package ota

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"
)

// poolOf returns a pool without an owner, whose calls go on until release is closed, and how many are out.
func poolOf(t *testing.T) (p *pool, out *atomic.Int32, release chan struct{}) {
	t.Helper()
	out, release = new(atomic.Int32), make(chan struct{})
	exec := ExecutorFunc(func(context.Context, Attempt) (Result, error) {
		out.Add(1)
		defer out.Add(-1)
		<-release // it ignores its context
		return Result{}, nil
	})
	p = newPool(exec, &callClock{clock.New()}, t.Context(), func() {}, func(time.Time) bool { return true })
	p.onAbandoned, p.onReturned = func(job) {}, func(outcome) {}
	return p, out, release
}

func jobs(from, n int) (js []job) {
	for i := range n {
		js = append(js, job{template: &Attempt{}, agent: strconv.Itoa(from + i), ordinal: from + i, number: 1})
	}
	return js
}

// Every call that was handed over is made at once, also when all others take their time: a worker that takes a job sees to the
// next one first.
func TestCallsAreMadeAtOnce(t *testing.T) {
	for _, crowded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p, out, release := poolOf(t)
			handed := 0
			for _, n := range []int{1, 10, 53} {
				p.push(jobs(handed, n), 64, crowded)
				handed += n
				synctest.Wait()
				require.EqualValues(t, handed, out.Load())
			}
			close(release)
			synctest.Wait()
			done, _ := p.fetch(nil)
			require.Len(t, done, 64)
			p.push(jobs(64, 64), 64, crowded) // by workers that wait
			synctest.Wait()
			done, _ = p.fetch(nil)
			require.Len(t, done, 64)
			require.Zero(t, p.close())
		})
	}
}

// Not more calls are out than there may be workers; one that was left behind gives its place to the next call at once.
func TestAnAbandonedCallGivesItsPlaceToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out, release := poolOf(t)
		js := jobs(0, 3)
		js[0].deadline = time.Now().Add(time.Minute).UnixNano()
		p.push(js, 2, false)
		synctest.Wait()
		require.EqualValues(t, 2, out.Load())
		time.Sleep(2 * time.Minute)
		p.abandon(time.Now(), time.Time{}, time.Second, ReasonNone)
		synctest.Wait()
		require.EqualValues(t, 3, out.Load(), "the first, which is left behind, and two that count")
		require.Equal(t, 3, p.inFlight(), "an outcome that was not fetched, and two calls")
		close(release)
		synctest.Wait()
		require.Zero(t, p.close())
	})
}
