// Package reuse keeps values that are not needed now, so that memory is not made anew.
package reuse

import "sync"

// Pool keeps values of one type until the next garbage collection. The zero value is ready, and
// safe for concurrent use.
type Pool[T any] struct{ pool sync.Pool }

// Get returns a value that was put, or nil when there is none.
func (p *Pool[T]) Get() *T {
	v, _ := p.pool.Get().(*T)
	return v
}

// Put gives a value away. The caller does not use it any more.
func (p *Pool[T]) Put(v *T) { p.pool.Put(v) }
