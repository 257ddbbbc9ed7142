package keep

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The companions are interfaces that a Store may have besides. The engine finds them by type
// assertion.

// Leaser is a Store that knows which engines are alive. Without it the last engine that starts
// driving a plan owns it, and two engines on one Store take plans from each other.
type Leaser interface {
	// Renew records that engine is alive for ttl from now, by the Store's clock. A ttl of 0 ends
	// the lease at once.
	Renew(ctx context.Context, engine string, ttl time.Duration) error
	// Owners returns the engines whose lease has not ended, by the Store's clock, in any order.
	Owners(ctx context.Context) ([]string, error)
}

// Notifier is a Store that announces changes of plans. Without it the engine finds changes by other
// processes every Options.Poll.
type Notifier interface {
	// Changes returns a channel of IDs of plans that were created, committed or posted to. It is
	// closed when ctx ends. IDs may be lost, merged and repeated: each is a hint. A slow reader
	// never slows a Commit.
	Changes(ctx context.Context) (<-chan string, error)
}

// Claimer is a Store that allows an agent in one active plan only. Without it two plans may upgrade
// one agent at the same time, and each plan has a warning about that. The agents of a plan are the
// IDs of its rows of KindAgent.
//
// A plan holds a claim from Claim until it has ended (Head.Ended is set), is pruned, or releases
// the agent. A kept agent is held by the engine whose call for it has not returned; that does not
// depend on the plan.
type Claimer interface {
	// Claim takes every agent of plan for it, or none. conflicts lists at most 32 agents that
	// another plan holds, or that are kept for another plan, in order of their numbers; total is
	// how many there are. from, when not empty, is a plan whose claims are taken over; kept agents
	// are no conflict then. An agent that plan has released is left out. Repeating a Claim is
	// success. A plan may claim before it is started. ErrNotFound: there is no such plan.
	Claim(ctx context.Context, plan, from string) (conflicts []ota.Conflict, total int, err error)

	// Keep records which agents of plan have a call of engine that has not returned. The list
	// replaces the former one of the same plan and engine; an empty list ends it. Agents that plan
	// does not have are ignored. Kept agents outlive the end of the plan and Prune. They count only
	// while the lease of engine lasts: the caller renews it first. A Store that is no Leaser keeps
	// none. For a plan that was pruned Keep only takes away.
	Keep(ctx context.Context, plan, engine string, agents []string) error

	// Kept returns the agents of plan that are kept, for whatever plan, in order of their numbers,
	// each once. ErrNotFound: there is no such plan.
	Kept(ctx context.Context, plan string) ([]ota.Conflict, error)

	// Release ends the claims of plan on these agents for good. It changes no kept agent. Agents
	// that plan does not hold are ignored, and so is a plan that does not exist.
	Release(ctx context.Context, plan string, agents []string) error

	// Holders returns the IDs of the plans that hold any of these agents, at most 1,000 agents,
	// each plan once, in any order.
	Holders(ctx context.Context, agents []string) (plans []string, err error)
}

// Inbox is a Store that carries reports to the process that drives a plan. Without it only that
// process accepts reports.
type Inbox interface {
	// Post appends messages for a plan and numbers them. A message whose ID was posted before is
	// dropped. ErrNotFound: there is no such plan.
	Post(ctx context.Context, plan string, messages []Message) error
	// Read returns the messages with a number above after, in order, at most limit, 0 meaning
	// DefaultPage. ErrNotFound: there is no such plan.
	Read(ctx context.Context, plan string, after uint64, limit int) ([]Message, error)
}

// Message is one report on its way to the engine that drives a plan.
type Message struct {
	Number uint64 // set by the Store, rising
	ID     string // set by the sender, unique in the plan
	Body   []byte
}

// Pruner is a Store that can delete. Nothing is deleted without these calls.
type Pruner interface {
	// Prune deletes the plans with a Head.Ended before the given time, with their rows, log, claims
	// and messages, and returns how many.
	Prune(ctx context.Context, before time.Time) (plans int, err error)
	// Delete deletes one plan in the same way, if its numbers are as in a Commit. ErrNotFound,
	// ErrFenced, ErrConflict.
	Delete(ctx context.Context, plan string, numbers Numbers) error
}
