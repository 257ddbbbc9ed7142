package ota

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBecomes(t *testing.T) {
	const at = int64(1e18)
	retry := Policy{Retry: RetryPolicy{Max: 2, Backoff: time.Minute}}.withDefaults()
	never := Policy{}.withDefaults()
	skips := Policy{OnUnreachable: UnreachableSkipped}.withDefaults()
	away := func(since time.Duration) taskState {
		return taskState{More: &taskMore{UnreachableSince: at - int64(since)}}
	}
	waits := func(why Reason, after time.Duration) transition {
		return transition{status: TaskWaiting, why: why, due: at + int64(after)}
	}
	for _, c := range []struct {
		name string
		p    Policy
		o    outcome
		t    taskState
		f    attemptsBefore
		want transition
	}{
		{"success", never, outcome{reason: ReasonSucceeded, version: "2"}, taskState{}, attemptsBefore{}, transition{status: TaskSucceeded, why: ReasonSucceeded, changed: true}},
		{"success without a version", never, outcome{reason: ReasonSucceeded}, taskState{}, attemptsBefore{}, transition{status: TaskSucceeded, why: ReasonSucceeded, changed: true}},
		{"another version", retry, outcome{reason: ReasonSucceeded, version: "3"}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonWrongVersion, changed: true}},
		{"another version, nothing done", never, outcome{reason: ReasonSucceeded, version: "3", unchanged: true}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonWrongVersion, changed: true}},
		{"the version before, a try left", retry, outcome{reason: ReasonSucceeded, version: "1"}, taskState{}, attemptsBefore{oldVersion: true}, transition{status: TaskWaiting, why: ReasonWrongVersion, due: at + int64(time.Minute), tried: true, changed: true}},
		{"the version before, nothing done", retry, outcome{reason: ReasonSucceeded, version: "1", unchanged: true}, taskState{}, attemptsBefore{oldVersion: true}, transition{status: TaskWaiting, why: ReasonWrongVersion, due: at + int64(time.Minute), tried: true}},
		{"the version before, tries used up", retry, outcome{reason: ReasonSucceeded, version: "1"}, taskState{Tries: 2}, attemptsBefore{oldVersion: true}, transition{status: TaskFailed, why: ReasonWrongVersion, changed: true}},
		{"at target", never, outcome{reason: ReasonSucceeded, version: "2", unchanged: true}, taskState{}, attemptsBefore{}, transition{status: TaskSucceeded, why: ReasonAtTarget}},
		{"at target, by an earlier try", never, outcome{reason: ReasonSucceeded, unchanged: true}, taskState{}, attemptsBefore{changed: true, taskChanged: true}, transition{status: TaskSucceeded, why: ReasonSucceeded, changed: true}},
		{"at target, said by a repeat", never, outcome{reason: ReasonSucceeded, unchanged: true, repeat: true}, taskState{}, attemptsBefore{}, transition{status: TaskSucceeded, why: ReasonSucceeded, changed: true}},
		{"error without a try left", never, outcome{reason: ReasonError}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonError, changed: true}},
		{"error, unchanged", never, outcome{reason: ReasonError, unchanged: true}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonError}},
		{"error, said to be unchanged by a repeat", never, outcome{reason: ReasonError, unchanged: true, repeat: true}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonError, changed: true}},
		{"error with a try left", retry, outcome{reason: ReasonError}, taskState{}, attemptsBefore{}, transition{status: TaskWaiting, why: ReasonError, due: at + int64(time.Minute), tried: true, changed: true}},
		{"timeout with a try left", retry, outcome{reason: ReasonTimeout}, taskState{Tries: 1}, attemptsBefore{}, transition{status: TaskWaiting, why: ReasonTimeout, due: at + int64(2*time.Minute), tried: true, changed: true}},
		{"error, tries used up", retry, outcome{reason: ReasonError}, taskState{Tries: 2}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonError, changed: true}},
		{"permanent", retry, outcome{reason: ReasonPermanent}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonPermanent, changed: true}},
		{"permanent, unchanged", retry, outcome{reason: ReasonPermanent, unchanged: true}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonPermanent}},
		{"rejected", retry, outcome{reason: ReasonRejected}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonRejected, changed: true}},
		{"panic", retry, outcome{reason: ReasonPanic}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonPanic, changed: true}},
		{"abandoned", retry, outcome{reason: ReasonAbandoned}, taskState{}, attemptsBefore{}, transition{status: TaskFailed, why: ReasonAbandoned, changed: true}},
		{"interrupted", retry, outcome{reason: ReasonInterrupted, unchanged: true}, taskState{}, attemptsBefore{}, transition{status: TaskUnknown, why: ReasonInterrupted, changed: true}},
		{"away for the first time", never, outcome{reason: ReasonUnreachable}, taskState{}, attemptsBefore{}, with(waits(ReasonUnreachable, time.Second), func(b *transition) { b.freeSlot = true })},
		{"away for ten seconds", never, outcome{reason: ReasonUnreachable}, away(10 * time.Second), attemptsBefore{}, with(waits(ReasonUnreachable, 10*time.Second), func(b *transition) { b.freeSlot = true })},
		{"away for long", never, outcome{reason: ReasonUnreachable}, away(30 * time.Minute), attemptsBefore{}, with(waits(ReasonUnreachable, time.Minute), func(b *transition) { b.freeSlot = true })},
		{"throttled", never, outcome{reason: ReasonThrottled, after: 7 * time.Second}, taskState{}, attemptsBefore{}, with(waits(ReasonThrottled, 7*time.Second), func(b *transition) { b.freeSlot = true })},
		{"away, partly done", never, outcome{reason: ReasonUnreachable}, taskState{}, attemptsBefore{partly: true}, waits(ReasonUnreachable, time.Second)},
		{"away, touched", never, outcome{reason: ReasonUnreachable}, taskState{}, attemptsBefore{changed: true, taskChanged: true}, with(waits(ReasonUnreachable, time.Second), func(b *transition) { b.changed = true })},
		{"away, repeat", never, outcome{reason: ReasonUnreachable, repeat: true}, taskState{}, attemptsBefore{}, with(waits(ReasonUnreachable, time.Second), func(b *transition) { b.changed = true })},
		{"away a moment before the limit", never, outcome{reason: ReasonUnreachable}, away(time.Hour - 1), attemptsBefore{}, with(waits(ReasonUnreachable, time.Minute), func(b *transition) { b.freeSlot = true })},
		{"away at the limit", never, outcome{reason: ReasonUnreachable}, away(time.Hour), attemptsBefore{}, transition{status: TaskFailed, why: ReasonUnreachable}},
		{"away at the limit, skipped by policy", skips, outcome{reason: ReasonThrottled}, away(time.Hour), attemptsBefore{}, transition{status: TaskSkipped, why: ReasonThrottled}},
		{"away at the limit, touched", skips, outcome{reason: ReasonThrottled}, away(time.Hour), attemptsBefore{changed: true, taskChanged: true}, transition{status: TaskFailed, why: ReasonThrottled, changed: true}},
		{"at target, after a task that changed the agent", never, outcome{reason: ReasonSucceeded, unchanged: true}, taskState{}, attemptsBefore{changed: true, partly: true}, transition{status: TaskSucceeded, why: ReasonAtTarget}},
		{"away, after a task that changed the agent", never, outcome{reason: ReasonUnreachable}, taskState{}, attemptsBefore{changed: true, partly: true}, waits(ReasonUnreachable, time.Second)},
		{"away at the limit, after a task that changed the agent", skips, outcome{reason: ReasonUnreachable}, away(time.Hour), attemptsBefore{changed: true, partly: true}, transition{status: TaskFailed, why: ReasonUnreachable}},
		{"away at the limit, after a task that was done already", skips, outcome{reason: ReasonUnreachable}, away(time.Hour), attemptsBefore{partly: true}, transition{status: TaskSkipped, why: ReasonUnreachable}},
		{"away without a limit", Policy{UnreachableTimeout: NoTimeout}.withDefaults(), outcome{reason: ReasonUnreachable}, away(1e6 * time.Hour), attemptsBefore{}, with(waits(ReasonUnreachable, time.Minute), func(b *transition) { b.freeSlot = true })},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.at = at
			require.Equal(t, c.want, c.p.outcomeTable(&c.o, &c.t, "2", c.f, 0))
		})
	}
}

