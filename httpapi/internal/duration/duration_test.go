package duration

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond,
		"PT0H2M0S": 2 * time.Minute, "PT0H2M5.25S": 2*time.Minute + 5250*time.Millisecond, "P1DT2H": 26 * time.Hour,
		"P2W": 14 * 24 * time.Hour, "PT90M": 90 * time.Minute, "P1D": 24 * time.Hour, "PT0S": 0,
		"1d": 24 * time.Hour, "1 hour": time.Hour, "2 Hours": 2 * time.Hour, "1 h 30 min": 90 * time.Minute, "1.5 days": 36 * time.Hour,
		"10 mins": 10 * time.Minute, "1w2d": 9 * 24 * time.Hour, "90 secs": 90 * time.Second, "5 ms": 5 * time.Millisecond, "1D": 24 * time.Hour,
	} {
		if got, ok := Parse(in); !ok || got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "value", "-5", "-1h", "P", "PT", "P1", "P1H", "PT1D", "PT1S2H", "P1M", "P1Y", "PT1.5H2M", "PT.5S", "PT5.S", "pt5s",
		"99999999999999999999", "9223372037", "PT9999999999999999H", "PTT1S", "P1DT", "1e3", "PT1e3S", " 5",
		"1M", "1 M", "1 month", "1y", "2 years", "1 d 2", "d", "hour", "1 parsec", ".5h.", "1 .h", "-1d", "99999999999 weeks", "1,5h",
	} {
		if got, ok := Parse(in); ok {
			t.Errorf("%q: got %v, want a refusal", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("P1DT2H3M4.5S")
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := Parse(s); ok && d < 0 {
			t.Fatalf("%q is negative: %v", s, d)
		}
	})
}

func TestLooks(t *testing.T) {
	for in, want := range map[string]bool{
		"value": false, "": false, "none": false, "h": false, "the daily one": false, "minimal": false,
		"1 month": true, "-5m": true, "an hour": true, "two days": true, "½ h": true, "a Year": true, "10 minuts": true, "1,5h": true,
	} {
		if got := Looks(in); got != want {
			t.Errorf("%q: got %v", in, got)
		}
	}
}
