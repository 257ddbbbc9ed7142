package ota

import (
	"context"
	"encoding/json"
	"runtime"
	"time"
)

// refresh reads what others have changed: verbs in the Store, reports in the inbox, and agents that
// other engines block.
func (d *driver) refresh(ctx context.Context) (in input, err error) {
	in, last, more, err := d.host.refresh(ctx, d.session, d.lastMessage)
	d.lastMessage = last
	if more {
		d.nudged.Store(true)
	}
	return in, err
}

// refresh is that of a driver and of a Stepper. It reads messages after a number, and returns the
// number of the last one, and whether there may be more.
func (e *host) refresh(ctx context.Context, x *session, after uint64) (in input, last uint64, more bool, err error) {
	if err := x.refresh(ctx); err != nil || x.st == nil {
		return in, after, false, err
	}
	if len(x.blockedElsewhere) > 0 {
		if err := x.readBlockedElsewhere(ctx); err != nil {
			return in, after, false, err
		}
	}
	after = max(after, x.st.p.Inbox)
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	in, last, more, err = e.readInbox(ctx, x.plan, after)
	return in, max(after, last), more, err
}

// minRefresh is the shortest time between two refreshes. The engine's own commits cause nudges too,
// and a commit would notice a change by others anyway.
const minRefresh = 100 * time.Millisecond

// nudge tells the driver that the plan may have changed. Every goroutine may call it.
func (d *driver) nudge() {
	if !d.nudged.Swap(true) {
		d.wake()
	}
}

// readInbox reads messages after a number. It returns the number of the last one, and whether there
// may be more.
func (e *host) readInbox(ctx context.Context, id string, after uint64) (in input, last uint64, more bool, err error) {
	box := e.with.Inbox
	if box == nil {
		return in, after, false, nil
	}
	messages, err := box.Read(ctx, id, after, orderChunk)
	if err != nil {
		return in, after, false, err
	}
	for _, msg := range messages {
		last = msg.Number
		var o outcomeMessage
		if err := json.Unmarshal(msg.Body, &o); err != nil {
			continue // from a newer version; this one cannot read it
		}
		if o.Outcome != nil {
			r := o.Outcome.input(o.At)
			r.message = msg.Number
			in.reports = append(in.reports, r)
			continue
		}
		var h HealthReport
		if err := json.Unmarshal(msg.Body, &h); err != nil {
			continue
		}
		in.health = append(in.health, healthReport{
			agent: h.Agent, healthy: h.Healthy, at: h.At.UnixNano(), reason: cleanMessage(h.Reason), message: msg.Number,
		})
	}
	return in, last, len(messages) == orderChunk, nil
}

// slowTurn is the duration from which filling commits pays. A Store in memory is faster.
const slowTurn = 200 * time.Microsecond

// coalesce lets calls return that are about to, so that one commit takes them along. It does so
// only where commits are slow.
func (d *driver) coalesce() {
	for before := 0; d.slowCommits; {
		returned := d.pool.returned()
		if returned == before {
			return
		}
		before = returned
		runtime.Gosched()
	}
}
