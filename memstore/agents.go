package memstore

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sort"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/bytesio"
)

// agentTable keeps the agents of one plan in columns: 56 bytes for an agent that has only an ID, besides the ID itself.
// All but the states is fixed once the plan is made.
type agentTable struct {
	count  int
	chunks []chunk
	runs   []run

	indexing sync.Once // the index is built when somebody asks for agents by ID
	index    index
}

// chunk holds chunkSize agents; the last one fewer.
type chunk struct {
	ids      []string
	states   []state
	rest     [][]ota.TaskState   // nil when none of them has more than one task
	more     []*ota.AgentMore    // nil when none of them has any
	versions []string            // nil when none of them has one
	targets  []string            // likewise
	labels   []map[string]string // nil when none of them has any; equal ones are one map, which nobody changes
	tasks    [][]ota.TaskSpec    // nil when none of them has any
}

// state is what every agent's state has.
type state struct {
	task   ota.TaskState
	status ota.TaskStatus
	flags  ota.AgentFlags
}

// run says that the agents from ordinal first on, up to the next run, are in batch.
type run struct{ first, batch int }

const chunkSize = 4096

func (a *agentTable) id(ordinal int) string {
	return a.chunks[ordinal/chunkSize].ids[ordinal%chunkSize]
}

func (a *agentTable) status(ordinal int) ota.TaskStatus {
	return a.chunks[ordinal/chunkSize].states[ordinal%chunkSize].status
}

// setState takes in an agent's state, and keeps nothing of it but what is never changed in place.
func (a *agentTable) setState(ordinal int, s *ota.AgentState) {
	a.chunks[ordinal/chunkSize].setState(ordinal%chunkSize, s)
}

func (c *chunk) setState(i int, s *ota.AgentState) {
	c.states[i] = state{task: s.Task, status: s.Status, flags: s.Flags}
	if c.more == nil && s.More != nil {
		c.more = make([]*ota.AgentMore, len(c.states), cap(c.states))
	}
	if c.more != nil {
		c.more[i] = s.More
	}
	if c.rest == nil && len(s.Rest) > 0 {
		c.rest = make([][]ota.TaskState, len(c.states), cap(c.states))
	}
	if c.rest != nil {
		c.rest[i] = append(c.rest[i][:0], s.Rest...)
	}
}

// addState makes room for a further agent's state.
func (c *chunk) addState(s *ota.AgentState) {
	c.states = append(c.states, state{})
	if c.more != nil {
		c.more = append(c.more, nil)
	}
	if c.rest != nil {
		c.rest = append(c.rest, nil)
	}
	c.setState(len(c.states)-1, s)
}

// copyState copies an agent's state into s.
func (c *chunk) copyState(s *ota.AgentState, i int) {
	is := &c.states[i]
	*s = ota.AgentState{Task: is.task, Status: is.status, Flags: is.flags}
	if c.more != nil {
		s.More = c.more[i]
	}
	if c.rest != nil && len(c.rest[i]) > 0 {
		s.Rest = slices.Clone(c.rest[i])
	}
}

// run is the index of the run that an agent is in.
func (a *agentTable) run(ordinal int) int {
	return sort.Search(len(a.runs), func(i int) bool { return a.runs[i].first > ordinal }) - 1
}

// copyRow copies one row, of which the batch is known, into row.
func (a *agentTable) copyRow(row *ota.AgentRow, ordinal, batch int) {
	c, i := &a.chunks[ordinal/chunkSize], ordinal%chunkSize
	*row = ota.AgentRow{Ordinal: ordinal, Batch: batch, Agent: ota.AgentSpec{ID: c.ids[i]}}
	c.copyState(&row.State, i)
	if c.versions != nil {
		row.Agent.Version = c.versions[i]
	}
	if c.targets != nil {
		row.Agent.Target = c.targets[i]
	}
	if c.labels != nil {
		row.Agent.Labels = maps.Clone(c.labels[i])
	}
	if c.tasks != nil {
		row.Agent.Tasks = slices.Clone(c.tasks[i])
	}
}

// span appends copies of the rows from one ordinal to before another.
func (a *agentTable) span(rows []ota.AgentRow, from, to int) []ota.AgentRow {
	if from >= to {
		return rows
	}
	rows = slices.Grow(rows, to-from)
	run := a.run(from)
	for ordinal := from; ordinal < to; ordinal++ {
		if run+1 < len(a.runs) && a.runs[run+1].first == ordinal {
			run++
		}
		rows = rows[:len(rows)+1]
		a.copyRow(&rows[len(rows)-1], ordinal, a.runs[run].batch)
	}
	return rows
}

