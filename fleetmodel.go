package ota

import (
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// FleetModel says of each agent of a plan, once, what it may do in Trials: the same for all of them (SameAgents), or by
// its labels.
type FleetModel func(Agent) AgentModel

// SameAgents is a model in which all agents are alike.
func SameAgents(m AgentModel) FleetModel { return func(Agent) AgentModel { return m } }

// AgentModel is what one agent may do in a run. A rollback always succeeds, and takes as long as an upgrade.
type AgentModel struct {
	// Fails is the probability that the agent does not get along with the release: it fails at every attempt of the run,
	// in a way that may be tried again. 0 to 1.
	Fails float64
	// Group names what the agent has in common with others, a kind of hardware for example. GroupFails is the probability
	// that the release does not get along with that: then all agents of the group fail in the run, as Fails says. It is
	// to be the same for all of them. 0 to 1; an empty Group has no such cause.
	Group      string
	GroupFails float64
	// Flaky is the probability that a single attempt of an agent that does fails all the same. 0 to 1.
	Flaky float64
	// Latency is how long a call takes.
	Latency Latency
}

// Latency is a spread of times: half of them are at most Median, 99 of 100 at most P99, and the few that are much longer
// follow a log-normal distribution, as calls to machines do.
type Latency struct {
	Median time.Duration // 0 or more
	P99    time.Duration // Median or more; 0 means that every call takes Median
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

func (m AgentModel) check(bad *mistakes, agent string) {
	for _, f := range []struct {
		name string
		p    float64
	}{{"fails", m.Fails}, {"flaky", m.Flaky}, {"groupFails", m.GroupFails}} {
		if !(f.p >= 0 && f.p <= 1) {
			bad.agent("model."+f.name, strconv.FormatFloat(f.p, 'g', -1, 64), "is out of range for agent "+shorten(agent), "0 to 1")
		}
	}
	if m.Latency.Median < 0 || m.Latency.Median > maxDuration {
		bad.agent("model.latency.median", m.Latency.Median.String(), "is out of range for agent "+shorten(agent), "0 or more, at most ten years")
	}
	if l := m.Latency; l.P99 != 0 && (l.P99 < l.Median || l.P99 > maxDuration) {
		bad.agent("model.latency.p99", l.P99.String(), "is out of range for agent "+shorten(agent), "the median or more, at most ten years")
	}
}

// groupFails draws once for all agents of a group in a run.
func (m AgentModel) groupFails(run uint64) bool {
	if m.Group == "" {
		return false
	}
	h := fnv.New64a()
	h.Write([]byte("group " + m.Group))
	return rand.New(rand.NewPCG(run, h.Sum64())).Float64() < m.GroupFails
}

// drawing is the fleet that runs are drawn from.
type drawing struct {
	agents []Agent
	models map[string]drawnAgent
}

type drawnAgent struct {
	AgentModel
	hash uint64
}

// drawn reads the agents of a spec and asks the model about each.
func drawn(spec Spec, model FleetModel) (*drawing, error) {
	var m mistakes
	spec.check(&m)
	d := &drawing{models: map[string]drawnAgent{}}
	if spec.Agents != nil {
		for a, err := range spec.Agents {
			if err != nil {
				return nil, err
			}
			h := fnv.New64a()
			h.Write([]byte(a.ID))
			one := drawnAgent{AgentModel: model(a), hash: h.Sum64()}
			one.check(&m, a.ID)
			d.agents = append(d.agents, a)
			d.models[a.ID] = one
		}
	}
	return d, m.result()
}

var errDrawn = errors.New("ota: the draw of the trial")

// fleet is the fleet of one run. Each draw depends on the seed, the run, the agent and the attempt, and on nothing that
// the policy decides.
func (d *drawing) fleet(seed, run uint64) SimFleet {
	return SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
		m := d.models[a.Agent]
		source := rand.NewPCG(seed^run*0x9e3779b97f4a7c15, m.hash)
		r := rand.New(source)
		fails := r.Float64() < m.Fails || m.groupFails(seed^run*0x9e3779b97f4a7c15)
		source.Seed(r.Uint64(), uint64(a.Task)<<33|uint64(a.Number)<<1)
		if a.IsRollback {
			source.Seed(r.Uint64(), 1)
			fails, m.Flaky = false, 0
		}
		flaky := r.Float64() < m.Flaky
		c := SimCall{Latency: m.Latency.draw(r)}
		if fails || flaky {
			c.Err = errDrawn
		} else {
			c.Result.Version = a.ToVersion
		}
		return c
	})
}
