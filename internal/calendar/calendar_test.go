package calendar

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // the same zones everywhere

	"github.com/stretchr/testify/require"
)

const hour = time.Hour

func days(d ...time.Weekday) []time.Weekday { return d }

func load(t testing.TB, name string) *Zone {
	t.Helper()
	z, err := Load(name)
	require.NoError(t, err)
	return z
}

// next is Next as a time. It is zero if w never opens.
func next(z *Zone, w Weekly, t time.Time) time.Time {
	at, ok := w.Next(z, t.UnixNano())
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}

// Each case goes from a time to the next opening. That instant is open, and none between is.
func TestWeekly(t *testing.T) {
	friday := Weekly{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour}
	for _, c := range []struct {
		name string
		zone string
		w    Weekly
		at   string
		want string // "" means at
	}{
		{"before", "", friday, "2024-05-03T21:59:59.999999999Z", "2024-05-03T22:00:00Z"},
		{"opens", "", friday, "2024-05-03T22:00:00Z", ""},
		{"after midnight it is still Friday's", "", friday, "2024-05-04T05:59:59.999999999Z", ""},
		{"closes on Saturday", "", friday, "2024-05-04T06:00:00Z", "2024-05-10T22:00:00Z"},
		{"over the year", "", Weekly{Days: days(time.Sunday), Start: 23 * hour, Length: 2 * hour}, "2024-01-01T00:30:00Z", ""},
		{"before 1970", "", friday, "1969-12-27T06:00:00Z", "1970-01-02T22:00:00Z"},
		{"Friday in Berlin, before", "Europe/Berlin", Weekly{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour}, "2024-05-03T19:59:59Z", "2024-05-03T20:00:00Z"},
		{"Saturday in Berlin, inside", "Europe/Berlin", Weekly{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour}, "2024-05-04T03:59:59Z", ""},
		{"Saturday in Berlin, after", "Europe/Berlin", Weekly{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour}, "2024-05-04T04:00:00Z", "2024-05-10T20:00:00Z"},
		{"Berlin forward: 02:30 is 03:00", "Europe/Berlin", Weekly{Start: 2*hour + 30*time.Minute, Length: hour}, "2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"},
		{"Berlin forward: an hour has passed at 04:00", "Europe/Berlin", Weekly{Start: 2*hour + 30*time.Minute, Length: hour}, "2024-03-31T02:00:00Z", "2024-04-01T00:30:00Z"},
		{"Berlin forward inside: the length has elapsed at 06:00", "Europe/Berlin", Weekly{Start: hour, Length: 4 * hour}, "2024-03-31T03:59:59Z", ""},
		{"Berlin forward inside: closed at 06:00", "Europe/Berlin", Weekly{Start: hour, Length: 4 * hour}, "2024-03-31T04:00:00Z", "2024-03-31T23:00:00Z"},
		{"Berlin back: 02:30 is the first", "Europe/Berlin", Weekly{Start: 2*hour + 30*time.Minute, Length: 30 * time.Minute}, "2024-10-26T23:00:00Z", "2024-10-27T00:30:00Z"},
		{"Berlin back: the second is not used", "Europe/Berlin", Weekly{Start: 2*hour + 30*time.Minute, Length: 30 * time.Minute}, "2024-10-27T01:30:00Z", "2024-10-28T01:30:00Z"},
		{"Berlin back inside: open over both", "Europe/Berlin", Weekly{Start: 2*hour + 30*time.Minute, Length: 90 * time.Minute}, "2024-10-27T01:59:59Z", ""},
		{"São Paulo forward at midnight", "America/Sao_Paulo", Weekly{Days: days(time.Sunday), Length: 2 * hour}, "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"},
		{"São Paulo forward at midnight, closed at 03:00", "America/Sao_Paulo", Weekly{Days: days(time.Sunday), Length: 2 * hour}, "2018-11-04T05:00:00Z", "2018-11-11T02:00:00Z"},
		{"São Paulo back at midnight: Saturday has 23:30 twice", "America/Sao_Paulo", Weekly{Start: 23*hour + 30*time.Minute, Length: 30 * time.Minute}, "2018-02-18T02:00:00Z", "2018-02-19T02:30:00Z"},
		{"São Paulo back at midnight: Sunday begins once", "America/Sao_Paulo", Weekly{Days: days(time.Sunday), Length: hour}, "2018-02-18T02:00:00Z", "2018-02-18T03:00:00Z"},
		{"Kolkata", "Asia/Kolkata", Weekly{Length: hour}, "2024-05-03T12:00:00Z", "2024-05-03T18:30:00Z"},
		{"Lord Howe: half an hour forward", "Australia/Lord_Howe", Weekly{Start: 2*hour + 15*time.Minute, Length: hour}, "2024-10-05T12:00:00Z", "2024-10-05T15:30:00Z"},
		{"Apia: no Friday", "Pacific/Apia", Weekly{Days: days(time.Friday), Start: 12 * hour, Length: hour}, "2011-12-29T00:00:00Z", "2012-01-05T22:00:00Z"},
		{"Apia: no Friday, at midnight", "Pacific/Apia", Weekly{Days: days(time.Friday), Length: hour}, "2011-12-29T00:00:00Z", "2012-01-05T10:00:00Z"},
		{"Apia: Thursday goes on into Saturday", "Pacific/Apia", Weekly{Days: days(time.Thursday), Start: 23 * hour, Length: 3 * hour}, "2011-12-30T11:59:59Z", ""},
		{"Apia: Saturday", "Pacific/Apia", Weekly{Days: days(time.Saturday), Length: hour}, "2011-12-30T00:00:00Z", "2011-12-30T10:00:00Z"},
		{"a day long, every day", "", Weekly{Start: 3 * hour, Length: 24 * hour}, "2024-05-03T03:00:00Z", ""},
		{"all seven days of one", "", Weekly{Days: days(time.Monday), Length: 168 * hour}, "2024-05-05T23:59:59Z", ""},
		{"all seven days named", "", Weekly{Days: days(0, 1, 2, 3, 4, 5, 6), Start: hour, Length: hour}, "2024-05-05T02:00:00Z", "2024-05-06T01:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := load(t, c.zone)
			at, err := time.Parse(time.RFC3339Nano, c.at)
			require.NoError(t, err)
			want := at
			if c.want != "" {
				want, err = time.Parse(time.RFC3339Nano, c.want)
				require.NoError(t, err)
			}
			require.Equal(t, want, next(z, c.w, at))
			require.Equal(t, want, next(z, c.w, want), "it is open")
			if c.want != "" {
				require.Equal(t, want, next(z, c.w, want.Add(-1)), "it was closed before")
			}
		})
	}
}

