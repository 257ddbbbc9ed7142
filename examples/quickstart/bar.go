package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar is the two moving lines on a terminal: the current batch, and the whole plan. Other output
// appears above them.
type bar struct {
	io.Writer
	progress    *mpb.Progress
	batch, plan movingLine
}

// movingLine is a line of text that is replaced in place.
type movingLine struct {
	*mpb.Bar
	now atomic.Pointer[string]
}

func newBar(o *output) *bar {
	b := &bar{}
	b.progress = mpb.New(mpb.WithOutput(o.w), mpb.WithRefreshRate(60*time.Millisecond))
	b.Writer = b.progress
	for _, line := range []*movingLine{&b.batch, &b.plan} {
		line.show("")
		line.Bar = b.progress.MustAdd(1, mpb.BarFillerFunc(line.fill), mpb.BarFillerTrim(), mpb.BarRemoveOnComplete())
	}
	return b
}

// show replaces the line.
func (l *movingLine) show(text string) { l.now.Store(&text) }

func (l *movingLine) fill(w io.Writer, s decor.Statistics) error {
	_, err := io.WriteString(w, fit(*l.now.Load(), s.AvailableWidth))
	return err
}

// end removes both lines, after everything above them is written.
func (b *bar) end() {
	b.batch.Abort(true)
	b.plan.Abort(true)
	b.progress.Wait()
}

// cellsWide is the largest number of characters for the agents of a batch, or of the plan.
const cellsWide = 30

// draw shows a batch and the whole plan in the moving lines.
func (s *progress) draw(b *batchView, doing string) {
	if s.bar != nil {
		s.bar.batch.show("         " + s.batchText(b, doing))
		s.bar.plan.show("         " + s.planText())
	}
}

// hide empties the line of the batch.
func (s *progress) hide() {
	if s.bar != nil {
		s.bar.batch.show("")
	}
}

// planText is the whole plan in one line.
func (s *progress) planText() string {
	c := s.counts()
	text := fmt.Sprintf("plan     %s  %d of %d at %s", s.out.cells(c, cellsWide), c.Succeeded, s.plan.Agents, s.plan.ToVersion)
	if c.Failed > 0 {
		text += fmt.Sprintf(", %d failed", c.Failed)
	}
	return text
}

// counts adds up the agents of all batches.
func (s *progress) counts() (sum ota.Counts) {
	for i := range s.batches {
		c := s.batches[i].counts()
		sum.Pending += c.Pending
		sum.Running += c.Running
		sum.Succeeded += c.Succeeded
		sum.Failed += c.Failed
	}
	return sum
}

func (b *batchView) counts() ota.Counts {
	c := ota.Counts{Pending: b.Size - len(b.agents)}
	for _, st := range b.agents {
		switch st {
		case ota.TaskRunning:
			c.Running++
		case ota.TaskSucceeded:
			c.Succeeded++
		default:
			c.Failed++
		}
	}
	return c
}

// fit cuts a line to the width of the terminal. Colors have no width.
func fit(line string, width int) string {
	inColor := false
	for i, r := range line {
		switch {
		case r == '\x1b':
			inColor = true
		case inColor:
			inColor = r != 'm'
		case width == 0:
			return line[:i] + "\x1b[0m"
		default:
			width--
		}
	}
	return line
}
