package brokenexecutor

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// failure is how a call for an agent with one of these IDs fails.
func (m *Machines) failure(a ota.Attempt) error {
	err := errors.New("agent " + a.Agent)
	switch {
	case a.Agent == "rejects" && !m.vague:
		return ota.Rejected(err)
	case a.Agent == "broken" && !m.vague:
		return ota.Permanent(err)
	case a.Agent == "rejects", a.Agent == "broken", a.Agent == "fails":
		return err
	case a.Agent == "away":
		if m.sneaky {
			m.change(a.Agent, a.ToVersion)
		}
		return ota.Unreachable(err)
	case a.Agent == "busy":
		return ota.Throttled(err, time.Second)
	}
	return nil
}

func (m *Machines) change(agent, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.effects[agent]++
	m.versions[agent] = version
}

// install does the work of a key.
func (m *Machines) install(a ota.Attempt, done chan struct{}) (ota.Result, error) {
	if m.shared {
		m.mu.Lock()
		a.Agent = m.present.Agent
		m.mu.Unlock()
	}
	if m.everyAgent {
		m.change("agent-2", a.ToVersion)
	}
	was := m.Version(a.Agent)
	same := was == a.ToVersion && !m.forgetful && !m.hasty
	switch {
	case same && m.refuses:
		return ota.Result{}, errors.New("it is installed already")
	case m.lazy, m.upOnly && a.IsRollback:
	case !same || m.proud:
		m.change(a.Agent, a.ToVersion)
	}
	if m.hasty {
		m.mu.Lock()
		m.done[a.Key()] = done
		m.mu.Unlock()
	}
	close(done)
	res := ota.Result{Version: a.ToVersion, Unchanged: same || m.modest}
	if m.stale {
		res.Version = was
	}
	return res, nil
}

// Health implements ota.Prober.
func (m *Machines) Health(_ context.Context, a ota.Attempt) (ota.Health, error) {
	if m.heals {
		m.change(a.Agent, a.ToVersion)
	}
	return ota.Health{Healthy: !m.gloomy}, nil
}

// Precheck implements ota.Prechecker.
func (m *Machines) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	if m.eager {
		m.change(a.Agent, a.ToVersion)
	}
	if m.content {
		return ota.Precheck{State: ota.PrecheckAtTarget}, nil
	}
	return ota.Precheck{Version: a.FromVersion}, nil
}

// Gate implements ota.Gater.
func (m *Machines) Gate(context.Context, ota.Plan, ota.Batch) (ota.GateVerdict, error) {
	m.mu.Lock()
	for agent := range m.versions {
		if m.reverts {
			m.versions[agent] = "1.0.0"
		}
	}
	m.mu.Unlock()
	if m.mute {
		return ota.GateNone, nil
	}
	return ota.GatePass, nil
}

// Inspect implements ota.Inspector.
func (m *Machines) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	if m.meddles {
		m.change(a.Agent, a.ToVersion)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.makesUp:
		return ota.Inspection{State: ota.InspectDone}, nil
	case m.pessimist:
		return ota.Inspection{State: ota.InspectFailed, Err: errors.New("who knows")}, nil
	case m.done[a.Key()] == nil:
		return ota.Inspection{State: ota.InspectUnknown}, nil
	}
	return ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: m.versions[a.Agent]}}, nil
}
