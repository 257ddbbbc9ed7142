package scenarios

import (
	"context"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

const hour = time.Hour

func days(d ...time.Weekday) []time.Weekday { return d }

// Each case walks from a time to the next start, twice: what NextOpen says, whether that is inside, and when it closes.
func TestWindows(t *testing.T) {
	friday := ota.Window{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour}
	nightly := func(zone string, start, length time.Duration) ota.Window {
		return ota.Window{Start: start, Length: length, Zone: zone}
	}
	for _, c := range []struct {
		name    string
		windows []ota.Window
		at      string
		want    string // "" means at
	}{
		{"none is always open", nil, "2024-05-01T00:00:00Z", ""},

		{"before", []ota.Window{friday}, "2024-05-03T21:59:59.999999999Z", "2024-05-03T22:00:00Z"},
		{"opens", []ota.Window{friday}, "2024-05-03T22:00:00Z", ""},
		{"after midnight it is still Friday's", []ota.Window{friday}, "2024-05-04T05:59:59.999999999Z", ""},
		{"closes on Saturday", []ota.Window{friday}, "2024-05-04T06:00:00Z", "2024-05-10T22:00:00Z"},
		{"none opens on Saturday", []ota.Window{friday}, "2024-05-04T22:00:00Z", "2024-05-10T22:00:00Z"},
		{"Saturday in Berlin, inside", []ota.Window{{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin"}}, "2024-05-04T03:59:59Z", ""},
		{"Saturday in Berlin, after", []ota.Window{{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin"}}, "2024-05-04T04:00:00Z", "2024-05-10T20:00:00Z"},
		{"Berlin forward: 02:30 is 03:00", []ota.Window{nightly("Europe/Berlin", 2*hour+30*time.Minute, hour)}, "2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"},
		{"Berlin back: 02:30 is the first", []ota.Window{nightly("Europe/Berlin", 2*hour+30*time.Minute, 30*time.Minute)}, "2024-10-26T23:00:00Z", "2024-10-27T00:30:00Z"},
		{"Apia: no Friday", []ota.Window{{Days: days(time.Friday), Start: 12 * hour, Length: hour, Zone: "Pacific/Apia"}}, "2011-12-29T00:00:00Z", "2012-01-05T22:00:00Z"},

		{"margin", []ota.Window{{Start: 22 * hour, Length: 2 * hour, Margin: 30 * time.Minute}}, "2024-05-03T23:29:59Z", ""},
		{"less than the margin", []ota.Window{{Start: 22 * hour, Length: 2 * hour, Margin: 30 * time.Minute}}, "2024-05-03T23:30:00Z", "2024-05-04T22:00:00Z"},
		{"a margin is each window's own", []ota.Window{{Start: 22 * hour, Length: 2 * hour, Margin: 30 * time.Minute}, {Length: hour}}, "2024-05-03T23:30:00Z", "2024-05-04T00:00:00Z"},

		{"several: the earliest", []ota.Window{{Start: 20 * hour, Length: hour}, {Start: 4 * hour, Length: hour}}, "2024-05-03T05:00:00Z", "2024-05-03T20:00:00Z"},
		{"several: any", []ota.Window{{Start: 20 * hour, Length: hour}, {Start: 4 * hour, Length: hour}}, "2024-05-03T04:30:00Z", ""},
		{"several: one unknown", []ota.Window{{Length: hour, Zone: "Mars/Olympus"}, {Start: 4 * hour, Length: hour}}, "2024-05-03T00:30:00Z", "2024-05-03T04:00:00Z"},
		{"several zones", []ota.Window{{Length: hour, Zone: "Asia/Tokyo"}, {Length: hour, Zone: "America/New_York"}}, "2024-05-03T12:00:00Z", "2024-05-03T15:00:00Z"},

		{"all seven days but the margin", []ota.Window{{Days: days(time.Monday), Length: 168 * hour, Margin: hour}}, "2024-05-05T23:00:00Z", "2024-05-06T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		require.NoError(t, err)
		want := at
		if c.want != "" {
			want, err = time.Parse(time.RFC3339Nano, c.want)
			require.NoError(t, err)
		}
		p := ota.Policy{Windows: c.windows}
		require.Equal(t, want, p.NextOpen(at), c.name)
		require.Equal(t, want, p.NextOpen(want), "%s: that is inside", c.name)
		if c.want != "" {
			require.NotEqual(t, want.Add(-1), p.NextOpen(want.Add(-1)), "%s: and not before", c.name)
		}
	}
}

func TestAPlanWaitsForItsWindow(t *testing.T) {
	inScene(t, func(s *scene) { // it is midnight, UTC, on Saturday, 1 January 2000
		open := func(at time.Time) bool {
			at = at.UTC()
			return at.Hour() == 22 || at.Hour() == 23 && at.Minute() < 50
		}
		s.fleet.latency = 20 * time.Minute
		id := s.start(ota.Policy{
			Concurrency: 2, Windows: []ota.Window{{Start: 23 * hour, Length: 2 * hour, Margin: 10 * time.Minute, Zone: "Europe/Berlin"}},
			FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 1},
		}, ota.Shape{Size: 10}, append(names("ok", 13), "flaky-1", "fail-2")...)
		s.run(s.e)
		s.after(hour)
		s.status(id, ota.StatusRunning)
		require.Empty(s, s.fleet.made(""))
		opens := time.Date(2000, 1, 1, 22, 0, 0, 0, time.UTC)
		want := []ota.Blocker{{Reason: ota.ReasonWindow, Until: opens}}
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
		require.Equal(s, ota.StatusRunning, p.Status)
		require.Zero(s, p.InFlight())
		require.Equal(s, 12, p.Counts.Succeeded, "six rounds of two")
		s.after(30 * time.Hour)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, ota.Counts{Succeeded: 14, Failed: 1}, s.plan(id).Counts)
		require.Len(s, s.fleet.made(""), 17)
		for _, c := range s.fleet.made("") {
			require.True(s, open(c.at), "%s was started at %s", c.Agent, c.at.UTC())
		}
	})
}

func TestWindowsOfAPlanMayBeEdited(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Windows: []ota.Window{{Start: 22 * hour, Length: hour}}}, ota.Shape{}, "ok-1")
		s.run(s.e)
		s.after(time.Minute)
		require.Equal(s, []string{"window"}, s.reasons(id))
		_, err := s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Windows[0].Zone = "Mars/Olympus" }, ota.Request{})
		require.ErrorIs(s, err, ota.ErrInvalid)
		require.Empty(s, s.plan(id).Policy.Windows[0].Zone, "what was refused has changed nothing")
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Windows = nil }, ota.Request{}))
		s.after(5 * time.Second)
		s.status(id, ota.StatusCompleted)
	})
}

