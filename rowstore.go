package ota

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
	"github.com/seed-19b57ce3/ota/internal/reuse"
)

// rowStore is a Store as the engine uses it: with rows instead of bytes.
type rowStore struct {
	store    Store
	observer *observer // is notified of commits; nil: none
}

// newPlan is a plan about to be created.
type newPlan struct {
	ID          string
	Source      string // the plan that it rolls back; empty otherwise
	RequestKey  string // unique among plans when not empty
	Fingerprint string
	Labels      map[string]string
	Index       []string
	CreatedAt   time.Time
	// Finish is called once, after the last agent, and returns the parts that depend on the
	// agents.
	Finish func() (createdPlan, error)
}

// createdPlan is the rest of a newPlan, once its agents are known.
type createdPlan struct {
	Spec     planSpec
	Control  planControl
	Progress planProgress
	Head     Head
	Batches  []batchRow
	Log      []byte // record 1
}

// planCommit is one change of one plan, but for its rows.
type planCommit struct {
	Plan string
	// Control must equal the stored Control number.
	Control uint64
	// Progress must equal the stored Progress number, in an owner's commit and when Exact is set.
	Progress uint64
	// Epoch must equal the stored epoch in an owner's commit; it is 0 in a verb's.
	Epoch uint64
	// Owner marks an owner's commit: Epoch and Progress are compared in addition to Control.
	Owner bool
	// Raise takes the ownership: the stored epoch becomes Epoch+1.
	Raise bool
	// Exact makes a verb's commit compare Progress too.
	Exact bool

	// NewControl replaces the Control half and raises its number by one.
	NewControl *planControl
	// BumpControl raises the number of Control by one and leaves Control as it is. So verbs that
	// were decided before this commit are refused. A new breach and the end of a plan set it.
	// NewControl raises the number already: with both, it rises by one.
	BumpControl bool
	// NewProgress replaces the Progress half and raises its number by one.
	NewProgress *planProgress
	Head        *Head
	// Log is the log record. Notable says that it is worth showing to people.
	Log     []byte
	At      time.Time
	Notable bool

	// For the Observer only: the plan's name, its status before, and its counts.
	Name   string
	Was    Status
	Counts *Counts
}

// planRow is a plan as a Store returns it.
type planRow struct {
	ID             string
	Source         string
	RequestKey     string
	Fingerprint    string
	Spec           planSpec
	Control        planControl
	Progress       planProgress
	ControlNumber  uint64
	ProgressNumber uint64
	Epoch          uint64
	Revision       uint64
	Status         Status // as the last commit wrote it
	Head           Head   // as the last commit with a Head wrote it
	// unreadable is why the parts could not be decoded; nil: they were. The rest comes from columns
	// then, and an engine leaves the plan alone.
	unreadable error
}

// newer reports whether the plan was written by a newer version of this library.
func (r *planRow) newer() bool { return errors.Is(r.unreadable, errSchema) }

// rowQuery selects batches by index, or agents by ordinal.
type rowQuery struct {
	From, To int
	Status   []TaskStatus // agents: any of these; empty means all
	Down     bool         // agents: only those that are down and not busy, whatever Status says
	IDs      []string     // agents: only these; at most 1,000
	Reason   []Reason
	Prefix   string
	Label    Label
	Cursor   string
	Limit    int // at most this many; 0 means DefaultPage
	Total    bool
	// Buffer is memory of the caller for agents.
	Buffer []agentRow
}

// Create makes a plan. Its errors are those of [Store], and those of agents and of p.Finish.
func (s rowStore) Create(ctx context.Context, p newPlan, agents iter.Seq2[agentRow, error]) error {
	row := PlanRow{
		ID: p.ID, Source: p.Source, Key: p.RequestKey, Created: p.CreatedAt, Index: p.Index, Names: Names{Labels: p.Labels},
	}
	rows := func(yield func(Row, error) bool) {
		var buf []byte
		for a, err := range agents {
			var r Row
			if err == nil {
				r, buf, err = newAgentRow(&a, buf[:0])
			}
			if !yield(r, err) {
				return
			}
		}
	}
	began := s.observer.now()
	var done createdPlan
	err := s.store.Create(ctx, row, rows, func() (_ Commit, err error) {
		if done, err = p.Finish(); err != nil {
			return Commit{}, err
		}
		return firstCommit(&p, &done), nil
	})
	if err == nil {
		s.observer.committed(1, began, done.observed(p.ID))
	}
	return err
}

// newAgentRow encodes an agent of a new plan into buf. An agent that was never started has no
// state.
func newAgentRow(a *agentRow, buf []byte) (r Row, used []byte, err error) {
	buf = a.Agent.appendPart(buf)
	n := len(buf)
	if !a.State.fresh() {
		buf, err = a.State.AppendBinary(buf)
	}
	return Row{
		Kind: KindAgent, Number: a.Ordinal, ID: a.Agent.ID, Batch: a.Batch, Labels: a.Agent.Labels,
		Fixed: buf[:n:n], State: buf[n:], Status: uint8(a.State.Status), Reason: a.State.reason(),
	}, buf, err
}

