package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/spool"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// creation is a request for a new plan.
type creation struct {
	c       *call
	d       *decoder
	spec    ota.Spec
	policy  policyEdit
	agents  spool.Spool
	given   string // by which field the agents were given
	records bool   // as "agents"
	most    int    // how many there may be
	undo    undoEdit
}

// createPlan is CreateGraduatedPlan.
func createPlan(c *call) error {
	x := newCreation(c)
	defer x.agents.Close()
	return x.answer(x.read, x.create)
}

func newCreation(c *call) creation {
	return creation{c: c, agents: spool.Spool{Dir: c.h.opt.TempDir}, most: c.h.opt.Limits.Agents}
}

// answer makes the plan that a request asks for.
func (x *creation) answer(read func(*decoder) error, create func() (ota.Plan, error)) error {
	c := x.c
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionCreate}); err != nil {
		return err
	}
	what, err := c.shown(true, true)
	if err != nil {
		return err
	}
	if x.spec.RequestKey, err = c.requestKey(); err != nil {
		return err
	}
	var sum hash.Hash
	if x.spec.RequestKey != "" {
		sum = sha256.New()
	}
	if _, err = c.decode(c.h.opt.Limits.CreateBody, false, sum, read); err != nil {
		return err
	}
	if sum != nil {
		x.spec.Fingerprint = hex.EncodeToString(sum.Sum(nil))
	}
	c.wait.For(x.agents.Len(), time.Millisecond)
	p, err := create()
	if err == nil && c.h.opt.StartOnCreate {
		p, err = c.startNew(p)
	}
	if err != nil {
		return err
	}
	return c.answerPlan(p, what, bare)
}

// startNew starts a plan that was just made. A repetition of the request, whose plan was started
// already, changes nothing.
func (c *call) startNew(p ota.Plan) (ota.Plan, error) {
	if p.Status != ota.StatusPending {
		return p, nil
	}
	ctx := c.r.Context()
	err := c.h.opt.Auth.Allow(ctx, c.who, Access{Action: VerbAction(ota.VerbStart), Plan: &p})
	if err == nil {
		var started ota.Plan
		if started, err = c.h.engine.Start(ctx, p.ID, ota.Request{Actor: c.who.Name}); err == nil {
			return started, nil
		}
	}
	if status, _ := Status(err); status >= http.StatusInternalServerError {
		return p, err
	}
	c.warnings = append(c.warnings, "the plan was made and not started: "+texts.Plain(err))
	return p, nil
}

func (x *creation) read(d *decoder) error {
	x.d, x.policy.d = d, d
	s := &x.spec
	known := x.policy.fields()
	maps.Copy(known, fields{
		"name":        d.text(&s.Name),
		"fromVersion": d.text(&s.FromVersion),
		"fromRelease": d.text(&s.FromRelease),
		"toVersion":   d.text(&s.ToVersion),
		"toRelease":   d.text(&s.ToRelease),
		"createdBy":   d.text(&s.CreatedBy),
		"agentIds":    {read: x.agentIDs},
		"agents":      {read: x.agentRecords},
		"batchSize":   d.integer(1, 1<<30, func(n int) { s.Shape.Size = n }),
		"batches":     {read: x.batches},
		"percent":     d.float("a number more than 0, at most 100", func(f float64) { s.Shape.Percent = f }),
		"canary":      d.integer(1, 1<<30, func(n int) { s.Shape.Canary = n }),
		"growth": {read: func() error {
			return d.object(fields{
				"first":  d.integer(1, 1<<30, func(n int) { s.Shape.Growth.First = n }),
				"factor": d.float("a number from 1 to 100", func(f float64) { s.Shape.Growth.Factor = f }),
				"max":    d.integer(0, 1<<30, func(n int) { s.Shape.Growth.Max = n }),
			})
		}},
		"represent":   d.someTexts(&s.Shape.Represent),
		"first":       d.matchers(&s.Shape.First),
		"last":        d.matchers(&s.Shape.Last),
		"shuffleSeed": d.integer64(1, 1<<53, func(n int64) { s.Shape.Shuffle = uint64(n) }),
		"labels":      d.pairs(func(m map[string]string) { s.Labels = m }),
		"annotations": d.pairs(func(m map[string]string) { s.Annotations = m }),
		"rollback": {read: func() error {
			x.undo.given = true
			return d.object(x.undo.fields(d))
		}},
	})
	err := d.documented(known)
	x.c.warnings = d.warnings
	if err != nil {
		return err
	}
	return x.required()
}

func (x *creation) required() error {
	var absent []string
	for _, f := range []struct {
		name  string
		empty bool
	}{
		{"name", x.spec.Name == ""},
		{"fromVersion", x.spec.FromVersion == ""},
		{"toVersion", x.spec.ToVersion == ""},
		{"toRelease", x.spec.ToRelease == ""},
		{"agentIds", x.agents.Len() == 0},
	} {
		if f.empty {
			absent = append(absent, f.name)
		}
	}
	return x.d.missing(absent...)
}

