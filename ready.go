package ota

import "time"

// Careful, Standard and Push are policies to begin with, each with its Shape. Each call returns new
// values, so a change affects no other plan. docs/policies.md has what each costs and limits.

// Careful returns a shape and a policy for a release that has not run anywhere, and for agents that
// are hard to repair. One agent comes first. A person looks at each batch and promotes the next.
// Each batch is observed for half an hour, and its agents until the plan ends. The plan is completed
// when every agent is at the target, or when a person says so.
func Careful() (Shape, Policy) {
	return Shape{Canary: 1, Growth: Growth{First: 5, Max: 50}}, Policy{
		Concurrency: 10, Expect: &Expect{Normal: DefaultNormal}, Reserve: true,
		FailureThreshold: new(0.0), Scope: ScopeFirst,
		Hold:     Hold{All: true},
		Soak:     Soak{Duration: 30 * time.Minute, ToEnd: true},
		Retry:    RetryPolicy{Max: 1, Backoff: time.Minute},
		Complete: Complete{Min: 1},
	}
}

// Standard returns a shape and a policy for a tested release. Ten agents come first, then batches
// that double up to 1,000, in a shuffled order. Each batch is observed for ten minutes, and its
// agents until the plan ends. The plan pauses when more agents fail than one in a hundred explains,
// or more than one of the first ten.
func Standard() (Shape, Policy) {
	return Shape{Canary: 10, Growth: Growth{First: 50, Max: 1000}, Shuffle: 1}, Policy{
		Concurrency: 50,
		Soak:        Soak{Duration: 10 * time.Minute, ToEnd: true},
		Retry:       RetryPolicy{Max: 2, Backoff: time.Minute, MaxBackoff: 10 * time.Minute},
	}
}

// Push returns a shape and a policy for a small or urgent change that reaches everything soon. Ten
// agents come first, then batches that grow tenfold from 100, in a shuffled order. Each batch is
// observed for ten minutes, and its agents until the plan ends. It pauses as Standard does.
func Push() (Shape, Policy) {
	return Shape{Canary: 10, Growth: Growth{First: 100, Factor: 10}, Shuffle: 1}, Policy{
		Concurrency: 10_000,
		Soak:        Soak{Duration: 10 * time.Minute, ToEnd: true},
		Retry:       RetryPolicy{Max: 1, Backoff: 10 * time.Second},
	}
}
