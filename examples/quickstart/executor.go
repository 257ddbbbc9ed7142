package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// executor is the one part that every user of the library writes: it brings one agent to a version.
// Only Execute is required. Health and Inspect are optional; the engine finds them by itself.
type executor struct{ fleet *fleet }

var (
	_ ota.Executor  = executor{}
	_ ota.Prober    = executor{}
	_ ota.Inspector = executor{}
)

// Execute installs the release, makes it the current one, restarts the agent, and asks the agent
// for its version. Upgrades and rollbacks are the same here. Every step can be repeated without
// harm: after a crash that may be necessary.
func (x executor) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	m, err := x.fleet.machine(a.Agent)
	if err != nil {
		return ota.Result{}, ota.Unchanged(ota.Permanent(err))
	}
	if now, err := m.identity(ctx); err == nil && now.Version == a.ToVersion {
		return ota.Result{Version: now.Version, Unchanged: true}, nil
	}
	if err := install(m.home, a.ToVersion); err != nil {
		return ota.Result{}, ota.Unchanged(err) // the running agent is not touched yet
	}
	if err := activate(m.home, a.ToVersion); err != nil {
		return ota.Result{}, fmt.Errorf("activate %s: %w", a.ToVersion, err)
	}
	if err := m.restart(ctx); err != nil {
		var exit *exitError
		if errors.As(err, &exit) {
			err = ota.Permanent(err) // it would end in the same way next time
		}
		return ota.Result{}, err
	}
	now, err := awaitAnswer(ctx, m)
	if err != nil {
		return ota.Result{}, err
	}
	return ota.Result{Version: now.Version}, nil
}

// awaitAnswer asks a started agent until it answers, its process has ended, or ctx ends.
func awaitAnswer(ctx context.Context, m *machine) (identity, error) {
	for {
		now, err := m.identity(ctx)
		if err == nil || errors.Is(err, errDown) {
			return now, err
		}
		select {
		case <-ctx.Done():
			return identity{}, errors.Join(context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Health is called repeatedly while a batch is observed.
func (x executor) Health(ctx context.Context, a ota.Attempt) (ota.Health, error) {
	m, err := x.fleet.machine(a.Agent)
	if err != nil {
		return ota.Health{}, err
	}
	_, err = m.get(ctx, "/healthz")
	switch {
	case err == nil:
		return ota.Health{Healthy: true}, nil
	case ctx.Err() != nil:
		return ota.Health{}, err // the health is unknown
	default:
		return ota.Health{Reason: err.Error()}, nil
	}
}

// Inspect is called for attempts whose calls were lost in a crash: does the agent run the target
// version?
func (x executor) Inspect(ctx context.Context, a ota.Attempt) (ota.Inspection, error) {
	m, err := x.fleet.machine(a.Agent)
	if err != nil {
		return ota.Inspection{}, err
	}
	now, err := m.identity(ctx)
	if err != nil || now.Version != a.ToVersion {
		return ota.Inspection{State: ota.InspectUnknown}, nil //nolint:nilerr // then it is called again
	}
	return ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: now.Version}}, nil
}
