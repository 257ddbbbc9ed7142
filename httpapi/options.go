package httpapi

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
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

// RequestLimits bound what one request may cost, in the other APIs of this module. Zero fields mean
// the defaults.
type RequestLimits struct {
	Body  int64 // bytes of a body; 0 means 1 MiB
	Depth int   // of nested objects and arrays in JSON; 0 means 32
	// Slow is how long a body may take to arrive, plus one second for every 16 KiB of it. 0 means 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept an answer, or an object of a long one. 0 means 15 s.
	Write time.Duration
}

// Limits bound what one request may cost. Zero fields mean the defaults.
type Limits struct {
	CreateBody int64 // bytes of a body that makes a plan; 0 means 256 MiB
	Body       int64 // bytes of any other body; 0 means 1 MiB
	Agents     int   // agents of one plan; 0 means 2,000,000
	Named      int   // agents named by one skip or retry, reports in one body; 0 means 10,000
	Preview    int   // agents of one preview, which is held in memory; 0 means 100,000
	Search     int   // agents that are read for one ListHistory by component over all plans; 0 means 1,000,000
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
	l.Agents = cmp.Or(l.Agents, 2_000_000)
	l.Named = cmp.Or(l.Named, 10_000)
	l.Preview = cmp.Or(l.Preview, 100_000)
	l.Search = cmp.Or(l.Search, 1_000_000)
	l.Watchers = cmp.Or(l.Watchers, 20_000)
	l.Heartbeat = cmp.Or(l.Heartbeat, 15*time.Second)
	return o
}

func (o Options) check() *setting.Mistakes {
	m := &setting.Mistakes{}
	m.Auth(o.Auth.Verify != nil)
	m.Prefix(o.Prefix, "/ota")
	l := o.Limits
	m.Negative("limits.createBody", l.CreateBody)
	m.Negative("limits.agents", int64(l.Agents))
	m.Negative("limits.named", int64(l.Named))
	m.Negative("limits.preview", int64(l.Preview))
	m.Negative("limits.search", int64(l.Search))
	m.Negative("limits.watchers", int64(l.Watchers))
	m.Negative("limits.heartbeat", int64(l.Heartbeat))
	return m
}

// New returns a Handler that serves engine. It starts nothing, and there is nothing to close: what follows plans for streams
// of events ends with the last stream. An error matches ota.ErrInvalid and names every setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	l := options.Limits
	base, err := handler.New("httpapi", engine, handler.Limits{
		Body: l.Body, Depth: l.Depth, Slow: l.Slow, Write: l.Write,
	}, options.Logger, options.check())
	if err != nil {
		return nil, err
	}
	h := &Handler{engine: engine, base: base, opt: options.withDefaults()}
	h.feeds.engine = engine
	h.routes = h.table()
	return h, nil
}
