package avi

import (
	"cmp"
	"crypto/sha256"
	"log/slog"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
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
	// Body is how many bytes a body may have. 0 means 1 MiB.
	Body int64
	// Slow is how long a body may take to arrive, plus one second for every 16 KiB that did. 0 means 10 s.
	Slow time.Duration
	// Write is how long a client may take to accept one object of an answer before it is cut off. 0 means 15 s.
	Write time.Duration
	// Logger receives what clients are not told: why something was answered by 503. Nil means none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Version = cmp.Or(o.Version, "30.2.1")
	o.SessionLife = cmp.Or(o.SessionLife, time.Hour)
	o.Sessions = cmp.Or(o.Sessions, 10_000)
	o.Body = cmp.Or(o.Body, setting.Body)
	o.Slow = cmp.Or(o.Slow, setting.Slow)
	o.Write = cmp.Or(o.Write, setting.Write)
	o.Logger = setting.Logger(o.Logger)
	return o
}

func (o Options) check() error {
	var m setting.Mistakes
	m.Auth(o.Auth.Verify != nil)
	m.Prefix(o.Prefix, "/ota")
	m.Negative("sessionLife", int64(o.SessionLife))
	m.Negative("sessions", int64(o.Sessions))
	m.Negative("body", o.Body)
	m.Negative("slow", int64(o.Slow))
	m.Negative("write", int64(o.Write))
	return m.In("avi")
}

// New returns a Handler that serves engine. It starts nothing; see Run. An error matches
// ota.ErrInvalid and names every setting that is not legal.
func New(engine *ota.Engine, options Options) (*Handler, error) {
	if err := cmp.Or(setting.Engine(engine), options.check()); err != nil {
		return nil, err
	}
	o := options.withDefaults()
	return &Handler{
		engine: engine, opt: o,
		sessions: sessions{life: o.SessionLife, most: o.Sessions, open: map[[sha256.Size]byte]*session{}},
		traces:   traces{of: map[string]trace{}},
	}, nil
}
