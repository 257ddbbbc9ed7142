package apitest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/script"
	"github.com/seed-19b57ce3/ota/memstore"
)

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func newHandler(t *testing.T, prefix string) (*httpapi.Handler, *ota.Engine) {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Tokens(map[string]string{"ann-token": "ann"}), Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return h, e
}

// Every route is in the document, and every operation of the document is a route.
func TestRoutes(t *testing.T) {
	doc := document(t)
	h, _ := newHandler(t, "")
	routes := map[string]string{}
	for r := range h.Routes() {
		routes[r.Method+" "+r.Pattern] = r.Operation
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			key := method + " " + path
			if routes[key] != op.OperationID {
				t.Errorf("%s is %s in the document and %q among the routes", key, op.OperationID, routes[key])
			}
			delete(routes, key)
		}
	}
	for key, op := range routes {
		t.Errorf("%s (%s) is not in the document", key, op)
	}
}

// What is served is the document, with the prefix as its server.
func TestServed(t *testing.T) {
	h, _ := newHandler(t, "/ota")
	r := httptest.NewRequest(http.MethodGet, h.Root()+"/openapi.json", nil)
	r.Header.Set("Authorization", "Bearer ann-token")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	doc, err := openapi3.NewLoader().LoadFromData(rec.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.Servers[0].URL; got != "/ota" {
		t.Errorf("server %q", got)
	}
	if !bytes.Equal(bytes.Replace(rec.Body.Bytes(), []byte(`"url": "/ota"`), []byte(`"url": "/"`), 1), httpapi.OpenAPI()) {
		t.Error("it is another document")
	}
}

// Every request and answer of the handler's own tests is as the document says.
func TestExchanges(t *testing.T) {
	router, err := gorillamux.NewRouter(document(t))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("../testdata/*.txt")
	seen, good := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		list, err := script.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			x := &list[i]
			if strings.Contains(x.Target, "%zz") {
				continue // no URL at all
			}
			route, err := check(router, x)
			if err != nil {
				t.Errorf("%s:%d: %s %s: %v", filepath.Base(file), x.Line, x.Method, x.Target, err)
			}
			if route != nil {
				seen[route.Operation.OperationID] = true
				good[route.Operation.OperationID] = good[route.Operation.OperationID] || x.Status == http.StatusOK
			}
		}
	}
	h, _ := newHandler(t, "")
	for r := range h.Routes() {
		if !seen[r.Operation] || !good[r.Operation] {
			t.Errorf("no exchange tests %s", r.Operation)
		}
	}
}

// unjudged are the statuses of requests whose values the document may not allow, or that nobody has
// looked at.
var unjudged = map[int]bool{400: true, 401: true, 403: true, 404: true, 405: true, 412: true, 413: true, 415: true, 422: true}

func check(router routers.Router, x *script.Exchange) (*routers.Route, error) {
	if strings.Contains(x.Reply, `"code": "no_route"`) {
		return nil, nil
	}
	method := x.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	u, err := url.Parse(strings.TrimPrefix(x.Target, "/ota"))
	if err != nil {
		return nil, err
	}
	r := httptest.NewRequest(method, u.String(), strings.NewReader(strict(router, method, u, x.Body)))
	r.Header.Set("Content-Type", "application/json")
	if x.Body == "" {
		r.Header.Del("Content-Type")
	}
	for _, line := range x.Header {
		k, v, _ := strings.Cut(line, ": ")
		r.Header.Set(k, v)
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if x.Status == 405 || x.Status == 400 || x.Status == 401 {
			return nil, nil
		}
		return nil, err
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil && !unjudged[x.Status] {
		return route, err
	}
	if x.Method == http.MethodHead || strings.HasSuffix(u.Path, "openapi.json") {
		return route, nil
	}
	h := http.Header{}
	for _, line := range x.Answer {
		k, v, _ := strings.Cut(line, ": ")
		h.Set(k, v)
	}
	if h.Get("Content-Type") == "text/event-stream" {
		return route, checkEvents(route, x.Reply)
	}
	return route, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: x.Status, Header: h, Body: io.NopCloser(strings.NewReader(x.Reply)), Options: input.Options,
	})
}

var eventData = regexp.MustCompile(`(?m)^data: (.*)$`)

// checkEvents validates the data of every message.
func checkEvents(route *routers.Route, text string) error {
	schema := route.Spec.Components.Schemas["Record"].Value
	for _, m := range eventData.FindAllStringSubmatch(text, -1) {
		v, err := decode(m[1])
		if err != nil {
			return err
		}
		if err := schema.VisitJSON(v); err != nil {
			return err
		}
	}
	return nil
}
