package avi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// login logs in and returns the headers that a client sends from then on: Cookie and X-CSRFToken.
func (w *world) login(body string) []string {
	w.t.Helper()
	a := w.send("POST", "/login", body, "Content-Type", "application/json")
	if a.status != 200 {
		w.t.Fatalf("login: %d %s", a.status, a.text)
	}
	headers := []string{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		headers = append(headers, "Cookie", c.Name+"="+c.Value)
		if c.Name == "csrftoken" {
			headers = append(headers, "X-CSRFToken", c.Value)
		}
		if c.Path != "/" || c.Secure || c.HttpOnly == (c.Name == "csrftoken") {
			w.t.Errorf("cookie %v", c)
		}
	}
	if len(headers) != 8 {
		w.t.Fatalf("cookies: %v", headers)
	}
	return headers
}

func without(headers []string, name string) (out []string) {
	for i := 0; i < len(headers); i += 2 {
		if headers[i] != name {
			out = append(out, headers[i], headers[i+1])
		}
	}
	return out
}

func TestSession(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 1), nil)
	path := root + "/" + p.ID
	const wrong = "Invalid credentials"
	for _, c := range []struct {
		contentType, body string
		status            int
		want              string
	}{
		{"application/json", `{"username":"admin","password":"ann-token"}`, 200, `"username":"ann"`},
		{"", `{"username":"admin","password":"ann-token"}`, 200, `"Version":"30.2.1"`},
		{"application/json", `{"username":"admin","token":"bob-token","extra":{}}`, 200, `"username":"bob"`},
		{"application/x-www-form-urlencoded; charset=utf-8", `username=admin&password=ann-token`, 200, `"username":"ann"`},
		{"application/json", `{"username":"admin","password":"nobody's"}`, 401, wrong},
		{"application/json", `{"username":"admin"}`, 401, wrong},
		{"application/json", `{}`, 401, wrong},
		{"application/x-www-form-urlencoded", ``, 401, wrong},
		{"application/x-www-form-urlencoded", `password=ann-token&password=x`, 400, "password is there twice"},
		{"application/x-www-form-urlencoded", `%zz`, 400, "cannot be read"},
		{"application/json", `{"password":"ann-token","password":"x"}`, 400, "is there twice"},
		{"application/json", `{"password":1}`, 400, "not a string"},
		{"application/json", ``, 400, "is empty"},
	} {
		if a := w.send("POST", "/login", c.body, "Content-Type", c.contentType); a.status != c.status || !strings.Contains(a.text, c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.contentType, c.body, a.status, a.text, c.status, c.want)
		}
	}
	good := w.login(`{"username":"admin","password":"ann-token"}`)
	other := w.login(`{"username":"admin","password":"ann-token"}`)
	for _, c := range []struct {
		name, method string
		headers      []string
		status       int
	}{
		{"a session reads", "GET", good, 200},
		{"without the CSRF token too", "GET", without(good, "X-CSRFToken"), 200},
		{"a session writes", "PATCH", good, 200},
		{"but not without the CSRF token", "PATCH", without(good, "X-CSRFToken"), 403},
		{"nor with another session's", "PATCH", append(without(good, "X-CSRFToken"), "X-CSRFToken", value(other, "X-CSRFToken")), 403},
		{"no credential", "GET", []string{"X-Avi-Version", "30.2.1"}, 401},
		{"no credential writes", "PATCH", []string{"X-CSRFToken", "x"}, 401},
		{"an unknown session", "GET", []string{"Cookie", "sessionid=x"}, 401},
		{"the CSRF cookie is no session", "GET", []string{"Cookie", "sessionid=" + value(good, "X-CSRFToken")}, 401},
		{"bearer", "PATCH", []string{"Authorization", "Bearer bob-token"}, 200},
		{"the document's own", "PATCH", []string{"Authorization", "bob-token"}, 200},
		{"basic", "PATCH", []string{"Authorization", "Basic YWRtaW46Ym9iLXRva2Vu"}, 200}, // admin:bob-token
		{"wrong bearer, in spite of the session", "GET", append([]string{"Authorization", "Bearer x"}, good...), 401},
		{"unknown scheme", "GET", []string{"Authorization", "Digest bob-token"}, 401},
	} {
		if a := w.send(c.method, path, `{"name":"`+c.name+`"}`, c.headers...); a.status != c.status || a.status != 200 && at(a.body, "error") == nil {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.text, c.status)
		}
	}
	// Who did it is the principal, whatever name was given.
	for rec, err := range w.engine.Watch(t.Context(), p.ID, 1) {
		if err != nil || rec.Events[0].Kind != ota.EventAnnotated || rec.Events[0].Actor != "ann" {
			t.Errorf("got %+v, %v", rec, err)
		}
		break
	}
	if a := w.send("POST", "/logout", "", without(good, "X-CSRFToken")...); a.status != 403 {
		t.Errorf("logged out by another site: %d", a.status)
	}
	if a := w.send("POST", "/logout", "", good...); a.status != 200 {
		t.Errorf("logout: %d %s", a.status, a.text)
	}
	if a := w.send("GET", path, "", good...); a.status != 401 {
		t.Errorf("after logout: %d", a.status)
	}
	if a := w.send("GET", path, "", other...); a.status != 200 {
		t.Errorf("the other session: %d", a.status)
	}
	if a := w.send("POST", "/logout", "", "X-Avi-Version", "1"); a.status != 200 {
		t.Errorf("logout without a session: %d", a.status)
	}
	if a := w.send("POST", "/login", `{"password":"ann-token"}`, "Sec-Fetch-Site", "cross-site"); a.status != 403 {
		t.Errorf("a login by another site: %d", a.status)
	}
	if a := w.send("GET", "/api/cluster/status", "", "X-Avi-Version", "1"); a.status != 200 || at(a.body, "cluster_state", "state") != "CLUSTER_UP_NO_HA" {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func value(headers []string, name string) string {
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == name {
			return headers[i+1]
		}
	}
	return ""
}

