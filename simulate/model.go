package simulate

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Model returns what an agent of a plan may do in Trials. It is called once for each agent: the
// answer may be the same for all (SameAgents), or depend on labels.
type Model func(ota.Agent) AgentModel

// SameAgents is a Model in which all agents are alike.
func SameAgents(m AgentModel) Model { return func(ota.Agent) AgentModel { return m } }

// AgentModel is what one agent may do in a run. A rollback always succeeds, and takes as long as an
// upgrade.
type AgentModel struct {
	// Fails is the probability that the release does not work on the agent: every attempt of the
	// run fails, with an error that may be retried. 0 to 1.
	Fails float64
	// Group names what the agent has in common with others, such as a kind of hardware. GroupFails
	// is the probability that the release does not work on that: all agents of the group then fail
	// in the run, as with Fails. It is to be the same for all of them. 0 to 1. An empty Group has
	// no such cause.
	Group      string
	GroupFails float64
	// Flaky is the probability that a single attempt fails although the release works. 0 to 1.
	Flaky float64
	// Latency is how long a call takes.
	Latency Latency
}

// Latency is a spread of times, log-normal like that of calls to machines: half of the times are at
// most Median, and 99 of 100 are at most P99.
type Latency struct {
	Median time.Duration // 0 to ten years
	P99    time.Duration // Median to ten years; 0 means that every call takes Median
}

// draw returns one time.
func (l Latency) draw(r *rand.Rand) time.Duration {
	z := r.NormFloat64()
	if l.P99 == 0 || l.Median == 0 {
		return l.Median
	}
	const z99 = 2.3263478740408408 // 99 of 100 draws are below it
	sigma := math.Log(float64(l.P99)/float64(l.Median)) / z99
	return time.Duration(min(float64(l.Median)*math.Exp(sigma*z), float64(maxDuration)))
}

// check returns what is wrong with the model of an agent.
func (m AgentModel) check(agent string) (bad []error) {
	add := func(field, value, allowed string) {
		bad = append(bad, &ota.FieldError{
			Field: "model." + field, Value: value, Problem: "is out of range for agent " + shorten(agent), Allowed: allowed,
		})
	}
	for _, f := range []struct {
		name string
		p    float64
	}{{"fails", m.Fails}, {"flaky", m.Flaky}, {"groupFails", m.GroupFails}} {
		if !(f.p >= 0 && f.p <= 1) {
			add(f.name, strconv.FormatFloat(f.p, 'g', -1, 64), "0 to 1")
		}
	}
	l := m.Latency
	if l.Median < 0 || l.Median > maxDuration {
		add("latency.median", l.Median.String(), "0 or more, at most ten years")
	}
	if l.P99 != 0 && (l.P99 < l.Median || l.P99 > maxDuration) {
		add("latency.p99", l.P99.String(), "the median or more, at most ten years")
	}
	return bad
}

// shorten cuts an ID of any length for an error.
func shorten(id string) string {
	const most = 64
	if len(id) <= most {
		return strings.ToValidUTF8(id, "\uFFFD")
	}
	return strings.ToValidUTF8(id[:most], "") + "…"
}

// drawing is the fleet from which runs are drawn.
type drawing struct {
	agents []ota.Agent
	models map[string]*drawnAgent
}

type drawnAgent struct {
	AgentModel
	hash  uint64
	group uint64 // hash of the Group
}

// maxNamed is how many mistakes of a model an error names.
const maxNamed = 32

// drawn reads the agents of a spec and gets the model of each. A mistake in the spec itself is
// found when the first run creates the plan.
func drawn(spec ota.Spec, model Model) (*drawing, error) {
	d := &drawing{models: map[string]*drawnAgent{}}
	if spec.Agents == nil {
		return d, nil
	}
	var bad []error
	more := 0
	for a, err := range spec.Agents {
		if err != nil {
			return nil, err
		}
		m := model(a)
		one := &drawnAgent{AgentModel: m, hash: hashOf(a.ID), group: hashOf("group " + m.Group)}
		for _, err := range one.check(a.ID) {
			if len(bad) < maxNamed {
				bad = append(bad, err)
			} else {
				more++
			}
		}
		d.agents = append(d.agents, a)
		d.models[a.ID] = one
	}
	if more > 0 {
		bad = append(bad, &ota.FieldError{Field: "agents", Problem: fmt.Sprintf("have %d more mistakes", more)})
	}
	return d, errors.Join(bad...)
}

var errDrawn = errors.New("simulate: the draw of the trial")

func hashOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// fleet is the fleet of one run. Each draw depends on the seed, the run, the agent and the attempt,
// and on nothing that the policy decides.
func (d *drawing) fleet(seed, run uint64) Fleet {
	draws := &draws{run: seed ^ run*0x9e3779b97f4a7c15}
	draws.Rand = rand.New(&draws.source)
	return FleetFunc(func(a ota.Attempt, _ time.Time) Call {
		m := d.models[a.Agent]
		if m == nil {
			m = new(drawnAgent)
		}
		fails, latency := draws.attempt(m, &a)
		c := Call{Latency: latency}
		if fails {
			c.Err = errDrawn
		} else {
			c.Result.Version = a.ToVersion
		}
		return c
	})
}

// draws are the draws of one run. Each begins with a seed of its own, in the same memory.
type draws struct {
	*rand.Rand
	source rand.PCG
	run    uint64
}

// attempt draws whether an attempt fails, and how long it takes.
func (r *draws) attempt(m *drawnAgent, a *ota.Attempt) (fails bool, latency time.Duration) {
	group := m.Group != "" && r.groupFails(m)
	r.source.Seed(r.run, m.hash)
	fails = r.Float64() < m.Fails || group
	flaky := m.Flaky
	r.source.Seed(r.Uint64(), uint64(a.Task)<<33|uint64(a.Number)<<1)
	if a.IsRollback {
		r.source.Seed(r.Uint64(), 1)
		fails, flaky = false, 0
	}
	fails = r.Float64() < flaky || fails
	return fails, m.Latency.draw(r.Rand)
}

// groupFails draws once for all agents of a group in a run.
func (r *draws) groupFails(m *drawnAgent) bool {
	r.source.Seed(r.run, m.group)
	return r.Float64() < m.GroupFails
}
