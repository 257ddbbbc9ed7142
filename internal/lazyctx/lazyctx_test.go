package lazyctx

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// system is the clock of the process. It counts the contexts that it made.
type system struct {
	mu   sync.Mutex
	made int
}

func (s *system) WithDeadline(parent context.Context, at time.Time) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return context.WithDeadline(parent, at)
}

type key struct{}

func begin(ctx context.Context, deadline int64) (*Context, *system) {
	s := new(system)
	c := new(Context)
	c.Init(&Parent{Context: ctx, Clock: s}, deadline)
	return c, s
}

func TestNothingIsMadeUntilNeeded(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(time.Hour)
	for name, need := range map[string]func(*Context){
		"Done":  func(c *Context) { c.Done() },
		"Err":   func(c *Context) { require.NoError(t, c.Err()) },
		"Cause": func(c *Context) { require.NoError(t, context.Cause(c)) },
		"End":   func(c *Context) { c.End() },
	} {
		c, s := begin(t.Context(), at.UnixNano())
		c.Release()
		got, ok := c.Deadline()
		require.True(t, ok)
		require.Equal(t, at.UnixNano(), got.UnixNano())
		require.NoError(t, c.ParentCause())
		require.Nil(t, c.real.Load())
		require.Zero(t, s.made)
		need(c)
		need(c)
		require.Equal(t, 1, s.made, name)
		c.Release()
	}
}

// A caller that only asks for values makes nothing, whether the parent has the value or not.
func TestValueMakesNothing(t *testing.T) {
	c, s := begin(context.WithValue(t.Context(), key{}, "x"), time.Now().Add(time.Hour).UnixNano())
	require.Equal(t, any("x"), c.Value(key{}))
	require.Nil(t, c.Value(0))
	require.Zero(t, testing.AllocsPerRun(10, func() { c.Value(key{}) }))
	require.Nil(t, c.real.Load())
	require.Zero(t, s.made)
}

// The cause of a context that has ended is its own, also when its parent ends later.
func TestCauseIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		c, _ := begin(parent, time.Now().Add(time.Minute).UnixNano())
		time.Sleep(time.Hour)
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		cancel(errors.New("too late to matter"))
		require.Equal(t, context.DeadlineExceeded, context.Cause(c))
	})
}

func TestWithoutADeadline(t *testing.T) {
	t.Parallel()
	c, s := begin(t.Context(), 0)
	_, ok := c.Deadline()
	require.False(t, ok)
	require.NoError(t, c.Err())
	require.Zero(t, s.made)
	c.Release()
	require.ErrorIs(t, c.Err(), context.Canceled)
}

func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(cancel context.CancelCauseFunc, c *Context)
		want error
	}{
		"by its deadline": {func(context.CancelCauseFunc, *Context) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		"by End":          {func(_ context.CancelCauseFunc, c *Context) { c.End() }, context.Canceled},
		"by its parent":   {func(cancel context.CancelCauseFunc, _ *Context) { cancel(errors.New("x")) }, context.Canceled},
	} {
		for _, before := range []bool{false, true} { // whether it is made before it ends
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				ctx, _ := begin(parent, time.Now().Add(time.Minute).UnixNano())
				if before {
					require.NoError(t, ctx.Err(), name)
				}
				c.end(cancel, ctx)
				synctest.Wait()
				<-ctx.Done()
				require.ErrorIs(t, ctx.Err(), c.want, name)
				require.Equal(t, name == "by its parent", ctx.ParentCause() != nil)
			})
		}
	}
}

// What is derived from a Context ends with it, and values of the parent are found.
func TestDerived(t *testing.T) {
	t.Parallel()
	c, _ := begin(context.WithValue(t.Context(), key{}, "x"), time.Now().Add(time.Hour).UnixNano())
	child, cancel := context.WithCancel(c)
	defer cancel()
	require.Equal(t, "x", child.Value(key{}))
	c.End()
	<-child.Done()
	require.ErrorIs(t, child.Err(), context.Canceled)
}

// Many goroutines see one context, and those that lose the race free what they made.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := begin(t.Context(), time.Now().Add(time.Hour).UnixNano())
		var all sync.WaitGroup
		done := make([]<-chan struct{}, 16)
		for i := range done {
			all.Go(func() { done[i] = c.Done() })
		}
		all.Wait()
		for _, d := range done {
			require.Equal(t, done[0], d)
		}
		c.Release()
		<-c.Done()
	})
}

// BenchmarkContext compares a call that never needs its context with one that does.
func BenchmarkContext(b *testing.B) {
	parent := &Parent{Context: b.Context(), Clock: new(system)}
	at := time.Now().Add(time.Hour).UnixNano()
	for name, need := range map[string]func(*Context){"unused": func(*Context) {}, "used": func(c *Context) { c.Done() }} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := new(Context)
				c.Init(parent, at)
				need(c)
				c.Release()
			}
		})
	}
}
