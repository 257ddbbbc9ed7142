package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// watcher is one stream of events. It reads with as few resources as possible: there are 10,000 of
// them.
type watcher struct {
	conn net.Conn
	last uint64 // ID of the last message
}

// watch opens a stream that begins after a message.
func (t *target) watch(ctx context.Context, id string, after uint64) (*watcher, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(t.url, "http://"))
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(16 << 10)
	}
	w := &watcher{conn: conn, last: after}
	_, err = fmt.Fprintf(conn, "GET /api/v1/lifecycle/upgrade-plans/%s/events HTTP/1.1\r\nHost: load\r\nLast-Event-ID: %d\r\n\r\n", id, after)
	return w, err
}

// read reads to the end of the stream. It returns io.ErrUnexpectedEOF when the stream was cut off,
// and an error when a message is missing or came twice.
func (w *watcher) read() error {
	defer w.conn.Close()
	in := bufio.NewReaderSize(w.conn, 4<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	lines := bufio.NewReaderSize(resp.Body, 1<<10)
	complete := w.last
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull: //nolint:errorlint // it is never wrapped; the rest of a long line follows
			continue
		case err == io.EOF: //nolint:errorlint // likewise
			return nil
		case err != nil:
			w.last = complete
			return io.ErrUnexpectedEOF
		}
		if len(line) == 1 { // the end of a message
			complete = w.last
		}
		digits, ok := strings.CutPrefix(string(line[:min(len(line), 32)]), "id: ")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
		if err != nil || n != w.last+1 {
			return fmt.Errorf("message %q follows message %d", digits, w.last)
		}
		w.last = n
	}
}

// watchAll lets n watchers read a plan from its first record to its end. It returns when all are
// connected; wait returns when they have ended.
func (t *target) watchAll(ctx context.Context, id string, n int) (wait func() ([]uint64, error), err error) {
	var readers, dialers errgroup.Group
	dialers.SetLimit(64)
	lasts := make([]uint64, n)
	for i := range n {
		dialers.Go(func() error {
			w, err := t.watch(ctx, id, 0)
			if err != nil {
				return err
			}
			readers.Go(func() error {
				err := w.read()
				lasts[i] = w.last
				return err
			})
			return nil
		})
	}
	if err := dialers.Wait(); err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // until the last ones are served
	return func() ([]uint64, error) { return lasts, readers.Wait() }, nil
}
