// Package client calls the lifecycle API of a server elsewhere. It does not link that server.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Client speaks to a Handler elsewhere. Its methods mean what those of *ota.Engine mean, and its refusals are *Problem
// values that match the same sentinels: errors.Is(err, ota.ErrState) holds on both sides of the wire. It is safe for
// concurrent use, and retries nothing but Watch. Plans are named by their IDs, with or without "plan-".
//
// Of an ota.By, Reason goes with the request, Request is its Idempotency-Key (1 to 128 visible ASCII characters) and
// Control its If-Match; the actor is whoever Token belongs to.
type Client struct {
	// URL is where the API is mounted, without /api/v1/lifecycle, for example "https://host/ota". Required.
	URL string
	// Token is the bearer token. Empty means none.
	Token string
	// HTTP makes the requests. Nil means http.DefaultClient. Its Timeout, if set, also ends a Watch now and then, which goes on by itself.
	HTTP *http.Client
	// Silence is how long a Watch waits for anything, the server's heartbeats included, before it takes the connection for
	// broken and makes another one. 0 means 1 min, which is four heartbeats.
	Silence time.Duration
}

// request is one request of a Client.
type request struct {
	method string
	path   string // below /api/v1/lifecycle
	query  url.Values
	by     ota.By
	body   io.Reader // nil: none
	header http.Header
}

// open sends a request and returns the answer, if it is a success.
func (c *Client) open(ctx context.Context, q request) (*http.Response, error) {
	u := strings.TrimSuffix(c.URL, "/") + protocol.Base + q.path
	if len(q.query) > 0 {
		u += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, u, q.body)
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	if q.header != nil {
		r.Header = q.header
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if q.by.Request != "" {
		r.Header.Set("Idempotency-Key", q.by.Request)
	}
	if q.by.Control != 0 {
		r.Header.Set("If-Match", protocol.ETag(q.by.Control))
	}
	resp, err := cmp.Or(c.HTTP, http.DefaultClient).Do(r)
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}

// do sends a request and decodes the answer into out. An answer that was cut off is an error.
func (c *Client) do(ctx context.Context, q request, out any) (http.Header, error) {
	resp, err := c.open(ctx, q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	if err := d.Decode(out); err != nil {
		return nil, fmt.Errorf("httpapi: %s %s: %w", q.method, q.path, unexpected(err))
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, fmt.Errorf("httpapi: %s %s: %w", q.method, q.path, err)
	}
	return resp.Header, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readProblem reads a refusal. What is none of ours, such as a proxy's page, is told by its status.
func readProblem(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &wire.Problem{}
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if t != "application/problem+json" || json.Unmarshal(b, p) != nil || p.Code == "" {
		p = &wire.Problem{Status: resp.StatusCode, Title: resp.Status, Detail: texts.Shorten(string(b))}
	}
	return p
}

// plan sends a request that is answered by a plan.
func (c *Client) plan(ctx context.Context, q request) (wire.Plan, error) {
	var p wire.Plan
	h, err := c.do(ctx, q, &p)
	p.ETag = h.Get("ETag")
	return p, err
}

func planPath(id, rest string) string { return "/upgrade-plans/" + url.PathEscape(id) + rest }

func without(names ...string) url.Values {
	q := url.Values{}
	for _, name := range names {
		q.Set(name, "false")
	}
	return q
}

// say says a verb; the plan comes back without its batches.
func (c *Client) say(ctx context.Context, id, verb string, by ota.By, body map[string]any) (wire.Plan, error) {
	return c.plan(ctx, request{
		method: http.MethodPost, path: planPath(id, "/"+verb), query: without("batches"), by: by, body: object(by, body),
	})
}

// object is a body with the reason in it.
func object(by ota.By, body map[string]any) io.Reader {
	all := map[string]any{}
	maps.Copy(all, body)
	if by.Reason != "" {
		all["reason"] = by.Reason
	}
	b, err := json.Marshal(all)
	if err != nil {
		return failing{err}
	}
	return bytes.NewReader(b)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
