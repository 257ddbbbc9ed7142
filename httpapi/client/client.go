// Package client calls the lifecycle API of a server elsewhere. It does not link that server.
//
//	c, err := client.New("https://host/ota", client.Options{Token: token})
//	…
//	plan, err := c.Start(ctx, id, ota.By{Reason: "maintenance window"})
//
// The methods mean what those of [ota.Engine] mean. Answers are the types of package wire.
//
// # Errors
//
// A refusal is a [*wire.Problem]. It matches the same sentinels as the Engine's error on the
// server, so errors.Is(err, ota.ErrState) holds on both sides. errors.As finds an
// [*ota.StateError], [*ota.BreachError], [*ota.ClaimError] or [*ota.FieldError] in it.
//
// An answer that does not come from the lifecycle API, such as a proxy's page, is an
// [*AnswerError]. An ID that no plan can have is an [*ota.FieldError], and nothing is sent.
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
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/setting"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Client calls one server. It is safe for concurrent use. Only Watch repeats a request.
//
// A plan is named by its ID, with or without "plan-". Of an ota.By, Reason goes into the body,
// Request is the Idempotency-Key (1 to 128 visible ASCII characters) and Control is the If-Match.
// The server takes the actor from the token.
type Client struct {
	base  *url.URL // with the path of the API
	shown string   // base without credentials, for errors
	opt   Options
}

// Options are the settings of a Client. All of them have a default.
type Options struct {
	// Token is the bearer token. Empty means none.
	Token string
	// HTTP makes the requests. Nil means http.DefaultClient. Its Timeout, if set, also ends the
	// connection of a Watch, which then connects again.
	HTTP *http.Client
	// Silence is how long a Watch waits for anything, the server's heartbeats included. After that
	// it takes the connection for broken and connects again. 0 means 1 min, which is four
	// heartbeats.
	Silence time.Duration
}

// New returns a Client of the server at address, where the API is mounted: for example
// "https://host/ota" for an API at https://host/ota/api/v1/lifecycle. It sends nothing. An error
// matches ota.ErrInvalid and names every setting that is not legal.
func New(address string, options Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	var m setting.Mistakes
	switch { // the address may have a password, so errors do not quote it
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		m.Add("address", "", "is no URL of a server", `for example "https://host/ota"`)
	case u.RawQuery != "" || u.Fragment != "":
		m.Add("address", "", "has a query or a fragment", "scheme, host and path")
	}
	m.Negative("silence", int64(options.Silence))
	if err := m.In("client"); err != nil {
		return nil, err
	}
	options.HTTP = cmp.Or(options.HTTP, http.DefaultClient)
	options.Silence = cmp.Or(options.Silence, time.Minute)
	base := u.JoinPath(protocol.Base)
	return &Client{base: base, shown: shown(base), opt: options}, nil
}

// request is one request of a Client.
type request struct {
	method string
	path   string // below the API's; {id} stands for id
	id     string
	query  url.Values
	by     ota.Request
	body   io.Reader // nil: none
	accept string    // the media type of a success; empty: JSON
	header http.Header
}

// open sends a request and returns the answer, if it is a success.
func (c *Client) open(ctx context.Context, q request) (*http.Response, error) {
	if strings.Contains(q.path, "{id}") {
		if err := checkID("id", q.id); err != nil {
			return nil, err
		}
	}
	path := strings.Replace(q.path, "{id}", q.id, 1)
	u := *c.base
	u.Path += path
	u.RawQuery = q.query.Encode()
	r, err := http.NewRequestWithContext(ctx, q.method, u.String(), q.body)
	if err != nil {
		return nil, c.failed(q.method, path, err)
	}
	c.setHeader(r, &q)
	resp, err := c.opt.HTTP.Do(r)
	if err != nil {
		return nil, c.failed(q.method, path, err)
	}
	if err := refusal(resp, cmp.Or(q.accept, "application/json")); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (c *Client) setHeader(r *http.Request, q *request) {
	if q.header != nil {
		r.Header = q.header
	}
	r.Header.Set("Accept", cmp.Or(q.accept, "application/json"))
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.opt.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.opt.Token)
	}
	if q.by.ID != "" {
		r.Header.Set("Idempotency-Key", q.by.ID)
	}
	if q.by.Generation != 0 {
		r.Header.Set("If-Match", protocol.ETag(q.by.Generation))
	}
}

// do sends a request and decodes the answer into out. An answer that was cut off is an error.
func (c *Client) do(ctx context.Context, q request, out any) (http.Header, error) {
	resp, err := c.open(ctx, q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(out)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		return nil, fmt.Errorf("client: %s %s: the answer cannot be read: %w",
			q.method, shown(resp.Request.URL), err)
	}
	return resp.Header, nil
}

// plan sends a request that is answered by a plan.
func (c *Client) plan(ctx context.Context, q request) (wire.Plan, error) {
	var p wire.Plan
	h, err := c.do(ctx, q, &p)
	p.ETag = h.Get("ETag")
	return p, err
}

// verb applies a verb to a plan. The plan comes back without its batches.
func (c *Client) verb(
	ctx context.Context, id, verb string, by ota.Request, body map[string]any,
) (wire.Plan, error) {
	return c.plan(ctx, request{
		method: http.MethodPost, path: "/upgrade-plans/{id}/" + verb, id: id,
		query: withoutBatches(), by: by, body: withReason(by, body),
	})
}

func withoutBatches() url.Values { return url.Values{"batches": {"false"}} }

// checkID refuses an ID that the server could not find in a path, or would take for another path.
func checkID(field, id string) error {
	if texts.LegalID(id) && id != "." && id != ".." {
		return nil
	}
	problem := "is no ID"
	if id == "" {
		problem = "is empty"
	}
	return &ota.FieldError{
		Field: field, Value: texts.Shorten(id), Problem: problem,
		Allowed: "1 to 128 characters of A-Z a-z 0-9 . _ ~ -",
	}
}

// withReason is an object with the reason of by in it.
func withReason(by ota.Request, members map[string]any) io.Reader {
	all := map[string]any{}
	maps.Copy(all, members)
	if by.Reason != "" {
		all["reason"] = by.Reason
	}
	return value(all)
}

// value is v as a body. Reading it fails when v cannot be encoded.
func value(v any) io.Reader {
	b, err := json.Marshal(v)
	if err != nil {
		return failing{err}
	}
	return bytes.NewReader(b)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
