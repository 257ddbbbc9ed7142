package arcgis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// Options are the settings of a Handler. Auth and ReadOnly are required.
type Options struct {
	// Auth decides who may do what. Required: a handler is never open by silence, see httpapi.Open. The token of a request is
	// the Credential's; httpapi.ActionList is asked for the deployment, httpapi.ActionRead and the verb rollback for its plans.
	Auth httpapi.Auth
	// ReadOnly switches the read-only mode of the organization on and off. Required. Setting what is set already must be
	// harmless: after a crash it is set again. An error when switching on ends the job before anything is touched;
	// switching off is tried again until it succeeds. It should return soon after ctx ends.
	ReadOnly func(ctx context.Context, on bool) error
	// Prefix comes before "/system/upgrades", for example "/context/admin". It begins with a slash and does not end with
	// one; empty means none. A host that strips its prefix itself leaves it empty.
	Prefix string
	// Deployment, when not empty, leaves out all plans but those whose label "deployment" is this.
	Deployment string
	// Limits bound what one request may cost.
	Limits Limits
	// Poll is how often Run looks for jobs that another process has begun, and how soon it tries again what failed. 0 means 1 s.
	Poll time.Duration
	// SwitchLimit is how long one call of ReadOnly may take. 0 means 5 min.
	SwitchLimit time.Duration
	// Logger receives what clients are not told: why something failed for now. Nil means none.
	Logger *slog.Logger
}

// Limits bound what one request may cost. Zero fields mean the defaults.
type Limits struct {
	Body  int64 // bytes of a form; 0 means 1 MiB
	Depth int   // of nested objects and arrays in a form's JSON; 0 means 32
	// Slow is how long a form may take to arrive, plus one second for every 16 KiB that did. 0 means 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept an answer, plus one second for every 16 KiB of it. 0 means 15 s.
	Write time.Duration
}

func (o Options) withDefaults() Options {
	o.Limits.Body = cmp.Or(o.Limits.Body, 1<<20)
	o.Limits.Depth = cmp.Or(o.Limits.Depth, 32)
	o.Limits.Slow = cmp.Or(o.Limits.Slow, 10*time.Second)
	o.Limits.Write = cmp.Or(o.Limits.Write, 15*time.Second)
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.SwitchLimit = cmp.Or(o.SwitchLimit, 5*time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) check() error {
	var errs []error
	add := func(field, value, problem, allowed string) {
		errs = append(errs, &ota.FieldError{Field: field, Value: value, Problem: problem, Allowed: allowed})
	}
	if o.Auth.Verify == nil {
		add("auth", "", "is missing", "for example httpapi.Tokens(…), or httpapi.Open() to let everybody in")
	}
	if o.ReadOnly == nil {
		add("readOnly", "", "is missing", "a function that switches read-only mode; one that returns nil where there is no such mode")
	}
	if p := o.Prefix; p != "" && (p[0] != '/' || p[len(p)-1] == '/' || strings.Contains(p, "//") || strings.ContainsAny(p, "{}%?# ")) {
		add("prefix", p, "is not a path", `empty, or for example "/context/admin"`)
	}
	if len(o.Deployment) > 255 {
		add("deployment", "", "is too long", "at most 255 bytes")
	}
	for _, f := range []struct {
		field string
		bad   bool
	}{
		{"limits.body", o.Limits.Body < 0},
		{"limits.depth", o.Limits.Depth < 0},
		{"limits.slow", o.Limits.Slow < 0},
		{"limits.write", o.Limits.Write < 0},
		{"poll", o.Poll < 0},
		{"switchLimit", o.SwitchLimit < 0},
	} {
		if f.bad {
			add(f.field, "", "is negative", "more than 0; 0 means the default")
		}
	}
	return errors.Join(errs...)
}

// New returns a Handler that serves engine. It starts nothing: jobs move only while Run, and the Engine's Run, are called.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	if engine == nil {
		return nil, &ota.FieldError{Field: "engine", Problem: "is missing", Allowed: "an *ota.Engine"}
	}
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("arcgis: %w", err)
	}
	h := &Handler{engine: engine, opt: options.withDefaults(), wake: make(chan struct{}, 1)}
	h.orphans.Store(true)
	return h, nil
}
