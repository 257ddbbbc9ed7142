package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/bench/internal/record"
)

// fill replaces the text between the markers of a page: <!-- begin NAME --> and <!-- end NAME -->.
func fill(file string, tables map[string]string) error {
	page, err := os.ReadFile(file) //nolint:gosec // the caller's page
	if err != nil {
		return err
	}
	for name, table := range tables {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, ok := bytes.Cut(page, []byte(begin))
		_, after, ended := bytes.Cut(rest, []byte(end))
		if !ok || !ended {
			return errors.New(file + " has no markers for " + name)
		}
		page = slices.Concat(before, []byte(begin+table+end), after)
	}
	return os.WriteFile(file, page, 0o600) //nolint:gosec // the caller's page
}

// targets is the table of the figures with a target.
func targets(all resultSet) string {
	var b strings.Builder
	b.WriteString("| what | target | reached | between | verdict |\n|---|---|---|---|---|\n")
	for _, r := range all {
		for _, f := range r.Figures {
			if f.Most == nil && f.Least == nil {
				continue
			}
			verdict := map[bool]string{true: "reached", false: "**missed**"}[f.Reached()]
			fmt.Fprintf(&b, "| %s: %s | %s | %s | %s | %s |\n", r.What, f.Name, target(f), value(f.Value, f.Unit), between(f), verdict)
		}
	}
	return b.String()
}

func target(f record.Figure) string {
	if f.Most != nil {
		return "at most " + value(*f.Most, f.Unit)
	}
	return "at least " + value(*f.Least, f.Unit)
}

func between(f record.Figure) string {
	if f.Rounds < 2 {
		return ""
	}
	return number(f.Low) + " to " + number(f.High)
}

// figures is the table of the figures without a target.
func figures(all resultSet) string {
	var b strings.Builder
	b.WriteString("| what | measured | between |\n|---|---|---|\n")
	for _, r := range all {
		for _, f := range r.Figures {
			if f.Most == nil && f.Least == nil {
				fmt.Fprintf(&b, "| %s: %s | %s | %s |\n", r.What, f.Name, value(f.Value, f.Unit), between(f))
			}
		}
	}
	return b.String()
}

// sides is the table of everything that was run: medians over the rounds.
func sides(all resultSet) string {
	var b strings.Builder
	b.WriteString("| measurement | side | tasks a second | wall us/task | CPU us/task | server's CPU | allocations/task | commits/task | flushes/task |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		for _, s := range sidesOf(r) {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Name, s.name(),
				s.show(func(s record.Sample) float64 { return float64(s.Tasks) / s.Seconds }),
				s.show(func(s record.Sample) float64 { return 1e6 * s.Seconds / float64(s.Tasks) }),
				s.show(func(s record.Sample) float64 { return 1e6 * s.CPU / float64(s.Tasks) }),
				s.show(func(s record.Sample) float64 { return 1e6 * s.Server / float64(s.Tasks) }),
				s.show(func(s record.Sample) float64 { return float64(s.Allocs) / float64(s.Tasks) }),
				s.show(func(s record.Sample) float64 { return float64(s.Commits) / float64(s.Tasks) }),
				s.show(func(s record.Sample) float64 { return float64(s.Flushes) / float64(s.Tasks) }))
		}
	}
	return b.String()
}

// oneSide are the samples of one side at one size.
type oneSide struct {
	side    string
	x       int
	samples []record.Sample
}

// sidesOf groups a result's samples, in the order in which they were first taken.
func sidesOf(r *record.Result) []oneSide {
	var all []oneSide
	for _, s := range r.Samples {
		i := slices.IndexFunc(all, func(o oneSide) bool { return o.side == s.Side && o.x == s.X })
		if i < 0 {
			i, all = len(all), append(all, oneSide{side: s.Side, x: s.X})
		}
		all[i].samples = append(all[i].samples, s)
	}
	return all
}

func (o oneSide) name() string {
	if o.x == 0 {
		return o.side
	}
	return o.side + ", " + thousands(o.x)
}

func (o oneSide) median(f func(record.Sample) float64) float64 {
	var values []float64
	for _, s := range o.samples {
		values = append(values, f(s))
	}
	return record.Median(values)
}

func (o oneSide) show(f func(record.Sample) float64) string {
	v := o.median(f)
	if v == 0 {
		return ""
	}
	return number(v)
}

// machine describes the machine, the versions and the time of the measurements.
func machine(all resultSet) string {
	m := all[0].Machine
	first, last := all[0].Taken, all[0].Taken
	servers := map[string]string{}
	took, rounds := 0.0, math.MaxInt
	for _, r := range all {
		took += r.Took
		if r.Taken.Before(first) {
			first = r.Taken
		}
		if r.Taken.After(last) {
			last = r.Taken
		}
		maps.Copy(servers, r.Machine.Servers)
		for _, f := range r.Figures {
			if f.Rounds > 1 {
				rounds = min(rounds, f.Rounds)
			}
		}
		if !hasRounds(r) {
			rounds = 1
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "- %d cores of %s, %d GiB, Linux %s\n- %s", m.Cores, m.CPU, m.Memory>>30, m.Kernel, m.Go)
	for _, name := range []string{"SQLite", "PostgreSQL", "Redis"} {
		if servers[name] != "" {
			fmt.Fprintf(&b, ", %s %s", name, servers[name])
		}
	}
	fmt.Fprintf(&b, "\n- measured from %s to %s UTC, in %.0f minutes\n", first.UTC().Format("2006-01-02 15:04"), last.UTC().Format("15:04"), took/60)
	if rounds < enough {
		b.WriteString("\n**Preliminary**: some of it was measured in fewer than five rounds.\n")
	}
	return b.String()
}

// enough is the number of rounds that makes a figure reliable.
const enough = 5

// hasRounds reports whether any figure of a result is drawn from several rounds.
func hasRounds(r *record.Result) bool {
	return slices.ContainsFunc(r.Figures, func(f record.Figure) bool { return f.Rounds > 1 })
}

func value(v float64, unit string) string {
	switch unit {
	case "":
		return number(v)
	case "x":
		return number(v) + "×"
	case "/s":
		return number(v) + " a second"
	}
	return number(v) + " " + unit
}

// number writes three significant digits.
func number(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int(v + 0.5))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	s := strconv.FormatFloat(v, 'g', 3, 64)
	if strings.Contains(s, "e") {
		s = strconv.FormatFloat(v, 'f', 6, 64)
	}
	return s
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
