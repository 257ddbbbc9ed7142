package ota

import (
	"context"
	"iter"
	"time"

	"github.com/seed-19b57ce3/ota/internal/wrap"
)

// Store keeps plans. Package memstore is the reference implementation; storetest checks an implementation
// of your own.
//
// A plan's state has two halves, each with a number of its own. Control is written by verbs, from
// any process. Progress is written only by the plan's owner, under the epoch of its ownership. One
// method, Commit, must be atomic. All methods are safe for concurrent use. A method called after
// another one has returned sees what that one wrote. A Store keeps no reference to its arguments,
// and returns no reference to what it keeps.
//
// A method whose ctx ends returns the context's error. It may have written nothing, or all of its
// change; or a database that is still at work may write all of it a moment later. The engine reads
// the plan again. If the change arrives in between, the numbers that its next Commit compares
// detect it.
//
// A Store keeps every text exactly as it is given, or refuses the write with ErrRefused. It keeps
// every text that is UTF-8 without NUL: of 255 bytes everywhere, of 4 KiB in the error of a task,
// of 64 KiB in an annotation. A write that can never succeed, for any reason, is an error that
// matches ErrRefused, and changes nothing. Any other error, except those named below, means that
// the same write may succeed later: the engine tries it again. The engine never repeats a refused
// write. It pauses the plan instead, or takes a rollback back, and records why.
//
// A Store may have optional interfaces: Claimer, Leaser, Notifier, Inbox and Pruner. A wrapper
// hides those of the Store that it wraps, even if it embeds it. Two plans may then upgrade one
// agent, for example. Give each wrapper a method that returns what it wraps:
//
//	func (w counting) Unwrap() ota.Store { return w.Store }
//
// The engine then finds them behind the wrapper, as [As] does, and calls them past it. So a
// wrapper that renames plans must have all five itself. An Unwrap that returns nil hides them on
// purpose. New refuses a struct that has a Store in a field, hides its optional interfaces, and
// has no Unwrap. New logs the interfaces that it found.
type Store interface {
	// Create reads agents to their end and makes the plan visible in one step, at revision 1,
	// Control number 1, Progress number 1 and epoch 0. Nothing of it is visible before. Create
	// calls p.Finish once, after the last agent, for the parts that depend on the agents. It
	// returns an error that agents yields, or that Finish returns, unchanged, and then keeps
	// nothing. It returns ErrExists when the ID or the request key is taken, *DuplicateError when
	// an agent comes twice, or ErrRefused. Commits of other plans do not wait for a whole Create.
	Create(ctx context.Context, p NewPlan, agents iter.Seq2[AgentRow, error]) error

	// Commit applies all of c or nothing, and returns the plan's new revision, which is one higher
	// each time. It is durable when it returns. ErrNotFound, ErrFenced (the epoch is not the
	// stored one), ErrConflict (a number is not the stored one) and ErrRefused mean that nothing
	// was changed. After any other error the result is unknown. Its cost depends on what changed,
	// never on the size of the plan.
	Commit(ctx context.Context, c Commit) (revision uint64, err error)

	// Plan returns one plan, or ErrNotFound. Its cost does not depend on the size of the fleet.
	Plan(ctx context.Context, id string) (PlanRow, error)

	// Plans returns one page of plans, newest first.
	Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error)

	// Batches returns one page of a plan's batches, by index.
	Batches(ctx context.Context, plan string, q RowQuery) (Page[BatchRow], error)

	// Agents returns one page of a plan's agents, by ordinal.
	Agents(ctx context.Context, plan string, q RowQuery) (Page[AgentRow], error)

	// Log returns the records with a revision above after, in order and without gap. limit is the
	// largest number of records; 0 means DefaultPage. If there is none yet, it returns an empty
	// slice. It returns ErrNotFound when there is no such plan.
	Log(ctx context.Context, plan string, after uint64, limit int) ([]LogRow, error)
}

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
	// another plan has claimed; total is their number. Claims of a plan that has ended are void.
	// from, if not empty, is a plan whose claims are taken over. Repeating a claim is success. A
	// plan may claim before it is started, and keeps its claims until it ends. ErrNotFound when
	// there is no such plan.
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
}

