package ota

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openFor and openUntil agree with a walk over every minute.
func TestOpenTime(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	began := time.Date(2024, 3, 29, 0, 0, 0, 0, time.UTC) // clocks change in this week
	for range 300 {
		windows := make([]Window, r.IntN(4))
		for i := range windows {
			windows[i] = Window{
				Start: time.Duration(r.IntN(24*60)) * time.Minute, Length: time.Duration(1+r.IntN(600)) * time.Minute,
				Zone: []string{"", "Europe/Berlin", "Asia/Tokyo"}[r.IntN(3)],
			}
			if r.IntN(3) == 0 {
				windows[i].Days = []time.Weekday{time.Weekday(r.IntN(7))}
			}
			windows[i].Margin = time.Duration(r.IntN(int(windows[i].Length/time.Minute))) * time.Minute
		}
		since := began.Add(time.Duration(r.IntN(1000)) * time.Minute)
		until := since.Add(time.Duration(r.IntN(4*24*60)) * time.Minute)
		var open time.Duration
		for at := since; at.Before(until); at = at.Add(time.Minute) {
			if (Policy{Windows: windows}).NextOpen(at).Equal(at) {
				open += time.Minute
			}
		}
		require.Equal(t, open, openFor(windows, since, until), "%v %v %v", windows, since, until)
		if open > 0 {
			at := openUntil(windows, since, open)
			require.False(t, at.After(until))
			require.Equal(t, open, openFor(windows, since, at))
			require.Equal(t, open-time.Minute, openFor(windows, since, at.Add(-time.Minute)), "it is the first such instant")
		}
	}
}

func TestOpenTimeAtTheEdges(t *testing.T) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, at.Add(time.Hour), openUntil(nil, at, time.Hour))
	require.Equal(t, time.Hour, openFor(nil, at, at.Add(time.Hour)))
	require.Zero(t, openFor(nil, at, at))
	require.Zero(t, openFor(nil, at, at.Add(-time.Hour)))
	unknown := []Window{{Length: time.Hour, Zone: "Nowhere/Land"}}
	require.Zero(t, openFor(unknown, at, at.Add(time.Hour)))
	require.True(t, openUntil(unknown, at, time.Hour).IsZero(), "no window ever opens")
	short := []Window{{Length: time.Millisecond}}
	far := openUntil(short, at, 10*365*24*time.Hour)
	require.False(t, far.IsZero(), "openings beyond the limit count as a whole")
	require.Greater(t, openFor(short, at, far.Add(24*time.Hour)), 10*365*24*time.Hour)
	always := []Window{{Length: 24 * time.Hour}}
	require.Equal(t, at.Add(50*time.Hour), openUntil(always, at, 50*time.Hour))
}

func TestStandStill(t *testing.T) {
	for name, c := range map[string]struct {
		task taskState
		want int64
	}{
		"due":                {taskState{Status: TaskWaiting, Why: ReasonUnreachable, Ended: 50}, 10 + 50},
		"not due yet":        {taskState{Status: TaskWaiting, Why: ReasonUnreachable, Ended: 150}, 10},
		"its call was lost":  {taskState{Status: TaskWaiting, Why: ReasonRepeat, Started: 30, Ended: 90}, 10 + 70},
		"its call is out":    {taskState{Status: TaskRunning, Started: 30}, 10},
		"waits for a retry":  {taskState{Status: TaskWaiting, Why: ReasonError, Ended: 50}, 0},
		"its call was first": {taskState{Status: TaskWaiting, Why: ReasonRepeat, Started: 30}, 0},
	} {
		if c.want != 0 {
			c.task.More = &taskMore{UnreachableSince: 10}
		}
		before := c.task.More
		c.task.standStill(100)
		if c.want == 0 {
			require.Nil(t, c.task.More, name)
			continue
		}
		require.Equal(t, c.want, c.task.More.UnreachableSince, name)
		require.Equal(t, int64(10), before.UnreachableSince, "%s: it is shared with the last commit", name)
	}
}
