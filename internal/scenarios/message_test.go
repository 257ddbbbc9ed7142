package scenarios

import (
	"fmt"
	"iter"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// What a person reads for each kind of bad input: the field, what is wrong, what is allowed.

func TestMessagesOfSpecs(t *testing.T) {
	long := strings.Repeat("x", 300)
	cut := strings.Repeat("x", 63)
	text := "at most 255 bytes of UTF-8 without control characters"
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint(i)] = ""
	}
	agent := func(a ota.Agent) iter.Seq2[ota.Agent, error] {
		return func(yield func(ota.Agent, error) bool) { yield(a, nil) }
	}
	for _, c := range []struct {
		name   string
		change func(*ota.Spec)
		want   string
	}{
		{"id", func(s *ota.Spec) { s.ID = "a b" }, "id (a b) is not a legal plan ID; allowed: 1 to 128 characters of A-Z a-z 0-9 . _ ~ -"},
		{"no name", func(s *ota.Spec) { s.Name = "" }, "name is missing; allowed: 1 to 255 bytes"},
		{"long name", func(s *ota.Spec) { s.Name = long }, `name ("` + cut + `…) is too long by 45 bytes; allowed: ` + text},
		{"no target", func(s *ota.Spec) { s.ToVersion = "" }, "toVersion is missing; allowed: 1 to 255 bytes"},
		{"control character", func(s *ota.Spec) { s.FromVersion = "1\n2" }, `fromVersion ("1\n2") has the control character U+000A; allowed: ` + text},
		{"delete character", func(s *ota.Spec) { s.ToRelease = "1\x7f" }, `toRelease ("1\x7f") has the control character U+007F; allowed: ` + text},
		{"invalid UTF-8", func(s *ota.Spec) { s.CreatedBy = "a\xff" }, `createdBy ("a�") is not valid UTF-8; allowed: ` + text},
		{"label key", func(s *ota.Spec) { s.Labels = map[string]string{"": "x"} }, "labels has an empty key; allowed: 1 to 255 bytes"},
		{"label value", func(s *ota.Spec) { s.Labels = map[string]string{"k": "\x00"} }, `labels[k] ("\x00") has the control character U+0000; allowed: ` + text},
		{"labels", func(s *ota.Spec) { s.Labels = many }, "labels (65) has too many entries; allowed: at most 64"},
		{"annotation", func(s *ota.Spec) { s.Annotations = map[string]string{"k": strings.Repeat("x", 65537)} }, `annotations[k] ("` + cut + `…) is too long by 1 bytes; allowed: at most 65536 bytes of UTF-8 without control characters`},
		{"agents nil", func(s *ota.Spec) { s.Agents = nil }, "agents are missing; allowed: at least one"},
		{"no agents", func(s *ota.Spec) { s.Agents = ota.AgentIDs() }, "agents are none; allowed: at least one"},
		{"empty agent", func(s *ota.Spec) { s.Agents = ota.AgentIDs("a", "") }, "agents[1].id is empty; allowed: 1 to 255 bytes"},
		{"long agent", func(s *ota.Spec) { s.Agents = ota.AgentIDs(long) }, `agents[0].id ("` + cut + `…) is too long by 45 bytes; allowed: ` + idAllowed},
		{"odd agent", func(s *ota.Spec) { s.Agents = ota.AgentIDs("a\tb") }, `agents[0].id ("a\tb") has the control character U+0009; allowed: ` + idAllowed},
		{"agent twice", func(s *ota.Spec) { s.Agents = ota.AgentIDs("a", "b", "a") }, `agents[2].id ("a") is in the plan twice; allowed: every agent once`},
		{"agent's version", func(s *ota.Spec) { s.Agents = agent(ota.Agent{ID: "a", Version: "\x01"}) }, `agents[0].version ("\x01") has the control character U+0001; allowed: ` + text},
		{"agent's label", func(s *ota.Spec) { s.Agents = agent(ota.Agent{ID: "a", Labels: map[string]string{"z": "\x01"}}) }, `agents[0].labels[z] ("\x01") has the control character U+0001; allowed: ` + text},
		{"size", func(s *ota.Spec) { s.Shape.Size = -1 }, "shape.size (-1) is out of range; allowed: 1 or more; 0 means 10"},
		{"size and list", func(s *ota.Spec) { s.Shape = ota.Shape{Size: 1, Batches: []ota.BatchShape{{Size: 2}}} }, "shape.size (1) does not go with a list of batches; allowed: one of the two"},
		{"shuffle and list", func(s *ota.Spec) { s.Shape = ota.Shape{Shuffle: 9, Batches: []ota.BatchShape{{Size: 2}}} }, "shape.shuffle (9) does not go with a list of sizes; allowed: one of the two, or a list with percent"},
		{"sum", func(s *ota.Spec) { s.Shape.Batches = []ota.BatchShape{{Size: 1}, {Size: 2}} }, "shape.batches (3) is the sum of the sizes, but not the number of agents; allowed: 2"},
		{"sum too small", func(s *ota.Spec) { s.Shape.Batches = []ota.BatchShape{{Size: 1}} }, "shape.batches (1) is the sum of the sizes, but not the number of agents; allowed: 2"},
		{"batch name", func(s *ota.Spec) { s.Shape.Batches = []ota.BatchShape{{Name: "\n", Size: 2}} }, `shape.batches[0].name ("\n") has the control character U+000A; allowed: ` + text},
		{"concurrency", func(s *ota.Spec) { s.Policy.Concurrency = -2 }, "concurrency (-2) is out of range; allowed: 1 to 1000000; 0 means 5"},
		{"threshold", func(s *ota.Spec) { s.Policy.FailureThreshold = ptr(10.0) }, "failureThreshold (10) is out of range; allowed: 0 to 1, as a fraction: 0.1 tolerates one of ten"},
		{"threshold below", func(s *ota.Spec) { s.Policy.FailureThreshold = ptr(-0.1) }, "failureThreshold (-0.1) is out of range; allowed: 0 to 1, as a fraction: 0.1 tolerates one of ten"},
		{"threshold NaN", func(s *ota.Spec) { s.Policy.FailureThreshold = ptr(math.NaN()) }, "failureThreshold (NaN) is not a number; allowed: 0 to 1, as a fraction: 0.1 tolerates one of ten"},
		{"scope", func(s *ota.Spec) { s.Policy.Scope = 7 }, "scope (7) is unknown; allowed: batch, plan, first"},
		{"usual rate 0", func(s *ota.Spec) { s.Policy.Expect = &ota.Expect{} }, "expect.normal (0) is out of range; allowed: 0.000001 to 0.5; for a breach at the first failure, use failureThreshold 0"},
		{"usual rate", func(s *ota.Spec) { s.Policy.Expect = &ota.Expect{Normal: 0.6} }, "expect.normal (0.6) is out of range; allowed: 0.000001 to 0.5; for a breach at the first failure, use failureThreshold 0"},
		{"usual rate NaN", func(s *ota.Spec) { s.Policy.Expect = &ota.Expect{Normal: math.NaN()} }, "expect.normal (NaN) is not a number; allowed: 0.000001 to 0.5; for a breach at the first failure, use failureThreshold 0"},
		{"alpha", func(s *ota.Spec) { s.Policy.Expect = &ota.Expect{Normal: 0.1, Alpha: 1} }, "expect.alpha (1) is out of range; allowed: 1e-12 to 0.5; 0 means 0.01"},
		{"alpha too small", func(s *ota.Spec) { s.Policy.Expect = &ota.Expect{Normal: 0.1, Alpha: 1e-13} }, "expect.alpha (1e-13) is out of range; allowed: 1e-12 to 0.5; 0 means 0.01"},
		{"a template's usual rate", func(s *ota.Spec) { s.Rollback = &ota.RollbackSpec{Policy: &ota.Policy{Expect: &ota.Expect{Normal: 2}}} }, "rollback.expect.normal (2) is out of range; allowed: 0.000001 to 0.5; for a breach at the first failure, use failureThreshold 0"},
		{"action", func(s *ota.Spec) { s.Policy.OnBreach = 7 }, "onBreach (7) is unknown; allowed: pause, rollback, continue"},
		{"away", func(s *ota.Spec) { s.Policy.OnUnreachable = 7 }, "onAway (7) is unknown; allowed: fail, skip"},
		{"hold first", func(s *ota.Spec) { s.Policy.Hold.Batches = []int{0} }, "hold.batches (0) names the first batch, which needs only Start; allowed: 1 or more"},
		{"hold none", func(s *ota.Spec) { s.Shape.Size = 1; s.Policy.Hold.Batches = []int{2} }, "hold.batches (2) names no batch of the plan; allowed: 1 to 1"},
		{"hold of one batch", func(s *ota.Spec) { s.Policy.Hold.Batches = []int{1} }, "hold.batches (1) names no batch of the plan; allowed: none, since the plan has only its first batch"},
		{"budget without a number", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Label: "rack"}} }, "budgets[0].max (0) limits nothing; allowed: 1 to 1000000, or each, or values"},
		{"budget without a label", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Max: 3}} }, "budgets[0].label is missing; allowed: the name of a label of the agents"},
		{"a budget's number", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Label: "rack", Max: -1}} }, "budgets[0].max (-1) is out of range; allowed: 1 to 1000000; 0 means no limit for values that each does not name"},
		{"a value's number", func(s *ota.Spec) {
			s.Policy.Budgets = []ota.Budget{{Label: "rack", Max: 1}, {Label: "role", Each: map[string]int{"db": 0, "web": 2}}}
		}, "budgets[1].each.db (0) is out of range; allowed: 1 to 1000000"},
		{"a value's name", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Label: "role", Each: map[string]int{"\n": 1}}} }, `budgets[0].each ("\n") has the control character U+000A; allowed: ` + text},
		{"too many values with a number", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Label: "role", Each: manyValues(65)}} }, "budgets[0].each (65) has too many values; allowed: at most 64"},
		{"values in use", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Label: "zone", Values: 65}} }, "budgets[0].values (65) is out of range; allowed: 1 to 64; 0 means any number of values"},
		{"values in use, twice", func(s *ota.Spec) {
			s.Policy.Budgets = []ota.Budget{{Label: "zone", Values: 1}, {Label: "rack", Values: 2}}
		}, "budgets[1].values (2) is in budgets[0] too; allowed: in one budget"},
		{"what counts", func(s *ota.Spec) { s.Policy.Budgets = []ota.Budget{{Label: "zone", Max: 1, Of: 7}} }, "budgets[0].of (7) is unknown; allowed: unavailable, open"},
		{"one label twice", func(s *ota.Spec) {
			s.Policy.Budgets = []ota.Budget{{Label: "zone", Max: 1}, {Label: "zone", Max: 3, Of: ota.OpenAgents}, {Label: "zone", Max: 2}}
		}, "budgets[2].label (zone) has an earlier budget of the same agents; allowed: one budget for a label and of; each gives single values another limit"},
		{"too many budgets", func(s *ota.Spec) { s.Policy.Budgets = manyBudgets(9) }, "budgets (9) has too many entries; allowed: at most 8"},
		{"a template's policy", func(s *ota.Spec) { s.Rollback = &ota.RollbackSpec{Policy: &ota.Policy{Concurrency: -1}} }, "rollback.concurrency (-1) is out of range; allowed: 1 to 1000000; 0 means 5"},
		{"hold none of a list", func(s *ota.Spec) {
			s.Shape.Batches = []ota.BatchShape{{Size: 1}, {Size: 1}}
			s.Policy.Hold.Batches = []int{-1}
		}, "hold.batches (-1) names no batch of the plan; allowed: 1 to the last batch's index"},
		{"many indexed labels", func(s *ota.Spec) { s.Index = []string{"a", "b", "c", "d", "e"} }, "index (5) has too many names; allowed: at most 4"},
		{"an indexed label twice", func(s *ota.Spec) { s.Index = []string{"a", "a"} }, `index ("a") is there twice; allowed: every name once`},
		{"an indexed label without a name", func(s *ota.Spec) { s.Index = []string{""} }, "index has an empty name; allowed: 1 to 255 bytes"},
		{"wait", func(s *ota.Spec) { s.Policy.Soak.Duration = -time.Second }, "observe.wait (-1s) is negative; allowed: 0, or 1ms to ten years"},
		{"stable", func(s *ota.Spec) { s.Policy.Soak.Stable = 11 * 365 * 24 * time.Hour }, "observe.stable (96360h0m0s) is too long; allowed: 0, or 1ms to ten years"},
		{"attempt limit", func(s *ota.Spec) { s.Policy.AttemptTimeout = -1 }, "attemptLimit (-1ns) is negative; allowed: 1ms or more, or NoTimeout; 0 means 30m"},
		{"queue limit", func(s *ota.Spec) { s.Policy.UnreachableTimeout = -1 }, "queueLimit (-1ns) is negative; allowed: 1ms or more, or NoTimeout; 0 means 1h"},
		{"retries", func(s *ota.Spec) { s.Policy.Retry.Max = 101 }, "retry.max (101) is out of range; allowed: 0 to 100"},
		{"window zone", func(s *ota.Spec) { s.Policy.Windows = []ota.Window{{Length: time.Hour, Zone: "Mars/Olympus"}} }, `windows[0].zone ("Mars/Olympus") is unknown; allowed: an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC`},
		{"abandoned", func(s *ota.Spec) { s.Policy.MaxAbandoned = -1 }, "maxAbandoned (-1) is negative; allowed: 1 or more; 0 means the concurrency"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				spec := ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs("a", "b")}
				c.change(&spec)
				_, err := s.e.Create(s.ctx, spec)
				require.ErrorIs(s, err, ota.ErrInvalid)
				all := ota.FieldErrors(err)
				require.Len(s, all, 1, "%v", err)
				require.Equal(s, c.want, all[0].Error())
				require.ErrorContains(s, err, c.want)
				page, err := s.e.Plans(s.ctx, ota.PlanQuery{})
				require.NoError(s, err)
				require.Empty(s, page.Items, "nothing is left behind")
			})
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	inScene(t, func(s *scene) {
		_, err := s.e.Create(s.ctx, ota.Spec{
			Name: "\n", Agents: ota.AgentIDs("a", "", "a"), Shape: ota.Shape{Batches: []ota.BatchShape{{Size: 0}, {Size: 7}}},
			Policy: ota.Policy{Concurrency: -1, FailureThreshold: ptr(2.0)},
		})
		require.EqualError(s, err, `ota: create plan "\n": invalid: name ("\n") has the control character U+000A; allowed: at most 255 bytes of UTF-8 without control characters
	toVersion is missing; allowed: 1 to 255 bytes
	shape.batches[0].size (0) makes an empty or impossible batch; allowed: 1 or more, or percent; the last batch may have neither, for the rest
	concurrency (-1) is out of range; allowed: 1 to 1000000; 0 means 5
	failureThreshold (2) is out of range; allowed: 0 to 1, as a fraction: 0.1 tolerates one of ten
	agents[1].id is empty; allowed: 1 to 255 bytes
	agents[2].id ("a") is in the plan twice; allowed: every agent once
	shape.batches (2) are too many for 3 agents: batch 1 would be empty; allowed: batches of at least one agent each`)
	})
}

