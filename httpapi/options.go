package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Options are the settings of a Handler. Auth is required; everything else has a default.
type Options struct {
	// Auth decides who may do what. Required: a handler is never open by silence, see Open.
	Auth Auth
	// Prefix comes before every path, for example "/ota". It begins with a slash and does not end with one; empty means
	// none. A host that strips its prefix itself leaves it empty.
	Prefix string
	// Strict refuses unknown fields and unknown query parameters by name. Otherwise they are ignored, except that a known
	// field in the wrong case is refused always.
	Strict bool
	// RequireIfMatch refuses every verb without an If-Match header, with 428.
	RequireIfMatch bool
	// Inventory knows where components are installed, for CreateDowngradePlan. Nil means that its requests name agents.
	Inventory Inventory
	// Limits bound what is accepted.
	Limits Limits
	// TempDir is where the agents of large bodies are kept until their plan is made. Empty means the system's.
	TempDir string
	// Logger receives what clients are not told: why something was answered by 503. Nil means none.
	Logger *slog.Logger
}

// Limits bound what one request may cost. Zero fields mean the defaults.
type Limits struct {
	CreateBody int64 // bytes of a body that makes a plan; 0 means 256 MiB
	Body       int64 // bytes of any other body; 0 means 1 MiB
	Agents     int   // agents of one plan; 0 means 2,000,000
	Named      int   // agents named by one skip or retry, reports in one body; 0 means 10,000
	Preview    int   // agents of one preview, which is held in memory; 0 means 100,000
	Depth      int   // of nested objects and arrays; 0 means 32
	// Slow is how long a body may take to arrive, plus one second for every 16 KiB that did. 0 means 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept 32 KiB of an answer, or one event, before it is cut off. 0 means 15 s.
	Write time.Duration
	// Watchers is how many streams of events may be open at once. 0 means 20,000.
	Watchers int
	// Heartbeat is the time between two comments in a stream without events. 0 means 15 s.
	Heartbeat time.Duration
}

func (o Options) withDefaults() Options {
	l := &o.Limits
	l.CreateBody = cmp.Or(l.CreateBody, 256<<20)
	l.Body = cmp.Or(l.Body, 1<<20)
	l.Agents = cmp.Or(l.Agents, 2_000_000)
	l.Named = cmp.Or(l.Named, 10_000)
	l.Preview = cmp.Or(l.Preview, 100_000)
	l.Depth = cmp.Or(l.Depth, 32)
	l.Slow = cmp.Or(l.Slow, 10*time.Second)
	l.Write = cmp.Or(l.Write, 15*time.Second)
	l.Watchers = cmp.Or(l.Watchers, 20_000)
	l.Heartbeat = cmp.Or(l.Heartbeat, 15*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) check() error {
	var errs []error
	if o.Auth.Verify == nil {
		errs = append(errs, &ota.FieldError{
			Field: "auth", Problem: "is missing", Allowed: "for example httpapi.Tokens(…), or httpapi.Open() to let everybody in",
		})
	}
	if p := o.Prefix; p != "" && (p[0] != '/' || p[len(p)-1] == '/' || strings.Contains(p, "//") || strings.ContainsAny(p, "{}%?# ")) {
		errs = append(errs, &ota.FieldError{
			Field: "prefix", Value: p, Problem: "is not a path", Allowed: `empty, or for example "/ota"`,
		})
	}
	l := o.Limits
	for field, bad := range map[string]bool{
		"createBody": l.CreateBody < 0, "body": l.Body < 0, "agents": l.Agents < 0, "named": l.Named < 0, "preview": l.Preview < 0, "depth": l.Depth < 0,
		"slow": l.Slow < 0, "write": l.Write < 0, "watchers": l.Watchers < 0, "heartbeat": l.Heartbeat < 0,
	} {
		if bad {
			errs = append(errs, &ota.FieldError{Field: "limits." + field, Problem: "is negative", Allowed: "more than 0; 0 means the default"})
		}
	}
	return errors.Join(errs...)
}

// New returns a Handler that serves engine. It starts nothing, and there is nothing to close: what follows plans for streams
// of events ends with the last stream.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	if engine == nil {
		return nil, &ota.FieldError{Field: "engine", Problem: "is missing", Allowed: "an *ota.Engine"}
	}
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	h := &Handler{engine: engine, opt: options.withDefaults()}
	h.feeds.engine = engine
	h.routes = h.table()
	return h, nil
}
