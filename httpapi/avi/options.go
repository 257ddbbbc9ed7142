package avi

import (
	"cmp"
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
)

// Options are the settings of a Handler. Auth is required; everything else has a default.
type Options struct {
	// Auth decides which caller may do what, as in the lifecycle API. Required: a handler that is
	// open says so, see httpapi.Open. The credential is the user name and password, or the token,
	// of a login. The Access has the tenant that the client names.
	Auth httpapi.Auth
	// Prefix comes before every path, for example "/ota". The SDKs know none, so leave it empty for
	// them.
	Prefix string
	// Version is the version of the controller: in the answer to a login, and the highest that a
	// client may ask for with X-Avi-Version. Empty means "30.2.1".
	Version string
	// RequireVersion refuses requests without X-Avi-Version, as the document says. Otherwise such a
	// request means the controller's own version.
	RequireVersion bool
	// SessionLife is how long a login is valid, also if the verifier would no longer accept it. 0
	// means 1 h.
	SessionLife time.Duration
	// Sessions is how many logins may be valid at once. One more ends the login that would expire
	// first. 0 means 10,000.
	Sessions int
	// Limits bound what one request may cost. Write is for each object of an answer.
	Limits httpapi.RequestLimits
	// Logger gets errors that answers do not show: the cause of each 503. Nil means none.
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
		sessions: sessions{clock: base.Clock, life: o.SessionLife, most: o.Sessions, open: map[[sha256.Size]byte]*session{}},
		guesses:  guesses{clock: base.Clock, of: map[netip.Prefix]*guesser{}},
		traces:   traces{of: map[string]trace{}},
	}, nil
}