func TestMillionMistakes(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	require.NoError(t, err)
	for name, agents := range map[string]iter.Seq2[ota.Agent, error]{
		"duplicates": func(yield func(ota.Agent, error) bool) {
			for range n + 1 {
				if !yield(ota.Agent{ID: "same"}, nil) {
					return
				}
			}
		},
		"labels": func(yield func(ota.Agent, error) bool) {
			bad := map[string]string{"k": "\x00"}
			for i := range n {
				if !yield(ota.Agent{ID: fmt.Sprint(i), Labels: bad}, nil) {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.Create(t.Context(), ota.Spec{Name: "x", ToVersion: "2", Agents: agents})
			all := ota.FieldErrors(err)
			require.Len(t, all, 33)
			require.Equal(t, fmt.Sprintf("agents have %d more mistakes", n-32), all[32].Error())
		})
	}
}

func TestCreateStreams(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	store := memstore.New()
	e, err := ota.New(store, nil, ota.Options{})
	require.NoError(t, err)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak := heap(), uint64(0)
	p, err := e.Create(t.Context(), ota.Spec{Name: "x", ToVersion: "2", Shape: ota.Shape{Size: 1000}, Agents: func(yield func(ota.Agent, error) bool) {
		for i := range n {
			if i%(n/4) == n/4-1 {
				peak = max(peak, heap())
			}
			if !yield(ota.Agent{ID: fmt.Sprintf("agent-%08d", i)}, nil) {
				return
			}
		}
	}})
	require.NoError(t, err)
	require.Equal(t, n, p.Agents)
	require.Equal(t, n/1000, p.Batches)
	after := heap()
	t.Logf("%d bytes an agent while it is made, %d after", int(peak-before)/n, int(after-before)/n)
	require.Less(t, int(peak-before)/n, 400, "bytes an agent, with the store's own")
	require.Less(t, int(after-before)/n, 250)
	runtime.KeepAlive(store)
}

func TestCreateErrorsOfTheIterator(t *testing.T) {
	inScene(t, func(s *scene) {
		boom := fmt.Errorf("inventory is down")
		_, err := s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: func(yield func(ota.Agent, error) bool) {
			_ = yield(ota.Agent{ID: "a"}, nil) && yield(ota.Agent{}, boom)
		}})
		require.ErrorIs(s, err, boom)
		require.EqualError(s, err, `ota: create plan "x": agents[1]: inventory is down`)
	})
}

