package ota

import (
	"encoding/json"
	"fmt"
	"time"
)

// describe returns a part, or an agent's state, as JSON for people and dumps: an object with one
// member, named after the kind of part. Nothing reads it back, and a later version may describe the
// same bytes in other words.
func describe(part []byte) ([]byte, error) {
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
		var v Control
		err = v.decodePart(part)
		value = v
	case partProgress:
		var v Progress
		err = v.decodePart(part)
		value = v
	case partBatch:
		var v BatchRow
		err = v.decodePart(part)
		value = v
	case partAgent:
		var v AgentSpec
		err = v.decodePart(part)
		value = describedAgent{v.Version, v.Target, v.Tasks}
	default: // a status
		var v AgentState
		err = v.UnmarshalBinary(part)
		name, value = "state", describeState(&v)
	}
	if err != nil {
		return nil, fmt.Errorf("ota: describe: %w", err)
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
	UnhealthySince time.Time       `json:"unhealthySince,omitzero"`
	Previous       string          `json:"previous,omitempty"`
	Flags          AgentFlags      `json:"flags,omitempty"` // those that this version does not know
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

func describeState(s *AgentState) describedState {
	const known = AgentChanged | AgentOpen | AgentAtTarget | AgentUnhealthy
	out := describedState{
		Status: s.Status, Touched: s.Flags&AgentChanged != 0, Open: s.Flags&AgentOpen != 0,
		AtTarget: s.Flags&AgentAtTarget != 0, Unhealthy: s.Flags&AgentUnhealthy != 0, Flags: s.Flags &^ known,
		Tasks: []describedTask{describeTask(&s.Task)},
	}
	if s.More != nil {
		out.Previous, out.UnhealthySince = s.More.Previous, stamp(s.More.Unhealthy)
	}
	for i := range s.Rest {
		out.Tasks = append(out.Tasks, describeTask(&s.Rest[i]))
	}
	return out
}

func describeTask(t *TaskState) describedTask {
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