func with(b transition, f func(*transition)) transition { f(&b); return b }

func TestRetryWait(t *testing.T) {
	r := RetryPolicy{Backoff: time.Second, MaxBackoff: 5 * time.Second}
	for tries, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		require.Equal(t, want, r.wait(tries, 0))
		require.InDelta(t, float64(want)/2, float64(r.wait(tries, 1<<64-1)), 10, "shortened by up to half")
	}
	require.Zero(t, RetryPolicy{}.wait(9, 1<<64-1))
	require.Equal(t, maxDuration, RetryPolicy{Backoff: time.Hour}.wait(100, 0), "it never overflows")
	require.Equal(t, maxDuration, RetryPolicy{Backoff: maxDuration}.wait(100, 0))
}

func TestJitter(t *testing.T) {
	seen := map[uint64]bool{}
	for _, a := range names("ok", 1000) {
		seen[jitterOf("p", a, 0, 1)] = true
	}
	require.Len(t, seen, 1000)
	require.Equal(t, jitterOf("p", "a", 0, 1), jitterOf("p", "a", 0, 1))
	require.NotEqual(t, jitterOf("p", "a", 0, 1), jitterOf("p", "a", 0, 2))
	low, high := time.Hour, time.Duration(0)
	for j := range seen {
		d := spread(time.Minute, j)
		low, high = min(low, d), max(high, d)
	}
	require.GreaterOrEqual(t, low, 30*time.Second)
	require.LessOrEqual(t, high, time.Minute)
	require.Less(t, low, 32*time.Second)
	require.Greater(t, high, 58*time.Second)
}