func TestRequestKey(t *testing.T) {
	inScene(t, func(s *scene) {
		spec := func(key, fingerprint string) ota.Spec {
			return ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a"), RequestKey: key, Fingerprint: fingerprint}
		}
		one, err := s.e.Create(s.ctx, spec("k", "f"))
		require.NoError(s, err)
		again, err := s.e.Create(s.ctx, spec("k", "f"))
		require.NoError(s, err)
		require.Equal(s, one, again)
		_, err = s.e.Create(s.ctx, spec("k", "g"))
		require.ErrorIs(s, err, ota.ErrExists)
		require.ErrorContains(s, err, one.ID)
		other, err := s.e.Create(s.ctx, spec("", "f"))
		require.NoError(s, err)
		require.NotEqual(s, one.ID, other.ID)
		twice := spec("", "")
		twice.ID = one.ID
		_, err = s.e.Create(s.ctx, twice)
		require.ErrorIs(s, err, ota.ErrExists)
	})
}

func TestMessagesOfVerbs(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{}, ota.Shape{}, "ok-1").ID
		for want, f := range map[string]func() error{
			`by.actor ("\n") has the control character U+000A; allowed: at most 255 bytes of UTF-8 without control characters`: func() error {
				_, err := s.e.Start(s.ctx, id, ota.Request{Actor: "\n"})
				return err
			},
			`concurrency (-1) is out of range; allowed: 1 to 1000000; 0 means 5`: func() error {
				_, err := s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency = -1 }, ota.Request{})
				return err
			},
			`hold.batches (1) names no batch of the plan; allowed: none, since the plan has only its first batch`: func() error {
				_, err := s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Hold.Batches = []int{1} }, ota.Request{})
				return err
			},
			`annotations has an empty key; allowed: 1 to 255 bytes`: func() error {
				_, err := s.e.Annotate(s.ctx, id, map[string]string{"": ""}, nil, ota.Request{})
				return err
			},
			`reports[0].agent is empty; allowed: an agent's ID`: func() error {
				return s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{}})
			},
		} {
			err := f()
			require.ErrorIs(s, err, ota.ErrInvalid)
			require.ErrorContains(s, err, want)
		}
		for _, failed := range []int{-1, math.MinInt} {
			_, err := s.e.Resume(s.ctx, id, ota.Accept(failed), ota.Request{})
			require.ErrorIs(s, err, ota.ErrInvalid)
			require.EqualError(s, err, fmt.Sprintf("ota: resume plan "+id+": accept (%d) is negative; allowed: 0 or more: how many agents of the whole plan have failed", failed))
		}
		_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
		require.EqualError(s, err, "ota: resume is not possible while plan "+id+" is pending; possible now: start, cancel, skip, edit, annotate")
		require.Len(s, s.log(id), 1)
	})
}

