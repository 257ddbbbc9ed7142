// Package slowbody reads the bodies of requests from people one does not trust: so many bytes, and no slower than this.
package slowbody

import (
	"io"
	"net/http"
	"time"
)

// rate is the bytes per second that a body has to come with once its grace is over.
const rate = 16 << 10

// Reader is the body of one request.
type Reader struct {
	rc    *http.ResponseController
	body  io.Reader
	grace time.Duration
	began time.Time
	read  int64
	until time.Time
}

// New returns a Reader of r's body. Reading more than limit bytes is an *http.MaxBytesError. A body that takes longer than
// grace, plus one second for every 16 KiB that came, ends with os.ErrDeadlineExceeded.
func New(w http.ResponseWriter, r *http.Request, limit int64, grace time.Duration) *Reader {
	return &Reader{
		rc: http.NewResponseController(w), body: http.MaxBytesReader(w, r.Body, limit), grace: grace, began: time.Now(),
	}
}

// Read implements io.Reader.
func (b *Reader) Read(p []byte) (int, error) {
	until := b.began.Add(b.grace + time.Duration(b.read/rate)*time.Second)
	if !until.Equal(b.until) {
		b.until = until
		_ = b.rc.SetReadDeadline(until)
	}
	n, err := b.body.Read(p)
	b.read += int64(n)
	return n, err
}

// Done takes the deadline back, so that it does not strike while the answer is written.
func (b *Reader) Done() { _ = b.rc.SetReadDeadline(time.Time{}) }