// A login is good for its time, and for the newest so many; its cookies are Secure under TLS.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := ota.New(memstore.New(), nil, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := avi.New(e, avi.Options{Auth: httpapi.Tokens(tokens), SessionLife: time.Minute, Sessions: 2})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		login := func() string {
			r := httptest.NewRequest(http.MethodPost, "https://host/login", strings.NewReader(`{"password":"ann-token"}`))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			for _, c := range rec.Result().Cookies() {
				if !c.Secure {
					t.Errorf("%s is not Secure", c.Name)
				}
				if c.Name == "sessionid" {
					return c.Value
				}
			}
			t.Fatal(rec.Code)
			return ""
		}
		check := func(id string, want int) {
			t.Helper()
			r := httptest.NewRequest(http.MethodGet, root, nil)
			r.AddCookie(&http.Cookie{Name: "sessionid", Value: id})
			rec := httptest.NewRecorder()
			if h.ServeHTTP(rec, r); rec.Code != want {
				t.Errorf("got %d, want %d", rec.Code, want)
			}
		}
		first := login()
		time.Sleep(time.Second)
		second := login()
		check(first, 200)
		check(second, 200)
		time.Sleep(time.Second)
		third := login()
		check(first, 401)
		check(third, 200)
		time.Sleep(58 * time.Second)
		check(second, 200)
		time.Sleep(time.Second)
		check(second, 401)
		check(third, 200)
		time.Sleep(time.Hour)
		check(third, 401)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// One authorizer says who may do what, and is told the tenant. Who may not read a plan is told that
// there is none.
func TestAuthorize(t *testing.T) {
	auth := httpapi.Tokens(tokens)
	may := map[string]bool{}
	auth.Authorize = func(_ context.Context, p httpapi.Principal, a httpapi.Access) error {
		if a.Tenant != "t1" {
			return errors.New("another tenant")
		}
		owner := a.Plan == nil || a.Plan.CreatedBy == p.Name
		if owner && (a.Action == httpapi.ActionRead || a.Action == httpapi.ActionList || may[string(a.Action)]) {
			return nil
		}
		return errors.New("no")
	}
	w := newWorld(t, avi.Options{Auth: auth})
	var ids []string
	for _, name := range []string{"ann", "bob", "ann"} {
		ids = append(ids, w.plan([]string{"ok-" + string(rune('a'+len(ids)))}, func(s *ota.Spec) {
			s.CreatedBy, s.Labels = name, map[string]string{"node": "n"}
		}).ID)
	}
	as := []string{"Authorization", "Bearer ann-token", "X-Avi-Tenant", "t1"}
	if a := w.send("GET", root, "", as...); js(a.body["count"]) != "2" || strings.Contains(a.text, ids[1]) {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := w.send("GET", root+"?uuid="+ids[1], "", as...); js(a.body["count"]) != "0" {
		t.Errorf("%d %s", a.status, a.text)
	}
	for _, method := range []string{"GET", "PATCH"} {
		if a := w.send(method, root+"/"+ids[1], `{"name":"x"}`, as...); a.status != 404 {
			t.Errorf("%s of another's: %d %s", method, a.status, a.text)
		}
	}
	if a := w.send("GET", root+"/"+ids[0], "", as[:2]...); a.status != 404 {
		t.Errorf("without the tenant: %d %s", a.status, a.text)
	}
	if a := w.send("PATCH", root+"/"+ids[0], `{}`, as...); a.status != 200 {
		t.Errorf("nothing: %d %s", a.status, a.text)
	}
	const both = `{"name":"x","params":{"se_group_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}`
	for _, grant := range []string{"", "edit", "annotate"} {
		may[grant] = true
		want := 403
		if grant == "annotate" {
			want = 200
		}
		a := w.send("PATCH", root+"/"+ids[0], both, as...)
		if a.status != want {
			t.Errorf("with %v: %d %s", may, a.status, a.text)
		}
		p, err := w.engine.Plan(t.Context(), ids[0])
		if err != nil || (p.Policy.OnBreach == ota.ActionContinue) != (want == 200) {
			t.Errorf("with %v the action is %v, %v", may, p.Policy.OnBreach, err)
		}
	}
}