func TestWeeklyThatNeverOpens(t *testing.T) {
	noon := time.Date(2024, 5, 3, 12, 0, 0, 0, time.UTC)
	for _, w := range []Weekly{{}, {Length: -1}, {Length: hour, Days: days(9)}} {
		require.Zero(t, next(load(t, ""), w, noon))
	}
}

func TestLoad(t *testing.T) {
	for _, name := range []string{"Local", "Mars/Olympus", "../UTC"} {
		_, err := Load(name)
		require.Error(t, err, name)
	}
	require.Same(t, load(t, "Europe/Berlin"), load(t, "Europe/Berlin"), "a zone is read once")
	require.Zero(t, load(t, "").Wall(0))
}

// A wall time that was skipped comes after the gap; one that is shown twice comes the first time.
func TestFirst(t *testing.T) {
	z := load(t, "Europe/Berlin")
	wall := func(s string) int64 {
		at, err := time.Parse(time.DateTime, s)
		require.NoError(t, err)
		return at.UnixNano()
	}
	for shown, want := range map[string]string{
		"2024-03-31 01:59:59": "2024-03-31 00:59:59",
		"2024-03-31 02:30:00": "2024-03-31 01:00:00",
		"2024-03-31 03:00:00": "2024-03-31 01:00:00",
		"2024-10-27 02:30:00": "2024-10-27 00:30:00",
		"2024-10-27 03:00:00": "2024-10-27 02:00:00",
	} {
		at := z.First(wall(shown))
		require.Equal(t, want, time.Unix(0, at).UTC().Format(time.DateTime), shown)
		require.GreaterOrEqual(t, z.Wall(at), wall(shown))
	}
}

