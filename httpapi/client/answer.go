package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// AnswerError is an answer that does not come from the lifecycle API: the page of a proxy, or of
// another server because the address is wrong. It matches wire.ErrUnavailable when its Status is
// 429 or at least 500, and no other sentinel.
type AnswerError struct {
	Method      string
	URL         string // of the last request, after redirects; without credentials and query
	Status      int    // of HTTP
	ContentType string // as it came
	Detail      string // the beginning of the body, at most 64 bytes
}

func (e *AnswerError) Error() string {
	kind := e.ContentType
	if kind == "" {
		kind = "no content type"
	}
	return fmt.Sprintf("client: %s %s: the lifecycle API does not answer this: %d %s, %s, %q",
		e.Method, e.URL, e.Status, http.StatusText(e.Status), kind, e.Detail)
}

// Unwrap returns wire.ErrUnavailable where the same request may succeed later.
func (e *AnswerError) Unwrap() error {
	if e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests {
		return wire.ErrUnavailable
	}
	return nil
}

// refusal returns the error that an answer is, or nil for a success of the given media type.
func refusal(resp *http.Response, accept string) error {
	kind := resp.Header.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(kind)
	if resp.StatusCode == http.StatusOK && media == accept {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &wire.Problem{}
	if media == "application/problem+json" && json.Unmarshal(b, p) == nil && p.Code != "" {
		return p
	}
	return &AnswerError{
		Method: resp.Request.Method, URL: shown(resp.Request.URL), Status: resp.StatusCode,
		ContentType: texts.Shorten(kind), Detail: texts.Shorten(string(b)),
	}
}

// failed is the error of a request that got no answer.
func (c *Client) failed(method, path string, err error) error {
	var in *url.Error // it repeats method and URL, and shows a user name
	if errors.As(err, &in) {
		err = in.Err
	}
	return fmt.Errorf("client: %s %s: %w", method, c.shown+path, err)
}

// shown is a URL without credentials and query.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
