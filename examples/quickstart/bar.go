package main

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar is the one moving line on a terminal: the current batch. Other output appears above it.
type bar struct {
	io.Writer
	progress *mpb.Progress
	line     *mpb.Bar
	now      atomic.Pointer[string]
}

func newBar(o *output) *bar {
	b := &bar{}
	b.show("")
	b.progress = mpb.New(mpb.WithOutput(o.w), mpb.WithRefreshRate(60*time.Millisecond))
	b.Writer = b.progress
	b.line = b.progress.MustAdd(1, mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		_, err := io.WriteString(w, fit(*b.now.Load(), s.AvailableWidth))
		return err
	}), mpb.BarFillerTrim(), mpb.BarRemoveOnComplete())
	return b
}

// show replaces the line.
func (b *bar) show(text string) { b.now.Store(&text) }

// end removes the line, after everything above it is written.
func (b *bar) end() {
	b.line.Abort(true)
	b.progress.Wait()
}

// cellsWide is the largest number of characters for the agents of a batch.
const cellsWide = 30

// draw shows a batch in the moving line.
func (s *progress) draw(b *batchView, doing string) {
	if s.bar != nil {
		s.bar.show("         " + s.batchText(b, doing))
	}
}

// hide empties the moving line.
func (s *progress) hide() {
	if s.bar != nil {
		s.bar.show("")
	}
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
