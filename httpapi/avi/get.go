package avi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// shown is which fields of an object are wanted.
type shown struct {
	only        []string // none: all
	skipDefault bool
}

// always are the fields that every object has.
var always = []string{"uuid", "url", "_last_modified"}

func (s shown) wants(name string) bool {
	return len(s.only) == 0 || slices.Contains(s.only, name) || slices.Contains(always, name)
}

// query reads the parameters of the URL. Those that are not known are ignored.
func (c *call) query() (url.Values, error) {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read")
	}
	return q, nil
}

func (c *call) shown() (shown, error) {
	q, err := c.query()
	if err != nil {
		return shown{}, err
	}
	s := shown{}
	for name := range strings.SplitSeq(q.Get("fields"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.only = append(s.only, name)
		}
	}
	switch v := q.Get("skip_default"); strings.ToLower(v) {
	case "", "false", "0":
	case "true", "1":
		s.skipDefault = true
	default:
		return s, refuse(http.StatusBadRequest, "skip_default is %q; allowed: true, false", texts.Shorten(v))
	}
	return s, nil
}

// getOne is GET of one object.
func (c *call) getOne() error {
	s, err := c.shown()
	if err != nil {
		return err
	}
	p, err := c.plan(c.id)
	if err != nil {
		return err
	}
	return c.answerOne(&p, s)
}

// answerOne answers with one object. A name in the query has to be the object's.
func (c *call) answerOne(p *ota.Plan, s shown) error {
	l := c.look(p)
	q, err := c.query()
	if err != nil {
		return err
	}
	if q.Has("name") && c.r.Method != http.MethodPatch && q.Get("name") != l.name() {
		return errNotFound
	}
	o, err := l.object(s)
	if err != nil {
		return err
	}
	return c.json(o)
}

// name is what the object shows as its name.
func (l *look) name() string {
	if kept, ok := l.kept["name"].(string); ok {
		return kept
	}
	return nameOf(l.plan)
}

// selection is which objects a list is of.
type selection struct {
	query      url.Values
	page, size int
}

func (c *call) selection() (selection, error) {
	q, err := c.query()
	if err != nil {
		return selection{}, err
	}
	s := selection{query: q}
	if s.page, err = number32(q, "page", 1, 1_000_000); err != nil {
		return s, err
	}
	s.size, err = number32(q, "page_size", 25, 200)
	return s, err
}

func number32(q url.Values, name string, absent, most int) (int, error) {
	v := q.Get(name)
	if v == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, refuse(http.StatusBadRequest, "%s is %q; allowed: 1 to %d", name, texts.Shorten(v), most)
	}
	return n, nil
}

// getList is GET of the collection: a page of it, newest first.
func (c *call) getList() error {
	s, err := c.shown()
	if err != nil {
		return err
	}
	sel, err := c.selection()
	if err != nil {
		return err
	}
	if err := c.allow(httpapi.ActionList, nil); err != nil {
		return err
	}
	plans, total, err := c.selected(sel)
	if err != nil {
		return err
	}
	return c.answerList(plans, total, sel, s)
}

// selected is the page of the plans that are wanted and may be read, and how many there are in all.
func (c *call) selected(sel selection) (plans []ota.Plan, total int, err error) {
	from := (sel.page - 1) * sel.size
	if sel.query.Has("uuid") {
		p, err := c.plan(sel.query.Get("uuid"))
		switch {
		case isHidden(err):
			return nil, 0, nil
		case err != nil:
			return nil, 0, err
		case sel.query.Has("name") && c.look(&p).name() != sel.query.Get("name"):
			return nil, 0, nil
		case from == 0:
			plans = []ota.Plan{p}
		}
		return plans, 1, nil
	}
	if !sel.query.Has("name") && c.h.opt.Auth.Authorize == nil {
		page, err := c.h.engine.Plans(c.r.Context(), ota.PlanQuery{Offset: from, Limit: sel.size, Total: true})
		return page.Items, page.Total, err
	}
	err = c.eachPlan(ota.PlanQuery{}, func(p *ota.Plan) (bool, error) {
		if sel.query.Has("name") && c.look(p).name() != sel.query.Get("name") {
			return true, nil
		}
		if total++; total > from && len(plans) < sel.size {
			plans = append(plans, *p)
		}
		return true, nil
	})
	return plans, total, err
}

// isHidden reports whether a plan is not there, or not for this principal.
func isHidden(err error) bool {
	return errors.Is(err, ota.ErrNotFound)
}

// answerList writes the page object by object, so that it takes the memory of one.
func (c *call) answerList(plans []ota.Plan, total int, sel selection, s shown) error {
	head := `{"count":` + strconv.Itoa(total)
	if sel.page*sel.size < total {
		q := sel.query
		q.Set("page", strconv.Itoa(sel.page+1))
		next, err := json.Marshal(c.base() + collection + "?" + q.Encode())
		if err != nil {
			return err
		}
		head += `,"next":` + string(next)
	}
	part := []byte(head + `,"results":[`)
	comma := ""
	for i := range plans {
		o, err := c.look(&plans[i]).object(s)
		if isHidden(err) {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return err
		}
		b, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if err := c.write(append(append(part, comma...), b...)); err != nil {
			return nil //nolint:nilerr // the client is gone
		}
		part, comma = part[:0], ","
	}
	_ = c.write(append(part, "]}\n"...))
	return nil
}
