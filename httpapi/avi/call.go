package avi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/handler"
	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// call is one request being served.
type call struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	wait *handler.Patience
	who  httpapi.Principal
	id   string // from the path
	sent bool   // the answer has begun
}

func (c *call) begin() {
	c.h.base.Begin(c.w, c.r)
	c.r, c.wait = c.h.base.Wait(c.r)
	c.w.Header().Set("Content-Type", "application/json")
}

func (c *call) end() {
	c.wait.Done()
	netlimit.Restore(c.w, c.r)
}

// refuse answers with what err is. An answer that has begun already is cut off, so that nobody
// takes it for a whole one.
func (c *call) refuse(err error) {
	if c.sent {
		c.h.base.CutOff(c.r, err)
	}
	r := refusalOf(err)
	if r.allow != "" {
		c.w.Header().Set("Allow", r.allow)
	}
	c.h.base.Refused(c.w, c.r, r.status, err)
	if r.status == http.StatusUnauthorized {
		c.w.Header().Add("WWW-Authenticate", `Basic realm="ota"`)
	}
	b, err := json.Marshal(map[string]string{"error": r.text})
	if err != nil {
		panic(err) // a text always encodes
	}
	c.answer(r.status, append(b, '\n'))
}

// answer sends a whole answer.
func (c *call) answer(status int, b []byte) {
	c.sent = true
	c.h.base.Answer(c.w, status, b, 0)
}

// write sends a part of an answer and has it accepted in time.
func (c *call) write(b []byte) error {
	c.sent = true
	c.wait.Again()
	netlimit.Extend(c.w, c.h.base.Limits.Write)
	if _, err := c.w.Write(b); err != nil {
		return err
	}
	if err := http.NewResponseController(c.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// read reads the body as one JSON value.
func (c *call) read(value func(*strictjson.Reader) error) error {
	c.wait.Suspend() // the client has a limit of its own
	defer c.wait.Again()
	body := c.h.base.Body(c.w, c.r)
	defer body.Done()
	r := c.h.base.JSON(body)
	err := value(r)
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

// readAll reads the body as it is.
func (c *call) readAll() ([]byte, error) {
	c.wait.Suspend()
	defer c.wait.Again()
	body := c.h.base.Body(c.w, c.r)
	defer body.Done()
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, unreadable(err)
	}
	return b, nil
}

// allow asks whether the principal may do this to a plan; p is nil where there is none.
func (c *call) allow(action httpapi.Action, p *ota.Plan) error {
	return c.h.opt.Auth.Allow(c.r.Context(), c.who, httpapi.Access{Action: action, Plan: p, Tenant: c.r.Header.Get("X-Avi-Tenant")})
}

// plan finds a plan that the principal may read, by its ID with or without "plan-".
func (c *call) plan(id string) (ota.Plan, error) {
	p, err := handler.Plan(c.r.Context(), c.h.engine, id)
	if err != nil {
		return p, err
	}
	return p, c.allow(httpapi.ActionRead, &p)
}