func firstCommit(p *newPlan, c *createdPlan) Commit {
	spec := specPart{planSpec: c.Spec, Fingerprint: p.Fingerprint}
	k := Commit{
		Names: &Names{Name: c.Spec.Name, Labels: p.Labels}, Head: &c.Head,
		Parts: Parts{Spec: spec.appendPart(nil), Control: c.Control.appendPart(nil), Progress: c.Progress.appendPart(nil)},
		Log:   LogRow{At: p.CreatedAt, Notable: true, Data: c.Log},
	}
	for i := range c.Batches {
		b := &c.Batches[i]
		k.Rows = append(k.Rows, Row{
			Kind: KindBatch, Number: b.Index, Status: uint8(b.Status), State: b.appendPart(nil), Show: showBatch(nil, b),
		})
	}
	return k
}

// commitWriter encodes commits, one after the other, in the same memory.
type commitWriter struct {
	buf  []byte
	rows []Row
}

func (w *commitWriter) reset() {
	if w.buf == nil { // enough for most commits
		w.buf, w.rows = make([]byte, 0, 4<<10), make([]Row, 0, 72)
	}
	w.buf, w.rows = w.buf[:0], w.rows[:0]
}

// unreadable reports whether an error says that the parts of a plan cannot be decoded.
func unreadable(err error) bool { return errors.Is(err, errSchema) || errors.Is(err, errDamaged) }

// take returns what was appended to b, which began as w.buf.
func (w *commitWriter) take(b []byte) []byte {
	n := len(w.buf)
	w.buf = b
	return b[n:len(b):len(b)]
}

// row adds a row. It writes only the fields that the rows of commits use: a whole Row is large.
func (w *commitWriter) row(kind Kind, number int, status uint8, why Reason, state []byte) *Row {
	n := len(w.rows)
	w.rows = slices.Grow(w.rows, 1)[:n+1]
	r := &w.rows[n]
	r.Kind, r.Number, r.Status, r.Reason, r.State = kind, number, status, why, state
	if r.Show != nil {
		r.Show = nil // of an earlier commit
	}
	return r
}

// agent adds the state of an agent.
func (w *commitWriter) agent(ordinal int, s *agentState) error {
	b, err := s.AppendBinary(w.buf)
	r := w.row(KindAgent, ordinal, s.rowStatus(), s.reason(), w.take(b))
	if show := showAgent(w.buf, s); len(show) > len(w.buf) { // few agents have an error
		r.Show = w.take(show)
	}
	return err
}

// batch adds a batch.
func (w *commitWriter) batch(b *batchRow) {
	r := w.row(KindBatch, b.Index, uint8(b.Status), ReasonNone, w.take(b.appendPart(w.buf)))
	r.Show = w.take(showBatch(w.buf, b))
}

// commit returns the commit with the rows that were added. It is valid until the next reset.
func (w *commitWriter) commit(c *planCommit) Commit {
	k := Commit{
		Plan: c.Plan, If: Numbers{Control: c.Control}, Head: c.Head, Rows: w.rows,
		Log: LogRow{At: c.At, Notable: c.Notable, Data: c.Log},
	}
	if c.Owner {
		k.If.Epoch = c.Epoch + 1
	}
	if c.Owner || c.Exact {
		k.If.Progress = c.Progress
	}
	if c.Raise {
		k.Then.Epoch = k.If.Epoch + 1
	}
	if c.NewControl != nil || c.BumpControl {
		k.Then.Control = c.Control + 1
	}
	if c.NewControl != nil {
		k.Parts.Control = w.take(c.NewControl.appendPart(w.buf))
	}
	if c.NewProgress != nil {
		k.Then.Progress = c.Progress + 1
		k.Parts.Progress = w.take(c.NewProgress.appendPart(w.buf))
	}
	return k
}

// Commit makes a commit without rows.
func (s rowStore) Commit(ctx context.Context, c planCommit) (revision uint64, err error) {
	var w commitWriter
	return s.write(ctx, &c, &w)
}

// write makes a commit with the rows of w, and notifies the observer when the Store has it.
func (s rowStore) write(ctx context.Context, c *planCommit, w *commitWriter) (revision uint64, err error) {
	began := s.observer.now()
	revision, err = s.store.Commit(ctx, w.commit(c))
	if err == nil {
		s.observer.committed(revision, began, c)
	}
	return revision, err
}

// Plan returns one plan. Parts that cannot be decoded are an error: nothing may be decided by them.
func (s rowStore) Plan(ctx context.Context, id string) (planRow, error) {
	row, err := s.listed(ctx, id)
	if err == nil && row.unreadable != nil {
		return planRow{}, row.unreadable
	}
	return row, err
}