// A repeat after a crash is a start: it waits for the window too.
func TestARepeatWaitsForTheWindow(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Windows: []ota.Window{{Length: hour}}}, ota.Shape{}, "hang-1")
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		killed, err := ota.New(s.store, s.fleet, ota.Options{Name: "killed", DrainTimeout: -1})
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

// A plan that could never start anything before its limit passes is refused when it is started, by name.
func TestAWindowThatOpensTooLate(t *testing.T) {
	inScene(t, func(s *scene) {
		late := []ota.Window{{Start: 12 * time.Hour, Length: time.Hour}} // the bubble's clock begins at midnight UTC
		p := s.create(ota.Policy{PlanTimeout: 12 * time.Hour, Windows: late}, ota.Shape{}, "ok-1")
		_, err := s.e.Start(s.ctx, p.ID, ota.Request{})
		require.ErrorIs(s, err, ota.ErrInvalid)
		require.EqualError(s, err, "ota: start plan "+p.ID+": windows do not open before the plan's timeout of 12h0m0s expires; allowed: a window that opens earlier, or a longer planLimit")
		s.stays(p.ID, ota.StatusPending)
		s.said(s.e.Edit(s.ctx, p.ID, func(p *ota.Policy) { p.PlanTimeout = 26 * time.Hour }, ota.Request{}))
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
	})
}
