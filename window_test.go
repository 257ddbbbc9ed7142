package ota

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // the same zones everywhere

	"github.com/stretchr/testify/require"
)

const hour = time.Hour

func days(d ...time.Weekday) []time.Weekday { return d }

// Each case walks from a time to the next start, twice: what NextOpen says, whether that is inside, and when it closes.
func TestWindows(t *testing.T) {
	friday := Window{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour}
	nightly := func(zone string, start, length time.Duration) Window {
		return Window{Start: start, Length: length, Zone: zone}
	}
	for _, c := range []struct {
		name    string
		windows []Window
		at      string
		want    string // "" means at
	}{
		{"none is always open", nil, "2024-05-01T00:00:00Z", ""},

		{"before", []Window{friday}, "2024-05-03T21:59:59.999999999Z", "2024-05-03T22:00:00Z"},
		{"opens", []Window{friday}, "2024-05-03T22:00:00Z", ""},
		{"after midnight it is still Friday's", []Window{friday}, "2024-05-04T05:59:59.999999999Z", ""},
		{"closes on Saturday", []Window{friday}, "2024-05-04T06:00:00Z", "2024-05-10T22:00:00Z"},
		{"none opens on Saturday", []Window{friday}, "2024-05-04T22:00:00Z", "2024-05-10T22:00:00Z"},
		{"Saturday in Berlin, inside", []Window{{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin"}}, "2024-05-04T03:59:59Z", ""},
		{"Saturday in Berlin, after", []Window{{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin"}}, "2024-05-04T04:00:00Z", "2024-05-10T20:00:00Z"},
		{"Berlin forward: 02:30 is 03:00", []Window{nightly("Europe/Berlin", 2*hour+30*time.Minute, hour)}, "2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"},
		{"Berlin back: 02:30 is the first", []Window{nightly("Europe/Berlin", 2*hour+30*time.Minute, 30*time.Minute)}, "2024-10-26T23:00:00Z", "2024-10-27T00:30:00Z"},
		{"Apia: no Friday", []Window{{Days: days(time.Friday), Start: 12 * hour, Length: hour, Zone: "Pacific/Apia"}}, "2011-12-29T00:00:00Z", "2012-01-05T22:00:00Z"},

		{"margin", []Window{{Start: 22 * hour, Length: 2 * hour, Margin: 30 * time.Minute}}, "2024-05-03T23:29:59Z", ""},
		{"less than the margin", []Window{{Start: 22 * hour, Length: 2 * hour, Margin: 30 * time.Minute}}, "2024-05-03T23:30:00Z", "2024-05-04T22:00:00Z"},
		{"a margin is each window's own", []Window{{Start: 22 * hour, Length: 2 * hour, Margin: 30 * time.Minute}, {Length: hour}}, "2024-05-03T23:30:00Z", "2024-05-04T00:00:00Z"},

		{"several: the earliest", []Window{{Start: 20 * hour, Length: hour}, {Start: 4 * hour, Length: hour}}, "2024-05-03T05:00:00Z", "2024-05-03T20:00:00Z"},
		{"several: any", []Window{{Start: 20 * hour, Length: hour}, {Start: 4 * hour, Length: hour}}, "2024-05-03T04:30:00Z", ""},
		{"several: one unknown", []Window{{Length: hour, Zone: "Mars/Olympus"}, {Start: 4 * hour, Length: hour}}, "2024-05-03T00:30:00Z", "2024-05-03T04:00:00Z"},
		{"several zones", []Window{{Length: hour, Zone: "Asia/Tokyo"}, {Length: hour, Zone: "America/New_York"}}, "2024-05-03T12:00:00Z", "2024-05-03T15:00:00Z"},

		{"all seven days but the margin", []Window{{Days: days(time.Monday), Length: 168 * hour, Margin: hour}}, "2024-05-05T23:00:00Z", "2024-05-06T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		require.NoError(t, err)
		want := at
		if c.want != "" {
			want, err = time.Parse(time.RFC3339Nano, c.want)
			require.NoError(t, err)
		}
		p := Policy{Windows: c.windows}
		require.Equal(t, want, p.NextOpen(at), c.name)
		require.Equal(t, want, p.NextOpen(want), "%s: that is inside", c.name)
		if c.want != "" {
			require.NotEqual(t, want.Add(-1), p.NextOpen(want.Add(-1)), "%s: and not before", c.name)
		}
	}
}

func TestWindowsThatNeverOpen(t *testing.T) {
	noon := time.Date(2024, 5, 3, 12, 0, 0, 0, time.UTC)
	evening := []Window{{Start: 20 * hour, Length: hour}}
	for _, p := range []Policy{
		{Windows: []Window{{Length: hour, Zone: "Mars/Olympus"}}},
		{Windows: []Window{{Length: hour, Zone: "Local"}}},
		{Windows: []Window{{Length: hour, Margin: hour}}},
		{Windows: []Window{{Length: hour, Days: days(9)}}},
		{Windows: []Window{{}}},
	} {
		require.Zero(t, p.NextOpen(noon))
		require.True(t, neverOpens(p.Windows, noon, noon.AddDate(9, 0, 0)))
	}
	require.Zero(t, Policy{Windows: evening}.NextOpen(time.Time{}))
	require.Zero(t, Policy{Windows: evening}.NextOpen(noon.AddDate(1000, 0, 0)))
	require.False(t, neverOpens(nil, noon, noon.Add(1)))
	require.False(t, neverOpens(evening, noon, time.Time{}), "there is no limit")
	require.False(t, neverOpens(evening, noon, noon.Add(8*hour+1)))
	require.True(t, neverOpens(evening, noon, noon.Add(8*hour)))
	require.False(t, neverOpens(evening, noon.Add(8*hour), noon.Add(9*hour)))
}

func TestWindowLimit(t *testing.T) {
	at := time.Unix(0, noon).UTC()
	v := someView(func(v *view) {
		v.c.Policy.Windows = []Window{{Start: time.Duration(noon%int64(24*hour)) + hour, Length: hour}}
		v.slotted = 2
	})
	require.Equal(t, decision{wake: noon + int64(hour)}, v.decide())
	require.Equal(t, []Blocker{{Reason: ReasonWindow, Until: at.Add(hour)}}, v.explain())
	v.wake = noon + 5
	require.Equal(t, decision{wake: noon + 5}, v.decide(), "a timer that is due before")
	v.b.Status = BatchPending
	require.Equal(t, decision{wake: noon + int64(hour)}, v.decide(), "no batch begins either")
	v.now += int64(hour)
	require.Equal(t, decision{action: actOpenBatch}, v.decide())
	v.b.Status = BatchRunning
	require.Equal(t, decision{action: actStart, all: 6, fresh: 4}, v.decide())
	v.c.Policy.Windows[0].Zone = "Mars/Olympus"
	require.Equal(t, []Blocker{{Reason: ReasonWindow, Text: "unknown here: the zone Mars/Olympus"}}, v.explain())
}

func TestWindowChecks(t *testing.T) {
	for _, c := range []struct {
		w    Window
		want string
	}{
		{Window{Length: time.Millisecond}, ""},
		{Window{Days: days(0, 6), Start: 24*hour - 1, Length: 168 * hour, Zone: "Europe/Berlin", Margin: 168*hour - 1}, ""},
		{Window{Days: days(7), Length: hour}, "windows[0].days (7) is no day of the week; allowed: 0 (Sunday) to 6 (Saturday); empty means every day"},
		{Window{Days: days(-1), Length: hour}, "windows[0].days (-1) is no day of the week; allowed: 0 (Sunday) to 6 (Saturday); empty means every day"},
		{Window{Days: days(1, 2, 1), Length: hour}, "windows[0].days (Monday) is there twice; allowed: every day once; empty means every day"},
		{Window{Start: -1, Length: hour}, "windows[0].start (-1ns) is no time of day; allowed: 0 to less than 24h"},
		{Window{Start: 24 * hour, Length: hour}, "windows[0].start (24h0m0s) is no time of day; allowed: 0 to less than 24h"},
		{Window{}, "windows[0].length (0s) is out of range; allowed: more than 0, at most 168h"},
		{Window{Length: 168*hour + 1}, "windows[0].length (168h0m0.000000001s) is out of range; allowed: more than 0, at most 168h"},
		{Window{Length: hour, Margin: hour}, "windows[0].margin (1h0m0s) is out of range; allowed: 0 or more, less than the length"},
		{Window{Length: hour, Margin: -1}, "windows[0].margin (-1ns) is out of range; allowed: 0 or more, less than the length"},
		{Window{Length: hour, Zone: "Local"}, `windows[0].zone ("Local") is unknown; allowed: an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC`},
		{Window{Length: hour, Zone: "../UTC"}, `windows[0].zone ("../UTC") is unknown; allowed: an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC`},
	} {
		var m mistakes
		Policy{Windows: []Window{c.w}}.check(&m, 0)
		all := FieldErrors(m.result())
		if c.want == "" {
			require.Empty(t, all, "%+v", c.w)
			continue
		}
		require.Len(t, all, 1)
		require.Equal(t, c.want, all[0].Error())
	}
	var m mistakes
	Policy{Windows: make([]Window, 65)}.check(&m, 0)
	require.ErrorContains(t, m.result(), "windows (65) are too many; allowed: at most 64")
}

func TestWindowAsJSON(t *testing.T) {
	w := Window{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin", Margin: hour}
	b, err := json.Marshal(w)
	require.NoError(t, err)
	require.JSONEq(t, `{"days":[5],"start":79200000000000,"length":28800000000000,"zone":"Europe/Berlin","margin":3600000000000}`, string(b))
	var back Window
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, w, back)
	with := Policy{Windows: []Window{w}}.withDefaults()
	with.Windows[0].Days[0], with.Windows[0].Length = time.Monday, 1
	require.Equal(t, time.Friday, w.Days[0], "nothing is shared with what was given")
}

func TestAPlanWaitsForItsWindow(t *testing.T) {
	inScene(t, func(s *scene) { // it is midnight, UTC, on Saturday, 1 January 2000
		open := func(at time.Time) bool {
			at = at.UTC()
			return at.Hour() == 22 || at.Hour() == 23 && at.Minute() < 50
		}
		s.fleet.latency = 20 * time.Minute
		id := s.start(Policy{
			Concurrency: 2, Windows: []Window{{Start: 23 * hour, Length: 2 * hour, Margin: 10 * time.Minute, Zone: "Europe/Berlin"}},
			FailureThreshold: ptr(1.0), Retry: RetryPolicy{Max: 1},
		}, Shape{Size: 10}, append(names("ok", 13), "flaky-1", "fail-2")...)
		s.run(s.e)
		s.after(hour)
		s.status(id, StatusRunning)
		require.Empty(s, s.fleet.made(""))
		opens := time.Date(2000, 1, 1, 22, 0, 0, 0, time.UTC)
		want := []Blocker{{Reason: ReasonWindow, Until: opens}}
		require.Equal(s, want, s.explain(id).Blockers)
		x, err := s.engine(s.store, nil, "two").Explain(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, "No maintenance window is open; until 2000-01-01T22:00:00Z", x.Sentence(), "elsewhere too")

		s.after(time.Until(opens.Add(-1)))
		require.Empty(s, s.fleet.made(""))
		s.after(1)
		require.Len(s, s.fleet.made(""), 2, "at once")
		s.after(time.Until(opens.Add(hour + 55*time.Minute)))
		require.Equal(s, 2, s.plan(id).InFlight(), "what was started before the margin goes on")
		require.Equal(s, []string{"window", "concurrency", "in_flight"}, s.reasons(id))
		s.after(15 * time.Minute)
		p := s.plan(id)
		require.Equal(s, StatusRunning, p.Status)
		require.Zero(s, p.InFlight())
		require.Equal(s, 12, p.Counts.Succeeded, "six rounds of two")
		s.after(30 * time.Hour)
		s.status(id, StatusCompleted)
		require.Equal(s, Counts{Succeeded: 14, Failed: 1}, s.plan(id).Counts)
		require.Len(s, s.fleet.made(""), 17)
		for _, c := range s.fleet.made("") {
			require.True(s, open(c.at), "%s was started at %s", c.Agent, c.at.UTC())
		}
	})
}

func TestWindowsOfAPlanMayBeEdited(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{Windows: []Window{{Start: 22 * hour, Length: hour}}}, Shape{}, "ok-1")
		s.run(s.e)
		s.after(time.Minute)
		require.Equal(s, []string{"window"}, s.reasons(id))
		_, err := s.e.Edit(s.ctx, id, func(p *Policy) { p.Windows[0].Zone = "Mars/Olympus" }, Request{})
		require.ErrorIs(s, err, ErrInvalid)
		require.Empty(s, s.plan(id).Policy.Windows[0].Zone, "what was refused has changed nothing")
		s.said(s.e.Edit(s.ctx, id, func(p *Policy) { p.Windows = nil }, Request{}))
		s.after(5 * time.Second)
		s.status(id, StatusCompleted)
	})
}

// A repeat after a crash is a start: it waits for the window too.
func TestARepeatWaitsForTheWindow(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{Windows: []Window{{Length: hour}}}, Shape{}, "hang-1")
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		killed, err := New(s.store, s.fleet, Options{Name: "killed", DrainTimeout: -1})
		require.NoError(s, err)
		_ = killed.Run(ctx)
		s.after(2 * hour)
		s.run(s.e)
		s.after(time.Minute)
		require.Len(s, s.fleet.made(""), 1)
		require.Contains(s, s.reasons(id), "window")
		s.after(22 * hour)
		made := s.fleet.made("")
		require.GreaterOrEqual(s, len(made), 2)
		require.True(s, made[1].Repeat)
		require.Zero(s, made[1].at.UTC().Hour())
	})
}

func FuzzWindow(f *testing.F) {
	f.Add([]byte{5}, int64(22*hour), int64(8*hour), "Europe/Berlin", int64(hour), int64(1711843200))
	f.Add([]byte{}, int64(0), int64(hour), "", int64(0), int64(0))
	f.Add([]byte{5, 5, 9}, int64(-1), int64(0), "../x", int64(-1), int64(-1))
	f.Add([]byte{5}, int64(12*hour), int64(hour), "Pacific/Apia", int64(0), int64(1325116800))
	f.Fuzz(func(t *testing.T, week []byte, start, length int64, name string, margin, at int64) {
		w := Window{Start: time.Duration(start), Length: time.Duration(length), Zone: name, Margin: time.Duration(margin)}
		for _, d := range week {
			w.Days = append(w.Days, time.Weekday(int8(d)))
		}
		var m mistakes
		p := Policy{Windows: []Window{w}}
		p.check(&m, 0)
		now := time.Unix(at%5_000_000_000, 0)
		next := p.NextOpen(now)
		if err := m.result(); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			require.NotEmpty(t, FieldErrors(err))
			for _, e := range FieldErrors(err) {
				require.Regexp(t, `^windows\[0\]\.(days|start|length|zone|margin)$`, e.Field)
			}
			return
		}
		require.False(t, next.Before(now))
		require.Less(t, next.Sub(now), 21*24*hour, "every valid window opens")
		require.True(t, next.Equal(p.NextOpen(next)))
	})
}

