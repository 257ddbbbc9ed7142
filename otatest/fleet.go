// Package otatest is for tests of programs that use ota. It has a Fleet whose agents behave as
// their IDs say. A Fleet is an Executor for a real Engine, and also works in a simulation.
//
//	fleet := otatest.NewFleet(otatest.Options{Latency: time.Minute})
//	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
//	…
//	Agents: ota.AgentIDs(append(otatest.IDs("ok-", 95), otatest.IDs("fail-", 5)...)...)
//
// With latencies, run the engine in a bubble of testing/synctest, where they take no real time: the
// Fleet waits only with timers. Make the Fleet inside the bubble.
package otatest

import (
	"hash/fnv"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// Options are the settings of a Fleet. With the zero value it answers at once.
type Options struct {
	// Latency is how long a call takes. 0 or more.
	Latency time.Duration
	// Jitter changes each call's latency, evenly distributed, by up to this fraction in either
	// direction. 0 to 1.
	Jitter float64
	// Seed selects the jitter: the same seed, agent and attempt give the same latency.
	Seed uint64
	// SickAfter is how long Late agents are healthy after their success. 0 means DefaultSickAfter.
	SickAfter time.Duration
}

// DefaultSickAfter is the default of Options.SickAfter.
const DefaultSickAfter = time.Minute

// Fleet is a fleet of agents that exist in memory only. It has every agent that a plan names.
// Before its first upgrade, an agent runs the from-version of the plan that asks. The agent's ID
// selects its behaviour (see Behaviour); Set replaces it. In a rollback plan every agent behaves as
// OK, unless SetRollback says otherwise.
//
// Calls with the same Attempt.Key, one after the other or at once, have one effect and the same
// answer.
//
// A Fleet is an ota.Executor, ota.Prober and ota.Inspector, and a simulate.Fleet and
// simulate.Prober. All methods are safe for concurrent use.
type Fleet struct {
	opt Options

	mu       sync.Mutex
	set      map[string]Behaviour // by agent
	back     map[string]Behaviour // by agent, in rollback plans
	versions map[string]string    // by agent, or by key of its component
	since    map[string]time.Time // by agent: when it was last upgraded
	effects  map[string]*effect   // by key
	calls    []Call
	released chan struct{} // closed by Release
}

var (
	_ ota.Executor    = (*Fleet)(nil)
	_ ota.Prober      = (*Fleet)(nil)
	_ ota.Inspector   = (*Fleet)(nil)
	_ simulate.Fleet  = (*Fleet)(nil)
	_ simulate.Prober = (*Fleet)(nil)
)

// NewFleet returns a fleet.
func NewFleet(options Options) *Fleet {
	return &Fleet{
		opt: options, set: map[string]Behaviour{}, back: map[string]Behaviour{}, versions: map[string]string{}, since: map[string]time.Time{},
		effects: map[string]*effect{}, released: make(chan struct{}),
	}
}

// Copy returns a fleet with the same options, behaviours and present versions, and no calls. Use it
// to simulate what would happen next.
func (f *Fleet) Copy() *Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := NewFleet(f.opt)
	c.set, c.back, c.versions, c.since = maps.Clone(f.set), maps.Clone(f.back), maps.Clone(f.versions), maps.Clone(f.since)
	return c
}

// Set makes an agent behave in this way from its next call on, whatever its ID is.
func (f *Fleet) Set(id string, b Behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set[id] = b
}

// SetRollback makes an agent behave in this way in rollback plans.
func (f *Fleet) SetRollback(id string, b Behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.back[id] = b
}

// SetVersion makes an agent run this version now.
func (f *Fleet) SetVersion(id, version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[id] = version
}

// Release lets calls of Stuck agents return, those in flight and later ones. They return an error
// and have no effect.
func (f *Fleet) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.released:
	default:
		close(f.released)
	}
}

// Version returns the version that an agent runs now. It is empty before the first call for the
// agent.
func (f *Fleet) Version(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.versions[id]
}

// ComponentVersion returns the version that a component of an agent runs now, by the component's
// Name and Instance. It is empty before the first call for the component. A component has a version
// of its own, apart from its agent's.
func (f *Fleet) ComponentVersion(id string, c ota.Component) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.versions[versionKey(id, c)]
}

// Versions returns the version of every agent that was ever called, by ID. Components are not
// included.
func (f *Fleet) Versions() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := maps.Clone(f.versions)
	maps.DeleteFunc(all, func(key, _ string) bool { return strings.Contains(key, separator) })
	return all
}

const separator = "\x00" // occurs in no ID and no name

func versionKey(id string, c ota.Component) string {
	if c.Name == "" && c.Instance == "" {
		return id
	}
	return id + separator + c.Name + separator + c.Instance
}

// behaviour is how an agent behaves in an attempt. f.mu is locked.
func (f *Fleet) behaviour(a ota.Attempt) Behaviour {
	if a.IsRollback {
		return f.back[a.Agent]
	}
	if b, ok := f.set[a.Agent]; ok {
		return b
	}
	return BehaviourOf(a.Agent)
}

// version is the present version of the agent of a, or of its component. f.mu is locked.
func (f *Fleet) version(a ota.Attempt) string {
	key := versionKey(a.Agent, a.Component)
	v, known := f.versions[key]
	if !known {
		v = a.FromVersion
		f.versions[key] = v
	}
	return v
}

// latency is how long the attempt takes.
func (f *Fleet) latency(a ota.Attempt) time.Duration {
	if f.opt.Jitter == 0 {
		return f.opt.Latency
	}
	h := fnv.New64a()
	h.Write(strconv.AppendUint(nil, f.opt.Seed, 10))
	h.Write([]byte("/" + a.Agent + "/"))
	h.Write(strconv.AppendInt(nil, int64(a.Number), 10))
	x := h.Sum64()
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	unit := float64(x>>11) / (1 << 53)
	return time.Duration(float64(f.opt.Latency) * (1 + f.opt.Jitter*(2*unit-1)))
}
