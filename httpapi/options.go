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
	// Auth decides which caller may do what. Required: a handler that is open says so, see Open.
	Auth Auth
	// Prefix comes before every path, for example "/ota". It begins with a slash and does not end
	// with one. Empty means none. Leave it empty if the host strips its prefix itself.
	Prefix string
	// Strict refuses an unknown member of a documented request by name. Otherwise it has no effect,
	// and the answer's warnings name it. Always refused are unknown members of all other objects,
	// unknown query parameters, and a known member in the wrong case.
	Strict bool
	// StartOnCreate starts a plan when it is created: by CreateGraduatedPlan, CreateDowngradePlan or
	// CreateRollbackPlan. The documents have no call that starts a plan, and their examples show it
	// running. The caller also needs the action of the verb start, or rollback. If the start is
	// refused, the answer has the pending plan, and a warning with the reason.
	StartOnCreate bool
	// RequireIfMatch refuses every verb without an If-Match header, with 428.
	RequireIfMatch bool
	// Inventory knows where components are installed, for CreateDowngradePlan. Nil means that its
	// requests must name agents.
	Inventory Inventory
	// Limits bound what is accepted.
	Limits Limits
	// TempDir stores the agents of large bodies until their plan is made. Empty means the system's.
	TempDir string
	// Logger gets errors that answers do not show: the cause of each 503. Nil means none.
	Logger *slog.Logger
}

// RequestLimits bound what one request may cost, in the other APIs of this module. Zero fields mean
// the defaults.
type RequestLimits struct {
	Body  int64 // bytes of a body; 0 means 1 MiB
	Depth int   // of nested objects and arrays in JSON; 0 means 32
	// Slow is how long a body may take to arrive, plus one second for every 16 KiB of it. 0 means
	// 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept an answer, or an object of a long one. 0 means
	// 15 s.
	Write time.Duration
	// Wait is how long a request waits for an answer of the Store, by the Engine's clock. Then it is
	// refused as unavailable. 0 means 30 s.
	Wait time.Duration
}

// Limits bound what one request may cost. Zero fields mean the defaults.
type Limits struct {
	CreateBody int64 // bytes of a body that makes a plan; 0 means 256 MiB
	Body       int64 // bytes of any other body; 0 means 1 MiB
	Agents     int   // agents of one plan; 0 means 2,000,000
	Named      int   // agents named by one skip or retry, reports in one body; 0 means 10,000
	Preview    int   // agents of one preview, which is in memory; 0 means 100,000
	Search     int   // agents that one ListHistory by component may read; 0 means 1,000,000
	Depth      int   // of nested objects and arrays; 0 means 32
	// Slow is how long a body may take to arrive, plus one second for every 16 KiB of it. 0 means
	// 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept 32 KiB of an answer, or one event. Then the
	// server closes the connection. 0 means 15 s.
	Write time.Duration
	// Wait is how long a request waits for an answer of the Store, by the Engine's clock. Then it is
	// refused with 503. A request that makes a plan may wait 1 ms longer for each agent, a precheck
	// 1 s. A stream of events waits without limit. 0 means 30 s.
	Wait time.Duration
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

// New returns a Handler that serves engine. It starts nothing, and needs no Close: the goroutines
// for streams of events end with the last stream. An error matches ota.ErrInvalid and names every
// setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	l := options.Limits
	base, err := handler.New("httpapi", engine, handler.Limits{
		Body: l.Body, Depth: l.Depth, Slow: l.Slow, Write: l.Write, Wait: l.Wait,
	}, options.Logger, options.check())
	if err != nil {
		return nil, err
	}
	h := &Handler{engine: engine, base: base, opt: options.withDefaults()}
	h.feeds.engine = engine
	h.routes = h.table()
	return h, nil
}
