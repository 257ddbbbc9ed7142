package servicefabric

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
)

// Options are the settings of a Handler. Auth and Inventory are required.
type Options struct {
	// Auth decides who may do what, as in package httpapi. Required: a handler is never open by silence, see httpapi.Open.
	// The credential is a bearer token, or whatever Verify reads from the request, such as a client certificate. Tenant of
	// an Access is the application's full name. Starting an upgrade asks for httpapi.ActionCreate, reading its progress
	// for ActionRead, and the other calls for the verbs rollback, promote and edit.
	Auth httpapi.Auth
	// Inventory knows the applications. Required.
	Inventory Inventory
	// Concurrency is the most agents of an upgrade that may be open at once. 0 means all of a domain: it is the unit.
	Concurrency int
	// Limits bound what is accepted.
	Limits Limits
	// Poll is how often Run looks whether an upgrade that waits for a rollback may start. 0 means 250 ms.
	Poll time.Duration
	// Logger receives what clients are not told: why something was answered by 503. Nil means none.
	Logger *slog.Logger
}

// Limits bound what one request may cost. Zero fields mean the defaults.
type Limits struct {
	Body  int64 // bytes of a body; 0 means 1 MiB. What is kept of a description must fit 64 KiB
	Depth int   // of nested objects and arrays; 0 means 32
	// Slow is how long a body may take to arrive, plus one second for every 16 KiB that did. 0 means 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept an answer. 0 means 15 s.
	Write time.Duration
}

func (o Options) withDefaults() Options {
	o.Limits.Body = cmp.Or(o.Limits.Body, setting.Body)
	o.Limits.Depth = cmp.Or(o.Limits.Depth, setting.Depth)
	o.Limits.Slow = cmp.Or(o.Limits.Slow, setting.Slow)
	o.Limits.Write = cmp.Or(o.Limits.Write, setting.Write)
	o.Poll = cmp.Or(o.Poll, 250*time.Millisecond)
	o.Logger = setting.Logger(o.Logger)
	return o
}

func (o Options) check() error {
	var m setting.Mistakes
	m.Auth(o.Auth.Verify != nil)
	if o.Inventory == nil {
		m.Add("inventory", "", "is missing", "for example servicefabric.Apps")
	}
	m.Negative("concurrency", int64(o.Concurrency))
	m.Negative("limits.body", o.Limits.Body)
	m.Negative("limits.depth", int64(o.Limits.Depth))
	m.Negative("limits.slow", int64(o.Limits.Slow))
	m.Negative("limits.write", int64(o.Limits.Write))
	m.Negative("poll", int64(o.Poll))
	return m.In("servicefabric")
}

// Handler serves the calls of one Engine. It is safe for concurrent use.
type Handler struct {
	engine *ota.Engine
	opt    Options

	mu     sync.Mutex
	open   map[string]uint64 // by their IDs, plans that may have something to be finished; when each was last said to
	tracks uint64
}

// New returns a Handler that serves engine. It starts nothing; Run does what happens after an answer. An error matches
// ota.ErrInvalid and names every setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	if err := cmp.Or(setting.Engine(engine), options.check()); err != nil {
		return nil, err
	}
	return &Handler{engine: engine, opt: options.withDefaults(), open: map[string]uint64{}}, nil
}
