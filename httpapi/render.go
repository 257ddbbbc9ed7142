package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// chunk is how much of an answer is gathered before it is sent.
const chunk = 32 << 10

// page is how many agents are read from the Engine at a time.
const page = ota.DefaultPage

// stream is an answer in the making: a short one is sent whole, with its length; a long one as it
// grows.
type stream struct {
	c    *call
	hold bool // send nothing before finish
	list bool // it has many plans
	buf  bytes.Buffer
}

// room sends what has been gathered once it is enough.
func (s *stream) room() error {
	if s.hold || s.buf.Len() < chunk {
		return nil
	}
	s.c.extend()
	s.c.wait.Again()
	if !s.c.sent {
		s.c.w.Header().Set("Content-Type", "application/json")
		s.c.w.WriteHeader(http.StatusOK)
		s.c.sent = true
	}
	_, err := s.buf.WriteTo(s.c.w)
	return err
}

func (s *stream) finish() error {
	if !s.c.sent {
		s.c.bytes(http.StatusOK, "application/json", s.buf.Bytes())
		return nil
	}
	s.c.extend()
	if _, err := s.buf.WriteTo(s.c.w); err != nil {
		return err
	}
	if err := s.c.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (s *stream) value(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always encode
	}
	s.buf.Write(b)
}

// shown is what of a plan an answer has.
type shown struct{ batches, tasks bool }

// shown reads ?tasks= and ?batches=.
func (c *call) shown(batches, tasks bool) (s shown, err error) {
	if s.batches, err = c.truth("batches", batches); err != nil {
		return s, err
	}
	s.tasks, err = c.truth("tasks", tasks)
	return s, err
}

// answerPlan answers with a plan. A plan of one page is read again when it changed while it was
// read, so that its parts agree; a longer one is as it was when each part was read.
func (c *call) answerPlan(p ota.Plan, what shown, wrap func(*stream, func() error) error) error {
	var s *stream
	for try := 0; ; try++ {
		s = &stream{c: c, hold: what.batches && p.Agents <= page}
		c.w.Header().Set("ETag", protocol.ETag(p.Generation))
		if err := wrap(s, func() error { return s.plan(c.r.Context(), &p, what) }); err != nil {
			return err
		}
		if !s.hold || try == 3 {
			break
		}
		again, err := c.h.engine.Plan(c.r.Context(), p.ID)
		if err != nil {
			return err
		}
		if again.Revision == p.Revision {
			break
		}
		p = again
	}
	s.buf.WriteByte('\n')
	return s.finish()
}

// bare answers with nothing around the plan.
func bare(_ *stream, plan func() error) error { return plan() }

// plan writes a plan: its fields, with the batches streamed in where they belong.
func (s *stream) plan(ctx context.Context, p *ota.Plan, what shown) error {
	out := planOf(p)
	if !s.list {
		failed, err := failures(ctx, s.c.h.engine, p)
		if err != nil {
			return err
		}
		out.Error = strings.Join(slices.DeleteFunc([]string{out.Error, failed}, func(s string) bool { return s == "" }), "; ")
	}
	out.Warnings = append(slices.Clip(out.Warnings), s.c.warnings...)
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // our own types always encode
	}
	const empty = `"batches":[],` // no string can hold it, its quotes would be escaped
	head, tail, _ := bytes.Cut(b, []byte(empty))
	s.buf.Write(head)
	if what.batches {
		s.buf.WriteString(`"batches":[`)
		if err := s.batches(ctx, p, what.tasks); err != nil {
			return err
		}
		s.buf.WriteString(`],`)
	}
	s.buf.Write(tail)
	return s.room()
}

func (s *stream) batches(ctx context.Context, p *ota.Plan, tasks bool) error {
	agents := &cursor{ctx: ctx, wait: s.c.wait, engine: s.c.h.engine, plan: p.ID}
	for b, err := range s.c.h.engine.Batches(ctx, p.ID, 0) {
		if err != nil {
			return err
		}
		if b.Index > 0 {
			s.buf.WriteByte(',')
		}
		if err := s.batch(p, &b, agents, tasks); err != nil {
			return err
		}
	}
	return nil
}

// batch writes a batch. Its agents are read twice where they do not fit in a page: once for
// agentIds, once for tasks.
func (s *stream) batch(p *ota.Plan, b *ota.Batch, agents *cursor, tasks bool) error {
	head, err := json.Marshal(wire.Batch{
		BatchIndex: b.Index, Name: b.Name, AgentIDs: []string{}, Status: b.Status, FailedCount: b.Counts.Bad(),
		ToleratedFailures: b.Tolerated, Tasks: []wire.Task{},
	})
	if err != nil {
		panic(err) // our own types always encode
	}
	before, after, _ := bytes.Cut(head, []byte(`"agentIds":[]`))
	after, _, _ = bytes.Cut(after, []byte(`,"tasks":[]`))
	s.buf.Write(before)
	s.buf.WriteString(`"agentIds":[`)
	first := agents.next
	if err := agents.each(b.Size, func(i int, a *ota.AgentInfo) error {
		s.comma(i)
		s.buf.Write(appendText(s.buf.AvailableBuffer(), a.ID))
		return s.room()
	}); err != nil {
		return err
	}
	s.buf.WriteByte(']')
	s.buf.Write(after)
	if tasks {
		s.buf.WriteString(`,"tasks":[`)
		agents.next = first
		digits, n := planDigits(p.ID), 0
		if err := agents.each(b.Size, func(_ int, a *ota.AgentInfo) error {
			for i := range a.Tasks {
				s.comma(n)
				t := taskOf(p, digits, a, i)
				s.buf.Write(appendTask(s.buf.AvailableBuffer(), &t))
				n++
			}
			return s.room()
		}); err != nil {
			return err
		}
		s.buf.WriteByte(']')
	}
	s.buf.WriteByte('}')
	return s.room()
}

func (s *stream) comma(i int) {
	if i > 0 {
		s.buf.WriteByte(',')
	}
}

// cursor reads a plan's agents in order, a page at a time, and keeps the pages that the next batch
// may begin in.
type cursor struct {
	ctx    context.Context
	wait   *handler.Patience
	engine *ota.Engine
	plan   string
	next   int // ordinal of the agent that comes next
	have   []ota.AgentInfo
}

// each calls f for the next n agents.
func (x *cursor) each(n int, f func(int, *ota.AgentInfo) error) error {
	for i := range n {
		if len(x.have) == 0 || x.next < x.have[0].Ordinal || x.next > x.have[len(x.have)-1].Ordinal {
			got, err := x.engine.Agents(x.ctx, x.plan, ota.AgentQuery{From: x.next, Limit: page})
			if err != nil {
				return err
			}
			x.wait.Again()
			if x.have = got.Items; len(x.have) == 0 {
				return nil
			}
		}
		a := &x.have[x.next-x.have[0].Ordinal]
		x.next++
		if err := f(i, a); err != nil {
			return err
		}
	}
	return nil
}
