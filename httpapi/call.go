package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// call is one request that is being served.
type call struct {
	h     *Handler
	w     http.ResponseWriter
	r     *http.Request
	rc    *http.ResponseController
	who   Principal
	wait  *handler.Patience
	route *route
	id    string // from the path
	query url.Values
	sent  bool // the answer has begun

	warnings []string // of the request, for the answer
}

func (c *call) begin() {
	c.h.base.Begin(c.w, c.r)
	c.rc = http.NewResponseController(c.w)
	c.r, c.wait = c.h.base.Wait(c.r)
}

// extend sets the deadline of the next writes. A connection without deadlines ignores it.
func (c *call) extend() { netlimit.Extend(c.w, c.h.base.Limits.Write) }

func (c *call) end() {
	c.wait.Done()
	netlimit.Restore(c.w, c.r)
}

// refuse answers with the problem that err is. If the answer has begun, it closes the connection,
// so that the client does not take the answer for a complete one.
func (c *call) refuse(err error) {
	if c.sent {
		c.h.base.CutOff(c.r, err)
	}
	p := problemOf(err)
	if p.Code == "unavailable" && handler.GaveUp(c.r.Context()) {
		p.Detail = fmt.Sprintf("the store has not answered for %s", c.h.base.Limits.Wait)
		if c.route != nil && c.route.undone != "" {
			p.Detail = fmt.Sprintf("%s yet: %s; the request may still take effect, and may be repeated", c.route.undone, p.Detail)
		}
	}
	c.h.base.Refused(c.w, c.r, p.Status, err)
	c.answer(p.Status, "application/problem+json", p)
}

// json answers with a small value.
func (c *call) json(v any) error {
	c.answer(http.StatusOK, "application/json", v)
	return nil
}

func (c *call) answer(status int, contentType string, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err) // our own types always encode
	}
	c.bytes(status, contentType, b.Bytes())
}

// bytes sends a complete answer.
func (c *call) bytes(status int, contentType string, b []byte) {
	c.w.Header().Set("Content-Type", contentType)
	c.sent = true
	c.h.base.Answer(c.w, status, b, 0)
}

// parseQuery reads the parameters of the URL.
func (c *call) parseQuery(r *route) error {
	if c.r.URL.RawQuery == "" {
		return nil
	}
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return newProblem("malformed", "the query cannot be read")
	}
	for name, values := range q {
		if !slices.Contains(r.query, name) {
			return noParameter(name, r.query)
		}
		for _, v := range values {
			if bad := textProblem(v); bad != "" {
				return newProblem("malformed", "", wire.Mistake{Pointer: name, Problem: bad, Value: texts.Shorten(v)})
			}
		}
	}
	c.query = q
	return nil
}

// noParameter refuses a parameter that the operation does not have. Without it, a misspelt filter
// would answer everything.
func noParameter(name string, known []string) error {
	m := wire.Mistake{
		Pointer: texts.Shorten(name), Problem: "is no parameter of this operation", Allowed: "no parameter",
	}
	if len(known) > 0 {
		m.Allowed = strings.Join(known, ", ")
	}
	if near, _ := nearest(name, slices.Values(known)); near != "" {
		m.Problem += "; did you mean " + near + "?"
	}
	return newProblem("malformed", m.Pointer+" "+m.Problem, m)
}

// number reads an integer parameter.
func (c *call) number(name string, least, most, absent int) (int, error) {
	values := c.query[name]
	if len(values) == 0 {
		return absent, nil
	}
	n, err := strconv.Atoi(values[0])
	if err != nil || n < least || n > most || len(values) > 1 {
		return 0, newProblem("malformed", "", wire.Mistake{
			Pointer: name, Problem: "is not a number in range", Value: texts.Shorten(values[0]),
			Allowed: strconv.Itoa(least) + " to " + strconv.Itoa(most),
		})
	}
	return n, nil
}

// truth reads a boolean parameter.
func (c *call) truth(name string, absent bool) (bool, error) {
	switch v := c.query[name]; {
	case len(v) == 0:
		return absent, nil
	case len(v) == 1 && v[0] == "true":
		return true, nil
	case len(v) == 1 && v[0] == "false":
		return false, nil
	default:
		return false, newProblem("malformed", "", wire.Mistake{Pointer: name, Problem: "is not a boolean", Value: texts.Shorten(v[0]), Allowed: "true, false"})
	}
}

// plan finds the plan named by id, with or without its prefix, and asks whether the principal may
// do action to it.
func (c *call) plan(id string, action Action) (ota.Plan, error) {
	p, err := c.h.lookup(c.r.Context(), id)
	if err != nil {
		return p, err
	}
	return p, hide(id, c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: action, Plan: &p}))
}

// hide makes a plan that may not be seen look like one that is not there.
func hide(id string, err error) error {
	if errors.Is(err, ota.ErrNotFound) {
		return noPlan(id)
	}
	return err
}

func noPlan(id string) error { return newProblem("not_found", "there is no plan "+texts.Shorten(id)) }

func (h *Handler) lookup(ctx context.Context, id string) (ota.Plan, error) {
	p, err := handler.Plan(ctx, h.engine, id)
	return p, hide(id, err)
}

// verb is plan for requests that change it: If-Match is compared too.
func (c *call) verb(id string, v ota.Verb) (ota.Plan, ota.Request, error) {
	p, err := c.plan(id, VerbAction(v))
	if err != nil {
		return p, ota.Request{}, err
	}
	by := ota.Request{Actor: c.who.Name}
	if by.ID, err = c.requestKey(); err != nil {
		return p, by, err
	}
	by.Generation, err = c.ifMatch(p.Generation)
	if older := c.olderMatch(); err != nil && by.ID != "" && older != 0 {
		by.Generation, err = older, nil // a repetition names the plan as it was; the engine knows whether it is one
	}
	return p, by, err
}

// refused is refuse's choice for an error of a verb: a condition that failed is a 412.
func refused(by ota.Request, err error) error {
	if by.Generation != 0 && errors.Is(err, ota.ErrConflict) {
		return newProblem("precondition_failed", "the plan has changed meanwhile")
	}
	return err
}
