package arcgis_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/memstore"
)

const root = "/context/admin/system/upgrades"

func form(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, root+"/rollback", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// What a form may look like, and what it may not.
func TestForm(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		const auth = "&f=json&token=ann-token"
		for _, c := range []struct {
			body string
			code int
			text string
		}{
			// These are read: only the version is not there.
			{`versionManifest={"id": "pat_9"}&rollbackSettings={}` + auth, 400, "no version pat_9"},
			{`versionManifest=%7B%22id%22%3A+%22pat_9%22%7D` + auth, 400, "no version pat_9"},
			{`versionManifest={"id":"pat_9"};x=1` + auth, 400, "versionManifest cannot be read"},
			{`x=a;b&versionManifest={"id":"pat_9"}` + auth + "&y=;", 400, "no version pat_9"},
			{`versionManifest={"id":"pat_9","containers":[{"name":"x"}],"released":17}` + auth, 400, "no version pat_9"},
			{"versionManifest={\r\n\t\"id\":\"pat_9\"}&rollbackSettings=&callback=x&callback=y" + auth, 400, "no version pat_9"},
			{`versionManifest={"id":"pat_<b>"}` + auth, 400, "no version pat_<b>"},
			{`versionManifest={"id":"rel_9"}` + auth, 400, "Release updates cannot be rolled back"},
			{`versionManifest={"id":"something"}` + auth, 400, "no version something"},
			// These are not.
			{`rollbackSettings={}` + auth, 400, "versionManifest is missing"},
			{`versionManifest=` + auth, 400, "versionManifest is missing"},
			{`versionManifest={}` + auth, 400, "has no id"},
			{`versionManifest={"id":""}` + auth, 400, "has no id"},
			{`versionManifest={"ID":"pat_9"}` + auth, 400, "has no id"},
			{`versionManifest={"id":7}` + auth, 400, "/id is a number"},
			{`versionManifest={"id":null}` + auth, 400, "/id is null"},
			{`versionManifest=["pat_9"]` + auth, 400, "cannot be read"},
			{`versionManifest="pat_9"` + auth, 400, "cannot be read"},
			{`versionManifest=pat_9` + auth, 400, "cannot be read"},
			{`versionManifest={"id":"pat_9","id":"pat_8"}` + auth, 400, "/id"},
			{`versionManifest={"id":"pat_9"} {}` + auth, 400, "cannot be read"},
			{`versionManifest={"id":"pat_9"` + auth, 400, "cannot be read"},
			{`versionManifest={"id":"pat_9","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}` + auth, 400, "cannot be read"},
			{`versionManifest={"id":"pat_9%00"}` + auth, 400, "control character"},
			{`versionManifest={"id":"pat_9%ff"}` + auth, 400, "not valid UTF-8"},
			{`versionManifest={"id":"pat_9%"}` + auth, 400, "percent sign"},
			{`versionManifest={"id":"pat_9"}&versionManifest={"id":"pat_8"}` + auth, 400, "given twice"},
			{`versionManifest={"id":"pat_9"}&rollbackSettings={"x":1}` + auth, 400, "unknown: x"},
			{`versionManifest={"id":"pat_9"}&rollbackSettings=[]` + auth, 400, "rollbackSettings cannot be read"},
			{`versionManifest={"id":"pat_9"}&rollbackSettings=7` + auth, 400, "rollbackSettings cannot be read"},
			{`versionManifest={"id":"pat_9"}&f=xml&token=ann-token`, 400, "f is unknown: xml"},
			{`f=json&token=ann-token&token=ann-token`, 400, "token is given twice"},
		} {
			w.refused(w.send(form(c.body)), c.code, c.text)
			if t.Failed() {
				t.Fatal(shorten(c.body))
			}
		}
		r := form("token=ann-token&x=" + strings.Repeat("x", 1<<20))
		r.Header.Set("Accept", "application/json")
		w.refused(w.send(r), 499, "larger than 1048576 bytes")
		r = form(`{"versionManifest":{"id":"pat_9"}}`)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json")
		w.refused(w.send(r), 499, "application/x-www-form-urlencoded")
	})
}

func shorten(s string) string { return s[:min(len(s), 200)] }

