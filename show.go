package ota

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSON beside the bytes of a plan and of a batch, for people who query the database itself. The
// core writes it and never reads it. It is in every commit of an owner, so it allocates nothing,
// except for the sentence of an open breach. Members that are zero or empty are omitted.

// showPlan appends what a plan's row shows, for example
//
//	{"batch":3,"batches":10,"agents":{"pending":17,"succeeded":31,"failed":2},"owner":"engine-1",
//	"breach":"Failure threshold exceeded: 2 of the 10 agents of batch 3 failed, 1 is tolerated"}
//
// The counts are those of Plan: agents that a canceled plan never started are canceled.
func showPlan(b []byte, s *planSpec, c *planControl, p *planProgress) []byte {
	w := show{b: append(b, '{')}
	w.index("batch", min(p.Batch, p.Reached))
	w.number("batches", s.Batches)
	w.counts(ended(p.Counts, statusOf(c, p)))
	w.number("touched", p.Changed)
	w.text("owner", p.Owner)
	w.time("at", p.At)
	if c.Paused != nil {
		w.stamp("paused", c.Paused)
	}
	if c.Cancel != nil {
		w.stamp("canceled", &c.Cancel.Audit)
	}
	if c.Rollback != nil {
		w.text("rollback", c.Rollback.ID)
	}
	if breach := standing(c, p); breach != nil {
		w.text("breach", breach.String())
	}
	return w.close()
}

// showBatch appends the JSON of a batch's row. The counts are as stored: agents that a canceled
// plan never started are pending there.
func showBatch(b []byte, r *batchRow) []byte {
	w := show{b: append(b, '{')}
	w.text("name", r.Name)
	w.index("first", r.First)
	w.number("size", r.Size)
	w.counts(r.Counts)
	w.number("accepted", r.Accepted)
	w.number("unhealthy", r.Unhealthy)
	if r.Gate != GateNone {
		w.text("gate", r.Gate.String())
	}
	w.time("started", r.StartedAt)
	w.time("settled", r.FinishedAt)
	w.time("closed", r.ClosedAt)
	return w.close()
}

// showAgent appends the JSON of an agent's row: its last error, or nothing if it has none.
func showAgent(b []byte, s *agentState) []byte {
	text := s.lastError()
	if text == "" {
		return b
	}
	w := show{b: append(b, '{')}
	w.text("error", text)
	return w.close()
}

// lastError is the error of the last task that has one.
func (s *agentState) lastError() (text string) {
	for i := range s.tasks() {
		if more := s.task(i).More; more != nil && more.Error != "" {
			text = more.Error
		}
	}
	return text
}

// show writes one JSON object.
type show struct{ b []byte }

func (w *show) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), `":`...)
}

func (w *show) close() []byte { return append(w.b, '}') }

func (w *show) number(name string, n int) {
	if n != 0 {
		w.index(name, n)
	}
}

// index writes a number of which 0 has a meaning.
func (w *show) index(name string, n int) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

func (w *show) time(name string, t time.Time) {
	if !t.IsZero() {
		w.name(name)
		w.b = append(t.UTC().AppendFormat(append(w.b, '"'), time.RFC3339), '"')
	}
}

func (w *show) counts(n Counts) {
	w.name("agents")
	w.b = append(w.b, '{')
	for s, word := range taskStatuses.words {
		w.number(word, n.Of(TaskStatus(s)))
	}
	w.b = append(w.b, '}')
}

func (w *show) stamp(name string, s *Audit) {
	w.name(name)
	w.b = append(w.b, '{')
	w.time("at", s.At)
	w.text("actor", s.Actor)
	w.text("reason", s.Reason)
	w.b = append(w.b, '}')
}

