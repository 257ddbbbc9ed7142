// Package brokenstore has stores that are wrong in one way each, to prove that storetest notices.
package brokenstore

import (
	"context"
	"errors"
	"slices"
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
	{"no control compare", "whose If.Control is not the stored number", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.If.Control = 0
	})},
	{"no progress compare", "numbers of If that are not 0 are compared", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.If.Progress = 0
	})},
	{"no epoch fence", "If.Epoch is not the stored epoch", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.If.Epoch = 0
	})},
	{"epoch compared last", "the epoch is compared before the other numbers", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.If.Control != 0 && c.If.Control != p.Numbers.Control {
			c.If.Epoch = 0
		}
	})},
	{"zero compared too", "a number that a commit has as 0 is not compared", func() ota.Store { return numbered{memstore.New()} }},
	{"epoch not raised", "Then.Epoch replaces the stored epoch", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.Then.Epoch = 0
	})},
	{"numbers counted", "those of Then that are not 0 replace the stored ones", commits(func(c *ota.Commit, p ota.PlanRow) {
		c.Then.Progress = p.Numbers.Progress + 1
	})},
	{"empty parts cleared", "parts of a commit that are zero are left as they are", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Names == nil {
			c.Names = &ota.Names{Name: p.Names.Name}
		}
	})},
	{"head cleared", "a commit without a Head leaves it", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Head == nil && p.Head.Hold == ota.ReasonBlocked {
			c.Head = &ota.Head{Status: p.Head.Status}
		}
	})},
	{"head merged", "Head is what the last commit with one wrote", commits(func(c *ota.Commit, p ota.PlanRow) {
		if c.Head != nil && c.Head.Since.IsZero() {
			h := *c.Head
			h.Since, c.Head = p.Head.Since, &h
		}
	})},
	{"rows out of range dropped", "a row that the plan does not have", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.Rows = slices.DeleteFunc(slices.Clone(c.Rows), func(r ota.Row) bool { return r.Number < 0 || r.Number > 5 })
	})},
	{"long states cut", "a commit replaces the whole State of a row", commits(func(c *ota.Commit, _ ota.PlanRow) {
		c.Rows = slices.Clone(c.Rows)
		for i := range c.Rows {
			c.Rows[i].State = c.Rows[i].State[:min(255, len(c.Rows[i].State))]
		}
	})},
	{"torn commit", "a refused commit changes nothing", func() ota.Store { return newTorn() }},
	{"lost revision", "one higher each time", func() ota.Store { return skipping{memstore.New()} }},
	{"notable forgotten", "only notable records come", func() ota.Store { return unremarkable{memstore.New()} }},
	{"cursor ignored", "Next continues a query", func() ota.Store { return restarting{memstore.New()} }},
	{"kinds mixed", "each kind of rows has its own numbers", func() ota.Store { return mixing{memstore.New()} }},
	{"holders of the past", "Holders names the plans that have claimed", func() ota.Store { return &historian{Store: memstore.New()} }},
	{"log record lost", "without gap", func() ota.Store { return forgetful{memstore.New()} }},
	{"texts repaired", "is refused with ErrRefused", commits(func(c *ota.Commit, _ ota.PlanRow) {
		if c.Names != nil {
			c.Names = &ota.Names{Name: strings.ToValidUTF8(c.Names.Name, "\ufffd"), Labels: c.Names.Labels}
		}
	})},
	{"texts refused for now", "a text that is not kept exactly is refused with ErrRefused", func() ota.Store { return picky{memstore.New()} }},
	{"log bytes mangled", "byte for byte", func() ota.Store { return mangling{memstore.New()} }},
	{"alias of what is given", "keeps nothing that it is given by reference", func() ota.Store { return newKeeper() }},
	{"alias of what is kept", "what a store has returned stays as it is", func() ota.Store { return newGiver() }},
	{"visible too early", "visible before its Create is done", func() ota.Store { return newHasty() }},
	{"create holds everybody up", "does not wait for the Create of another plan", func() ota.Store { return newLocking() }},
	{"rest of a failed create", "nothing stays of a Create whose agents failed", func() ota.Store { return leaving{memstore.New()} }},
	{"duplicates dropped", "an agent that comes twice", func() ota.Store { return merging{memstore.New()} }},
	{"request keys not unique", "a request key that is taken", func() ota.Store { return keyless{memstore.New()} }},
	{"context ignored", "returns the context's error", func() ota.Store { return deaf{memstore.New()} }},
	{"page repeats a row", "each once", func() ota.Store { return paging{memstore.New(), -1} }},
	{"page loses a row", "each once", func() ota.Store { return paging{memstore.New(), +1} }},
	{"filters ignored", "Rows returns the rows that the query selects", func() ota.Store { return unfiltered{memstore.New()} }},
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

// commits returns a maker of stores that get every commit as wrong makes it. p is the plan as it is
// stored.
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

// numbered compares an epoch of 0, too.
type numbered struct{ *memstore.Store }

func (s numbered) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	p, err := s.Plan(ctx, c.Plan)
	if err == nil && c.If.Epoch == 0 && p.Numbers.Epoch > 1 {
		return 0, ota.ErrFenced
	}
	return s.Store.Commit(ctx, c)
}

// picky says of a text that it will never keep that it does not keep it now.
type picky struct{ *memstore.Store }

func (s picky) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if c.Names != nil && !utf8.ValidString(c.Names.Name) {
		return 0, errors.New("invalid byte sequence")
	}
	return s.Store.Commit(ctx, c)
}
