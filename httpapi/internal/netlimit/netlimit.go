// Package netlimit bounds what one request may cost its server: how large its body is, how slowly
// it comes, and how slowly the answer is taken.
package netlimit

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Body is a request's body of at most a given length, whose sender is cut off when it only drips
// in: reading it then fails with an error that matches os.ErrDeadlineExceeded. One that is too long
// fails with *http.MaxBytesError.
type Body struct {
	rc    *http.ResponseController
	body  io.Reader
	slow  time.Duration
	began time.Time
	read  int64
	until time.Time
	whole bool // it was read to its end
}

// rate is the bytes per second that a body has to come with once its grace is over.
const rate = 16 << 10

// NewBody returns r's body of at most limit bytes. It may take slow to arrive, and one second more
// for every 16 KiB that did.
func NewBody(w http.ResponseWriter, r *http.Request, limit int64, slow time.Duration) *Body {
	return &Body{
		rc: http.NewResponseController(w), body: http.MaxBytesReader(w, r.Body, limit), slow: slow, began: time.Now(),
	}
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	until := b.began.Add(b.slow + time.Duration(b.read/rate)*time.Second)
	if !until.Equal(b.until) {
		b.until = until
		_ = b.rc.SetReadDeadline(until) // a connection that has no deadlines is not cut off
	}
	n, err := b.body.Read(p)
	b.read += int64(n)
	b.whole = b.whole || errors.Is(err, io.EOF)
	return n, err
}

// Failure says as an HTTP status why a body could not be read: 413 when it has more than limit
// bytes, 408 when it came too slowly, and 400 when it ended before it was complete.
func Failure(err error) (status int, limit int64) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, large.Limit
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, 0
	default:
		return http.StatusBadRequest, 0
	}
}

// Done takes the deadline back once the body was read to its end, so that it does not strike while
// the answer is made. Else it stays: net/http reads on before it closes the connection, and would
// wait for a client that sends no more.
func (b *Body) Done() {
	if b.whole {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
}

// Unread gives a body that perhaps nobody will read this long to come: net/http reads it before it
// answers, and would wait for a client that sends no more.
func Unread(w http.ResponseWriter, r *http.Request, slow time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(slow))
	}
}

// Extend gives the client this long to take what is written next.
func Extend(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

// Restore takes the deadline of writes back at the end of a request, which net/http itself does
// only where the host's server has a WriteTimeout.
func Restore(w http.ResponseWriter, r *http.Request) {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && s.WriteTimeout == 0 {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
}
