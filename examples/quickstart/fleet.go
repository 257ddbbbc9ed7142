package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

// parallel is how many agents are started, or asked, at once outside a plan.
const parallel = 8

// fleet is all machines, and the data with which the executor finds one.
type fleet struct {
	machines []*machine
	byID     map[string]*machine
}

// startFleet makes a folder for every machine under dir and starts all agents on the given version.
// A resumed run finds machines there; they continue with their own version. One machine in four is
// of an older model. As far as possible none of them is in the first batch: a fleet rarely meets
// its worst machines first. The seed selects them.
func startFleet(ctx context.Context, dir string, c config, version string) (*fleet, error) {
	f := &fleet{byID: map[string]*machine{}}
	old := dealOld(c.agents, c.batch, c.seed)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range c.agents {
		m := &machine{id: fmt.Sprintf("edge-%03d", i+1)}
		m.home = filepath.Join(dir, "agents", m.id)
		f.machines = append(f.machines, m)
		f.byID[m.id] = m
		g.Go(func() error {
			var err error
			if c.resume && m.provisioned() {
				err = m.wake(ctx)
			} else {
				err = m.provision(ctx, hardwareOf(old[i]), version)
			}
			if err != nil {
				return fmt.Errorf("start %s: %w", m.id, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		f.shutdown()
		return nil, err
	}
	return f, nil
}

// provision makes a machine: its folder, its hardware, its first release, and the agent that runs
// it.
func (m *machine) provision(ctx context.Context, h hardware, version string) error {
	if err := os.MkdirAll(filepath.Join(m.home, "releases"), 0o755); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(m.home, "machine.json"), h); err != nil {
		return err
	}
	if err := install(m.home, version); err != nil {
		return err
	}
	if err := activate(m.home, version); err != nil {
		return err
	}
	return m.restart(ctx)
}

// provisioned reports whether the machine is complete: the last step of provision makes a release
// current.
func (m *machine) provisioned() bool {
	_, err := os.Stat(filepath.Join(m.home, "current", "release.json"))
	return err == nil
}

// wake starts the agent of an existing machine. If the agent ends at once, it is down, as it was
// before.
func (m *machine) wake(ctx context.Context) error {
	err := m.restart(ctx)
	var exit *exitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// dealOld returns which machines are old.
func dealOld(agents, modern int, seed uint64) []bool {
	n := (agents + 3) / 4
	modern = min(modern, agents-n)
	old := make([]bool, agents)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, i := range r.Perm(agents - modern)[:n] {
		old[modern+i] = true
	}
	return old
}

func hardwareOf(old bool) hardware {
	if old {
		return hardware{Model: "edge-200", Kernel: "4.19", Features: []string{"epoll"}}
	}
	return hardware{Model: "edge-300", Kernel: "6.12", Features: []string{"epoll", "io_uring"}}
}

func (f *fleet) machine(id string) (*machine, error) {
	m := f.byID[id]
	if m == nil {
		return nil, fmt.Errorf("the fleet has no agent %q", id)
	}
	return m, nil
}

// ids lists the agents in order.
func (f *fleet) ids() []string {
	ids := make([]string, len(f.machines))
	for i, m := range f.machines {
		ids[i] = m.id
	}
	return ids
}

// shutdown ends every agent. When it returns, no agent runs, and no agent can be started any more.
func (f *fleet) shutdown() {
	var wg sync.WaitGroup
	for _, m := range f.machines {
		wg.Go(m.shutdown)
	}
	wg.Wait()
}
