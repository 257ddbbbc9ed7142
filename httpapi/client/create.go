package client

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Create is Engine.Create. It sends the agents while it reads them. If they yield an error, it
// returns that error and makes no plan. Spec.RequestKey is the Idempotency-Key. The server chooses
// ID, Fingerprint and Actor: they must be empty. The plan comes back without its batches.
func (c *Client) Create(ctx context.Context, spec ota.Spec) (p wire.Plan, err error) {
	q := request{method: http.MethodPost, path: "/upgrade-plans", query: withoutBatches(), by: ota.Request{ID: spec.RequestKey}}
	err = sendSpec(q, &spec, func(q request) error {
		p, err = c.plan(ctx, q)
		return err
	})
	return p, err
}

// Preview is Engine.Preview. It sends the spec as Create does, without its RequestKey.
func (c *Client) Preview(ctx context.Context, spec ota.Spec, call time.Duration) (p wire.Preview, err error) {
	q := request{method: http.MethodPost, path: "/plans/preview", query: url.Values{"callDuration": {call.String()}}}
	err = sendSpec(q, &spec, func(q request) error {
		_, err := c.do(ctx, q, &p)
		return err
	})
	return p, err
}

// sendSpec sends a request whose body is a spec.
func sendSpec(q request, spec *ota.Spec, send func(request) error) error {
	for field, s := range map[string]string{"id": spec.ID, "fingerprint": spec.Fingerprint, "actor": spec.Actor} {
		if s != "" {
			return &ota.FieldError{Field: field, Value: texts.Shorten(s), Problem: "is chosen by the server", Allowed: "empty"}
		}
	}
	if spec.Agents == nil {
		return &ota.FieldError{Field: "agents", Problem: "are missing", Allowed: "at least one"}
	}
	head, err := json.Marshal(creationOf(spec))
	if err != nil {
		return err
	}
	in, out := io.Pipe()
	defer in.Close()
	var failed error // of the agents; read after done is closed
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = writeAgents(out, head, spec)
		out.CloseWithError(failed)
	}()
	q.body = in
	err = send(q)
	in.Close()
	<-done
	if err != nil && failed != nil && failed != io.ErrClosedPipe { //nolint:errorlint // the pipe never wraps it
		return failed
	}
	return err
}

// writeAgents writes the body: the members before the agents, then one agent after another.
func writeAgents(out io.Writer, head []byte, spec *ota.Spec) error {
	w := bufio.NewWriterSize(out, 32<<10)
	_, _ = w.Write(head[:len(head)-1]) // the first error stays, and Flush returns it
	_, _ = w.WriteString(`,"agents":[`)
	n := 0
	for a, err := range spec.Agents {
		if err != nil {
			return err
		}
		b, err := json.Marshal(agentRecord{a.ID, a.Version, a.Labels})
		if err != nil {
			return err
		}
		if n > 0 {
			_ = w.WriteByte(',')
		}
		n++
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	_, _ = w.WriteString("]}")
	return w.Flush()
}

type agentRecord struct {
	ID      string            `json:"id"`
	Version string            `json:"version,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// creationOf is a Spec as a request, without its agents. Zero members are left out: they mean the
// default.
func creationOf(s *ota.Spec) map[string]any {
	body := map[string]any{"name": s.Name, "fromVersion": s.FromVersion, "toVersion": s.ToVersion, "toRelease": s.ToRelease}
	add := func(name string, v any, given bool) {
		if given {
			body[name] = v
		}
	}
	add("fromRelease", s.FromRelease, s.FromRelease != "")
	add("createdBy", s.CreatedBy, s.CreatedBy != "")
	add("labels", s.Labels, len(s.Labels) > 0)
	add("annotations", s.Annotations, len(s.Annotations) > 0)
	add("batchSize", s.Shape.Size, s.Shape.Size != 0)
	add("percent", s.Shape.Percent, s.Shape.Percent != 0)
	add("canary", s.Shape.Canary, s.Shape.Canary != 0)
	if g := s.Shape.Growth; g.First != 0 {
		growth := map[string]any{"first": g.First, "max": g.Max}
		if g.Factor != 0 {
			growth["factor"] = g.Factor
		}
		body["growth"] = growth
	}
	add("represent", s.Shape.Represent, len(s.Shape.Represent) > 0)
	add("first", matchersOf(s.Shape.First), len(s.Shape.First) > 0)
	add("last", matchersOf(s.Shape.Last), len(s.Shape.Last) > 0)
	add("shuffleSeed", s.Shape.Shuffle, s.Shape.Shuffle != 0)
	batches := make([]map[string]any, len(s.Shape.Batches))
	for i, b := range s.Shape.Batches {
		if batches[i] = map[string]any{"name": b.Name}; b.Size != 0 {
			batches[i]["size"] = b.Size
		}
		if b.Percent != 0 {
			batches[i]["percent"] = b.Percent
		}
	}
	add("batches", batches, len(batches) > 0)
	maps.Copy(body, policy.Request(&s.Policy, false))
	if r := s.Rollback; r != nil {
		body["rollback"] = rollbackOf(r)
	}
	return body
}

// matchersOf are labels as members of a request.
func matchersOf(labels []ota.Label) (all []map[string]string) {
	for _, l := range labels {
		all = append(all, map[string]string{"label": l.Name, "value": l.Value})
	}
	return all
}

// rollbackOf is a RollbackSpec as a request. A policy is sent whole.
func rollbackOf(r *ota.RollbackSpec) map[string]any {
	body := map[string]any{}
	for name, m := range map[string]map[string]string{"labels": r.Labels, "annotations": r.Annotations} {
		if len(m) > 0 {
			body[name] = m
		}
	}
	if r.Name != "" {
		body["name"] = r.Name
	}
	if r.Interrupt {
		body["mode"] = "interrupt"
	}
	if r.Inherit != ota.InheritLimits {
		body["inherit"] = r.Inherit.String()
	}
	if p := r.Policy; p != nil {
		maps.Copy(body, policy.Request(p, true)) // null means the default, not the source's
	}
	return body
}
