package ota

import (
	"context"
	"time"
)

// Leaser is a Store that knows which engines are alive. Without it the last engine to start
// driving a plan owns it, and two engines on one Store take plans from each other.
type Leaser interface {
	// Renew records that engine is alive for ttl from now, by the Store's clock. A ttl of 0 ends
	// the lease at once.
	Renew(ctx context.Context, engine string, ttl time.Duration) error
	// Owners returns the engines whose lease has not expired, by the Store's clock.
	Owners(ctx context.Context) ([]string, error)
}

// Notifier is a Store that sends notice of changed plans. Without it the engine finds changes by
// other processes by polling, every Options.Poll.
type Notifier interface {
	// Changes returns a channel with the IDs of plans that were created, changed by a commit, or
	// sent a message. It is closed when ctx ends. It may lose, merge and repeat IDs: each is only
	// a hint. A slow reader never delays a Commit.
	Changes(ctx context.Context) (<-chan string, error)
}

// Claimer is a Store that allows an agent in only one active plan. Without it two plans may
// upgrade one agent at the same time; each plan has a warning about that. A Claimer that is no
// Leaser keeps no agent: see Keep.
type Claimer interface {
	// Claim claims every agent of plan for it, or none. conflicts lists at most 32 agents that
	// another plan has claimed; total is their number. Claims of a plan that has ended (its
	// Head.Ended is set) are void. from, if not empty, is a plan whose claims are taken over.
	// Repeating a claim is success. A plan may claim before it is started, and keeps its claims
	// until it ends. ErrNotFound when there is no such plan.
	//
	// An agent that Kept would list for another plan is a conflict too, with its Engine, unless
	// from is not empty. Claim ignores an agent that plan has released: it is never claimed again,
	// and is never a conflict.
	Claim(ctx context.Context, plan, from string) (conflicts []Conflict, total int, err error)

	// Keep records that calls of engine for these agents of plan have not returned. The list is
	// complete: it replaces the previous list of the same plan and engine, and an empty list
	// deletes it. Agents that plan does not have are ignored. A kept claim outlives the end of its
	// plan and Prune. It is void while the lease of engine has ended; the caller renews that lease
	// first. For a plan that was pruned, Keep only removes agents. Repeating it is success.
	Keep(ctx context.Context, plan, engine string, agents []string) error

	// Kept returns the agents of plan that are kept for any plan, in the order of plan. Each is
	// listed once, with one plan and one engine that keep it. ErrNotFound when there is no such
	// plan.
	Kept(ctx context.Context, plan string) ([]Conflict, error)

	// Release ends the claims of plan on these agents, permanently. It ends no kept claim. It
	// ignores agents that plan does not have or has not claimed. Repeating it is success, and so
	// is a plan that does not exist.
	Release(ctx context.Context, plan string, agents []string) error

	// Holders returns the IDs of the plans that have claimed any of these agents, at most 1,000
	// agents. Each plan is listed once, in any order. Void claims, and kept ones, do not count.
	Holders(ctx context.Context, agents []string) (plans []string, err error)
}

// Inbox is a Store that passes reports to the process that owns a plan. Without it every process
// except the owner's refuses reports.
type Inbox interface {
	// Post appends messages to the inbox of a plan, all of them or none. It drops a message whose
	// ID was posted to this plan before. It ignores Number: the Store numbers messages. It returns
	// ErrNotFound if there is no such plan, and ErrRefused if it can never keep these messages.
	Post(ctx context.Context, plan string, messages []Message) error
	// Read returns the messages above after, in order, at most limit of them; 0 means DefaultPage.
	// ErrNotFound when there is no such plan.
	Read(ctx context.Context, plan string, after uint64, limit int) ([]Message, error)
}

// Message is one report on its way to a plan's owner.
type Message struct {
	Number uint64 // assigned by the Store, rising
	ID     string // assigned by the sender, unique in the plan
	Body   []byte
}

// Pruner is a Store that can delete ended plans. The engine never calls it: only your program
// does.
type Pruner interface {
	// Prune deletes the plans with a Head.Ended before the given time, with their agents, log,
	// claims and messages. It returns how many.
	Prune(ctx context.Context, before time.Time) (plans int, err error)
}