// Where the token may be, and what is said when it is not there.
func TestToken(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			method, path, body, header string
			code                       int // 0: it is let in
		}{
			{"GET", "?f=json&token=ann-token", "", "", 0},
			{"GET", "/?token=ann-token&f=pjson", "", "", 0},
			{"HEAD", "?f=json&token=ann-token", "", "", 0},
			{"GET", "?f=json", "", "Bearer ann-token", 0},
			{"GET", "?f=json", "", "bearer ann-token", 0},
			{"GET", "?f=json", "", "", 499},
			{"GET", "?f=json&token=", "", "", 499},
			{"GET", "?f=json&token=wrong", "", "", 498},
			{"GET", "?f=json&token=wrong", "", "Bearer ann-token", 498},
			{"GET", "?f=json", "", "Bearer wrong", 498},
			{"GET", "?f=json", "", "Basic ann-token", 499},
			{"POST", "", "f=json&token=ann-token", "", 0},
			{"POST", "?f=json", "token=ann-token", "", 0},
			{"POST", "?f=json", "", "", 499},
			{"POST", "", "f=json&token=wrong", "", 498},
			{"POST", "?f=json&token=ann-token", "", "", 499},
			{"POST", "?f=json&%74oken=ann-token", "token=ann-token", "", 499},
			{"POST", "", "f=json", "Bearer ann-token", 499},
			{"POST", "/rollback", "f=json", "", 499},
			{"POST", "/checkRollback", "f=json&token=wrong", "", 498},
			{"POST", "/nowhere", "f=json", "", 499},
			{"PUT", "?f=json", "token=ann-token", "", 499},
			{"PUT", "?f=json&token=ann-token", "", "", 405},
			{"GET", "/rollback?f=json&token=ann-token", "", "", 405},
			{"GET", "/checkRollback?f=json&token=ann-token", "", "", 405},
			{"GET", "/nowhere?f=json&token=ann-token", "", "", 404},
			{"GET", "x?f=json&token=ann-token", "", "", 404},
			{"GET", "/checkrollback?f=json&token=ann-token", "", "", 404},
		} {
			r := httptest.NewRequest(c.method, root+c.path, strings.NewReader(c.body))
			if c.header != "" {
				r.Header.Set("X-Esri-Authorization", c.header)
			}
			got := w.send(r)
			code := 0
			if got.Error != nil {
				code = got.Error.Code
				if code == 499 && got.Error.Message != "Token Required." {
					t.Errorf("got %+v", got.Error)
				}
			}
			if code != c.code {
				t.Errorf("%s %s with %q and %q: got %+v, want code %d", c.method, c.path, c.body, c.header, got.Error, c.code)
			}
		}
	})
}

// Open has no tokens.
func TestOpen(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.stop()
		w.opt.Auth = httpapi.Open()
		w.start()
		if r := w.send(httptest.NewRequest(http.MethodPost, root+"?f=json", nil)); r.Error != nil {
			t.Errorf("got %+v", r.Error)
		}
	})
}

// The three formats, and what is taken when none is asked for.
func TestFormat(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ f, accept, contentType, begins string }{
			{"json", "", "application/json; charset=utf-8", `{"status":{"state":"no_upgrade","code":0,"messages":[]}}`},
			{"pjson", "text/html", "application/json; charset=utf-8", "{\n  \"status\": {\n    \"state\": \"no_upgrade\",\n    \"code\": 0,"},
			{"html", "application/json", "text/html; charset=utf-8", "<!DOCTYPE html>"},
			{"", "*/*", "text/html; charset=utf-8", "<!DOCTYPE html>"},
			{"", "application/json, text/plain", "application/json; charset=utf-8", `{"status":`},
		} {
			r := httptest.NewRequest(http.MethodGet, root+"?token=ann-token&f="+c.f, nil)
			r.Header.Set("Accept", c.accept)
			rec := httptest.NewRecorder()
			w.h.ServeHTTP(rec, r)
			h := rec.Header()
			if h.Get("Content-Type") != c.contentType || !strings.HasPrefix(rec.Body.String(), c.begins) || h.Get("Cache-Control") != "no-store" {
				t.Errorf("f=%s, Accept %s: got %v %s", c.f, c.accept, h, rec.Body)
			}
		}
		w.install("pat_<script>", "1", "2")
		rec := httptest.NewRecorder()
		w.h.ServeHTTP(rec, form(`f=html&token=ann-token&versionManifest={"id":"pat_<script>"}`))
		if s := rec.Body.String(); strings.Contains(s, "<script>") || !strings.Contains(s, "pat_&lt;script&gt;") || !strings.Contains(s, "<pre>{\n  &#34;error&#34;") {
			t.Errorf("got %s", s)
		}
	})
}

// The handler coexists with whatever a host has beside it, under a prefix or without one.
func TestMount(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fallback := range []string{"/", "/{any...}", "GET /{any...}", "POST /context/{any...}"} {
		for _, prefix := range []string{"", "/context/admin"} {
			h, err := arcgis.New(e, arcgis.Options{Auth: httpapi.Open(), Prefix: prefix, ReadOnly: (&organization{}).set})
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.HandleFunc(fallback, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
			arcgis.Mount(mux, h)
			for path, want := range map[string]string{"": "no_upgrade", "/": "no_upgrade", "/checkRollback": `"updates":[]`, "/x": `"code":404`} {
				rec := httptest.NewRecorder()
				mux.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, h.Root()+path+"?f=json", nil))
				if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), want) {
					t.Errorf("%s beside %s: got %d %s", h.Root()+path, fallback, rec.Code, rec.Body)
				}
			}
		}
	}
}

func TestNew(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ok := arcgis.Options{Auth: httpapi.Open(), ReadOnly: (&organization{}).set}
	for name, change := range map[string]func(*arcgis.Options){
		"auth is missing":               func(o *arcgis.Options) { o.Auth = httpapi.Auth{} },
		"readOnly is missing":           func(o *arcgis.Options) { o.ReadOnly = nil },
		"prefix (context) is not":       func(o *arcgis.Options) { o.Prefix = "context" },
		"prefix (/context/) is not":     func(o *arcgis.Options) { o.Prefix = "/context/" },
		"deployment is too long":        func(o *arcgis.Options) { o.Deployment = strings.Repeat("x", 256) },
		"limits.body is negative":       func(o *arcgis.Options) { o.Limits.Body = -1 },
		"poll is negative; allowed: mo": func(o *arcgis.Options) { o.Poll = -1 },
	} {
		o := ok
		change(&o)
		if _, err := arcgis.New(e, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := arcgis.New(nil, ok); err == nil {
		t.Error("no engine, and no error")
	}
	if _, err := arcgis.New(e, ok); err != nil {
		t.Error(err)
	}
}