// page returns the agents that q selects.
func (a *agentTable) page(q ota.RowQuery) ota.Page[ota.AgentRow] {
	from, to := bounds(&q, a.count)
	limit := pageLimit(q.Limit)
	page := ota.Page[ota.AgentRow]{Items: q.Buffer[:0]}
	if len(q.Status)+len(q.IDs) == 0 && !q.Total {
		end := min(to, from+limit)
		return ota.Page[ota.AgentRow]{Items: a.span(page.Items, from, end), More: from < to && end < to}
	}
	take := func(ordinal int) (more bool) {
		if len(q.Status) > 0 && !slices.Contains(q.Status, a.status(ordinal)) {
			return true
		}
		page.Total++
		if len(page.Items) < limit {
			page.Items = a.span(page.Items, ordinal, ordinal+1)
			return true
		}
		page.More = true
		return q.Total
	}
	if len(q.IDs) > 0 {
		for _, ordinal := range a.find(q.IDs) {
			if ordinal >= from && ordinal < to && !take(ordinal) {
				break
			}
		}
	} else {
		for ordinal := from; ordinal < to && take(ordinal); ordinal++ {
		}
	}
	if !q.Total {
		page.Total = 0
	}
	return page
}

// find returns the ordinals of the agents with these IDs, each once, in order.
func (a *agentTable) find(ids []string) []int {
	a.indexing.Do(func() { a.index, _, _ = a.indexed() })
	var found []int
	for _, id := range ids {
		if ordinal, ok := a.index.find(a, id); ok {
			found = append(found, ordinal)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// builder makes agentTable of the rows of a Create.
type builder struct {
	agentTable
	labels map[string]map[string]string // equal labels are kept once
	key    []byte
}

func newBuilder() *builder {
	return &builder{labels: map[string]map[string]string{}}
}

func (b *builder) add(row *ota.AgentRow) error {
	if row.Ordinal != b.count {
		return fmt.Errorf("%w: agent %q has ordinal %d, but is number %d", ota.ErrRefused, row.Agent.ID, row.Ordinal, b.count)
	}
	if b.count%chunkSize == 0 {
		b.chunks = append(b.chunks, newChunk(b.count))
	}
	if n := len(b.runs); n == 0 || b.runs[n-1].batch != row.Batch {
		b.runs = append(b.runs, run{first: b.count, batch: row.Batch})
	}
	c := &b.chunks[len(b.chunks)-1]
	c.ids = append(c.ids, row.Agent.ID)
	c.addState(&row.State)
	c.versions = addSparse(c.versions, len(c.ids), row.Agent.Version, row.Agent.Version != "")
	c.targets = addSparse(c.targets, len(c.ids), row.Agent.Target, row.Agent.Target != "")
	c.tasks = addSparse(c.tasks, len(c.ids), slices.Clone(row.Agent.Tasks), len(row.Agent.Tasks) > 0)
	c.labels = addSparse(c.labels, len(c.ids), b.intern(row.Agent.Labels), len(row.Agent.Labels) > 0)
	b.count++
	return nil
}

// newChunk makes room for a whole chunk, except at the start of a plan, which may be a small one.
func newChunk(count int) chunk {
	if count == 0 {
		return chunk{}
	}
	return chunk{ids: make([]string, 0, chunkSize), states: make([]state, 0, chunkSize)}
}

// addSparse makes column n long, its last value v; it stays nil until there is a value.
func addSparse[T any](column []T, n int, v T, have bool) []T {
	if column == nil && !have {
		return nil
	}
	if column == nil {
		column = make([]T, n-1, max(n, 8))
	}
	return append(column, v)
}

func (b *builder) intern(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	b.key = b.key[:0]
	if len(labels) == 1 {
		for k, v := range labels {
			b.key = bytesio.AppendText(bytesio.AppendText(b.key, k), v)
		}
	} else {
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			b.key = bytesio.AppendText(bytesio.AppendText(b.key, k), labels[k])
		}
	}
	kept, ok := b.labels[string(b.key)]
	if !ok {
		kept = maps.Clone(labels)
		b.labels[string(b.key)] = kept
	}
	return kept
}

// finish returns the agents without what only building them needed, or a *DuplicateError.
func (b *builder) finish() (*agentTable, error) {
	if _, twice, ok := b.indexed(); !ok {
		return nil, &ota.DuplicateError{Agent: b.id(twice)}
	}
	if n := len(b.chunks); n > 0 {
		last := &b.chunks[n-1]
		last.ids = slices.Clone(last.ids)
		last.states = slices.Clone(last.states)
	}
	return &agentTable{count: b.count, chunks: b.chunks, runs: slices.Clip(b.runs)}, nil
}

// index finds an ordinal by agent ID: an open hash table that leaves the IDs where they are. A slot is the upper half
// of the ID's hash and the ordinal+1, so that hardly any ID but the right one is ever looked at; 0 is free.
type index struct {
	seed    maphash.Seed
	slots   []uint64
	fetched uint64 // says nothing; without it the compiler would leave out reading ahead
}

// newIndex returns an index with room for n agents.
func newIndex(n int) index {
	size := 16
	for 3*size < 4*n {
		size *= 2
	}
	return index{seed: maphash.MakeSeed(), slots: make([]uint64, size)}
}

const ordinalMask = 1<<32 - 1
