package avi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
)

// Handler serves the Avi API of one Engine. It is safe for concurrent use.
type Handler struct {
	engine   *ota.Engine
	base     handler.Base
	opt      Options
	sessions sessions
	guesses  guesses
	traces   traces
}

const collection = "/api/upgradestatusinfo"

// roots are the paths that are served; below the first two there are objects. The document prints
// its path without /api.
var roots = []string{collection, "/upgradestatusinfo", "/api/cluster/status", "/login", "/logout"}

// Mount registers h on mux, method by method, so that it coexists with every other pattern of the
// host. It takes /login and /logout too, where the SDKs look for them. Below /api/ it takes
// everything that no other pattern does, and answers as a controller that nothing is there.
func Mount(mux *http.ServeMux, h *Handler) {
	handler.Mount(mux, h, h.opt.Prefix+"/api/")
	for i, root := range roots {
		handler.Mount(mux, h, h.opt.Prefix+root)
		if i < 2 {
			handler.Mount(mux, h, h.opt.Prefix+root+"/")
		}
	}
}

// route is what a path stands for: a function by method, and whether it is for everybody.
type route struct {
	methods map[string]func(*call) error
	open    bool
}

var (
	oneRoute     = route{methods: map[string]func(*call) error{http.MethodGet: (*call).getOne, http.MethodPatch: (*call).patchOne}}
	listRoute    = route{methods: map[string]func(*call) error{http.MethodGet: (*call).getList}}
	clusterRoute = route{methods: map[string]func(*call) error{http.MethodGet: (*call).cluster}, open: true}
	loginRoute   = route{methods: map[string]func(*call) error{http.MethodPost: (*call).login}, open: true}
	logoutRoute  = route{methods: map[string]func(*call) error{http.MethodPost: (*call).logout}, open: true}
)

// find returns the route of a path, and the ID in it.
func (h *Handler) find(escaped string) (rt *route, id string) {
	path, ok := strings.CutPrefix(escaped, h.opt.Prefix)
	if !ok {
		return nil, ""
	}
	path = "/" + strings.Trim(path, "/") // an SDK sends //api/cluster/status
	switch path {
	case "/login":
		return &loginRoute, ""
	case "/logout":
		return &logoutRoute, ""
	case "/api/cluster/status":
		return &clusterRoute, ""
	}
	path = strings.TrimPrefix(path, "/api")
	if path == roots[1] {
		return &listRoute, ""
	}
	rest, ok := strings.CutPrefix(path, roots[1]+"/")
	if !ok {
		return nil, ""
	}
	id, err := url.PathUnescape(rest)
	if err != nil || strings.Contains(rest, "/") {
		return nil, ""
	}
	return &oneRoute, id
}

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
	rt, id := c.h.find(c.r.URL.EscapedPath())
	if rt == nil || !rt.open {
		who, err := c.h.identify(c.r)
		if err != nil {
			return err
		}
		c.who = who
	}
	if rt != nil && !rt.open {
		if err := c.h.checkVersion(c.r.Header); err != nil {
			return err
		}
	}
	if rt == nil {
		return refuse(http.StatusNotFound, "there is nothing at this path")
	}
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	serve, ok := rt.methods[method]
	if !ok {
		return &refusal{
			status: http.StatusMethodNotAllowed, allow: rt.allow(),
			text: c.r.Method + " is not for this path; plans are made, changed and said verbs to by the lifecycle API",
		}
	}
	c.id = id
	return serve(c)
}

func (rt *route) allow() string {
	var methods []string
	for m := range rt.methods {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
