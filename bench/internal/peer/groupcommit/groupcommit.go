// Package groupcommit is the floor of durable work. Each writer waits until its row is durable
// before it writes the next. One committer commits the rows of all waiting writers in one
// transaction.
package groupcommit

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Run lets waiters write rows until there are rows of them, and returns the number of commits.
// commit gets the numbers of the rows of one transaction, from 0.
func Run(waiters, rows int, commit func(rows []int32) error) (commits uint64, err error) {
	q := &queue{ready: make(chan struct{}, 1)}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			acknowledged := make(chan bool, 1)
			for {
				i := next.Add(1) - 1
				if i >= int64(rows) {
					return
				}
				q.put(int32(i), acknowledged)
				if !<-acknowledged {
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		select {
		case <-q.ready:
		case <-done:
			return commits, err
		}
		numbers, acknowledge := q.take()
		if err == nil {
			err = commit(numbers)
			commits++
		}
		for _, c := range acknowledge {
			c <- err == nil
		}
	}
}

// queue has the waiting rows.
type queue struct {
	ready chan struct{}

	mu          sync.Mutex
	rows        []int32
	acknowledge []chan bool
}

func (q *queue) put(row int32, acknowledge chan bool) {
	q.mu.Lock()
	q.rows = append(q.rows, row)
	q.acknowledge = append(q.acknowledge, acknowledge)
	first := len(q.rows) == 1
	q.mu.Unlock()
	if first {
		q.ready <- struct{}{}
	}
}

// take returns the waiting rows. It first lets other goroutines run until no more rows come: a
// flush costs more than that.
func (q *queue) take() ([]int32, []chan bool) {
	for seen := 0; ; {
		runtime.Gosched()
		q.mu.Lock()
		if len(q.rows) == seen {
			rows, acknowledge := q.rows, q.acknowledge
			q.rows, q.acknowledge = nil, nil
			q.mu.Unlock()
			return rows, acknowledge
		}
		seen = len(q.rows)
		q.mu.Unlock()
	}
}

// Full commits rows in groups that are always full, without a writer that waits. No group commit
// with groups of this size can be faster.
func Full(group, rows int, commit func(rows []int32) error) (commits uint64, err error) {
	numbers := make([]int32, 0, group)
	for i := range rows {
		if numbers = append(numbers, int32(i)); len(numbers) == group || i == rows-1 {
			if err := commit(numbers); err != nil {
				return commits, err
			}
			numbers = numbers[:0]
			commits++
		}
	}
	return commits, nil
}
