package arcgis

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The states of a job and their codes. Those of a failed job are in no document.
const (
	stateNone, codeNone             = "no_upgrade", 0
	stateInProgress, codeInProgress = "in_progress", 1
	stateFailed, codeJobFailed      = "failed", 2
	stateSuccess, codeSuccess       = "success", 3
)

// The codes of messages, in the order in which a job sends them. Their texts are those of the
// document; clients show them and search for them.
const (
	codeBegun       = 2072
	codeLaunched    = 2168
	codeReadOnly    = 2165
	codePreparing   = 2270
	codeDiagnosing  = 2287
	codeDiagnosed   = 2288
	codeExecuting   = 2271
	codeModule      = 2293 // for each module, then codeModuleDone
	codeModuleDone  = 2177
	codeWritable    = 2166
	codePost        = 2179
	codePostDone    = 2183
	codePersisting  = 2263
	codeCompleted   = 2077
	codeRolledBack  = 2076
	codeFailed      = 9001 // ours: a rollback plan has paused itself
	codeCanceled    = 9002 // ours: a rollback plan was canceled
	codeNotReadOnly = 9003 // ours: read-only mode could not be entered
	codeNotPossible = 9004 // ours: the Engine refuses a step
)

// message is an entry of a job's log.
type message struct {
	Message string `json:"message"`
	When    int64  `json:"when"` // epoch milliseconds
	Code    int    `json:"code"`
}

// status is the answer of upgrades and rollback.
type status struct {
	State    string    `json:"state"`
	Code     int       `json:"code"`
	Messages []message `json:"messages"`
}

func (s status) wrap() any {
	return struct {
		Status status `json:"status"`
	}{s}
}

// upgrades shows the newest job: a rollback, or the installation of a version.
func (c *call) upgrades() (any, error) {
	if err := c.only("GET", "HEAD", "POST"); err != nil {
		return nil, err
	}
	j, err := c.h.newest(c.ctx)
	if err != nil {
		return nil, err
	}
	if in, err := c.installation(j); err != nil {
		return nil, err
	} else if in != nil {
		s, err := c.h.installed(c.ctx, in)
		return s.wrap(), err
	}
	if j != nil {
		if ok, err := c.mayRead(&j.head); err != nil {
			return nil, err
		} else if !ok {
			j = nil
		}
	}
	if j == nil {
		return status{stateNone, codeNone, []message{}}.wrap(), nil
	}
	log, err := c.h.log(c.ctx, j)
	if err != nil {
		return nil, err
	}
	switch {
	case !j.done():
		return status{stateInProgress, codeInProgress, log}.wrap(), nil
	case j.failure != nil:
		return status{stateFailed, codeJobFailed, log}.wrap(), nil
	default:
		return status{stateSuccess, codeSuccess, log}.wrap(), nil
	}
}

// journal is a log being written: no entry is earlier than the one before it.
type journal []message

func (l *journal) add(code int, when int64, format string, args ...any) {
	if n := len(*l); n > 0 {
		when = max(when, (*l)[n-1].When)
	}
	*l = append(*l, message{Message: fmt.Sprintf(format, args...), When: when, Code: code})
}

// opening is what a job says before Run has seen it.
func (j *job) opening() journal {
	var l journal
	begun := j.head.CreatedAt.UnixMilli()
	l.add(codeBegun, begun, "Starting the rollback process from %s to %s.", j.from, j.to)
	l.add(codeLaunched, begun, "Launching upgrader... ")
	return l
}

// log is all that a job has said so far.
func (h *Handler) log(ctx context.Context, j *job) (journal, error) {
	l := j.opening()
	if j.entered != 0 {
		l.add(codeReadOnly, j.entered, "System is going into Read-Only mode.")
		l.add(codePreparing, j.entered, "Preparing an upgrade plan.")
	}
	if j.checked[1] != 0 {
		l.add(codeDiagnosing, j.checked[0], "Pre-diagnostics started.")
		l.add(codeDiagnosed, j.checked[1], "Pre-diagnostics completed.")
	}
	if !j.head.StartedAt.IsZero() {
		l.add(codeExecuting, j.head.StartedAt.UnixMilli(), "Executing upgrade plan.")
	}
	for _, p := range j.steps {
		if p == nil || p.StartedAt.IsZero() {
			continue
		}
		for b, err := range h.engine.Batches(ctx, p.ID, 0) {
			if err != nil {
				return nil, err
			}
			l.module(p, &b)
		}
	}
	if f := j.failure; f != nil {
		l.add(f.Code, f.When, "%s", f.Message)
	}
	if j.left != 0 && j.entered != 0 {
		l.add(codeWritable, j.left, "System is coming out of Read-Only mode.")
	}
	if j.left != 0 && j.failure == nil {
		l.closing(j)
	}
	return l, nil
}

// module tells of one batch.
func (l *journal) module(p *ota.Plan, b *ota.Batch) {
	began := cmp.Or(b.StartedAt, b.FinishedAt, b.CompletedAt)
	if began.IsZero() {
		return
	}
	name := cmp.Or(b.Name, fmt.Sprintf("batch %d of %d", b.Index+1, p.Batches))
	l.add(codeModule, began.UnixMilli(), "Rollback of %s module started.", name)
	for i := range p.Breaches {
		if p.Breaches[i].Batch == b.Index {
			return
		}
	}
	if b.Status == ota.BatchSoaking || b.Status == ota.BatchCompleted {
		ended := cmp.Or(b.FinishedAt, b.CompletedAt)
		took := ended.Sub(began)
		l.add(codeModuleDone, ended.UnixMilli(), "The rolling back of %s has completed in %d millis (~ %d minutes).", name, took.Milliseconds(), int(took.Minutes()))
	}
}

// closing is what a job says when it has succeeded.
func (l *journal) closing(j *job) {
	last := j.steps[len(j.steps)-1]
	completed := int64(0)
	if last != nil {
		completed = last.EndedAt.UnixMilli()
	}
	l.add(codePost, completed, "Post-upgrade operations started.")
	l.add(codePostDone, completed, "Post-upgrade operations completed.")
	l.add(codePersisting, completed, "Persisting rollback state to database.")
	took := time.Duration(max(0, j.left-j.head.CreatedAt.UnixMilli())) * time.Millisecond
	l.add(codeCompleted, j.left, "The rollback process from %s to %s has completed in %s.", j.from, j.to, clockText(took))
	l.add(codeRolledBack, j.left, "The ArcGIS Enterprise on Kubernetes has been rolled-back from %s to %s successfully.", j.from, j.to)
}

// clockText writes a duration as 00hr:06min:45sec:968millisec.
func clockText(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02dhr:%02dmin:%02dsec:%03dmillisec", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
