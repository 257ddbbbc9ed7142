package arcgis_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/memstore"
)

// mortal is a Store whose process dies at one write: what comes after it never reaches the disk.
type mortal struct {
	*memstore.Store
	mu     sync.Mutex
	left   int  // writes until then; 0: it is dead
	landed bool // whether the last one lands
	died   func()
}

var errDead = errors.New("the process is dead")

// write reports whether a write happens, and whether its caller hears of it.
func (m *mortal) write() (happens, heard bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == 0 {
		return false, false
	}
	if m.left--; m.left == 0 {
		m.died()
		return m.landed, false
	}
	return true, true
}

func (m *mortal) Commit(ctx context.Context, c ota.Commit) (rev uint64, err error) {
	happens, heard := m.write()
	if happens {
		rev, err = m.Store.Commit(ctx, c)
	}
	if !heard {
		return 0, errDead
	}
	return rev, err
}

func (m *mortal) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) (err error) {
	happens, heard := m.write()
	if happens {
		err = m.Store.Create(ctx, p, rows, first)
	}
	if !heard {
		return errDead
	}
	return err
}

// Whenever the host is killed, its next Run finds the job, finishes it and leaves read-only mode;
// it makes no difference whether the switch remembers. A job that was not made by then is none.
func TestRestart(t *testing.T) {
	finished := 0
	for at := 1; finished < 4; at++ {
		if at > 200 {
			t.Fatal("the job has no end")
		}
		for _, landed := range []bool{false, true} {
			for _, forgets := range []bool{false, true} {
				died := false
				synctest.Test(t, func(t *testing.T) { died = killAt(t, at, landed, forgets) })
				if !died {
					finished++
				}
			}
		}
		if t.Failed() {
			t.Fatalf("killed at write %d", at)
		}
	}
}

// killAt kills the host at one of the writes that follow the request.
func killAt(t *testing.T, at int, landed, forgets bool) (died bool) {
	name := fmt.Sprintf("killed at %d, landed %t, forgets %t", at, landed, forgets)
	w := newWorld(t)
	defer func() { w.stop() }()
	w.install("pat_1", "1.0", "1.1")
	w.install("pat_2", "1.1", "1.2")
	w.install("pat_3", "1.2", "1.3")
	w.stop()
	disk := w.store.(*memstore.Store)
	dead := make(chan struct{})
	m := &mortal{Store: disk, left: at + 1000, landed: landed, died: func() { close(dead) }}
	w.store = m
	w.start()
	time.Sleep(time.Minute)
	m.mu.Lock()
	m.left = at
	m.mu.Unlock()
	accepted := w.back("pat_1").Error == nil
	select {
	case <-dead:
		died = true
	case <-time.After(5 * time.Minute):
	}
	if died {
		w.stop()
		if forgets {
			w.site.readOnly = false
		}
		time.Sleep(time.Hour)
		w.store = disk
		unfinished, calls := w.peek().Status.Code == 1, len(w.site.log())
		w.start()
		time.Sleep(3 * time.Second) // also for a rollback that was begun and not made
		if now := w.site.log()[calls:]; unfinished && (len(now) == 0 || !now[0]) {
			t.Errorf("%s: read-only mode was not switched on again: %v", name, now)
		}
	}
	r := w.finish()
	if r.Status.Messages[0].Code != 2072 && !accepted { // it was never made
		same(t, name, w.targets(), []string{"pat_2", "pat_1"})
		if r := w.back("pat_1"); r.Error != nil {
			t.Errorf("%s: %+v", name, r.Error)
		}
		r = w.finish()
	}
	if r.Status.Code != 3 || w.site.on() || w.site.outside() > 0 && !forgets {
		t.Errorf("%s: %+v, read-only is %t, %d touched outside of it", name, r.Status, w.site.on(), w.site.outside())
	}
	codes := r.codes()
	if len(codes) != 21 || codes[len(codes)-1] != 2076 {
		t.Errorf("%s: %v", name, codes)
	}
	for id, v := range w.fleet.Versions() {
		if v != "1.1" {
			t.Errorf("%s: %s runs %s", name, id, v)
		}
	}
	return died
}

// peek is upgrades, asked of a host that runs nothing.
func (w *world) peek() reply {
	w.t.Helper()
	e, err := ota.New(w.store, nil, ota.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.h, err = arcgis.New(e, w.opt); err != nil {
		w.t.Fatal(err)
	}
	return w.upgrades()
}
