package executortest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/executortest"
)

// installer upgrades agents that are entries of a map. It forgets which attempts it has carried out.
type installer struct {
	mu       sync.Mutex
	versions map[string]string
	installs map[string]int
}

func (x *installer) Execute(_ context.Context, a ota.Attempt) (ota.Result, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.versions[a.Agent] = a.ToVersion
	x.installs[a.Agent]++
	return ota.Result{Version: a.ToVersion}, nil
}

func ExampleCheck() {
	newInstaller := func() (ota.Executor, error) {
		return &installer{versions: map[string]string{}, installs: map[string]int{}}, nil
	}
	err := executortest.Check(context.Background(), newInstaller, executortest.Options{
		Effects: func(x ota.Executor, agent string) (int, error) { return x.(*installer).installs[agent], nil },
	})
	for line := range strings.SplitSeq(fmt.Sprint(err), "\n") {
		fmt.Println(strings.TrimSpace(line))
	}
	// Output:
	// Repeat/TwoCallsInTurnHaveOneEffect: two calls with one key, one after the other, have one effect
	// agent agent-1 was changed 2 times, want 1
	// Repeat/TwoCallsAtOnceHaveOneEffect: two calls with one key at once have one effect
	// agent agent-2 was changed 2 times, want 1
}
