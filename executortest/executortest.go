// Package executortest checks that an implementation of ota.Executor keeps the promises that the
// engine relies on. It needs the standard library only.
//
//	func TestExecutor(t *testing.T) {
//		executortest.Run(t, newExecutor, executortest.Options{
//			Agents:  []string{"lab-1", "lab-2", "lab-3"},
//			Version: func(x ota.Executor, agent string) (string, error) { return ask(agent) },
//			Effects: func(x ota.Executor, agent string) (int, error) { return installations(agent) },
//		})
//	}
//
// Each field of the Options proves more. Cases that need a missing field are skipped, with the
// reason in the test's output. So are the cases of a companion, such as ota.Prober, that the
// executor does not have; ota.As finds companions. Options.Wrap tests a wrapper of an Executor: it
// must keep the companions of the executor inside.
package executortest

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

// Options describe the agents and how to observe them. The zero value is right for an executor that
// upgrades any agent from any version to any other.
type Options struct {
	// Agents are the IDs of agents that newExecutor's executor can upgrade, each at FromVersion.
	// None means "agent-1" to "agent-4".
	Agents []string
	// FromVersion and ToVersion are two versions that can be installed. Empty means "1.0.0" and
	// "2.0.0".
	FromVersion, ToVersion string
	// Version returns the version that an agent runs, without the executor's help. Nil skips the
	// cases that need it.
	Version func(x ota.Executor, agent string) (string, error)
	// Effects returns how often an agent was changed so far, without the executor's help. Nil skips
	// the cases that need it.
	Effects func(x ota.Executor, agent string) (int, error)
	// Slow changes an attempt so that its call takes long, for example to the ID of an agent that
	// does not answer. The call must end with its context. Nil means that the calls of ordinary
	// attempts are cut short.
	Slow func(a ota.Attempt) ota.Attempt
	// Provoke changes an attempt so that its call fails for the given reason: any of
	// ota.ReasonError, ReasonPermanent, ReasonRejected, ReasonUnreachable and ReasonThrottled. The
	// cases of missing reasons are skipped.
	Provoke map[ota.Reason]func(a ota.Attempt) ota.Attempt
	// Wrap puts the wrapper under test around an executor of newExecutor. Every case runs through
	// the wrapper. Version and Effects get the executor without it. Nil means no wrapper.
	Wrap func(x ota.Executor) ota.Executor
	// Bound is how long a call may go on after its context has ended. 0 means 5 s.
	Bound time.Duration
}

func (o Options) withDefaults() Options {
	if len(o.Agents) == 0 {
		o.Agents = []string{"agent-1", "agent-2", "agent-3", "agent-4"}
	}
	o.FromVersion = cmp.Or(o.FromVersion, "1.0.0")
	o.ToVersion = cmp.Or(o.ToVersion, "2.0.0")
	if o.Wrap == nil {
		o.Wrap = func(x ota.Executor) ota.Executor { return x }
	}
	o.Bound = cmp.Or(o.Bound, 5*time.Second)
	return o
}

// Run runs every case as a subtest of t. It calls newExecutor once for each case. newExecutor
// returns an executor whose agents run FromVersion, and cleans up with t.Cleanup. Cases run one
// after the other, because they use the same agents.
func Run(t *testing.T, newExecutor func(t *testing.T) ota.Executor, opts Options) {
	t.Helper()
	opts = opts.withDefaults()
	suite.Run(t, func(t *testing.T) *env { return newEnv(newExecutor(t), opts) })
}

// Check runs the cases without a *testing.T, for example in an operator's tool. It returns every
// failure, each with the name of its case, joined; or nil. It calls newExecutor once for each case,
// as Run does, and closes nothing.
func Check(ctx context.Context, newExecutor func() (ota.Executor, error), opts Options) error {
	opts = opts.withDefaults()
	return suite.Check(ctx, func() (*env, error) {
		x, err := newExecutor()
		if err != nil {
			return nil, err
		}
		return newEnv(x, opts), nil
	})
}

type cases = kit.Cases[*env]

// caseLimit ends a case of an executor that hangs, if the executor respects its context.
const caseLimit = 5 * time.Minute

var suite = kit.Suite[*env]{Limit: caseLimit, Themes: []kit.Theme[*env]{
	{Name: "Upgrade", Cases: upgradeCases},
	{Name: "Repeat", Cases: repeatCases},
	{Name: "Context", Cases: contextCases},
	{Name: "Errors", Cases: errorCases},
	{Name: "Concurrency", Cases: concurrencyCases},
	{Name: "Companions", Cases: companionCases},
}}

// Bind implements kit.Env.
func (e *env) Bind(ctx context.Context) { e.ctx = ctx }
