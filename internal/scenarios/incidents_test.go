package scenarios

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

var writeIncidents = flag.Bool("incidents", false, "write docs/incidents.md")

// incident is a release that has hurt others, and what a plan makes of such a release.
type incident struct {
	name, source string
	happened     string // in one or two sentences, for docs/incidents.md
	plays        []played
}

// played is an incident under one plan.
type played struct {
	plan   string // in words: a column of docs/incidents.md
	spec   func() ota.Spec
	agents int
	labels map[string]func(i int) string
	bad    func() simulate.Fleet // made anew for each run
	alone  bool                  // nobody promotes: the person who looks at the first batch stops
	// measure is what is counted in the bad release. Nil counts the agents that it has changed.
	measure func(*simulate.Result) int
	// other replaces the simulation of the bad release.
	other func(*testing.T) int
	// bound is the most that is allowed, and exactly what is measured unless loose.
	bound int
	loose bool
	// unbounded rows are negative results: no policy of the engine prevents the harm.
	unbounded bool
	note      string // of docs/incidents.md
}

// Incidents of others, replayed. No policy wins by doing nothing: each row also has the time that a
// good release takes under the same plan. With -short, and with the race detector, only small fleets
// are measured.
func TestIncidents(t *testing.T) {
	t.Parallel()
	small := testing.Short() || raceEnabled
	good := map[string]string{}
	var page strings.Builder
	page.WriteString(incidentsHead)
	for _, i := range incidents {
		for k := range i.plays {
			p := &i.plays[k]
			if small && p.agents > 1000 {
				continue
			}
			got := p.harmed(t)
			require.LessOrEqual(t, got, p.bound, "%s: %s", i.name, p.plan)
			if !p.loose {
				require.Equal(t, p.bound, got, "%s: %s", i.name, p.plan)
			}
			key := fmt.Sprint(p.plan, p.agents)
			if good[key] == "" {
				good[key] = p.goodTime(t, i.name)
			}
			bound := count(p.bound)
			if p.unbounded {
				bound = "none"
			}
			fmt.Fprintf(&page, "| %s | %s | %s | **%s** | %s | %s |\n", i.name, p.plan, count(p.agents), count(got), bound, good[key])
		}
	}
	page.WriteString(incidentsMiddle)
	for _, i := range incidents {
		i.section(&page)
	}
	if !small {
		checkIncidents(t, page.String())
	}
}

func checkIncidents(t *testing.T, want string) {
	t.Helper()
	const file = "../../docs/incidents.md"
	if *writeIncidents {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run go test ./internal/scenarios -run TestIncidents -incidents")
}

// harmed is the figure of the bad release.
func (p *played) harmed(t *testing.T) int {
	t.Helper()
	if p.other != nil {
		return p.other(t)
	}
	r, err := play(p.named(), p.bad(), p.alone)
	require.NoError(t, err, p.plan)
	require.NotEqual(t, simulate.StopMaxTime, r.Stop, p.plan)
	if p.measure != nil {
		return p.measure(r)
	}
	return r.Plan.Changed
}

// goodTime is how long a release takes that harms no agent. Every agent must get it.
func (p *played) goodTime(t *testing.T, name string) string {
	t.Helper()
	if p.spec == nil {
		return "–"
	}
	r, err := play(p.named(), lostGate{&hall{}}, false)
	require.NoError(t, err, name)
	require.Equal(t, ota.StatusCompleted, r.Plan.Status, "%s: %s", name, p.plan)
	require.Equal(t, p.agents, r.Plan.Counts.Succeeded, "%s: %s", name, p.plan)
	return inWords(r.Took())
}

func (p *played) named() ota.Spec {
	s := p.spec()
	s.Name, s.FromVersion, s.ToVersion = "incident", "1", "2"
	s.Agents = fleetOf(p.agents, p.labels)
	return s
}

// section writes what happened, and what the figures do not show.
func (i *incident) section(page *strings.Builder) {
	source := "No public source: a scene of our own."
	if i.source != "" {
		source = "[Source](" + i.source + ")."
	}
	fmt.Fprintf(page, "\n### %s\n\n%s\n", i.name, wrapped(i.happened+" "+source))
	for _, p := range i.plays {
		if p.note != "" {
			fmt.Fprintf(page, "\n%s\n", wrapped("*"+p.plan+"*: "+p.note))
		}
	}
}

// wrapped breaks a text into lines of at most 100 columns.
func wrapped(text string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
		case column+1+n > 100:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// count writes 10000 as 10,000.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// inWords writes a duration as 1 h 2 min 3 s.
func inWords(d time.Duration) string {
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	var parts []string
	for _, part := range []struct {
		n    int
		unit string
	}{{h, "h"}, {m, "min"}, {s, "s"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprint(part.n, " ", part.unit))
		}
	}
	return strings.Join(parts, " ")
}

const incidentsHead = `# The hall of incidents

Sixteen releases that hurt their fleets, replayed in [package simulate](../simulate) with the
engine's own decisions. The fleet is a model: each call takes 20 seconds, and the release harms every
agent that it reaches, unless the section says otherwise. Fleets are smaller than the real ones. The
number of harmed agents depends on the plan, not on the size of the fleet, wherever a bound is given.

` + "`TestIncidents`" + ` measures every figure of this page, and writes the page with the flag ` + "`-incidents`" + `.
**Harmed** is what the test counts: the agents that the release has changed, unless the section says
otherwise. **Bound** is the most that the plan allows. Where it is "none", no policy of the engine
prevents the harm; the figure is what happens. The last column is the time that a good release takes
under the same plan, where a person promotes each batch that waits at once.

| incident | plan | agents | harmed | bound | a good release takes |
|---|---|---|---|---|---|
`

const incidentsMiddle = `
These are the plans. *Careful* and *standard* are the policies that [policies.md](policies.md) begins
with. *Push by ten* has a canary of 10, and then batches of 100, 1,000, 10,000 and so on. No failure
is tolerated, each call has a minute, and 10,000 agents may be open at once. Agents are observed until
the plan ends. The time behind its name is how long each batch soaks.

## What happened, and what the figures mean
`
