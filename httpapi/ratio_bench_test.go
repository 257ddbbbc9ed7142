package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// BenchmarkAgainstJSON makes a plan of 200,000 agents and reads it back, in turn with what
// encoding/json takes for the same bytes, and reports the medians and their ratios. The sides are
// also there alone, for profiles of the one or the other: -bench AgainstJSON/create.
func BenchmarkAgainstJSON(b *testing.B) {
	const agents = 1_000_000
	request, err := io.ReadAll(body(agents))
	if err != nil {
		b.Fatal(err)
	}
	h, id := created(b, request)
	answer := httptest.NewRecorder()
	readBack(h, id, answer)
	var plan wire.Plan
	if err := json.Unmarshal(answer.Body.Bytes(), &plan); err != nil {
		b.Fatal(err)
	}
	sides := []struct {
		name, against string
		do            func()
	}{
		{"unmarshal", "", func() {
			var asked creation
			if err := json.Unmarshal(request, &asked); err != nil || len(asked.AgentIDs) != agents {
				b.Fatal(len(asked.AgentIDs), err)
			}
		}},
		{"create", "unmarshal", func() { h, id = created(b, request) }},
		{"marshal", "", func() {
			if text, err := json.Marshal(&plan); err != nil || len(text)+1 != answer.Body.Len() {
				b.Fatal(len(text), answer.Body.Len(), err)
			}
		}},
		{"read", "marshal", func() {
			w := &sink{header: http.Header{}}
			if readBack(h, id, w); w.bytes != answer.Body.Len() {
				b.Fatal(w.status, w.bytes, answer.Body.Len())
			}
		}},
	}
	for _, s := range sides {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.do()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/agents, "ns/agent")
		})
	}
	b.Run("ratio", func(b *testing.B) {
		took := map[string][]time.Duration{}
		for b.Loop() {
			for _, s := range sides {
				runtime.GC() // what the side before left behind is not this one's
				began := time.Now()
				s.do()
				took[s.name] = append(took[s.name], time.Since(began))
			}
		}
		for _, s := range sides {
			if s.against != "" {
				b.ReportMetric(float64(median(took[s.name]))/float64(median(took[s.against])), s.name+"/"+s.against)
			}
		}
	})
}

// creation is what encoding/json makes of the request.
type creation struct {
	Name      string   `json:"name"`
	AgentIDs  []string `json:"agentIds"`
	BatchSize int      `json:"batchSize"`
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// created makes a plan of a request, on a Store of its own.
func created(b *testing.B, request []byte) (h http.Handler, id string) {
	h, _ = benchHandler(b)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/api/v1/lifecycle/upgrade-plans?batches=false", bytes.NewReader(request)))
	var p wire.Plan
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != http.StatusOK {
		b.Fatal(rec.Code, rec.Body, err)
	}
	return h, p.ID
}

// readBack writes a whole plan to w.
func readBack(h http.Handler, id string, w http.ResponseWriter) {
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/lifecycle/upgrade-plans/"+id, nil))
}