// Inbox is a Store that passes reports to the process that owns a plan. Without it every process
// except the owner's refuses reports.
type Inbox interface {
	// Post appends messages for a plan. A message whose ID was posted before is dropped. The
	// Number of a message is ignored. ErrNotFound when there is no such plan; ErrRefused, as for
	// Create and Commit.
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

// NewPlan is a plan about to be created.
type NewPlan struct {
	ID          string
	Source      string // the plan that it rolls back; empty otherwise
	RequestKey  string // unique among plans when not empty
	Fingerprint string
	Labels      map[string]string
	CreatedAt   time.Time
	// Finish is called once, after the last agent, and returns the parts that depend on the
	// agents.
	Finish func() (Created, error)
}

// Created is the rest of a NewPlan, once its agents are known.
type Created struct {
	Spec     PlanSpec
	Control  Control
	Progress Progress
	Status   Status
	Head     Head
	Batches  []BatchRow
	Log      []byte // record 1
}

// Commit is one atomic change of one plan. Parts that are zero stay as they are. A row that the
// plan does not have, an empty Log, and Raise without Owner are mistakes of the caller:
// ErrRefused, and nothing is changed.
type Commit struct {
	Plan string
	// Request is a verb's request ID; it is stored in the log record.
	Request string

	// Control must equal the stored Control number.
	Control uint64
	// Progress must equal the stored Progress number, in an owner's commit and when Exact is set.
	Progress uint64
	// Epoch must equal the stored epoch in an owner's commit; it is 0 in a verb's.
	Epoch uint64
	// Owner marks an owner's commit: Epoch and Progress are compared in addition to Control.
	Owner bool
	// Raise takes the ownership: the stored epoch becomes Epoch+1. Only an owner's commit may set
	// it.
	Raise bool
	// Exact makes a verb's commit compare Progress too.
	Exact bool

	// NewControl replaces the Control half and raises its number by one.
	NewControl *Control
	// BumpControl raises the Control number by one without a new half; a new breach and the end of
	// a plan do this. Together with NewControl it adds nothing.
	BumpControl bool
	// NewProgress replaces the Progress half and raises its number by one.
	NewProgress *Progress
	// Status is the plan's status after this commit, for Plans to select by.
	Status Status
	// Head replaces the stored Head; nil leaves it.
	Head *Head
	// Batches replace the rows of their Index.
	Batches []BatchRow
	// Agents replace the State of the rows of their Ordinal; the Agent part is ignored.
	Agents []AgentRow
	// Log is this commit's log record, never empty.
	Log []byte
}

// PlanRow is a plan as a Store returns it.
type PlanRow struct {
	ID             string
	Source         string
	RequestKey     string
	Fingerprint    string
	Spec           PlanSpec
	Control        Control
	Progress       Progress
	ControlNumber  uint64
	ProgressNumber uint64
	Epoch          uint64
	Revision       uint64
	Status         Status // as the last commit wrote it
	Head           Head   // as the last commit with a Head wrote it
}

// Head is what lists select by and show. The core computes it for every commit that may change it.
// A verb computes it from the plan as the verb has read it, which may be a commit of the owner ago.
// A Store shows it to people as it is, with words for the numbers.
type Head struct {
	Status   Status
	Hold     Reason    // what holds the plan, as of its last commit; ReasonNone for nothing
	Since    time.Time // since when; zero when Hold is ReasonNone
	Person   bool      // the plan waits for a person: a verb would let it go on
	Ended    time.Time // when the plan ended, for Prune; zero while it has not ended
	Owner    string    // the engine that drove the plan last; empty before the first one
	Coverage Coverage  // how much of the fleet is at the target
	// Show is a JSON object for people: counts, batch, owner, breach; or empty. The library never
	// reads it.
	Show []byte
}

// newer reports whether the plan was written by a newer version of this library.
func (r *PlanRow) newer() bool {
	return max(r.Spec.Schema, r.Control.Schema, r.Progress.Schema) > Schema
}

// LogRow is one record of a plan's log as a Store returns it.
type LogRow struct {
	Revision uint64
	Request  string
	Data     []byte
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	// More says that further items follow the last one.
	More bool
	// Total is how many items match in all, if the query asked for it.
	Total int
}

// PlanQuery selects plans. The zero value selects all of them, DefaultPage at a time.
type PlanQuery struct {
	Status []Status          // any of these; empty means all
	Labels map[string]string // all of these, exactly
	Source string            // only rollback plans of this plan
	Key    string            // only the plan with this request key
	Offset int               // how many to skip
	Limit  int               // at most this many; 0 means DefaultPage
	Total  bool              // count all matches too, whatever Offset is
}

// RowQuery selects batches by index, or agents by ordinal.
type RowQuery struct {
	From   int          // the first index or ordinal
	To     int          // the one after the last; 0 means no end
	Status []TaskStatus // agents: any of these; empty means all
	IDs    []string     // agents: only these; at most 1,000
	Limit  int          // at most this many; 0 means DefaultPage
	Total  bool         // count all matches between From and To too
	// Buffer is memory of the caller for agents. A Store may fill and return it instead of new
	// memory.
	Buffer []AgentRow
}

// DefaultPage is the length of a page if a query gives none.
const DefaultPage = 1000

// executorCompanions are the optional interfaces of an Executor. A field is nil if the Executor
// does not have it. The fields are the table: an interface without a field is neither looked for
// nor protected from being hidden.
type executorCompanions struct {
	Prechecker Prechecker
	Prober     Prober
	Inspector  Inspector
	Gater      Gater
}

// storeCompanions are the optional interfaces of a Store.
type storeCompanions struct {
	Claimer  Claimer
	Leaser   Leaser
	Notifier Notifier
	Inbox    Inbox
	Pruner   Pruner
}

// companions are those of an Engine, found once, by New.
type companions struct {
	executorCompanions
	storeCompanions
}

// As returns the outermost value that is a T, of v and of what v wraps: where v has a method
// Unwrap() Executor or Unwrap() Store, v wraps the value that it returns, and so on, at most 64
// deep. The engine finds all optional interfaces this way. Wrappers of other interfaces, such as
// simulate.Fleet, work alike. Use it instead of a type assertion on a value that may be wrapped:
//
//	pruner, ok := ota.As[ota.Pruner](store)
func As[T any](v any) (T, bool) { return wrap.As[T](v) }

// Companions returns the names of the optional interfaces that v, an Executor or a Store, has by
// itself or by what it wraps (see As), for example "Claimer". A test of a wrapper compares them
// with those of what is wrapped.
func Companions(v any) []string {
	return wrap.Names(v, &executorCompanions{}, &storeCompanions{})
}

// findCompanions fills table with the companions of outer. It refuses an outer that is nil inside,
// wraps itself, or hides a companion.
func findCompanions[W any](m *mistakes, field string, outer W, table any) {
	wrap.Find(outer, table, func(value, problem, allowed string) { m.add(field, value, problem, allowed) })
}