// wallMinutes returns the wall time at each of n minutes, in minutes.
func wallMinutes(loc *time.Location, from time.Time, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		l := from.Add(time.Duration(i) * time.Minute).In(loc)
		y, m, d := l.Date()
		out[i] = time.Date(y, m, d, l.Hour(), l.Minute(), 0, 0, time.UTC).Unix() / 60
	}
	return out
}

// oracle finds the next opening by a look at the wall every minute. It needs times after 1970.
func oracle(w Weekly, walls []int64, from, at time.Time) time.Time {
	var best time.Time
	seen := map[int64]bool{}
	for _, shown := range walls {
		today := shown / (24 * 60)
		if seen[today] {
			continue
		}
		seen[today] = true
		if len(w.Days) > 0 && !slices.Contains(w.Days, time.Unix(today*86400, 0).UTC().Weekday()) {
			continue
		}
		i := slices.IndexFunc(walls, func(wall int64) bool { return wall >= today*24*60+int64(w.Start/time.Minute) })
		if i < 0 {
			continue
		}
		opens := from.Add(time.Duration(i) * time.Minute)
		if !opens.Add(w.Length).After(at) {
			continue
		}
		if opens.Before(at) {
			opens = at
		}
		if best.IsZero() || opens.Before(best) {
			best = opens
		}
	}
	return best
}

// drawWeekly draws openings of any length, some with a start on the half hours of the night.
func drawWeekly(r *rand.Rand) Weekly {
	w := Weekly{Start: time.Duration(r.IntN(24*60)) * time.Minute, Length: time.Duration(1+r.IntN(36*60)) * time.Minute}
	switch r.IntN(4) {
	case 0:
		w.Start = time.Duration(r.IntN(8)) * 30 * time.Minute
	case 1:
		w.Length = time.Duration(1+r.IntN(7*24*60)) * time.Minute
	}
	if r.IntN(2) == 0 {
		w.Length -= time.Duration(r.Int64N(int64(w.Length)))
	}
	for _, d := range r.Perm(7)[:r.IntN(8)] {
		w.Days = append(w.Days, time.Weekday(d))
	}
	return w
}

// Most of the instants are around a change of clocks: there it is hard.
func TestWeeklyAgreesWithTheWall(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	all := []string{
		"", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe",
		"America/New_York", "Africa/Casablanca", "Asia/Kathmandu", "Europe/Dublin", "Asia/Gaza",
		"America/Scoresbysund", "Pacific/Kwajalein", "Antarctica/Troll", "Asia/Beirut", "America/Havana",
	}
	r := rand.New(rand.NewPCG(11, 30))
	for range rounds {
		name := all[r.IntN(len(all))]
		loc, err := time.LoadLocation(name)
		require.NoError(t, err)
		middle := time.Unix(r.Int64N(62*365*86400)+8*365*86400, 0).UTC().Truncate(time.Minute)
		if _, change := middle.In(loc).ZoneBounds(); r.IntN(4) > 0 && !change.IsZero() {
			middle = change.UTC().Add(time.Duration(r.IntN(72*60)-36*60) * time.Minute)
		}
		if name == "Pacific/Apia" && r.IntN(2) == 0 {
			middle = time.Date(2011, 12, 30, r.IntN(24), 0, 0, 0, time.UTC)
		}
		middle = middle.Truncate(time.Minute)
		from := middle.Add(-10 * 24 * hour)
		walls := wallMinutes(loc, from, 27*24*60)
		for range 20 {
			w := drawWeekly(r)
			at := middle.Add(time.Duration(r.Int64N(int64(2*24*hour))) - 24*hour)
			want, got := oracle(w, walls, from, at), next(load(t, name), w, at)
			require.True(t, want.Equal(got), "%+v in %q at %s: want %s, got %s", w, name, at, want, got)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	w := Weekly{Days: days(1, 2, 3, 4, 5), Start: 22 * hour, Length: 8 * hour}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixNano()
	for _, name := range []string{"", "Europe/Berlin"} {
		z := load(b, name)
		for what, at := range map[string]int64{"open": noon + int64(11*hour), "closed": noon} {
			b.Run(what+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.Next(z, at)
				}
			})
		}
	}
}
