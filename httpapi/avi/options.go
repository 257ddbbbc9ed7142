package avi

import (
	"cmp"
	"crypto/sha256"
	"log/slog"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
)

// Options are the settings of a Handler. Auth is required; everything else has a default.
type Options struct {
	// Auth decides who may do what, as for the lifecycle API. Required: a handler is never open by silence, see httpapi.Open. A
	// login's user name and password, or token, is the credential; a tenant that a client names is in the Access.
	Auth httpapi.Auth
	// Prefix comes before every path, for example "/ota". The SDKs know none, so leave it empty for them.
	Prefix string
	// Version is what a login is told that the controller is. Empty means "30.2.1".
	Version string
	// SessionLife is how long a login is good for. What the verifier would not accept any more is accepted until then.
	// 0 means 1 h.
	SessionLife time.Duration
	// Sessions is how many logins may be good at once; one more ends the one that would end first. 0 means 10,000.
	Sessions int
	// Limits bound what one request may cost. Write is for each object of an answer.
	Limits httpapi.RequestLimits
	// Logger receives what clients are not told: why something was answered by 503. Nil means none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Version = cmp.Or(o.Version, "30.2.1")
	o.SessionLife = cmp.Or(o.SessionLife, time.Hour)
	o.Sessions = cmp.Or(o.Sessions, 10_000)
	return o
}

func (o Options) check() *setting.Mistakes {
	m := &setting.Mistakes{}
	m.Auth(o.Auth.Verify != nil)
	m.Prefix(o.Prefix, "/ota")
	m.Negative("sessionLife", int64(o.SessionLife))
	m.Negative("sessions", int64(o.Sessions))
	return m
}

// New returns a Handler that serves engine. It starts nothing; see Run. An error matches
// ota.ErrInvalid and names every setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	base, err := handler.New("avi", engine, handler.Limits(options.Limits), options.Logger, options.check())
	if err != nil {
		return nil, err
	}
	o := options.withDefaults()
	return &Handler{
		engine: engine, base: base, opt: o,
		sessions: sessions{life: o.SessionLife, most: o.Sessions, open: map[[sha256.Size]byte]*session{}},
		traces:   traces{of: map[string]trace{}},
	}, nil
}
