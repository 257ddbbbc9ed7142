package arcgis

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
)

// Options are the settings of a Handler. Auth and ReadOnly are required.
type Options struct {
	// Auth decides which caller may do what. Required: a handler that is open says so, see
	// httpapi.Open. The Credential has the token of the request. The deployment needs
	// httpapi.ActionList; its plans need httpapi.ActionRead and the verb rollback.
	Auth httpapi.Auth
	// ReadOnly switches the read-only mode of the organization on and off. Required. It must be
	// idempotent: after a crash it is called again. If switching on fails, the job ends before it
	// changes an agent. Switching off is retried until it succeeds. It should return soon after ctx
	// ends.
	ReadOnly func(ctx context.Context, on bool) error
	// Prefix comes before "/system/upgrades", for example "/context/admin". It begins with a slash
	// and does not end with one; empty means none. A host that strips its prefix itself leaves it
	// empty.
	Prefix string
	// Deployment selects the plans whose label "deployment" has this value. Empty means all plans.
	Deployment string
	// Limits bound what one request may cost. Write grows by one second for every 16 KiB of the
	// answer.
	Limits httpapi.RequestLimits
	// Poll is the time between two searches for jobs of other processes, and between two tries of a
	// step that failed. 0 means 1 s.
	Poll time.Duration
	// SwitchLimit is how long one call of ReadOnly may take. 0 means 5 min.
	SwitchLimit time.Duration
	// Logger gets errors that answers do not show: why a request or a job failed for now. Nil means
	// none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.SwitchLimit = cmp.Or(o.SwitchLimit, 5*time.Minute)
	return o
}

func (o Options) check() *setting.Mistakes {
	m := &setting.Mistakes{}
	m.Auth(o.Auth.Verify != nil)
	if o.ReadOnly == nil {
		m.Add("readOnly", "", "is missing", "a function that switches read-only mode; one that returns nil where there is no such mode")
	}
	m.Prefix(o.Prefix, "/context/admin")
	if len(o.Deployment) > 255 {
		m.Add("deployment", "", "is too long", "at most 255 bytes")
	}
	m.Negative("poll", int64(o.Poll))
	m.Negative("switchLimit", int64(o.SwitchLimit))
	return m
}

// New returns a Handler that serves engine. It starts nothing: jobs progress only while its Run and
// the Engine's Run are called. An error matches ota.ErrInvalid and names every setting that is not
// legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	base, err := handler.New("arcgis", engine, handler.Limits(options.Limits), options.Logger, options.check())
	if err != nil {
		return nil, err
	}
	h := &Handler{engine: engine, base: base, opt: options.withDefaults(), wake: make(chan struct{}, 1)}
	h.orphans.Store(true)
	return h, nil
}
