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
	// Auth decides which caller may do what, as in package httpapi. Required: a handler that is
	// open says so, see httpapi.Open. The credential is a bearer token, or what Verify reads from
	// the request, such as a client certificate. Tenant of an Access is the application's full
	// name. An upgrade needs httpapi.ActionCreate, its progress ActionRead, and the other calls the
	// verbs rollback, promote and edit.
	Auth httpapi.Auth
	// Inventory knows the applications. Required.
	Inventory Inventory
	// Concurrency is the most agents of an upgrade that may be open at once. 0 means all agents of
	// a domain.
	Concurrency int
	// Runtime is the version of the runtime that clients see, for example "9.1": every api-version
	// from 1.0 up to it is served, as the document says. Empty means "11.3".
	Runtime string
	// Limits bound what one request may cost. What is stored of a description must fit 64 KiB.
	Limits httpapi.RequestLimits
	// Poll is the time between two checks of upgrades that wait for a rollback. 0 means 250 ms.
	Poll time.Duration
	// Logger gets errors that answers do not show: the cause of each 503. Nil means none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Runtime = cmp.Or(o.Runtime, "11.3")
	o.Poll = cmp.Or(o.Poll, 250*time.Millisecond)
	return o
}

func (o Options) check() *setting.Mistakes {
	m := &setting.Mistakes{}
	m.Auth(o.Auth.Verify != nil)
	if o.Inventory == nil {
		m.Add("inventory", "", "is missing", "for example servicefabric.Apps")
	}
	if _, ok := apiVersion(cmp.Or(o.Runtime, "1.0")); !ok {
		m.Add("runtime", o.Runtime, "is no version", `1.0 or higher, for example "9.1"`)
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
	open   map[string]uint64 // by ID, plans that Run may have to finish; the newest has the largest number
	tracks uint64
}

// New returns a Handler that serves engine. It starts nothing; Run does the work that follows an
// answer. An error matches ota.ErrInvalid and names every setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	base, err := handler.New("servicefabric", engine, handler.Limits(options.Limits), options.Logger, options.check())
	if err != nil {
		return nil, err
	}
	return &Handler{engine: engine, base: base, opt: options.withDefaults(), open: map[string]uint64{}}, nil
}
