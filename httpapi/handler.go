package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Handler serves the lifecycle API of one Engine. It is safe for concurrent use. It never
// redirects: it serves a path exactly, or answers 404.
type Handler struct {
	engine   *ota.Engine
	base     handler.Base
	opt      Options
	routes   []route
	feeds    feeds
	watchers atomic.Int64
}

// Mount registers h on mux, under its prefix, method by method. So it coexists with every other
// pattern of the host: "/api/v1/lifecycle/" alone would conflict with a fallback "GET /{any...}".
func Mount(mux *http.ServeMux, h *Handler) {
	handler.Mount(mux, h, h.Root(), h.Root()+"/")
}

// Root is the path below which h serves everything, for hosts with another router than net/http's:
// the prefix, then "/api/v1/lifecycle".
func (h *Handler) Root() string { return h.opt.Prefix + protocol.Base }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{h: h, w: w, r: r}
	c.begin()
	defer c.end()
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

func (c *call) serve() error {
	if err := c.h.opt.Auth.CheckOrigin(c.r); err != nil {
		return err
	}
	principal, err := c.h.opt.Auth.Check(c.r.Context(), Credential{Token: BearerToken(c.r), Request: c.r})
	if err != nil {
		return err
	}
	c.who = principal
	route, err := c.h.find(c.r.Method, c.r.URL.EscapedPath(), c)
	if err != nil {
		return err
	}
	c.route = route
	if err := c.parseQuery(route); err != nil {
		return err
	}
	return route.serve(c)
}

// find returns the route of a request and gives c the parts of its path.
func (h *Handler) find(method, path string, c *call) (*route, error) {
	rest, ok := strings.CutPrefix(path, h.opt.Prefix)
	if !ok {
		return nil, newProblem("no_route", "")
	}
	parts := strings.Split(rest, "/")
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allow []string
	for i := range h.routes {
		r := &h.routes[i]
		id, ok := r.match(parts)
		if !ok {
			continue
		}
		if r.Method != method {
			allow = append(allow, r.Method)
			if r.Method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
			continue
		}
		if r.wild >= 0 && !texts.LegalID(id) {
			return nil, newProblem("malformed", "", wire.Mistake{
				Pointer: r.param, Problem: "is no ID", Value: texts.Shorten(id), Allowed: "1 to 128 characters of A-Z a-z 0-9 . _ ~ -",
			})
		}
		c.id = id
		return r, nil
	}
	if len(allow) > 0 {
		slices.Sort(allow)
		c.w.Header().Set("Allow", strings.Join(allow, ", "))
		return nil, newProblem("method_not_allowed", "")
	}
	return nil, newProblem("no_route", "")
}

// match compares the segments of a path with those of the route's pattern.
func (r *route) match(parts []string) (id string, ok bool) {
	if len(parts) != len(r.parts) {
		return "", false
	}
	for i, want := range r.parts {
		got := parts[i]
		if strings.Contains(got, "%") {
			var err error
			if got, err = url.PathUnescape(got); err != nil {
				return "", false
			}
		}
		if i == r.wild && got != "" {
			id = got
		} else if got != want {
			return "", false
		}
	}
	return id, true
}