func TestClassify(t *testing.T) {
	no := errors.New("no")
	for _, c := range []struct {
		err       error
		reason    Reason
		after     time.Duration
		unchanged bool
	}{
		{no, ReasonError, 0, false},
		{context.DeadlineExceeded, ReasonError, 0, false},
		{Permanent(no), ReasonPermanent, 0, false},
		{Rejected(no), ReasonRejected, 0, false},
		{Unreachable(no), ReasonUnreachable, 0, true},
		{Throttled(no, time.Second), ReasonThrottled, time.Second, true},
		{Throttled(no, -time.Second), ReasonThrottled, 0, true},
		{Unchanged(no), ReasonError, 0, true},
		{Unchanged(Permanent(no)), ReasonPermanent, 0, true},
		{Permanent(Unchanged(no)), ReasonPermanent, 0, true},
		{fmt.Errorf("wrapped: %w", Rejected(no)), ReasonRejected, 0, false},
		{errors.Join(errors.New("x"), Unreachable(no)), ReasonUnreachable, 0, true},
		{&PanicError{Value: "x"}, ReasonPanic, 0, false},
	} {
		reason, after, unchanged := classify(c.err)
		require.Equal(t, c.reason, reason, c.err)
		require.Equal(t, c.after, after, c.err)
		require.Equal(t, c.unchanged, unchanged, c.err)
		if c.reason != ReasonPanic && !errors.Is(c.err, context.DeadlineExceeded) {
			require.ErrorIs(t, c.err, no)
		}
	}
	for _, f := range []func(error) error{Permanent, Rejected, Unreachable, Unchanged, func(err error) error { return Throttled(err, 1) }} {
		require.NoError(t, f(nil))
	}
}

func TestPrecheckSaid(t *testing.T) {
	a := Attempt{Agent: "a", ToVersion: "2"}
	for _, c := range []struct {
		name string
		said Precheck
		err  error
		want PrecheckState
		then Reason // ReasonNone: it starts
	}{
		{"nothing", Precheck{}, nil, PrecheckReady, ReasonNone},
		{"another version", Precheck{Version: "1"}, nil, PrecheckReady, ReasonNone},
		{"the target's version", Precheck{Version: "2"}, nil, PrecheckAtTarget, ReasonSucceeded},
		{"at target", Precheck{State: PrecheckAtTarget}, nil, PrecheckAtTarget, ReasonSucceeded},
		{"blocked at the target's version", Precheck{State: PrecheckBlocked, Version: "2"}, nil, PrecheckBlocked, ReasonBlocked},
		{"away", Precheck{State: PrecheckUnreachable}, nil, PrecheckUnreachable, ReasonUnreachable},
		{"an error", Precheck{State: PrecheckAtTarget}, errors.New("x"), PrecheckUnreachable, ReasonUnreachable},
		{"throttled", Precheck{}, Throttled(errors.New("x"), time.Minute), PrecheckUnreachable, ReasonThrottled},
		{"a permanent error says as little", Precheck{}, Permanent(errors.New("x")), PrecheckUnreachable, ReasonUnreachable},
		{"a state that does not exist", Precheck{State: 9}, nil, PrecheckUnreachable, ReasonUnreachable},
	} {
		p, after := readPrecheck(nil, a, c.said, c.err)
		require.Equal(t, c.want, p.State, c.name)
		got := p.answer(ask{attempt: a}, after, time.Unix(7, 0))
		if c.then == ReasonNone {
			require.Nil(t, got.outcome, c.name)
			continue
		}
		require.Equal(t, c.then, got.outcome.reason, c.name)
		require.True(t, got.outcome.unchanged, "%s: a question changes nothing", c.name)
	}
}

// What a TaskSpec leaves out is its agent's, else its plan's.
func TestTaskSpecDefaults(t *testing.T) {
	plan := planSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "2", ToRelease: "r2"}
	for _, c := range []struct {
		agent agentSpec
		want  TaskSpec
	}{
		{agentSpec{}, TaskSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "2", ToRelease: "r2"}},
		{agentSpec{Version: "0"}, TaskSpec{FromVersion: "0", FromRelease: "r1", ToVersion: "2", ToRelease: "r2"}},
		{agentSpec{Target: "0"}, TaskSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "0", ToRelease: "r2"}},
		{agentSpec{Version: "0", Tasks: []TaskSpec{{FromVersion: "7", ToVersion: "8"}}}, TaskSpec{FromVersion: "7", ToVersion: "8"}},
		{agentSpec{Tasks: []TaskSpec{{ToRelease: "x"}}}, TaskSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "2", ToRelease: "x"}},
	} {
		require.Equal(t, c.want, plan.task(&c.agent, 0))
		require.Equal(t, c.want.ToVersion, plan.target(&c.agent, 0))
	}
}
