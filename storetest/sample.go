package storetest

import (
	"fmt"
	"iter"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// sample is a plan to be created.
type sample struct {
	plan    ota.NewPlan
	created ota.Created
	agents  []ota.AgentRow
}

// sample returns a plan of that many agents in batches of size, with every kind of field in use.
func (e *env) sample(id string, agents, size int) *sample {
	threshold := 0.25
	p := &sample{
		plan: ota.NewPlan{
			ID: id, Fingerprint: "print-" + id, Labels: map[string]string{"app": id, "ring": "1"}, CreatedAt: e.now(0),
		},
		created: ota.Created{
			Spec: ota.PlanSpec{
				Schema: ota.Schema, Name: "plan " + id, FromVersion: "1.0", ToVersion: "2.0", CreatedBy: "ann",
				CreatedAt: e.now(0), Labels: map[string]string{"app": id, "ring": "1"}, Agents: agents,
				Batches: (agents + size - 1) / size, Warnings: []string{"tolerates none"},
			},
			Control: ota.Control{
				Schema: ota.Schema, Annotations: map[string]string{"note": "as made"},
				Policy: ota.Policy{
					Concurrency: 7, FailureThreshold: &threshold, Hold: ota.Hold{Batches: []int{1, 2}},
					Observe: ota.Observe{Wait: time.Minute}, AttemptLimit: time.Hour, QueueLimit: ota.NoLimit,
				},
			},
			Progress: ota.Progress{Schema: ota.Schema, Counts: ota.Counts{Pending: agents}, Announced: ota.StatusPending},
			Status:   ota.StatusPending,
			Log:      []byte("record 1 of " + id),
		},
	}
	for i := range agents {
		row := ota.AgentRow{Ordinal: i, Batch: i / size, Agent: ota.AgentSpec{ID: fmt.Sprintf("%s-%05d", id, i)}}
		if i%3 == 1 {
			row.Agent.Version = fmt.Sprintf("1.%d", i)
			row.Agent.Labels = map[string]string{"zone": fmt.Sprint("z", i%2)}
		}
		p.agents = append(p.agents, row)
	}
	for first := 0; first < agents; first += size {
		n := min(size, agents-first)
		p.created.Batches = append(p.created.Batches, ota.BatchRow{
			Index: len(p.created.Batches), Name: fmt.Sprint("batch ", first), First: first, Size: n, Cursor: first,
			Counts: ota.Counts{Pending: n},
		})
	}
	p.plan.Finish = func() (ota.Created, error) { return p.created, nil }
	return p
}

// rows yields the agents, as a Create reads them.
func (p *sample) rows() iter.Seq2[ota.AgentRow, error] {
	return p.rowsThen(len(p.agents), nil)
}

// rowsThen yields the first n agents, then calls then, if any, and goes on.
func (p *sample) rowsThen(n int, then func() error) iter.Seq2[ota.AgentRow, error] {
	return func(yield func(ota.AgentRow, error) bool) {
		for i, row := range p.agents {
			if i == n && then != nil {
				if err := then(); err != nil {
					yield(ota.AgentRow{}, err)
					return
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// row is the plan as it is right after Create.
func (p *sample) row() ota.PlanRow {
	return ota.PlanRow{
		ID: p.plan.ID, Source: p.plan.Source, RequestKey: p.plan.RequestKey, Fingerprint: p.plan.Fingerprint,
		Spec: p.created.Spec, Control: p.created.Control, Progress: p.created.Progress, Status: p.created.Status,
		ControlNumber: 1, ProgressNumber: 1, Revision: 1,
	}
}

// busy is a state that every field has a part in.
func (e *env) busy(n int) ota.AgentState {
	at := e.now(n).UnixNano()
	return ota.AgentState{
		Status: ota.TaskWaiting, Flags: ota.AgentTouched | ota.AgentOpen,
		Task: ota.TaskState{
			Status: ota.TaskSucceeded, Why: ota.ReasonSucceeded, Tries: 2, Number: uint32(n), Started: at, Ended: at + 1,
		},
		Rest: []ota.TaskState{
			{Status: ota.TaskWaiting, Why: ota.ReasonBackoff, Started: at, Ended: at + 2, More: &ota.TaskMore{
				Version: "1.9", Error: "no route to host", Away: at,
			}},
			{Status: ota.TaskPending},
		},
		More: &ota.AgentMore{Previous: "1.0", Unhealthy: at},
	}
}
