package ota

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/seed-19b57ce3/ota/internal/bytesio"
)

// The stored form of an agentState. Schema 2 has the release; schema 1, for a state without one,
// does not. A field in brackets is present only when its bit in parts is set. Numbers are varints,
// texts have their length in front, and started is eight bytes, little endian:
//
//	state: schema status flags parts fields [previous unhealthy release] [count of further tasks, tasks]
//	task:  parts fields
//	fields: status reason [tries] [number] [started] [ended] [version error away]
//
// The upper half of the status of a state has the flags from bit 8 on. ended is the difference from
// started.
//
// The parts of a state are those of its first task, with two bits more. The bits of changed agents
// and tasks have no field. A state has no checksum, unlike the parts of partcodec.go: it would
// make a state a fifth longer, and the rules below detect most damage.

// The bits of parts.
const (
	taskTries = 1 << iota
	taskNumber
	taskStarted
	taskEnded
	taskHasMore
	taskTouched
	stateMore
	stateRest
)

// stateSchema is the newest schema of a state.
const stateSchema = 2

// schema is the lowest schema that can express the state.
func (s *agentState) schema() byte {
	if s.More != nil && s.More.Release != "" {
		return stateSchema
	}
	return 1
}

// taskParts are the bits that a further task may have.
const taskParts = stateMore - 1

// minState is the length of the shortest state. minTask is that of the shortest further task: a
// wrong count cannot make the decoder allocate much.
const (
	minState = 6
	minTask  = 3
)

// AppendBinary appends the state's stored form to b: about 20 bytes for a finished agent with one
// task, 6 for one that was never started. It allocates only when b has no room, and fails only for
// a status that does not exist.
func (s *agentState) AppendBinary(b []byte) ([]byte, error) {
	if s.Status > TaskUnknown {
		return b, fmt.Errorf("ota: an agent cannot have the status %d", s.Status)
	}
	parts := s.Task.parts()
	if s.More != nil {
		parts |= stateMore
	}
	if len(s.Rest) > 0 {
		parts |= stateRest
	}
	out, err := s.Task.append(append(b, s.schema(), byte(s.Status)|byte(s.Flags>>8)<<4, byte(s.Flags), parts), parts)
	if err == nil && parts&(stateMore|stateRest) != 0 {
		out, err = s.appendRare(out)
	}
	if err != nil {
		return b, err
	}
	return out, nil
}

// appendRare appends what few agents have.
func (s *agentState) appendRare(b []byte) (_ []byte, err error) {
	if s.More != nil {
		b = bytesio.AppendText(b, s.More.Previous)
		b = bytesio.AppendVarint(b, s.More.Unhealthy)
		if s.More.Release != "" {
			b = bytesio.AppendText(b, s.More.Release)
		}
	}
	if len(s.Rest) > 0 {
		b = binary.AppendUvarint(b, uint64(len(s.Rest)))
		for i := range s.Rest {
			parts := s.Rest[i].parts()
			if b, err = s.Rest[i].append(append(b, parts), parts); err != nil {
				return b, err
			}
		}
	}
	return b, nil
}

func (t *taskState) parts() (parts byte) {
	if t.Tries != 0 {
		parts |= taskTries
	}
	if t.Number != 0 {
		parts |= taskNumber
	}
	if t.Started != 0 {
		parts |= taskStarted
	}
	if t.Ended != 0 {
		parts |= taskEnded
	}
	if t.Changed {
		parts |= taskTouched
	}
	if t.More != nil {
		parts |= taskHasMore
	}
	return parts
}

// append writes the fields of a task.
func (t *taskState) append(b []byte, parts byte) ([]byte, error) {
	if t.Status > TaskUnknown {
		return b, fmt.Errorf("ota: a task cannot have the status %d", t.Status)
	}
	b = append(b, byte(t.Status), byte(t.Why))
	if parts&taskTries != 0 {
		b = append(b, t.Tries)
	}
	if parts&taskNumber != 0 {
		b = binary.AppendUvarint(b, uint64(t.Number))
	}
	if parts&taskStarted != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(t.Started))
	}
	if parts&taskEnded != 0 {
		b = bytesio.AppendVarint(b, t.Ended-t.Started) // wraps around, and back when it is read
	}
	if parts&taskHasMore != 0 {
		b = bytesio.AppendText(b, t.More.Version)
		b = bytesio.AppendText(b, t.More.Error)
		b = bytesio.AppendVarint(b, t.More.UnreachableSince)
	}
	return b, nil
}

// UnmarshalBinary sets s to what AppendBinary wrote into b, and keeps nothing of b. A schema that
// this version does not know, a truncated form and anything that AppendBinary never writes is an
// error, and s is left as it was. An empty Rest comes back as nil.
func (s *agentState) UnmarshalBinary(b []byte) error {
	if len(b) > 0 && b[0] > stateSchema {
		return fmt.Errorf("ota: an agent's state was %w: it has schema %d, this version reads 1 to %d", errSchema, b[0], stateSchema)
	}
	if len(b) < minState || b[0] == 0 || b[1]&0xf > byte(TaskUnknown) {
		return errBadState
	}
	out := agentState{Status: TaskStatus(b[1] & 0xf), Flags: agentFlags(b[2]) | agentFlags(b[1]>>4)<<8}
	parts, d := b[3], stateReader{bytesio.NewReader(b[4:])}
	d.task(&out.Task, parts)
	if parts&(stateMore|stateRest) != 0 {
		d.rare(&out, parts, b[0])
	}
	if d.Bad() || d.Len() > 0 || b[0] != out.schema() {
		return errBadState
	}
	*s = out
	return nil
}

var errBadState = fmt.Errorf("ota: an agent's state is %w", errDamaged)

// stateReader reads the tasks of a state.
type stateReader struct{ bytesio.Reader }

func (d *stateReader) task(t *taskState, parts byte) {
	status, why := d.Pair()
	if status > byte(TaskUnknown) {
		d.Fail()
		return
	}
	t.Status, t.Why, t.Changed = TaskStatus(status), Reason(why), parts&taskTouched != 0
	if parts&taskTries != 0 {
		t.Tries = d.Byte()
	}
	if parts&taskNumber != 0 {
		t.Number = uint32(d.Uvarint(math.MaxUint32))
	}
	if parts&taskStarted != 0 {
		t.Started = int64(d.Fixed())
	}
	if parts&taskEnded != 0 {
		t.Ended = t.Started + d.Varint()
	}
	if t.parts() != parts&taskParts&^taskHasMore { // a field is there, and zero
		d.Fail()
	}
	if parts&taskHasMore != 0 {
		t.More = &taskMore{Version: d.Text(), Error: d.Text(), UnreachableSince: d.Varint()}
	}
}

// rare reads what few agents have.
func (d *stateReader) rare(s *agentState, parts, schema byte) {
	if parts&stateMore != 0 {
		s.More = &agentMore{Previous: d.Text(), Unhealthy: d.Varint()}
		if schema == stateSchema {
			s.More.Release = d.Text()
		}
	}
	if parts&stateRest != 0 {
		n := d.Uvarint(uint64(d.Len() / minTask))
		if n == 0 {
			d.Fail()
			return
		}
		s.Rest = make([]taskState, n)
		for i := range s.Rest {
			parts := d.Byte()
			if parts > taskParts {
				d.Fail()
			}
			d.task(&s.Rest[i], parts)
		}
	}
}
