package arcgis

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
)

// Handler serves system/upgrades of one deployment. It is safe for concurrent use.
type Handler struct {
	engine  *ota.Engine
	base    handler.Base
	opt     Options
	wake    chan struct{} // has a value when Run should look at once
	orphans atomic.Bool   // a rollback may have been begun and not made
}

const upgrades = "/system/upgrades"

// Mount registers h on mux, under its prefix, method by method, so that it coexists with every
// other pattern of the host.
//
// With a prefix, it also takes everything else below the prefix, and answers as the API does that
// nothing is there.
func Mount(mux *http.ServeMux, h *Handler) {
	handler.Mount(mux, h, h.Root(), h.Root()+"/")
	if h.opt.Prefix != "" {
		handler.Mount(mux, h, h.opt.Prefix+"/")
	}
}

// Root is the path below which h serves everything: the prefix, then "/system/upgrades".
func (h *Handler) Root() string { return h.opt.Prefix + upgrades }

// call is one request being served.
type call struct {
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context
	wait   *handler.Patience
	format string
	fields map[string]string
	who    httpapi.Principal
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.base.Begin(w, r)
	r, wait := h.base.Wait(r)
	defer wait.Done()
	c := &call{h: h, w: w, r: r, ctx: r.Context(), wait: wait}
	v, err := c.serve()
	if err != nil {
		v = c.refuse(err)
	}
	c.answer(v)
}

func (c *call) serve() (any, error) {
	if esriToken(c.r) == "" && c.h.opt.Auth.CheckOrigin(c.r) != nil {
		_ = c.chooseFormat()
		return nil, &refusal{code: http.StatusForbidden, message: "Another site made a browser send this request."}
	}
	unread := c.read()
	if unread != nil && c.ctx.Err() != nil { // the form never came: there is nobody to be verified
		return nil, unread
	}
	if err := c.verify(unread); err != nil {
		return nil, err
	}
	if unread != nil {
		return nil, unread
	}
	path, ok := strings.CutPrefix(c.r.URL.Path, c.h.Root())
	if !ok || path != "" && path[0] != '/' {
		return nil, notFound()
	}
	if err := c.allow(httpapi.ActionList, nil); err != nil {
		return nil, err
	}
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return c.upgrades()
	}
	site, err := c.h.survey(c.ctx)
	if err != nil {
		return nil, err
	}
	switch path {
	case "/checkRollback":
		return c.checkRollback(site)
	case "/rollback":
		return c.rollback(site)
	}
	if err := site.closed(); err != nil {
		return nil, err
	}
	return nil, notFound()
}

// verify finds out who calls. The token of a POST is in its body, that of a GET in its query or
// header.
func (c *call) verify(unread *refusal) error {
	token := c.fields["token"]
	var details []string
	if c.r.Method == http.MethodPost {
		if inQuery(c.r.URL.RawQuery) {
			return &refusal{code: codeNoToken, message: "Token Required.", details: []string{"the token of a POST belongs into its body, not into the URL"}}
		}
		if unread != nil {
			details = append(details, unread.message)
		}
	} else if token == "" {
		token = esriToken(c.r)
	}
	who, err := c.h.opt.Auth.Check(c.ctx, httpapi.Credential{Token: token, Request: c.r})
	switch {
	case err == nil:
		c.who = who
		return nil
	case errors.Is(err, httpapi.ErrUnavailable):
		return err
	case token == "":
		return &refusal{code: codeNoToken, message: "Token Required.", details: details}
	default:
		return &refusal{code: codeBadToken, message: "Invalid Token."}
	}
}

// esriToken returns the token of the header X-Esri-Authorization, or "".
func esriToken(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("X-Esri-Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (c *call) allow(action httpapi.Action, p *ota.Plan) error {
	return c.h.opt.Auth.Allow(c.ctx, c.who, httpapi.Access{Action: action, Plan: p})
}

// mayRead reports whether the caller may see a plan.
func (c *call) mayRead(p *ota.Plan) (bool, error) {
	err := c.allow(httpapi.ActionRead, p)
	if errors.Is(err, httpapi.ErrForbidden) || errors.Is(err, ota.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// only refuses every other method.
func (c *call) only(methods ...string) error {
	if slices.Contains(methods, c.r.Method) {
		return nil
	}
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	return &refusal{code: http.StatusMethodNotAllowed, message: "Method not allowed.", details: []string{"allowed: " + strings.Join(methods, ", ")}}
}
