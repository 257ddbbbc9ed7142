// Package brokenstore has stores that are wrong in one way each, to prove that storetest notices.
package brokenstore

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// Variant is one way of being wrong.
type Variant struct {
	Name string
	// Rule is part of the sentence by which storetest has to name what is wrong.
	Rule string
	// New returns an empty store.
	New func() ota.Store
}

// Variants are all of them.
var Variants = []Variant{
	{"no control compare", "whose Control is not the stored number", commits(func(c *ota.Commit, p ota.PlanRow) {
		c.Control = p.ControlNumber
	})},
	{"no progress compare", "whose Progress is not the stored number", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Owner {
			c.Progress = p.ProgressNumber
		}
	})},
	{"no epoch fence", "whose Epoch is not the stored one", commits(func(c *ota.Commit, p ota.PlanRow) {
		c.Epoch = p.Epoch
	})},
	{"epoch compared last", "the epoch is compared before the numbers", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Owner && c.Control != p.ControlNumber {
			c.Epoch = p.Epoch
		}
	})},
	{"verbs fenced too", "a verb's commit does not look at the epoch", commits(func(c *ota.Commit, p ota.PlanRow) {
		if !c.Owner && !c.Raise {
			c.Owner, c.Progress = true, p.ProgressNumber
		}
	})},
	{"exact ignored", "an exact verb whose Progress", commits(func(c *ota.Commit, _ ota.PlanRow) { c.Exact = false })},
	{"every verb exact", "a verb that is not exact does not look at Progress", func() ota.Store {
		return numbered{memstore.New()}
	}},
	{"raise not raising", "with Raise makes the stored epoch one higher", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.Raise = false
	})},
	{"half without number", "raises its number, by one", commits(func(c *ota.Commit, _ ota.PlanRow) { c.BumpControl = false })},
	{"status cleared", "a commit without a Status leaves it", commits(func(c *ota.Commit, _ ota.PlanRow) {
		if c.Status == ota.StatusUnknown {
			c.Status = ota.StatusPending
		}
	})},
	{"head cleared", "a commit without a Head leaves it", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Head == nil {
			c.Head = &ota.Head{Status: p.Head.Status}
		}
	})},
	{"head merged", "Head is what the last commit with one wrote", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Head != nil && c.Head.Since.IsZero() {
			h := *c.Head
			h.Since, c.Head = p.Head.Since, &h
		}
	})},
	{"request lost", "a log record keeps its request", commits(func(c *ota.Commit, _ ota.PlanRow) { c.Request = "" })},
	{"rows out of range dropped", "a row that the plan does not have", commits(func(c *ota.Commit, p ota.PlanRow) {
		for i := 0; i < len(c.Agents); i++ {
			if n := c.Agents[i].Ordinal; n < 0 || n >= p.Spec.Agents {
				c.Agents = append(c.Agents[:i:i], c.Agents[i+1:]...)
			}
		}
	})},
	{"torn commit", "a refused commit changes nothing", func() ota.Store { return newTorn() }},
	{"lost revision", "one higher each time", func() ota.Store { return skipping{memstore.New()} }},
	{"log record lost", "without gap", func() ota.Store { return forgetful{memstore.New()} }},
	{"texts repaired", "is refused with ErrRefused", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.Request = strings.ToValidUTF8(c.Request, "\ufffd")
	})},
	{"texts refused for now", "a text that is not kept exactly is refused with ErrRefused", func() ota.Store { return picky{memstore.New()} }},
	{"log bytes mangled", "byte for byte", func() ota.Store { return mangling{memstore.New()} }},
	{"alias of what is given", "keeps nothing that it is given by reference", func() ota.Store { return newKeeper() }},
	{"alias of what is kept", "gives nothing by reference", func() ota.Store { return newGiver() }},
	{"visible too early", "visible before its Create is done", func() ota.Store { return newHasty() }},
	{"create holds everybody up", "does not wait for the Create of another plan", func() ota.Store { return newLocking() }},
	{"rest of a failed create", "nothing stays of a Create whose agents failed", func() ota.Store { return leaving{memstore.New()} }},
	{"duplicates dropped", "an agent that comes twice", func() ota.Store { return merging{memstore.New()} }},
	{"request keys not unique", "a request key that is taken", func() ota.Store { return keyless{memstore.New()} }},
	{"context ignored", "returns the context's error", func() ota.Store { return deaf{memstore.New()} }},
	{"page repeats a row", "each once", func() ota.Store { return paging{memstore.New(), -1} }},
	{"page loses a row", "each once", func() ota.Store { return paging{memstore.New(), +1} }},
	{"filters ignored", "Agents returns the agents that the query selects", func() ota.Store { return unfiltered{memstore.New()} }},
	{"oldest first", "newest first", func() ota.Store { return reversed{memstore.New()} }},
	{"local times", "in UTC", func() ota.Store { return local{memstore.New()} }},
	{"claims one by one", "a Claim that failed has taken nothing", func() ota.Store { return newGreedy() }},
	{"claims of the ended stay", "Claim takes every agent", func() ota.Store { return newClinging() }},
	{"kept claims end with their plan", "an agent that is kept is a conflict", newCareless(keepsNothing)},
	{"kept claims outlive their engine", "a kept claim is void once the lease", newCareless(keepsForTheDead)},
	{"kept claims add up", "Keep replaces what was kept", newCareless(keepsMoreAndMore)},
	{"kept claims are pruned", "Prune leaves kept claims", newCareless(keepsUntilPrune)},
	{"release ends what is kept", "Release ends no kept claim", newCareless(releasesKept)},
	{"release does nothing", "Release ends the claim of a plan", newCareless(releasesNothing)},
	{"release ends the claims of others", "Release ends no claim of another plan", newCareless(releasesOthers)},
	{"leases for ever", "a ttl of 0 ends the lease", func() ota.Store { return immortal{memstore.New()} }},
	{"messages twice", "each once, with rising numbers", func() ota.Store { return &repeating{Store: memstore.New()} }},
	{"changes kept to itself", "Changes tells of a plan", func() ota.Store { return silent{memstore.New()} }},
	{"prunes the living", "Prune deletes the plans that ended before", func() ota.Store { return ruthless{memstore.New()} }},
}

// commits returns a maker of stores that get every commit as wrong makes it. p is the plan as it is stored.
func commits(wrong func(c *ota.Commit, p ota.PlanRow)) func() ota.Store {
	return func() ota.Store { return &committing{Store: memstore.New(), wrong: wrong} }
}

type committing struct {
	*memstore.Store
	wrong func(c *ota.Commit, p ota.PlanRow)
}

func (s *committing) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	p, err := s.Plan(ctx, c.Plan)
	if err != nil {
		return 0, err
	}
	s.wrong(&c, p)
	return s.Store.Commit(ctx, c)
}

// numbered compares Progress in every verb.
type numbered struct{ *memstore.Store }

func (s numbered) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if !c.Owner && !c.Exact {
		c.Exact, c.Progress = true, 1
	}
	return s.Store.Commit(ctx, c)
}

// picky says of a text that it will never keep that it does not keep it now.
type picky struct{ *memstore.Store }

func (s picky) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if !utf8.ValidString(c.Request) {
		return 0, errors.New("invalid byte sequence")
	}
	return s.Store.Commit(ctx, c)
}
