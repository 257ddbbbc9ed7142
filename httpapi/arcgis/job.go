package arcgis

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// A job is a chain of rollback plans, and everything about it is in their labels and annotations.
// The first one, the head, has the label arcgis.job=rollback, by which jobs are found; the others
// have the head's ID there. The head's annotations tell what was asked for, fixed when it was made,
// and how far Run has come.
const (
	labelJob  = "arcgis.job"
	headLabel = "rollback"

	noteRequest = "arcgis.request" // tells whose call made the plan
	noteSources = "arcgis.sources" // the plans to undo, the newest first, with commas between them
	noteTarget  = "arcgis.target"  // the id of the version to go back to
	noteFrom    = "arcgis.from"    // the text of the version at the beginning
	noteTo      = "arcgis.to"      // the text of the version to go back to

	noteEntered = "arcgis.entered" // when read-only mode was entered, epoch milliseconds
	noteChecked = "arcgis.checked" // when the pre-diagnostics began and ended, likewise, with a space between them
	noteFailed  = "arcgis.failed"  // why it failed: a message as JSON
	noteLeft    = "arcgis.left"    // when read-only mode was left; the job is done then
)

// job is a job as it stands.
type job struct {
	head             ota.Plan
	sources          []string
	steps            []*ota.Plan // the rollback plan of each source; nil when it was not made yet
	target, from, to string
	entered, left    int64 // epoch milliseconds; 0: not yet
	checked          [2]int64
	failure          *message
}

// jobOf is what the head tells of its job. It is nil for a plan that is no head.
func jobOf(head *ota.Plan) *job {
	a := head.Annotations
	if head.Labels[labelJob] != headLabel || head.Source == "" || a[noteSources] == "" {
		return nil
	}
	j := &job{
		head: *head, sources: strings.Split(a[noteSources], ","), target: a[noteTarget], from: a[noteFrom], to: a[noteTo],
		entered: millis(a[noteEntered]), left: millis(a[noteLeft]),
	}
	began, ended, _ := strings.Cut(a[noteChecked], " ")
	j.checked = [2]int64{millis(began), millis(ended)}
	if text := a[noteFailed]; text != "" {
		j.failure = &message{Code: codeFailed, Message: "The rollback failed."}
		_ = json.Unmarshal([]byte(text), j.failure) // what cannot be read is a failure all the same
	}
	j.steps = make([]*ota.Plan, len(j.sources))
	j.steps[0] = &j.head
	return j
}

func millis(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (h *Handler) nowMillis() string { return strconv.FormatInt(h.base.Clock.Now().UnixMilli(), 10) }

// done reports whether nothing is left to do.
func (j *job) done() bool { return j.left != 0 }

// current returns the first step whose rollback has not completed, and its plan, which is nil when
// it was not made yet. When all have completed it is the number of steps.
func (j *job) current() (int, *ota.Plan) {
	for k, p := range j.steps {
		if p == nil || p.Status != ota.StatusCompleted {
			return k, p
		}
	}
	return len(j.steps), nil
}

// newest returns the newest job, or nil.
func (h *Handler) newest(ctx context.Context) (*job, error) {
	var j *job
	err := h.plans(ctx, ota.PlanQuery{Labels: h.labels(map[string]string{labelJob: headLabel}), Limit: 4}, func(p *ota.Plan) bool {
		j = jobOf(p)
		return j == nil
	})
	if err != nil || j == nil || len(j.sources) == 1 {
		return j, err
	}
	err = h.plans(ctx, ota.PlanQuery{Labels: map[string]string{labelJob: j.head.ID}}, func(p *ota.Plan) bool {
		if k := slices.Index(j.sources, p.Source); k > 0 {
			j.steps[k] = p
		}
		return true
	})
	return j, err
}