// text writes a JSON string that every database accepts: control characters, NUL among them, and
// bytes that are not UTF-8 become U+FFFD.
func (w *show) text(name, s string) {
	if s == "" {
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.b = append(w.b, '\\', byte(r))
		case r == '\n':
			w.b = append(w.b, `\n`...)
		case r < 0x20 || r == 0x7f:
			w.b = utf8.AppendRune(w.b, utf8.RuneError)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	w.b = append(w.b, '"')
}

// Describe returns bytes that a [Store] keeps as JSON for people and dumps: one of [Parts], or
// Fixed or State of a [Row]. It is an object with one member, named after the kind of part: spec,
// control, progress, batch, agent or state. The library never reads it back, and a later version
// may describe the same bytes in other words.
func Describe(part []byte) ([]byte, error) {
	if len(part) < 2 {
		return nil, fmt.Errorf("ota: describe: the part is %w: it has %d bytes", errDamaged, len(part))
	}
	var value any
	var err error
	name := partNames[part[1]]
	switch part[1] {
	case partSpec:
		var v specPart
		err = v.decodePart(part)
		value = v
	case partControl:
		var v planControl
		err = v.decodePart(part)
		value = v
	case partProgress:
		var v planProgress
		err = v.decodePart(part)
		value = v
	case partBatch:
		var v batchRow
		err = v.decodePart(part)
		value = v
	case partAgent:
		var v agentSpec
		err = v.decodePart(part)
		value = describedAgent{v.Version, v.Target, v.Tasks}
	default: // a status
		var v agentState
		err = v.UnmarshalBinary(part)
		name, value = "state", describeState(&v)
	}
	if err != nil {
		return nil, wrapError(err, "describe")
	}
	return json.Marshal(map[string]any{name: value})
}

type describedAgent struct {
	Version string     `json:"version,omitempty"`
	Target  string     `json:"target,omitempty"`
	Tasks   []TaskSpec `json:"tasks,omitempty"`
}

type describedState struct {
	Status         TaskStatus      `json:"status"`
	Touched        bool            `json:"touched,omitempty"`
	Open           bool            `json:"open,omitempty"`
	AtTarget       bool            `json:"atTarget,omitempty"`
	Unhealthy      bool            `json:"unhealthy,omitempty"`
	Released       bool            `json:"released,omitempty"`
	Extended       bool            `json:"extended,omitempty"`
	Urgent         bool            `json:"urgent,omitempty"`
	Down           bool            `json:"down,omitempty"`
	WasBad         bool            `json:"wasBad,omitempty"`
	Straggler      bool            `json:"straggler,omitempty"`
	UnhealthySince time.Time       `json:"unhealthySince,omitzero"`
	Previous       string          `json:"previous,omitempty"`
	Release        string          `json:"previousRelease,omitempty"`
	Flags          agentFlags      `json:"flags,omitempty"` // those that this version does not know
	Tasks          []describedTask `json:"tasks"`
}

type describedTask struct {
	Status  TaskStatus `json:"status"`
	Why     string     `json:"why,omitempty"`
	Tries   uint8      `json:"tries,omitempty"`
	Touched bool       `json:"touched,omitempty"`
	Number  uint32     `json:"number,omitempty"`
	Started time.Time  `json:"started,omitzero"`
	Ended   time.Time  `json:"ended,omitzero"` // while it waits: when it is due
	Version string     `json:"version,omitempty"`
	Error   string     `json:"error,omitempty"`
	Away    time.Time  `json:"away,omitzero"`
}

func describeState(s *agentState) describedState {
	const known = agentChanged | agentOpen | agentAtTarget | agentUnhealthy | agentReleased | agentExtended | agentUrgent | agentDown | agentWasBad | agentStraggler
	out := describedState{
		Status: s.Status, Touched: s.Flags&agentChanged != 0, Open: s.Flags&agentOpen != 0,
		AtTarget: s.Flags&agentAtTarget != 0, Unhealthy: s.Flags&agentUnhealthy != 0, Released: s.Flags&agentReleased != 0,
		Extended: s.Flags&agentExtended != 0, Urgent: s.Flags&agentUrgent != 0, Down: s.down(), WasBad: s.Flags&agentWasBad != 0,
		Straggler: s.Flags&agentStraggler != 0, Flags: s.Flags &^ known,
		Tasks: []describedTask{describeTask(&s.Task)},
	}
	if s.More != nil {
		out.Previous, out.Release, out.UnhealthySince = s.More.Previous, s.More.Release, stamp(s.More.Unhealthy)
	}
	for i := range s.Rest {
		out.Tasks = append(out.Tasks, describeTask(&s.Rest[i]))
	}
	return out
}

func describeTask(t *taskState) describedTask {
	out := describedTask{
		Status: t.Status, Tries: t.Tries, Touched: t.Changed, Number: t.Number,
		Started: stamp(t.Started), Ended: stamp(t.Ended),
	}
	if t.Why != ReasonNone {
		out.Why = t.Why.String()
	}
	if t.More != nil {
		out.Version, out.Error, out.Away = t.More.Version, t.More.Error, stamp(t.More.UnreachableSince)
	}
	return out
}
