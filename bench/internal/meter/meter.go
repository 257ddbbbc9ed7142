// Package meter measures the cost of a piece of work: time, processor time of this process and of a
// server, allocations, and flushes.
package meter

import (
	"runtime"
	"syscall"
	"time"

	"github.com/seed-19b57ce3/ota/bench/internal/record"
)

// Meter selects the counts besides time and memory. The zero value counts nothing else.
type Meter struct {
	// Server is the first process of the server that does part of the work; 0 means no server.
	Server int
	// Flushes returns how many flushes there were so far; nil counts none.
	Flushes func() (int64, error)
	// After, unless nil, is called when the clock has stopped, before anything else is counted.
	After func() error
}

// Take runs f and returns its cost. It collects earlier garbage first, so that f does not pay for
// it.
func (m Meter) Take(side string, f func() error) (record.Sample, error) {
	runtime.GC()
	before, err := m.read()
	if err != nil {
		return record.Sample{}, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return record.Sample{}, err
	}
	took := time.Since(began)
	if m.After != nil {
		if err := m.After(); err != nil {
			return record.Sample{}, err
		}
	}
	after, err := m.read()
	if err != nil {
		return record.Sample{}, err
	}
	return record.Sample{
		Side: side, At: began.UTC(), Seconds: took.Seconds(),
		CPU: after.cpu - before.cpu, Server: after.server - before.server,
		Allocs: after.mallocs - before.mallocs, Bytes: after.bytes - before.bytes,
		Flushes: after.flushes - before.flushes,
	}, nil
}

type reading struct {
	cpu, server    float64
	mallocs, bytes uint64
	flushes        int64
}

func (m Meter) read() (r reading, err error) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r.mallocs, r.bytes = mem.Mallocs, mem.TotalAlloc
	if m.Flushes != nil {
		if r.flushes, err = m.Flushes(); err != nil {
			return r, err
		}
	}
	if m.Server != 0 {
		if r.server, err = processTime(m.Server); err != nil {
			return r, err
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return r, err
	}
	r.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	return r, nil
}
