package httpapi_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/script"
	"github.com/seed-19b57ce3/ota/memstore"
)

var rewrite = flag.Bool("rewrite", false, "write what the handler answers into testdata")

// TestScripts sends the requests of testdata/*.txt and compares the answers, in virtual time.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			list, err := script.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { runScript(t, list) })
			if *rewrite && !t.Failed() {
				if err := os.WriteFile(file, script.Format(list), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// world is what a script runs in.
type world struct {
	t      *testing.T
	engine *ota.Engine
	opt    httpapi.Options
	h      *httpapi.Handler
	real   []string // IDs of plans in the order in which they were first seen
}

var tokens = map[string]string{"ann-token": "ann", "bob-token": "bob", "eve-token": "eve"}

func newWorld(t *testing.T) *world {
	w := &world{t: t, engine: newEngine(t)}
	w.opt.Auth = httpapi.Tokens(tokens)
	w.mount()
	return w
}

func newEngine(t *testing.T) *ota.Engine {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(behave), ota.Options{Name: "engine-1"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// behave upgrades an agent as its ID's prefix says, in one second.
func behave(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if strings.HasPrefix(a.Agent, "wait-") {
		<-ctx.Done() // until its outcome is reported
		return ota.Result{}, ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ota.Result{}, ctx.Err()
	case <-time.After(time.Second):
	}
	switch prefix, _, _ := strings.Cut(a.Agent, "-"); {
	case prefix == "fail" && !a.IsRollback:
		return ota.Result{}, errors.New("disk full")
	case prefix == "away":
		return ota.Result{}, ota.Unreachable(errors.New("no route to host"))
	}
	return ota.Result{Version: a.ToVersion}, nil
}

// asked tells of an agent what its ID's prefix says.
type asked struct{ ota.Executor }

func (asked) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	switch prefix, _, _ := strings.Cut(a.Agent, "-"); prefix {
	case "away":
		return ota.Precheck{State: ota.PrecheckUnreachable, Reason: "no route to host"}, nil
	case "full":
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: "disk full"}, nil
	case "new":
		return ota.Precheck{Version: a.ToVersion}, nil
	}
	return ota.Precheck{Version: a.FromVersion}, nil
}

func (w *world) mount() {
	h, err := httpapi.New(w.engine, w.opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.h = h
}

func runScript(t *testing.T, list []script.Exchange) {
	w := newWorld(t)
	for i := range list {
		x := &list[i]
		for _, command := range x.Commands {
			w.command(command)
		}
		got := *x
		w.exchange(&got)
		if strings.Contains(got.Reply, "ota: ") {
			t.Errorf("line %d: the answer names package ota: %s", x.Line, got.Reply)
		}
		if *rewrite {
			*x = got
			continue
		}
		want, have := string(script.Format([]script.Exchange{*x})), string(script.Format([]script.Exchange{got}))
		if want != have {
			t.Errorf("line %d: got\n%s\nwant\n%s", x.Line, have, want)
		}
	}
}

func (w *world) command(line string) {
	words := strings.Fields(line)
	switch words[0] {
	case "strict":
		w.opt.Strict = true
	case "if-match":
		w.opt.RequireIfMatch = true
	case "limits":
		w.opt.Limits = httpapi.Limits{CreateBody: 400, Body: 200, Agents: 3, Named: 2, Preview: 2, Depth: 4}
	case "owners": // bob may do everything to everybody's plans, ann to her own, eve may only read the plans that say so
		w.opt.Auth.Authorize = func(_ context.Context, p httpapi.Principal, a httpapi.Access) error {
			switch {
			case p.Name == "bob", a.Plan != nil && a.Plan.CreatedBy == p.Name, a.Plan == nil && p.Name == "ann":
				return nil
			case a.Action == httpapi.ActionList, a.Action == httpapi.ActionRead && a.Plan.Labels["public"] == "yes":
				return nil
			}
			return errors.New("no")
		}
	case "prefix":
		w.opt.Prefix = words[1]
	case "prechecker":
		e, err := ota.New(memstore.New(), asked{ota.ExecutorFunc(behave)}, ota.Options{Name: "engine-1"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.engine = e
	case "run":
		if _, err := w.engine.RunPlan(w.t.Context(), w.true(words[1])); err != nil {
			w.t.Fatal(err)
		}
		return
	case "drive":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			w.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), d)
		defer cancel()
		if err := w.engine.Run(ctx); err != nil {
			w.t.Fatal(err)
		}
		return
	default:
		w.t.Fatalf("no command %q", line)
	}
	w.mount()
}

// reported are the headers that a script compares.
var reported = []string{"Allow", "Connection", "Content-Type", "Cache-Control", "ETag", "Link", "Retry-After", "Www-Authenticate"}

// exchange sends the request of x and fills in the answer.
func (w *world) exchange(x *script.Exchange) {
	r := httptest.NewRequestWithContext(w.t.Context(), x.Method, w.true(x.Target), strings.NewReader(unescape(w.true(x.Body))))
	if _, ok := x.Get("Authorization"); !ok {
		r.Header.Set("Authorization", "Bearer ann-token")
	}
	if _, ok := x.Get("Content-Type"); !ok && x.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range x.Header {
		k, v, _ := strings.Cut(w.true(line), ": ")
		r.Header.Add(k, v)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	x.Status, x.Answer = rec.Code, nil
	for _, name := range reported {
		if v := rec.Header().Get(name); v != "" {
			x.Answer = append(x.Answer, name+": "+v)
		}
	}
	body := rec.Body.Bytes()
	if strings.HasSuffix(r.URL.Path, "openapi.json") {
		body = fmt.Appendf(nil, "%q", "…")
	}
	if strings.Contains(rec.Header().Get("Content-Type"), "json") {
		var b bytes.Buffer
		if err := json.Indent(&b, body, "", "  "); err != nil {
			w.t.Errorf("line %d: %v in %s", x.Line, err, body)
		}
		body = b.Bytes()
	}
	text := planRevision.ReplaceAllString(strings.ReplaceAll(w.script(string(body)), "\n\n", "\n·\n"), "${1}1")
	x.Reply = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\n·")
	if x.Reply != "" {
		x.Reply += "\n"
	}
}

// unescape lets a script send bytes that no text file should hold.
func unescape(s string) string {
	return strings.NewReplacer("<ff>", "\xff", "<nl>", "\n").Replace(s)
}

// How many commits there were depends on which answers came together.
var planRevision = regexp.MustCompile(`("batchCount": ?\d+,\s*(?:"owner": ?"[^"]*",\s*)?"revision": ?)\d+`)

var planID = regexp.MustCompile(`plan-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// script replaces the IDs of plans by those that scripts use, in the order in which they appear.
func (w *world) script(s string) string {
	for _, id := range planID.FindAllString(s, -1) {
		known := false
		for _, r := range w.real {
			known = known || r == id
		}
		if !known && !strings.HasPrefix(id, "plan-00000000-") {
			w.real = append(w.real, id)
		}
	}
	for i, id := range w.real {
		s = strings.ReplaceAll(strings.ReplaceAll(s, id[5:], fake(i)[5:]), plain(id), plain(fake(i)))
	}
	return s
}

// true is script backwards; "plan1" is short for the first plan's ID.
func (w *world) true(s string) string {
	for i, id := range w.real {
		s = strings.ReplaceAll(strings.ReplaceAll(s, fake(i)[5:], id[5:]), plain(fake(i)), plain(id))
		s = regexp.MustCompile(fmt.Sprintf(`\bplan%d\b`, i+1)).ReplaceAllString(s, id)
	}
	return s
}

func fake(i int) string { return fmt.Sprintf("plan-00000000-0000-4000-8000-%012d", i+1) }

func plain(id string) string {
	u := uuid.MustParse(id[5:])
	return hex.EncodeToString(u[:])
}

var _ http.Handler = (*httpapi.Handler)(nil)
