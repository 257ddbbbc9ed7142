package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
)

// sink is an answer that nobody keeps.
type sink struct {
	header http.Header
	status int
	bytes  int
	tail   []byte
	heap   *heap // nil: nobody looks
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	s.tail = append(s.tail[:0], p[max(0, len(p)-64):]...)
	if s.heap != nil {
		s.heap.passed(len(p))
	}
	return len(p), nil
}

// heap tells by how much what lives on the heap has grown. It looks each time that so many bytes of
// a body have passed, while the handler waits for its read or write: so nothing is allocated
// meanwhile, and how busy the machine is makes no difference.
type heap struct {
	before, most uint64
	every, left  int
}

func newHeap(every int) *heap { return &heap{before: liveHeap(), every: every, left: every} }

func (h *heap) passed(n int) {
	if h.left -= n; h.left <= 0 {
		h.left = h.every
		h.most = max(h.most, liveHeap())
	}
}

func (h *heap) grew() uint64 { return h.most - min(h.most, h.before) }

// liveHeap is how many bytes of the heap are in use.
func liveHeap() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watched is a body whose reader is watched.
type watched struct {
	io.Reader
	heap *heap
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.heap.passed(n)
	return n, err
}

// body yields a request of n agents, whose policy comes after them.
func body(n int) io.Reader {
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriter(out)
		fmt.Fprint(w, `{"name":"large","fromVersion":"1","toVersion":"2","toRelease":"2","agentIds":["agent-0000000"`)
		for i := 1; i < n; i++ {
			fmt.Fprintf(w, `,"agent-%07d"`, i)
		}
		fmt.Fprint(w, `],"batchSize":10000}`)
		w.Flush()
		out.Close()
	}()
	return in
}

// A large plan is read and written in bounded memory. Reading its request is told apart from making
// the plan by refusing it at its end; what the Engine and the Store need for 200,000 agents is
// theirs.
func TestLargePlan(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	const agents = 200_000
	const bound = 4 << 20 // the answer alone is 72 MiB
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path string, body io.Reader, every int) *sink {
		w := &sink{header: http.Header{}, heap: newHeap(every)}
		if body != nil {
			body = watched{body, w.heap}
		}
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/api/v1/lifecycle/upgrade-plans"+path, body))
		return w
	}
	w := send("POST", "", io.MultiReader(body(agents), &zero{}), 256<<10)
	if t.Logf("refused: %d KiB", w.heap.grew()>>10); w.status != http.StatusBadRequest || w.heap.grew() > bound || w.heap.most == 0 {
		t.Errorf("reading the request: status %d, %d KiB", w.status, w.heap.grew()>>10)
	}
	if w = send("POST", "?batches=false", body(agents), math.MaxInt); w.status != http.StatusOK {
		t.Fatal(w.status, string(w.tail))
	}
	plans, err := e.Plans(t.Context(), ota.PlanQuery{})
	if err != nil || plans.Items[0].Agents != agents || plans.Items[0].Batches != agents/10_000 {
		t.Fatal(plans, err)
	}
	w = send("GET", "/"+plans.Items[0].ID, nil, 4<<20)
	if t.Logf("read back: %d KiB for %d MiB", w.heap.grew()>>10, w.bytes>>20); w.status != http.StatusOK || w.heap.grew() > bound || w.bytes < agents*300 {
		t.Errorf("reading it back: status %d, %d KiB for %d bytes", w.status, w.heap.grew()>>10, w.bytes)
	}
}

type zero struct{ done bool }

func (z *zero) Read(p []byte) (int, error) {
	if z.done {
		return 0, io.EOF
	}
	z.done = true
	return copy(p, "x"), nil
}

// A Store that fails in the middle of an answer cuts the answer off.
type failing struct {
	*memstore.Store
	pages int
}

func (s *failing) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if s.pages--; s.pages < 0 {
		return ota.Page[ota.Row]{}, context.DeadlineExceeded
	}
	return s.Store.Rows(ctx, plan, q)
}

func TestCutOff(t *testing.T) {
	for _, pages := range []int{0, 5} {
		store := &failing{memstore.New(), 1000}
		e, err := ota.New(store, nil, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Create(t.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs(names("a", 20_000)...), Shape: ota.Shape{Size: 5000}})
		if err != nil {
			t.Fatal(err)
		}
		h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open()})
		if err != nil {
			t.Fatal(err)
		}
		c := testserver.Client(t, testserver.Serve(t, h), client.Options{})
		store.pages = pages
		_, err = c.Detail(t.Context(), p.ID)
		if err == nil {
			t.Error("half an answer was taken for a whole one")
		}
		t.Log(err)
	}
}

// BenchmarkReadPlan writes a whole plan of 100,000 agents.
func BenchmarkReadPlan(b *testing.B) {
	h, e := benchHandler(b)
	p, err := e.Create(b.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs(names("agent", 100_000)...), Shape: ota.Shape{Size: 100}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w := &sink{header: http.Header{}}
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/lifecycle/upgrade-plans/"+p.ID, nil))
		b.SetBytes(int64(w.bytes))
	}
}

// BenchmarkCreatePlan makes a plan of 100,000 agents from a body.
func BenchmarkCreatePlan(b *testing.B) {
	h, _ := benchHandler(b)
	b.ReportAllocs()
	for b.Loop() {
		w := &sink{header: http.Header{}}
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/lifecycle/upgrade-plans?batches=false", body(100_000)))
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkSummary is one request of a summary, beside a bare handler that writes as many bytes.
func BenchmarkSummary(b *testing.B) {
	h, e := benchHandler(b)
	p, err := e.Create(b.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs(names("agent", 1000)...), Shape: ota.Shape{Size: 100}})
	if err != nil {
		b.Fatal(err)
	}
	path := "/api/v1/lifecycle/upgrade-plans/" + p.ID + "/summary"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	bare := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(w.Body.Bytes()) })
	for name, x := range map[string]http.Handler{"handler": h, "bare": bare} {
		b.Run(name, func(b *testing.B) {
			url := testserver.Serve(b, x) + path
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					resp, err := http.Get(url)
					if err != nil {
						b.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		})
	}
}

func benchHandler(b *testing.B) (*httpapi.Handler, *ota.Engine) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	return h, e
}
