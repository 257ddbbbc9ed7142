package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
)

// call calls a method of a client with a given ID wherever it takes one, and returns its error.
// takes is false for a method that takes no ID.
func call(ctx context.Context, c *client.Client, m reflect.Method, id string) (takes bool, err error) {
	in := []reflect.Value{reflect.ValueOf(c), reflect.ValueOf(ctx)}
	fixed := m.Type.NumIn()
	if m.Type.IsVariadic() {
		fixed--
	}
	takes = fixed > 2 && m.Type.In(2).Kind() == reflect.String && m.Name != "Downgrade" // a name
	for i := 2; i < fixed; i++ {
		v := reflect.New(m.Type.In(i)).Elem()
		if i == 2 && takes {
			v.SetString(id)
		}
		in = append(in, v)
	}
	out := m.Func.Call(in)
	last := out[len(out)-1]
	if last.Kind() == reflect.Func { // an iterator
		for _, v := range last.Seq2() {
			last = v
		}
	}
	err, _ = reflect.TypeAssert[error](last)
	return takes, err
}

// An ID that no plan can have is refused by name, by every method that takes one, and nothing is
// sent: in a path it would be another operation.
func TestIDsAreChecked(t *testing.T) {
	url := testserver.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
	}))
	c, n := testserver.Client(t, url, client.Options{}), 0
	for m := range reflect.TypeFor[*client.Client]().Methods() {
		if fixed := m.Type.NumIn(); fixed <= 2 || m.Type.In(2).Kind() != reflect.String || m.Name == "Downgrade" {
			continue
		}
		n++
		for _, id := range []string{"", ".", "..", "a/b", "a b", "ü", "a?b", strings.Repeat("a", 129)} {
			_, err := call(t.Context(), c, m, id)
			fields := ota.FieldErrors(err)
			if !errors.Is(err, ota.ErrInvalid) || len(fields) != 1 || fields[0].Field == "" || fields[0].Allowed == "" {
				t.Errorf("%s(%q): got %v", m.Name, id, err)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d methods were tested", n)
	}
}

// An answer that does not come from the API is an error that says where it came from, with every
// method, and shows no credentials.
func TestForeignAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		status      int
		kind, body  string
		unavailable bool
		want        []string
	}{
		"page":      {200, "text/html; charset=utf-8", "<!doctype html>", false, []string{"200 OK", "text/html", "<!doctype html>"}},
		"nothing":   {204, "", "", false, []string{"204 No Content", "no content type"}},
		"not found": {404, "text/plain", "404 page not found", false, []string{"404 Not Found", "text/plain"}},
		"json":      {404, "application/json", `{"code":"not_found"}`, false, []string{"404 Not Found", "application/json"}},
		"problem":   {404, "application/problem+json", `{"title":"another API's"}`, false, []string{"404 Not Found"}},
		"proxy":     {502, "text/html", "<html>", true, []string{"502 Bad Gateway"}},
		"throttled": {429, "text/plain", "slow down", true, []string{"429 Too Many Requests"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", row.kind)
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer server.Close()
			address := strings.Replace(server.URL, "://", "://ann:s3cret@", 1) + "/wrong"
			c, err := client.New(address, client.Options{Token: "t0ken", HTTP: server.Client()})
			if err != nil {
				t.Fatal(err)
			}
			for m := range reflect.TypeFor[*client.Client]().Methods() {
				if strings.HasPrefix(m.Name, "ReportOutcome") || m.Name == "Create" || m.Name == "Preview" ||
					m.Name == "Watch" && row.unavailable {
					continue // these take a Key or a Spec; a Watch goes on
				}
				_, err := call(t.Context(), c, m, "plan-1")
				checkForeign(t, m.Name, err, server.URL+"/wrong/api/v1/lifecycle/", row.status, row.unavailable, row.want)
			}
			_, err = c.Create(t.Context(), spec("a"))
			checkForeign(t, "Create", err, server.URL, row.status, row.unavailable, row.want)
			err = c.ReportOutcome(t.Context(), "plan-1/a/0/1", ota.Result{}, nil)
			checkForeign(t, "ReportOutcome", err, server.URL, row.status, row.unavailable, row.want)
		})
	}
}

func checkForeign(t *testing.T, name string, err error, url string, status int, unavailable bool, want []string) {
	t.Helper()
	var foreign *client.AnswerError
	if !errors.As(err, &foreign) || foreign.Status != status || !strings.HasPrefix(foreign.URL, url) ||
		errors.Is(err, wire.ErrUnavailable) != unavailable || errors.Is(err, ota.ErrNotFound) {
		t.Errorf("%s: got %v", name, err)
		return
	}
	for _, part := range append(want, foreign.Method, url) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q is not in %q", name, part, err)
		}
	}
	checkSecrets(t, err)
}

func checkSecrets(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"s3cret", "t0ken", "ann"} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v shows %s", err, secret)
		}
	}
}

// A request without an answer says which one it was, and shows no credentials.
func TestNoAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := client.New(strings.Replace(server.URL, "://", "://ann:s3cret@", 1), client.Options{Token: "t0ken"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Start(t.Context(), "plan-1", ota.Request{})
	checkSecrets(t, err)
	if want := "client: POST " + server.URL + "/api/v1/lifecycle/upgrade-plans/plan-1/start: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Plan(ctx, "plan-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A setting that is not legal is refused by name.
func TestNew(t *testing.T) {
	for address, field := range map[string]string{
		"": "address", "host": "address", "host:8080/x": "address", "ftp://host": "address", "http://": "address",
		"https://ann:s3cret@ho st": "address", "http://host?token=s3cret": "address", "http://host#x": "address",
		"http://host": "", "https://host:8443/ota/": "",
	} {
		_, err := client.New(address, client.Options{})
		if field == "" && err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if field == "" {
			continue
		}
		if f := ota.FieldErrors(err); !errors.Is(err, ota.ErrInvalid) || len(f) != 1 || f[0].Field != field || f[0].Allowed == "" {
			t.Errorf("%s: got %v", address, err)
		}
		checkSecrets(t, err)
	}
	if _, err := client.New("", client.Options{Silence: -1}); len(ota.FieldErrors(err)) != 2 {
		t.Errorf("got %v", err)
	}
}