// listed returns one plan, for readers. A plan that cannot be decoded has only its columns.
func (s rowStore) listed(ctx context.Context, id string) (planRow, error) {
	p, err := s.store.Plan(ctx, id)
	if err != nil {
		return planRow{}, err
	}
	return readPlan(&p), nil
}

// readPlan decodes a plan. Its numbers begin at 1 in a Store; the epoch of the engine is one less.
func readPlan(p *PlanRow) planRow {
	r := planRow{
		ID: p.ID, Source: p.Source, RequestKey: p.Key, ControlNumber: p.Numbers.Control, ProgressNumber: p.Numbers.Progress,
		Epoch: p.Numbers.Epoch - 1, Revision: p.Revision, Status: p.Head.Status, Head: p.Head,
	}
	var spec specPart
	err := errors.Join(spec.decodePart(p.Parts.Spec), r.Control.decodePart(p.Parts.Control), r.Progress.decodePart(p.Parts.Progress))
	r.Spec, r.Fingerprint = spec.planSpec, spec.Fingerprint
	if err != nil {
		r.unreadable = err
		r.Spec = planSpec{Name: p.Names.Name, Labels: p.Names.Labels, CreatedAt: p.Created, Source: p.Source}
		r.Control, r.Progress = planControl{}, planProgress{Owner: p.Head.Owner, EndedAt: p.Head.Ended}
	}
	return r
}

// Plans returns one page of plans.
func (s rowStore) Plans(ctx context.Context, q PlanQuery) (Page[planRow], error) {
	page, err := s.store.Plans(ctx, q)
	out := pageOf(page, make([]planRow, len(page.Items)))
	for i := range page.Items {
		out.Items[i] = readPlan(&page.Items[i])
	}
	return out, err
}

// pageOf is a page with other items.
func pageOf[T, F any](p Page[F], items []T) Page[T] {
	return Page[T]{Items: items, More: p.More, Next: p.Next, Total: p.Total, Partial: p.Partial}
}

// Batches returns one page of a plan's batches, by index.
func (s rowStore) Batches(ctx context.Context, plan string, q rowQuery) (Page[batchRow], error) {
	page, err := s.store.Rows(ctx, plan, RowQuery{Kind: KindBatch, From: q.From, To: q.To, Limit: q.Limit, Total: q.Total})
	out := pageOf(page, make([]batchRow, len(page.Items)))
	for i := 0; i < len(page.Items) && err == nil; i++ {
		err = out.Items[i].decodePart(page.Items[i].State)
	}
	return out, err
}

// rowDown is added to the Status of the row of an agent that is down, so that a Store finds these
// rows quickly.
const rowDown = 8

func (a *agentState) rowStatus() uint8 {
	if a.down() {
		return uint8(a.Status) + rowDown
	}
	return uint8(a.Status)
}

// statuses are those of the rows that the query selects.
func (q *rowQuery) statuses() []uint8 {
	if q.Down {
		var all []uint8
		for st := TaskPending; st <= TaskUnknown; st++ {
			if !busy(st) {
				all = append(all, uint8(st)+rowDown)
			}
		}
		return all
	}
	all := make([]uint8, 0, 2*len(q.Status))
	for _, st := range q.Status {
		all = append(all, uint8(st), uint8(st)+rowDown)
	}
	return all
}

// maxIDs is how many agents a query may name.
const maxIDs = 1000

// rowBuffers are used while a page of rows is decoded.
var rowBuffers reuse.Pool[[]Row]

// Agents returns one page of a plan's agents, by ordinal.
func (s rowStore) Agents(ctx context.Context, plan string, q rowQuery) (Page[agentRow], error) {
	if n := len(q.IDs); n > maxIDs {
		return Page[agentRow]{}, fmt.Errorf("ota: %s asked for by ID, at most %d are possible", plural.Count(n, "agent"), maxIDs)
	}
	buffer := rowBuffers.Get()
	if buffer == nil {
		buffer = new([]Row)
	}
	defer rowBuffers.Put(buffer)
	page, err := s.store.Rows(ctx, plan, RowQuery{
		Kind: KindAgent, From: q.From, To: q.To, Status: q.statuses(), IDs: q.IDs, Reason: q.Reason, Prefix: q.Prefix, Label: q.Label,
		Cursor: q.Cursor, Limit: q.Limit, Total: q.Total, Buffer: (*buffer)[:0],
	})
	if cap(page.Items) > cap(*buffer) {
		*buffer = page.Items
	}
	out := pageOf(page, slices.Grow(q.Buffer[:0], len(page.Items))[:len(page.Items)])
	for i := 0; i < len(page.Items) && err == nil; i++ {
		err = out.Items[i].read(&page.Items[i])
	}
	clear(page.Items) // the bytes may be the Store's own, and another Store may use the buffer next
	return out, err
}

// Log returns records above a revision, in order and without a gap.
func (s rowStore) Log(ctx context.Context, plan string, after uint64, limit int) ([]LogRow, error) {
	page, err := s.store.Log(ctx, plan, LogQuery{After: after, Limit: limit})
	return page.Items, err
}
