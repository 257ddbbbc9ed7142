package httpapi

import (
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// decode reads the request's body, at most limit bytes of it, into what read makes of it. An empty
// body is as good as {} where that is legal: read is not called then. sum, when not nil, gets every
// byte.
func (c *call) decode(limit int64, mayBeEmpty bool, sum hash.Hash, read func(*decoder) error) (*decoder, error) {
	if c.r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	c.wait.Suspend() // the client has a limit of its own
	defer c.wait.Again()
	body := netlimit.NewBody(c.w, c.r, limit, c.h.base.Limits.Slow)
	defer body.Done()
	var in io.Reader = body
	if sum != nil {
		in = io.TeeReader(in, sum)
	}
	d := &decoder{
		Reader: strictjson.NewReader(in, strictjson.Limits{Depth: c.h.base.Limits.Depth}),
		strict: c.h.opt.Strict,
	}
	empty, err := d.Empty()
	if err != nil {
		return d, unreadable(err)
	}
	if empty && mayBeEmpty {
		return d, nil
	}
	if !empty && !isJSON(c.r.Header) {
		return d, newProblem("media_type", "send application/json, without a Content-Encoding")
	}
	if err := read(d); err != nil {
		return d, unreadable(err)
	}
	if err := d.End(); err != nil {
		return d, unreadable(err)
	}
	return d, nil
}

// body decodes an ordinary body.
func (c *call) body(mayBeEmpty bool, read func(*decoder) error) (*decoder, error) {
	return c.decode(c.h.base.Limits.Body, mayBeEmpty, nil, read)
}

// isJSON accepts a missing Content-Type too: some clients send none.
func isJSON(h http.Header) bool {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	value := h.Get("Content-Type")
	if value == "" {
		return true
	}
	t, params, err := mime.ParseMediaType(value)
	if err != nil || t != "application/json" && t != "text/json" && !strings.HasSuffix(t, "+json") {
		return false
	}
	charset := params["charset"]
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

// unreadable is the problem of a body that could not be read to its end.
func unreadable(err error) error {
	var bad *strictjson.Error
	var made *wire.Problem
	switch status, limit := netlimit.Failure(err); {
	case errors.As(err, &made), errors.Is(err, errSpool):
		return err
	case errors.As(err, &bad):
		return newProblem("malformed", bad.Error(), wire.Mistake{Pointer: bad.Pointer, Problem: bad.Problem})
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge(limit)
	case status == http.StatusRequestTimeout:
		return newProblem("too_slow", "")
	default:
		return newProblem("malformed", "the body ended before it was complete")
	}
}

var errSpool = errors.New("httpapi: temporary file")

func tooLarge(limit int64) error {
	return newProblem("too_large", "at most "+strconv.FormatInt(limit, 10)+" bytes")
}
