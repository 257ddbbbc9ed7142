package storetest

import "github.com/seed-19b57ce3/ota"

const (
	ruleKeeps = "a store keeps nothing that it is given by reference"
	ruleGives = "what a store has returned stays as it is"
)

var aliasCases = cases{
	{"WhatCreateWasGivenMayBeChanged", func(e *env) {
		p := e.sample("p", 6, 2)
		p.first.Names = &ota.Names{Name: "n", Labels: map[string]string{"app": "p"}}
		for i := range p.agents {
			p.agents[i].State = some(20*i+1, byte(i))
		}
		buffer := make([]byte, 200) // one for the bytes of all rows
		err := e.make(p, func(yield func(ota.Row, error) bool) {
			for _, row := range p.agents {
				n, m := copy(buffer, row.Fixed), len(row.State)
				copy(buffer[n:], row.State)
				row.Fixed, row.State = buffer[:n], buffer[n:n+m]
				if !yield(row, nil) {
					return
				}
				scribble(buffer)
			}
		})
		e.ok(ruleCreate, err)
		e.same("the bytes of a row are the caller's again once the next one is asked for", e.agents("p", ota.RowQuery{}), p.agents)
		before := e.frozen("p")
		scribblePlan(&p.plan)
		p.first.Names.Labels["app"] = "changed"
		scribbleCommit(&p.first)
		for i := range p.agents {
			scribble(p.agents[i].State)
			if p.agents[i].Labels != nil {
				p.agents[i].Labels["zone"] = "changed"
			}
		}
		e.same(ruleKeeps, e.everything("p"), before)
		e.same(ruleKeeps, e.listed(ota.PlanQuery{Labels: map[string]string{"app": "p"}}), []string{"p"})
	}},
	{"WhatCommitWasGivenMayBeChanged", func(e *env) {
		e.made("p")
		for n := range 3 {
			c := e.changing(n)
			e.commit(c)
			before := e.frozen("p")
			scribbleCommit(&c)
			e.same(ruleKeeps, e.everything("p"), before)
		}
	}},
	{"WhatWasReturnedStays", func(e *env) {
		e.made("p")
		e.commit(e.changing(1))
		got := e.everything("p")
		page, err := e.store.Plans(e.ctx, ota.PlanQuery{})
		e.ok("Plans answers", err)
		before, listed := e.text(got), e.text(page)
		for n := range 3 {
			e.commit(e.changing(n + 2))
		}
		e.same(ruleGives, e.text(got), before)
		e.same(ruleGives, e.text(page), listed)
	}},
	{"ABufferMayBeUsedAgain", func(e *env) {
		p := e.sample("p", 60, 10)
		e.create(p)
		c := e.owner("p")
		for i := range p.agents {
			row := busy(i, i%4)
			c.Rows = append(c.Rows, row)
			p.agents[i].Status, p.agents[i].Reason, p.agents[i].State = row.Status, row.Reason, row.State
		}
		e.commit(c)
		var buffer []ota.Row
		for from := 0; from < 60; from += 7 {
			page, err := e.store.Rows(e.ctx, "p", ota.RowQuery{Kind: ota.KindAgent, From: from, Limit: 7, Buffer: buffer})
			e.ok("Rows returns the rows of a plan that is there", err)
			e.same("a page in the caller's memory is right until the memory is used again", page.Items, p.agents[from:min(from+7, 60)])
			buffer = page.Items[:0]
		}
		e.same(ruleGives, e.agents("p", ota.RowQuery{}), p.agents)
	}},
}

func scribble(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

func scribblePlan(p *ota.PlanRow) {
	for k := range p.Names.Labels {
		p.Names.Labels[k] = "changed"
	}
	for i := range p.Index {
		p.Index[i] = "changed"
	}
}

func scribbleCommit(c *ota.Commit) {
	for _, b := range [][]byte{c.Parts.Spec, c.Parts.Control, c.Parts.Progress, c.Log.Data, c.Head.Show} {
		scribble(b)
	}
	if c.Names != nil {
		for k := range c.Names.Labels {
			c.Names.Labels[k] = "changed"
		}
	}
	for i := range c.Rows {
		scribble(c.Rows[i].State)
		scribble(c.Rows[i].Show)
	}
}
