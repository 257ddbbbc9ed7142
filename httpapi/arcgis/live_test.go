package arcgis_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// documented is the token of the document's own request.
const documented = "ugW_uEP1WiJV7PkHhb2BU-f1C30eAZclpgOKE599aSIFxwYBNRc8O7h6sjjgzC3l3NxhPjpa-6zgeun7rB6xCizGstMk9ZcTgLeOc67dWbTsrn7A7_VzvfpC2cV2Ig77h6w0_mvhbaMTmpnzOek7tY85PguVExKeM-ODE5L2NTX2z9LM5URYviKA4nJu7Oyg3xBKwZzxXnhPUxpiCxUy5rZ_C9QRS6kNnZjNcvhAp6Dw2FE6hL6wnLIjk3H9IjvY"

// live is a handler on a real port, over an engine and a fleet that run.
func live(t *testing.T, limits httpapi.RequestLimits) (url string, e *ota.Engine, site *organization) {
	t.Helper()
	site = &organization{}
	fleet := otatest.NewFleet(otatest.Options{Latency: 5 * time.Millisecond})
	e, err := ota.New(memstore.New(), guarded{fleet, site}, ota.Options{DrainTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	h, err := arcgis.New(e, arcgis.Options{
		Auth: httpapi.Tokens(map[string]string{documented: "ann"}), Prefix: "/context/admin", ReadOnly: site.set, Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{any...}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the host's own") })
	arcgis.Mount(mux, h)
	testserver.Run(t, e.Run)
	testserver.Run(t, h.Run)
	return testserver.Serve(t, mux), e, site
}

// The document's request, byte by byte, sent by curl to a real server with a real fleet; then the
// siblings', until the job is done.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("there is no curl, and this test is about it: ", err)
	}
	url, e, site := live(t, httpapi.RequestLimits{})
	install(t, e, "pat_345432_505", "pat_345433_506")
	curl := func(args ...string) (out reply) {
		t.Helper()
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-sS", "-w", "\n%{http_code}"}, args...)...)
		cmd.Stderr = &stderr
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		body, code, _ := strings.Cut(string(b), "\n\n")
		if err := json.Unmarshal([]byte(body), &out); err != nil || code != "200" || !strings.HasPrefix(body, "{\n  ") {
			t.Fatalf("%v in %s", err, b)
		}
		return out
	}
	admin := url + "/context/admin/system/upgrades"
	if r := curl(admin+"/checkRollback", "-d", "f=pjson&token="+documented); len(r.Updates) != 1 || r.Updates[0]["id"] != "pat_345432_505" {
		t.Fatalf("got %+v", r)
	}
	r := curl("-X", "POST", admin+"/rollback", "-H", "Content-Type: application/x-www-form-urlencoded",
		"-d", `versionManifest={"id": "pat_345432_505"}&rollbackSettings={}&f=pjson&token=`+documented)
	if r.Status == nil || r.Status.State != "in_progress" || r.Status.Code != 1 || len(r.Status.Messages) != 1 || r.Status.Messages[0].Code != 2072 {
		t.Fatalf("got %+v", r)
	}
	deadline := time.Now().Add(time.Minute)
	for r.Status.Code == 1 {
		if time.Now().After(deadline) {
			t.Fatalf("the job does not end: %+v", r)
		}
		r = curl(admin + "?f=pjson&token=" + documented)
	}
	same(t, "codes", r.codes(), []int{2072, 2168, 2165, 2270, 2287, 2288, 2271, 2293, 2177, 2293, 2177, 2166, 2179, 2183, 2263, 2077, 2076})
	if r.Status.State != "success" || site.on() || site.outside() > 0 {
		t.Errorf("got %+v, read-only is %t, %d touched outside of it", r.Status, site.on(), site.outside())
	}
	if r := curl(admin, "-d", "f=pjson&token="+documented); r.Status == nil || r.Status.Code != 3 {
		t.Errorf("got %+v", r)
	}
	if r := curl("-X", "POST", admin+"/rollback?f=pjson"); r.Error == nil || r.Error.Code != 499 { // no body at all
		t.Errorf("got %+v", r)
	}
}

// A form that drips in is refused once its time is over.
func TestSlowForm(t *testing.T) {
	url, _, _ := live(t, httpapi.RequestLimits{Slow: 200 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /context/admin/system/upgrades?f=json HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
	go func() {
		for range 999 { // the whole form takes a minute at least
			time.Sleep(61 * time.Millisecond)
			if _, err := fmt.Fprint(conn, "x"); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(b), "too slowly") {
		t.Errorf("got %s, %v", b, err)
	}
}

// A client whose form does not come, and is not needed, is answered in time all the same, and the
// connection ends.
func TestUnreadForm(t *testing.T) {
	url, _, _ := live(t, httpapi.RequestLimits{Slow: 50 * time.Millisecond})
	for _, c := range []struct{ method, path, typ, want string }{
		{"GET", "?f=json&token=" + documented, "", "no_upgrade"},
		{"GET", "/nothing?f=json&token=" + documented, "", "404"},
		{"POST", "/rollback?f=json", "application/json", "x-www-form-urlencoded"},
	} {
		answer := testserver.Stall(t, url, c.method, "/context/admin/system/upgrades"+c.path, http.Header{"Content-Type": {c.typ}}, "")
		if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s: got %q", c.method, c.path, answer)
		}
	}
}

// The commands of the documentation do what it says.
func TestDocumentedCommands(t *testing.T) {
	text, err := os.ReadFile("../../docs/arcgis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := strings.Cut(string(text), "```sh\n")
	script, _, ends := strings.Cut(script, "```")
	if !ok || !ends {
		t.Fatal("docs/arcgis.md has no commands")
	}
	url, e, _ := live(t, httpapi.RequestLimits{})
	install(t, e, "pat_1_505", "pat_2_506")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", script)
	cmd.Env = append(os.Environ(), "H="+url, "T="+documented)
	out, err := cmd.CombinedOutput()
	for _, want := range []string{`"id": "pat_1_505"`, `"state": "in_progress"`, `"code": 2076`} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v: there is no %s in %s", err, want, out)
		}
	}
}

// install carries out a plan for each of two patches.
func install(t *testing.T, e *ota.Engine, ids ...string) {
	t.Helper()
	for i, id := range ids {
		p, err := e.Create(t.Context(), ota.Spec{
			Name: "Update " + id, FromVersion: fmt.Sprintf("10.9.0.%d", 504+i), ToVersion: fmt.Sprintf("10.9.0.%d", 505+i),
			Agents: ota.AgentIDs("a", "b", "c"), Labels: map[string]string{"patch": id},
			Shape: ota.Shape{Batches: []ota.BatchShape{{Name: "apps", Size: 1}, {Name: "monitoring components", Size: 2}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = e.Start(t.Context(), p.ID, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if p, err = e.Wait(t.Context(), p.ID); err != nil || p.Status != ota.StatusCompleted {
			t.Fatal(p.Status, err)
		}
	}
}
