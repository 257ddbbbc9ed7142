package handler

import (
	"cmp"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// Limits bound what one request may cost. They are httpapi.RequestLimits.
type Limits struct {
	Body  int64
	Depth int
	Slow  time.Duration
	Write time.Duration
	Wait  time.Duration
}

// Base is what the handlers of all APIs have in common.
type Base struct {
	Limits Limits
	Logger *slog.Logger
	Clock  clock.Clock // the Engine's
}

// New checks what all APIs have in common and fills in its defaults. m has what the settings of one
// API have wrong; a missing engine is reported alone.
func New(
	pkg string, engine *ota.Engine, limits Limits, logger *slog.Logger, m *setting.Mistakes,
) (Base, error) {
	if engine == nil {
		return Base{}, &ota.FieldError{
			Field: "engine", Problem: "is missing", Allowed: "an *ota.Engine",
		}
	}
	m.Negative("limits.body", limits.Body)
	m.Negative("limits.depth", int64(limits.Depth))
	m.Negative("limits.slow", int64(limits.Slow))
	m.Negative("limits.write", int64(limits.Write))
	m.Negative("limits.wait", int64(limits.Wait))
	limits.Body = cmp.Or(limits.Body, 1<<20)
	limits.Depth = cmp.Or(limits.Depth, 32)
	limits.Slow = cmp.Or(limits.Slow, 10*time.Second)
	limits.Write = cmp.Or(limits.Write, 15*time.Second)
	limits.Wait = cmp.Or(limits.Wait, 30*time.Second)
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return Base{Limits: limits, Logger: logger, Clock: engine.Clock()}, m.In(pkg)
}

// Begin prepares an answer, before anything is read.
func (b *Base) Begin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	netlimit.Unread(w, r, b.Limits.Slow) // until the body is read
}

// Body is the body of a request, within the limits.
func (b *Base) Body(w http.ResponseWriter, r *http.Request) *netlimit.Body {
	return netlimit.NewBody(w, r, b.Limits.Body, b.Limits.Slow)
}

// JSON reads a body as JSON, within the limits.
func (b *Base) JSON(body *netlimit.Body) *strictjson.Reader {
	return strictjson.NewReader(body, strictjson.Limits{Depth: b.Limits.Depth})
}

// Refused sets the headers that go with the HTTP status of a refusal. It logs an error that is not
// the client's mistake.
func (b *Base) Refused(w http.ResponseWriter, r *http.Request, status int, err error) {
	switch status {
	case http.StatusServiceUnavailable:
		b.Failed(r, err)
		w.Header().Set("Retry-After", "1")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="ota"`)
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close")
	}
}

// Failed logs an error that is not the client's mistake.
func (b *Base) Failed(r *http.Request, err error) {
	b.Logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
}

// CutOff ends an answer that has begun and cannot be finished. It panics as net/http requires, so
// that the client does not take the answer for a complete one.
func (b *Base) CutOff(r *http.Request, err error) {
	b.Logger.WarnContext(r.Context(), "answer cut off", "path", r.URL.Path, "error", err)
	panic(http.ErrAbortHandler)
}

// Answer sends a complete answer. The client may take Limits.Write and more to accept it.
func (b *Base) Answer(w http.ResponseWriter, status int, body []byte, more time.Duration) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	netlimit.Extend(w, b.Limits.Write+more)
	w.WriteHeader(status)
	if _, err := w.Write(body); err == nil {
		_ = http.NewResponseController(w).Flush() // before the deadline is removed
	}
}
