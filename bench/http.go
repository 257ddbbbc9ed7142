package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/memstore"
)

const (
	sidePost      = "POST of a plan"
	sideUnmarshal = "json.Unmarshal of its body"
	sideGet       = "GET of a plan"
	sideMarshal   = "json.Marshal of its answer"
	sideDecode    = "json.Unmarshal of its answer"
	sideRefused   = "POST that is refused at its end"
	sidePeak      = "heap"
)

// overHTTP makes a plan of a million agents on memstore through the handler, and reads it back. The
// other side is encoding/json on the same bytes. The heap is measured separately, with a tenth of
// the agents and with all of them.
func overHTTP(ctx context.Context, t *trial) error {
	n := t.size(1_000_000, 20_000)
	body := requestOf(n)
	var answer bytes.Buffer
	if err := t.roundTrip(ctx, body, io.Discard, nil); err != nil { // the first round trip pays for data that is made once
		return err
	}
	err := t.each(func() error {
		if err := t.takeUnmarshal(sideUnmarshal, n, body, &request{}); err != nil {
			return err
		}
		answer.Reset()
		if err := t.roundTrip(ctx, body, &answer, t.takeRequest(n)); err != nil {
			return err
		}
		plan := &wire.Plan{}
		if err := t.takeUnmarshal(sideDecode, n, answer.Bytes(), plan); err != nil {
			return err
		}
		_, err := t.take(work{side: sideMarshal, tasks: n, do: func() (uint64, error) {
			text, err := json.Marshal(plan)
			if err == nil && len(text) < answer.Len()/2 {
				err = errors.New("it is not the same document")
			}
			return 0, err
		}})
		return err
	})
	if err != nil {
		return err
	}
	for _, n := range []int{n / 10, n} {
		if err := t.takePeaks(ctx, n); err != nil {
			return err
		}
	}
	t.figure("creating it, against json.Unmarshal of the same bytes", "x", t.ratio(side{sidePost, 0}, side{sideUnmarshal, 0}, perTask), 2, 0)
	t.figure("reading it back, against json.Marshal of the same bytes", "x", t.ratio(side{sideGet, 0}, side{sideMarshal, 0}, perTask), 2, 0)
	for _, side := range []string{sideRefused, sideGet} {
		t.figure("extra heap, "+side, "MB", []float64{t.peak(side, n) / 1e6}, 4, 0) // an answer of a million agents is 360 MB
		t.figure(fmt.Sprintf("extra heap, %s, at %d agents", side, n/10), "MB", []float64{t.peak(side, n/10) / 1e6}, 0, 0)
	}
	return nil
}

// request is the large part of a creation's body.
type request struct {
	Name      string   `json:"name"`
	AgentIDs  []string `json:"agentIds"`
	BatchSize int      `json:"batchSize"`
}

func requestOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"name":"large","fromVersion":"1","toVersion":"2","toRelease":"2","batchSize":10000,"agentIds":["agent-00000000"`)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, `,"agent-%08d"`, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func (t *trial) takeUnmarshal(name string, n int, text []byte, into any) error {
	_, err := t.take(work{side: name, tasks: n, do: func() (uint64, error) { return 0, json.Unmarshal(text, into) }})
	return err
}

// takeRequest returns a function that takes the cost of a request.
func (t *trial) takeRequest(n int) func(name string, do func() error) error {
	return func(name string, do func() error) error {
		_, err := t.take(work{side: name, tasks: n, do: func() (uint64, error) { return 0, do() }})
		return err
	}
}

// roundTrip makes a plan from the body, reads it back, and writes the answer to w. It passes both
// requests to each, unless each is nil.
func (t *trial) roundTrip(ctx context.Context, body []byte, w io.Writer, each func(name string, do func() error) error) error {
	if each == nil {
		each = func(_ string, do func() error) error { return do() }
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		return err
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), TempDir: t.folder})
	if err != nil {
		return err
	}
	var made bytes.Buffer
	err = each(sidePost, func() error {
		return send(ctx, h, http.MethodPost, "?batches=false", bytes.NewReader(body), &made)
	})
	if err != nil {
		return err
	}
	var p wire.Plan
	if err := json.Unmarshal(made.Bytes(), &p); err != nil {
		return err
	}
	return each(sideGet, func() error { return send(ctx, h, http.MethodGet, "/"+p.ID, nil, w) })
}

// send lets the handler answer into w.
func send(ctx context.Context, h http.Handler, method, path string, body io.Reader, w io.Writer) error {
	a := &answer{header: http.Header{}, Writer: w}
	h.ServeHTTP(a, httptest.NewRequestWithContext(ctx, method, "/api/v1/lifecycle/upgrade-plans"+path, body))
	if a.status != 0 && a.status/100 != 2 {
		return fmt.Errorf("%s %s: status %d", method, path, a.status)
	}
	return nil
}

// answer is an http.ResponseWriter.
type answer struct {
	io.Writer
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// takePeaks records how much the heap grew at most, beyond the plan itself: for reading a plan
// back, and for reading a creation that is refused at its end, so that no plan is made of it.
func (t *trial) takePeaks(ctx context.Context, n int) error {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		return err
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), TempDir: t.folder})
	if err != nil {
		return err
	}
	body := requestOf(n)
	err = t.takePeak(n, sideRefused, int64(len(body)), func(w *watched) error {
		w.Reader = io.MultiReader(bytes.NewReader(body), strings.NewReader("x"))
		if err := send(ctx, h, http.MethodPost, "", w, io.Discard); err == nil {
			return errors.New("it was not refused")
		}
		return nil
	})
	if err != nil {
		return err
	}
	var made bytes.Buffer
	if err := send(ctx, h, http.MethodPost, "?batches=false", bytes.NewReader(body), &made); err != nil {
		return err
	}
	var p wire.Plan
	if err := json.Unmarshal(made.Bytes(), &p); err != nil {
		return err
	}
	return t.takePeak(n, sideGet, int64(n)*300, func(w *watched) error {
		return send(ctx, h, http.MethodGet, "/"+p.ID, nil, w)
	})
}

// takePeak measures the heap some twenty times while about size bytes pass.
func (t *trial) takePeak(n int, name string, size int64, do func(*watched) error) error {
	w := &watched{every: size / 20}
	before := meter.Live()
	if err := t.takeRequest(n)(sidePeak, func() error { return do(w) }); err != nil {
		return err
	}
	s := &t.Samples[len(t.Samples)-1]
	s.X = n
	s.Extra = map[string]float64{name: float64(w.most) - float64(before)}
	return nil
}

// watched is a body that measures the heap now and then. The handler waits for its read or write
// meanwhile, and so allocates nothing.
type watched struct {
	io.Reader
	every, passed int64
	most          uint64
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.pass(n)
	return n, err
}

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	w.pass(len(p))
	return len(p), nil
}

func (w *watched) pass(n int) {
	if w.passed += int64(n); w.passed >= w.every {
		w.passed, w.most = 0, max(w.most, meter.Live())
	}
}

func (t *trial) peak(name string, n int) float64 {
	for _, s := range t.Samples {
		if v, ok := s.Extra[name]; ok && s.X == n {
			return v
		}
	}
	return 0
}
