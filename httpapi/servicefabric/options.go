package servicefabric

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
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
	// Limits bound what one request may cost. What is stored of a description must fit 64 KiB.
	Limits httpapi.RequestLimits
	// Poll is how often Run looks whether an upgrade that waits for a rollback may start. 0 means 250 ms.
	Poll time.Duration
	// Logger receives what clients are not told: why something was answered by 503. Nil means none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Poll = cmp.Or(o.Poll, 250*time.Millisecond)
	return o
}

func (o Options) check() *setting.Mistakes {
	m := &setting.Mistakes{}
	m.Auth(o.Auth.Verify != nil)
	if o.Inventory == nil {
		m.Add("inventory", "", "is missing", "for example servicefabric.Apps")
	}
	m.Negative("concurrency", int64(o.Concurrency))
	m.Negative("poll", int64(o.Poll))
	return m
}

// Handler serves the calls of one Engine. It is safe for concurrent use.
type Handler struct {
	engine *ota.Engine
	base   handler.Base
	opt    Options

	mu     sync.Mutex
	open   map[string]uint64 // by their IDs, plans that may have something to be finished; when each was last said to
	tracks uint64
}

// New returns a Handler that serves engine. It starts nothing; Run does what happens after an answer. An error matches
// ota.ErrInvalid and names every setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	base, err := handler.New("servicefabric", engine, handler.Limits(options.Limits), options.Logger, options.check())
	if err != nil {
		return nil, err
	}
	return &Handler{engine: engine, base: base, opt: options.withDefaults(), open: map[string]uint64{}}, nil
}
