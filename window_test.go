package ota

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
)

const hour = time.Hour

func days(d ...time.Weekday) []time.Weekday { return d }

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