func BenchmarkWindowLimit(b *testing.B) {
	berlin := Window{Days: days(1, 2, 3, 4, 5), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin"}
	for _, c := range []struct {
		name    string
		windows []Window
	}{
		{"none", nil},
		{"one", []Window{berlin}},
		{"UTC", []Window{{Start: 22 * hour, Length: 8 * hour}}},
		{"three", []Window{berlin, {Days: days(6), Length: 4 * hour, Zone: "Asia/Tokyo"}, {Days: days(0), Length: 24 * hour, Zone: "America/New_York"}}},
	} {
		for _, at := range []int64{noon, noon + int64(11*hour)} {
			b.Run(fmt.Sprintf("%s/%d", c.name, at), func(b *testing.B) {
				v := someView(func(v *view) { v.c.Policy.Windows, v.now = c.windows, at })
				b.ReportAllocs()
				for b.Loop() {
					windowLimit(v)
				}
			})
		}
	}
}

// A plan that could never start anything before its limit passes is refused when it is started, by name.
func TestAWindowThatOpensTooLate(t *testing.T) {
	inScene(t, func(s *scene) {
		late := []Window{{Start: 12 * time.Hour, Length: time.Hour}} // the bubble's clock begins at midnight UTC
		p := s.create(Policy{PlanTimeout: 12 * time.Hour, Windows: late}, Shape{}, "ok-1")
		_, err := s.e.Start(s.ctx, p.ID, Request{})
		require.ErrorIs(s, err, ErrInvalid)
		require.EqualError(s, err, "windows do not open before the plan's timeout of 12h0m0s expires; allowed: a window that opens earlier, or a longer planLimit")
		s.stays(p.ID, StatusPending)
		s.said(s.e.Edit(s.ctx, p.ID, func(p *Policy) { p.PlanTimeout = 26 * time.Hour }, Request{}))
		s.said(s.e.Start(s.ctx, p.ID, Request{}))
	})
}
