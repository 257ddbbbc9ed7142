package httpapi

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

// feeds follow the logs of plans for those who watch them. However many watch a plan, its log is
// read, and each record encoded, once; a watcher that falls behind what is kept reads the log by
// itself.
type feeds struct {
	engine *ota.Engine
	mu     sync.Mutex
	plans  map[string]*feed
}

// feed is the newest part of one plan's log, as it is sent.
type feed struct {
	watchers int // guarded by feeds.mu
	stop     context.CancelFunc

	mu      sync.Mutex
	base    uint64 // revision of the record before frames[0]
	frames  []frame
	bytes   int
	err     error         // why it follows no more
	changed chan struct{} // closed at the next change
}

// frame is one record as a message of an event stream.
type frame struct {
	text   []byte
	status ota.Status
}

const (
	feedFrames = 1024
	feedBytes  = 4 << 20
)

// join returns the plan's feed, which begins after revision when it is new. leave must be called
// once.
func (f *feeds) join(plan string, revision uint64) (_ *feed, leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.plans[plan]
	if x == nil || x.failed() {
		x = newFeed(f.engine, plan, revision)
		if f.plans == nil {
			f.plans = map[string]*feed{}
		}
		f.plans[plan] = x
	}
	x.watchers++
	return x, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if x.watchers--; x.watchers == 0 {
			x.stop()
			if f.plans[plan] == x {
				delete(f.plans, plan)
			}
		}
	}
}

func newFeed(engine *ota.Engine, plan string, revision uint64) *feed {
	ctx, stop := context.WithCancel(context.Background())
	x := &feed{base: revision, changed: make(chan struct{}), stop: stop}
	go func() {
		for rec, err := range engine.Watch(ctx, plan, revision) {
			if err != nil {
				x.end(err)
				return
			}
			x.add(&rec)
		}
	}()
	return x
}

func (x *feed) failed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err != nil
}

func (x *feed) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	close(x.changed)
}

func (x *feed) add(rec *ota.Record) {
	f := frameOf(rec)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.frames = append(x.frames, f)
	x.bytes += len(f.text)
	for len(x.frames) > feedFrames || x.bytes > feedBytes && len(x.frames) > 1 {
		x.bytes -= len(x.frames[0].text)
		x.frames[0] = frame{}
		x.frames = x.frames[1:]
		x.base++
	}
	close(x.changed)
	x.changed = make(chan struct{})
}

// after returns the frames above revision, or behind when the feed does not have the next one any
// more, or not yet because it began later: then the log has everything up to upTo. changed is
// closed when there is more.
func (x *feed) after(revision uint64) (frames []frame, behind bool, upTo uint64, changed <-chan struct{}, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if revision < x.base {
		return nil, true, x.base, nil, nil
	}
	have := min(revision-x.base, uint64(len(x.frames)))
	return x.frames[have:len(x.frames):len(x.frames)], false, 0, x.changed, x.err
}

func frameOf(rec *ota.Record) frame {
	data, err := json.Marshal(rec)
	if err != nil {
		panic(err) // our own types always encode
	}
	b := make([]byte, 0, len(data)+32)
	b = strconv.AppendUint(append(b, "id: "...), rec.Revision, 10)
	b = append(append(append(b, "\ndata: "...), data...), "\n\n"...)
	return frame{text: b, status: rec.Status}
}