func TestMessagesOfOptions(t *testing.T) {
	_, err := ota.New(nil, nil, ota.Options{})
	require.EqualError(t, err, "store is missing; allowed: for example memstore.New()")
	_, err = ota.New(memstore.New(), nil, ota.Options{Lease: time.Millisecond, Poll: -1, AbandonAfter: -1, Name: "\n"})
	require.EqualError(t, err, `ota: invalid: name ("\n") has the control character U+000A; allowed: at most 255 bytes of UTF-8 without control characters
	lease (1ms) is too short; allowed: 100ms or more; 0 means 5s
	poll (-1ns) is negative; allowed: 1ms or more; 0 means 1s
	abandonAfter (-1ns) is negative; allowed: 1ms or more; 0 means 5s`)
}

// However a map is ranged over, the mistakes in it come in one order.
func TestMistakesOfAMapInOrder(t *testing.T) {
	labels := map[string]string{}
	for i := range 20 {
		labels[fmt.Sprintf("k%02d", i)] = "\x00"
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	require.NoError(t, err)
	_, err = e.Create(t.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs("a"), Labels: labels})
	all := ota.FieldErrors(err)
	require.Len(t, all, 20)
	for i, f := range all {
		require.Equal(t, fmt.Sprintf("labels[k%02d]", i), f.Field)
	}
}

