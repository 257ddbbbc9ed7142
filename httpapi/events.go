package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// watcher is one open stream of events.
type watcher struct {
	c     *call
	plan  string
	after uint64     // revision of the last record that was sent
	last  ota.Status // the plan's status after that record
}

// watchPlan is WatchPlan: a plan's log as Server-Sent Events, from any record on, every record once
// and in order. A client that does not keep up is cut off, and goes on from the ID of the last
// message it has.
func watchPlan(c *call) error {
	after, source, err := c.lastEventID()
	if err != nil {
		return err
	}
	p, err := c.plan(c.id, ActionRead)
	if err != nil {
		return err
	}
	if after > p.Revision {
		return newProblem("invalid", "", wire.Mistake{
			Pointer: source, Problem: "is beyond the log", Value: strconv.FormatUint(after, 10), Allowed: "at most " + strconv.FormatUint(p.Revision, 10),
		})
	}
	if c.h.watchers.Add(1) > int64(c.h.opt.Limits.Watchers) {
		c.h.watchers.Add(-1)
		return newProblem("too_many_watchers", "")
	}
	defer c.h.watchers.Add(-1)
	c.wait.Suspend()
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Connection", "close") // the deadlines of its writes go with it
	c.w.WriteHeader(http.StatusOK)
	c.sent = true
	if c.r.Method == http.MethodHead {
		return nil
	}
	w := &watcher{c: c, plan: p.ID, after: after}
	if err := w.send([]byte("retry: 1000\n\n")); err != nil {
		return nil
	}
	return w.follow(p)
}

// lastEventID is the revision after which the stream begins, and the header or parameter that names
// it.
func (c *call) lastEventID() (after uint64, name string, err error) {
	name, value := "Last-Event-ID", c.r.Header.Get("Last-Event-ID")
	if value == "" {
		name, value = "after", c.query.Get("after")
	}
	if value == "" {
		return 0, name, nil
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, name, newProblem("malformed", "", wire.Mistake{Pointer: name, Problem: "is no event ID", Value: texts.Shorten(value), Allowed: "a whole number"})
	}
	return n, name, nil
}

// follow sends records until the one that ends the plan, or until the client or the log is gone. It
// returns no error: the stream just ends, and the client comes back with the last ID it has.
func (w *watcher) follow(p ota.Plan) error {
	ctx := w.c.r.Context()
	if err := w.recall(ctx); err != nil {
		return nil
	}
	feed, leave := w.c.h.feeds.join(p.ID, p.Revision)
	defer leave()
	heartbeat := w.c.h.base.Clock.Ticker(w.c.h.opt.Limits.Heartbeat)
	defer heartbeat.Stop()
	for {
		frames, behind, upTo, changed, failed := feed.after(w.after)
		if behind {
			if done, err := w.catchUp(ctx, upTo); done || err != nil {
				return nil
			}
			continue
		}
		if len(frames) > 0 {
			if done, err := w.frames(frames); done || err != nil {
				return nil
			}
			continue
		}
		if failed != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-heartbeat.C:
			if w.still(ctx, &p) != nil || w.send([]byte(": \n\n")) != nil {
				return nil
			}
		}
	}
}

// still asks again whether the watcher may read the plan: its credential may have been revoked.
func (w *watcher) still(ctx context.Context, p *ota.Plan) error {
	auth := &w.c.h.opt.Auth
	who, err := auth.Check(ctx, Credential{Token: BearerToken(w.c.r), Request: w.c.r})
	if err != nil {
		return err
	}
	return auth.Allow(ctx, who, Access{Action: ActionRead, Plan: p})
}

// recall finds out which status the plan had after the last record that the client has, so that the
// record which ends the plan can be told from those that follow it.
func (w *watcher) recall(ctx context.Context) error {
	if w.after == 0 {
		return nil
	}
	for rec, err := range w.c.h.engine.Watch(ctx, w.plan, w.after-1) {
		if err != nil {
			return err
		}
		w.last = rec.Status
		break
	}
	return nil
}

// catchUp sends records from the log, up to one revision.
func (w *watcher) catchUp(ctx context.Context, upTo uint64) (done bool, err error) {
	var batch []frame
	size := 0
	for rec, err := range w.c.h.engine.Watch(ctx, w.plan, w.after) {
		if err != nil {
			return false, err
		}
		f := frameOf(&rec)
		batch = append(batch, f)
		size += len(f.text)
		if size >= chunk || rec.Revision >= upTo {
			if done, err := w.frames(batch); done || err != nil || rec.Revision >= upTo {
				return done, err
			}
			batch, size = batch[:0], 0
		}
	}
	return false, nil
}

// frames sends records that follow the last one; done says that the plan ended with one of them,
// which is then the last.
func (w *watcher) frames(frames []frame) (done bool, err error) {
	var text []byte
	sent := w.after
	for _, f := range frames {
		text = append(text, f.text...)
		sent++
		ended := f.status.Ended() && !w.last.Ended()
		if ended {
			text = append(append(text, protocol.EndMark...), '\n')
		}
		w.last = f.status
		if len(text) >= chunk || ended {
			if err := w.send(text); err != nil {
				return false, err
			}
			w.after, text = sent, text[:0]
		}
		if ended {
			return true, nil
		}
	}
	if len(text) > 0 {
		err = w.send(text)
	}
	w.after = sent
	return false, err
}

// send writes to the client, which has Limits.Write to accept it.
func (w *watcher) send(text []byte) error {
	w.c.extend()
	if _, err := w.c.w.Write(text); err != nil {
		return err
	}
	return w.c.rc.Flush()
}
