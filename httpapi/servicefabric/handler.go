package servicefabric

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
)

// Mount registers h on mux so that it coexists with every other pattern of the host: method by
// method. It takes everything below /Applications/, and below /$/, where the real gateway has its
// cluster and answers unknown paths by 400.
func Mount(mux *http.ServeMux, h *Handler) {
	handler.Mount(mux, h, "/Applications", "/Applications/", "/$/")
}

// operation is one call: the last part of its path.
type operation struct {
	method string
	serve  func(*call) error
}

var operations = map[string]operation{
	"Upgrade":                 {http.MethodPost, (*call).upgrade},
	"GetUpgradeProgress":      {http.MethodGet, (*call).progress},
	"MoveToNextUpgradeDomain": {http.MethodPost, (*call).moveNext},
	"UpdateUpgrade":           {http.MethodPost, (*call).update},
	"RollbackUpgrade":         {http.MethodPost, (*call).rollback},
}

// call is one request being served.
type call struct {
	h   *Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context // ends with the request, and after its timeout
	// The limit of everything before the client's own timeout is known.
	wait *handler.Patience
	who  httpapi.Principal
	app  string // the application's full name
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.base.Begin(w, r)
	r, wait := h.base.Wait(r)
	defer wait.Done()
	c := &call{h: h, w: w, r: r, ctx: r.Context(), wait: wait}
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

func (c *call) serve() error {
	if err := c.h.opt.Auth.CheckOrigin(c.r); err != nil {
		return refuse(codeDenied, "Another site made a browser send this request.")
	}
	who, err := c.h.opt.Auth.Check(c.ctx, httpapi.Credential{Token: httpapi.BearerToken(c.r), Request: c.r})
	if err != nil {
		return err
	}
	c.who = who
	name, op, ok := route(c.r.URL.EscapedPath())
	if !ok || operations[op].method != c.r.Method {
		return refuse(codeInvalid, "There is nothing at this path, or not for this method.")
	}
	c.app = name
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return refuse(codeInvalid, "The query cannot be read.")
	}
	if !c.h.versionServed(query["api-version"]) {
		return refuse(codeInvalid, "api-version is required, and is from 1.0 to %s.", c.h.opt.Runtime)
	}
	c.wait.Suspend()
	ctx, cancel := c.h.base.Clock.WithTimeout(c.ctx, timeout(query.Get("timeout")))
	defer cancel()
	c.ctx = ctx
	return operations[op].serve(c)
}

// route reads /Applications/{applicationId}/$/{operation}: the application's full name and the
// operation. The ID's parts are delimited by "~", or by "/" as before version 6.0.
func route(path string) (name, op string, ok bool) {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 5 || parts[0] != "" || parts[1] != "Applications" {
		return "", "", false
	}
	for i, p := range parts {
		part, err := url.PathUnescape(p)
		if err != nil || part == "" && i > 0 {
			return "", "", false
		}
		parts[i] = part
	}
	if parts[n-2] != "$" {
		return "", "", false
	}
	op = parts[n-1]
	if _, ok := operations[op]; !ok {
		return "", "", false
	}
	return scheme + strings.ReplaceAll(strings.Join(parts[2:n-2], "/"), "~", "/"), op, true
}

// versionServed reports whether an api-version is one that the real gateway takes: a decimal
// number up to the version of the runtime, "-preview" or not.
func (h *Handler) versionServed(values []string) bool {
	if len(values) == 0 {
		return false
	}
	n, ok := apiVersion(strings.TrimSuffix(values[0], "-preview"))
	most, _ := apiVersion(h.opt.Runtime)
	return ok && n <= most
}

func apiVersion(s string) (float64, bool) {
	if strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && n >= 1
}

// timeout is how long a call may take: seconds, or one minute when they cannot be read.
func timeout(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		n = 60
	}
	return time.Duration(n) * time.Second
}

// allow asks whether the caller may do action to the application's upgrade, p or none.
func (c *call) allow(action httpapi.Action, p *ota.Plan) error {
	return c.h.opt.Auth.Allow(c.ctx, c.who, httpapi.Access{Action: action, Plan: p, Tenant: c.app})
}

// by is who says the verbs of this call.
func (c *call) by(reason string) ota.Request { return ota.Request{Actor: c.who.Name, Reason: reason} }

// tries is how often a call is looked at anew when somebody else was faster.
const tries = 16

// retry does f until it does not say errAgain.
func (c *call) retry(f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if !errors.Is(err, errAgain) || try == tries || c.ctx.Err() != nil {
			return err
		}
		select {
		case <-c.ctx.Done():
		case <-c.h.base.Clock.After(time.Millisecond << min(try, 6)):
		}
	}
}

// ok answers a call that has no more to tell.
func (c *call) ok() error {
	c.answer(http.StatusOK, nil)
	return nil
}

func (c *call) refuse(err error) {
	e := refusalOf(err)
	if e.status == http.StatusServiceUnavailable && errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		e = refusalOf(context.DeadlineExceeded)
	}
	c.h.base.Refused(c.w, c.r, e.status, err)
	var body struct {
		Error struct{ Code, Message string }
	}
	body.Error.Code, body.Error.Message = e.code, e.message
	c.answer(e.status, body)
}

// answer sends a whole answer; v is nil for an empty one.
func (c *call) answer(status int, v any) {
	var b []byte
	if v != nil {
		var err error
		if b, err = json.Marshal(v); err != nil {
			panic(err) // our own types always encode
		}
	}
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	defer netlimit.Restore(c.w, c.r)
	c.h.base.Answer(c.w, status, b, 0)
}