// What an edit changes about the warnings is seen at once.
func TestEditRenewsWarnings(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{FailureThreshold: ptr(0.1), Budgets: []ota.Budget{{Label: "rack", Max: 1}}}, ota.Shape{}, names("ok", 13)...).ID
		tolerates := "failureThreshold 0.1 tolerates 0 of 3 agents in batch 1: the first failure there is a breach"
		bare := "13 of 13 agents have no label rack: the budget counts them as agents of one value"
		require.Equal(s, []string{tolerates, bare}, s.plan(id).Warnings)
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.FailureThreshold = ptr(0.5) }, ota.Request{}))
		require.Equal(s, []string{bare}, s.plan(id).Warnings)
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.FailureThreshold, p.Budgets = ptr(0.05), nil }, ota.Request{}))
		require.Equal(s, []string{"failureThreshold 0.05 tolerates 0 of 10 agents in batch 0: the first failure there is a breach"}, s.plan(id).Warnings)
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Scope, p.FailureThreshold = ota.ScopePlan, ptr(0.08) }, ota.Request{}))
		require.Empty(s, s.plan(id).Warnings)
	})
}

func TestWarnings(t *testing.T) {
	inScene(t, func(s *scene) {
		require.Equal(s, []string{"failureThreshold 0.1 tolerates 0 of 3 agents in batch 1: the first failure there is a breach"},
			s.create(ota.Policy{FailureThreshold: ptr(0.1)}, ota.Shape{}, names("ok", 13)...).Warnings)
		require.Empty(s, s.create(ota.Policy{FailureThreshold: ptr(0.1)}, ota.Shape{}, names("ok", 20)...).Warnings)
		require.Empty(s, s.create(ota.Policy{}, ota.Shape{}, names("ok", 13)...).Warnings)
		require.Equal(s, []string{"failureThreshold 0.1 tolerates 0 of 9 agents in batch 0: the first failure there is a breach"},
			s.create(ota.Policy{}, ota.Shape{Size: 9}, names("ok", 20)...).Warnings)
		require.Equal(s, []string{"scope first without expect: after the first batch, no number of failures is a breach"},
			s.create(ota.Policy{FailureThreshold: ptr(0.1), Scope: ota.ScopeFirst}, ota.Shape{}, names("ok", 20)...).Warnings)
		require.Empty(s, s.create(ota.Policy{Expect: &ota.Expect{Normal: 0.1}}, ota.Shape{}, names("ok", 20)...).Warnings)
		require.Empty(s, s.create(ota.Policy{FailureThreshold: ptr(0.0)}, ota.Shape{}, "ok-1").Warnings)
		require.Equal(s, []string{"failureThreshold 0.1 tolerates 0 of 3 agents: the first failure is a breach"},
			s.create(ota.Policy{Scope: ota.ScopePlan}, ota.Shape{Size: 1}, names("ok", 3)...).Warnings)
	})
}

// manyBudgets are n budgets, of different labels.
func manyBudgets(n int) (all []ota.Budget) {
	for i := range n {
		all = append(all, ota.Budget{Label: fmt.Sprint("label", i), Max: 1})
	}
	return all
}

// manyValues gives n values a number.
func manyValues(n int) map[string]int {
	all := map[string]int{}
	for i := range n {
		all[fmt.Sprint(i)] = 1
	}
	return all
}
