package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"golang.org/x/term"
)

// output prints the story: with colors and a moving bar on a terminal, as plain lines elsewhere.
type output struct {
	w        io.Writer
	began    time.Time
	terminal bool
	color    bool
	verbose  bool
}

func newOutput(f *os.File, began time.Time, verbose bool) *output {
	terminal := term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	return &output{
		w: f, began: began, verbose: verbose, terminal: terminal, color: terminal && os.Getenv("NO_COLOR") == "",
	}
}

// The colors of a terminal.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (o *output) paint(color, s string) string {
	if !o.color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (o *output) title(format string, args ...any) {
	_, _ = fmt.Fprintf(o.w, "\n%s\n", o.paint(bold, fmt.Sprintf(format, args...)))
}

func (o *output) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.w, "  "+format+"\n", args...)
}

// plan prints what a plan is about to do.
func (o *output) plan(p ota.Plan) {
	o.say("%s", o.paint(dim, fmt.Sprintf(
		"%d agents in %d batches, %d at a time; each batch is watched for %s; more than %.0f%% failed in one pause the plan",
		p.Agents, p.Batches, p.Policy.Concurrency, p.Policy.Soak.Duration, *p.Policy.FailureThreshold*100)))
}

// preview prints what a plan tolerates, and what a bad release would harm, before it starts.
func (o *output) preview(p ota.Preview) {
	for line := range strings.Lines(p.String()) {
		o.say("%s", o.paint(dim, strings.TrimRight(line, "\n")))
	}
}

// checked prints the result of a check.
func (o *output) checked(ok bool, text string) {
	mark := o.paint(green, "✓")
	if !ok {
		mark = o.paint(red, "✗")
	}
	o.say("%s %s", mark, text)
}

// explain prints everything that blocks a plan.
func (o *output) explain(x ota.Explanation) {
	for _, b := range x.Blockers {
		o.say("%s %s", o.paint(yellow, "•"), b)
	}
	var verbs []string
	for _, v := range x.Legal {
		verbs = append(verbs, v.String())
	}
	o.say("The plan is %s. Possible now: %s", x.Status, strings.Join(verbs, ", "))
}

// event formats a line of a plan's log, with the seconds since the program began.
func (o *output) event(at time.Time, color, text string) string {
	return fmt.Sprintf("  %s %s\n", o.paint(dim, fmt.Sprintf("%5.1fs", at.Sub(o.began).Seconds())), o.paint(color, text))
}

// cells draws the agents of a batch, scaled down if there are many.
func (o *output) cells(c ota.Counts, most int) string {
	total := c.Total()
	var b strings.Builder
	done, drawn := 0, 0
	for _, part := range []struct {
		n           int
		glyph, tint string
	}{
		{c.Succeeded, "■", green},
		{c.Bad(), "✗", red},
		{c.Running + c.Waiting, "▪", yellow},
		{total - c.Succeeded - c.Bad() - c.Running - c.Waiting, "·", dim},
	} {
		done += part.n
		upTo := done
		if total > most {
			upTo = done * most / total
		}
		b.WriteString(o.paint(part.tint, strings.Repeat(part.glyph, upTo-drawn)))
		drawn = upTo
	}
	return b.String()
}
