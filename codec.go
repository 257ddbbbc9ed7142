package ota

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The stored form of an AgentState, schema 1. Numbers are varints, texts have their length in front, and what is in
// brackets is there only when its bit in parts is set:
//
//	state: schema status flags parts task [previous unhealthy] [how many further tasks, those tasks]
//	task:  parts status why [tries] [number] [started] [ended, as the distance from started] [version error away]
//
// That a task is touched is a bit of its parts and nothing else.

// The bits of a state's parts.
const (
	stateMore = 1 << iota
	stateRest
	stateParts // all bits from here on are unknown
)

// The bits of a task's parts.
const (
	taskTries = 1 << iota
	taskNumber
	taskStarted
	taskEnded
	taskMore
	taskTouched
	taskParts // all bits from here on are unknown
)

// minTask is the length of the shortest task, so that a wrong count cannot make the decoder allocate much.
const minTask = 3

// AppendBinary appends the state's stored form to b: about 23 bytes for a finished agent with one task, 7 for one that
// was never started. It allocates only when b has no room, and fails only for a status that does not exist.
func (s AgentState) AppendBinary(b []byte) ([]byte, error) {
	if s.Status > TaskUnknown {
		return b, fmt.Errorf("ota: an agent cannot have the status %d", s.Status)
	}
	parts := byte(0)
	if s.More != nil {
		parts |= stateMore
	}
	if len(s.Rest) > 0 {
		parts |= stateRest
	}
	out, err := s.Task.append(append(b, Schema, byte(s.Status), byte(s.Flags), parts))
	if err != nil {
		return b, err
	}
	if s.More != nil {
		out = appendText(out, s.More.Previous)
		out = binary.AppendVarint(out, s.More.Unhealthy)
	}
	if len(s.Rest) > 0 {
		out = binary.AppendUvarint(out, uint64(len(s.Rest)))
		for i := range s.Rest {
			if out, err = s.Rest[i].append(out); err != nil {
				return b, err
			}
		}
	}
	return out, nil
}

func (t *TaskState) append(b []byte) ([]byte, error) {
	if t.Status > TaskUnknown {
		return b, fmt.Errorf("ota: a task cannot have the status %d", t.Status)
	}
	at := len(b)
	b = append(b, 0, byte(t.Status), byte(t.Why))
	if t.Tries != 0 {
		b[at] |= taskTries
		b = append(b, t.Tries)
	}
	if t.Number != 0 {
		b[at] |= taskNumber
		b = binary.AppendUvarint(b, uint64(t.Number))
	}
	if t.Started != 0 {
		b[at] |= taskStarted
		b = binary.AppendVarint(b, t.Started)
	}
	if t.Ended != 0 {
		b[at] |= taskEnded
		b = binary.AppendVarint(b, t.Ended-t.Started) // wraps around, and back when it is read
	}
	if t.Touched {
		b[at] |= taskTouched
	}
	if t.More != nil {
		b[at] |= taskMore
		b = appendText(b, t.More.Version)
		b = appendText(b, t.More.Error)
		b = binary.AppendVarint(b, t.More.Away)
	}
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// UnmarshalBinary sets s to what AppendBinary wrote into b, and keeps nothing of b. A schema that this version does not
// know, a truncated form and anything that AppendBinary never writes is an error, and s is left as it was. An empty
// Rest comes back as nil.
func (s *AgentState) UnmarshalBinary(b []byte) error {
	if len(b) > 0 && b[0] != Schema {
		return fmt.Errorf("ota: an agent's state has schema %d, this version knows %d", b[0], Schema)
	}
	d := decoder{rest: b}
	d.byte() // the schema
	out := AgentState{Status: d.status(), Flags: AgentFlags(d.byte())}
	parts := d.parts(stateParts)
	out.Task = d.task()
	if parts&stateMore != 0 {
		out.More = &AgentMore{Previous: d.text(), Unhealthy: d.varint()}
	}
	if parts&stateRest != 0 {
		n := d.uvarint(uint64(len(d.rest) / minTask))
		for range n {
			out.Rest = append(out.Rest, d.task())
		}
	}
	if d.bad || len(d.rest) > 0 {
		return errBadState
	}
	*s = out
	return nil
}

var errBadState = errors.New("ota: an agent's state is truncated or damaged")

// decoder reads from the front of rest. Once something is wrong it is bad for good and returns zeros, so that one look
// at the end is enough.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.bad = true
	d.rest = nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) status() TaskStatus {
	s := TaskStatus(d.byte())
	if s > TaskUnknown {
		d.fail()
	}
	return s
}

// parts reads a byte of bits, all of them below unknown.
func (d *decoder) parts(unknown byte) byte {
	p := d.byte()
	if p >= unknown {
		d.fail()
		return 0
	}
	return p
}

func (d *decoder) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > most {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uvarint(uint64(len(d.rest)))
	if n > uint64(len(d.rest)) { // the length itself took some of what was left
		d.fail()
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) task() TaskState {
	parts := d.parts(taskParts)
	t := TaskState{Status: d.status(), Why: Reason(d.byte())}
	if parts&taskTries != 0 {
		t.Tries = d.byte()
	}
	if parts&taskNumber != 0 {
		t.Number = uint32(d.uvarint(math.MaxUint32))
	}
	if parts&taskStarted != 0 {
		t.Started = d.varint()
	}
	if parts&taskEnded != 0 {
		t.Ended = t.Started + d.varint()
	}
	t.Touched = parts&taskTouched != 0
	if parts&taskMore != 0 {
		t.More = &TaskMore{Version: d.text(), Error: d.text(), Away: d.varint()}
	}
	return t
}