// once refuses agents that are given twice, in two fields.
func (x *creation) once(name string) bool {
	if x.given != "" {
		x.d.refuse("", "does not go with "+x.given, "one of the two")
		return false
	}
	x.given = name
	return true
}

// spooled marks an error of the spool: it is no mistake of the request.
func spooled(err error) error {
	if err != nil {
		return errors.Join(errSpool, err)
	}
	return nil
}

func (x *creation) agentIDs() error {
	if !x.once("agentIds") {
		return x.d.Skip()
	}
	return x.d.names(x.most, func(id []byte) error { return spooled(x.agents.AddID(id)) })
}

// agentRecords reads agents of which more is known than their IDs.
func (x *creation) agentRecords() error {
	if !x.once("agents") {
		return x.d.Skip()
	}
	x.records = true
	return x.d.Array(func(i int) error {
		if i == x.most {
			return newProblem("invalid", "", wire.Mistake{Pointer: x.d.Pointer(), Problem: "is one agent too many", Allowed: fmt.Sprintf("at most %d", i)})
		}
		var a ota.Agent
		if err := x.d.object(fields{
			"id":      x.d.text(&a.ID),
			"version": x.d.text(&a.Version),
			"release": x.d.text(&a.Release),
			"labels":  x.d.pairs(func(m map[string]string) { a.Labels = m }),
		}); err != nil {
			return err
		}
		a.ID = strings.TrimSpace(a.ID)
		return spooled(x.agents.Add(a))
	})
}

// foreign refuses annotations that are this package's own.
func (d *decoder) foreign(pointer string, annotations map[string]string) {
	for k := range annotations {
		if strings.HasPrefix(k, ownKeys) {
			d.refuseAt(pointer, k, "is reserved", "keys without the prefix "+ownKeys)
		}
	}
}

// maxBatches bounds an explicit list of batches.
const maxBatches = 200_000

func (x *creation) batches() error {
	return x.d.Array(func(i int) error {
		if i == maxBatches {
			return newProblem("invalid", "", wire.Mistake{Pointer: x.d.Pointer(), Problem: "is one batch too many", Allowed: "at most 200000"})
		}
		var b ota.BatchShape
		err := x.d.object(fields{
			"name":    x.d.text(&b.Name),
			"size":    x.d.integer(1, 1<<30, func(n int) { b.Size = n }),
			"percent": x.d.float("a number more than 0, at most 100", func(f float64) { b.Percent = f }),
		})
		x.spec.Shape.Batches = append(x.spec.Shape.Batches, b)
		return err
	})
}

// maxOrder bounds what a request says of the order of agents, before the Engine checks it.
const maxOrder = 100

// someTexts is a field that is a list of strings.
func (d *decoder) someTexts(all *[]string) field {
	return field{read: func() error {
		return d.Array(func(i int) error {
			if i == maxOrder {
				return d.tooMany()
			}
			s, err := d.String()
			*all = append(*all, s)
			return err
		})
	}}
}

// matchers is a field that is a list of labels with their values.
func (d *decoder) matchers(all *[]ota.Label) field {
	return field{read: func() error {
		return d.Array(func(i int) error {
			if i == maxOrder {
				return d.tooMany()
			}
			var l ota.Label
			err := d.object(fields{"label": d.text(&l.Name), "value": d.text(&l.Value)})
			*all = append(*all, l)
			return err
		})
	}}
}

func (d *decoder) tooMany() error {
	return newProblem("invalid", "", wire.Mistake{Pointer: d.Pointer(), Problem: "has too many entries", Allowed: fmt.Sprintf("at most %d", maxOrder)})
}

func (x *creation) create() (ota.Plan, error) {
	if err := x.settle(); err != nil {
		return ota.Plan{}, err
	}
	if err := x.noteRelease(); err != nil {
		return ota.Plan{}, err
	}
	p, err := x.c.h.engine.Create(x.c.r.Context(), x.spec)
	return p, x.explain(err)
}

// settle completes the spec.
func (x *creation) settle() error {
	s := &x.spec
	x.d.foreign("/annotations", s.Annotations)
	if err := x.d.valid(); err != nil {
		return err
	}
	x.policy.settle()
	x.policy.apply(&s.Policy)
	if t := x.policy.observe; t != nil {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[observeKey] = *t
	}
	if x.undo.given {
		x.undo.settle(&s.Policy)
		s.Rollback = &x.undo.spec
	}
	s.Actor = x.c.who.Name
	if s.CreatedBy == "" {
		s.CreatedBy = x.c.who.Name
	}
	s.Agents = x.agents.All()
	return nil
}

// explain puts an error of Create in the words of the request.
func (x *creation) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ota.ErrExists) && x.spec.RequestKey != "":
		return newProblem("key_reused", "")
	case errors.Is(err, ota.ErrInvalid) && x.records:
		p := problemOf(err)
		for i := range p.Errors {
			p.Errors[i].Pointer = strings.Replace(p.Errors[i].Pointer, "/agentIds", "/agents", 1)
		}
		return p
	default:
		return err
	}
}
