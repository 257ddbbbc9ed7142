package avi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// login is POST /login: a JSON object or a form with username and password, or with a token.
func (c *call) login() error {
	if err := c.h.opt.Auth.CheckOrigin(c.r); err != nil {
		return errCrossOrigin
	}
	credential, err := c.credential()
	if err != nil {
		return err
	}
	who, err := c.h.check(c.r, credential)
	if err != nil {
		return err
	}
	id, csrf := c.h.sessions.begin(who)
	for _, name := range cookieNames {
		c.cookie(name, id, true)
	}
	c.cookie(csrfCookie, csrf, false)
	return c.json(map[string]any{
		"user":    map[string]any{"username": who.Name},
		"version": map[string]any{"Version": c.h.opt.Version},
	})
}

func (c *call) cookie(name, value string, hidden bool) {
	cookie := &http.Cookie{ //nolint:gosec // scripts have to read the CSRF token, and without TLS a Secure cookie would be lost
		Name: name, Value: value, Path: "/", HttpOnly: hidden, Secure: c.r.TLS != nil, SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(c.w, cookie)
}

func (c *call) credential() (httpapi.Credential, error) {
	known := map[string]string{}
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		b, err := c.readAll()
		if err != nil {
			return httpapi.Credential{}, err
		}
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return httpapi.Credential{}, refuse(http.StatusBadRequest, "the form cannot be read")
		}
		for name, values := range form {
			if len(values) > 1 {
				return httpapi.Credential{}, refuse(http.StatusBadRequest, "%s is there twice", texts.Shorten(name))
			}
			known[name] = values[0]
		}
	} else if err := c.read(func(r *strictjson.Reader) error {
		return r.Object(func(key string) error {
			if key != "username" && key != "password" && key != "token" {
				return r.Skip()
			}
			v, err := r.String()
			known[key] = v
			return err
		})
	}); err != nil {
		return httpapi.Credential{}, err
	}
	return httpapi.Credential{Token: known["token"], User: known["username"], Password: known["password"], Request: c.r}, nil
}

// logout is POST /logout. Without a session it is done already.
func (c *call) logout() error {
	if s := c.h.sessions.find(c.r); s != nil {
		if err := s.prove(c.r); err != nil {
			return err
		}
		c.h.sessions.end(s)
	}
	for _, name := range append([]string{csrfCookie}, cookieNames...) {
		c.cookie(name, "", true)
	}
	return c.json(map[string]any{})
}

// cluster is GET /api/cluster/status, which SDKs ask before they log in again.
func (c *call) cluster() error {
	return c.json(map[string]any{"cluster_state": map[string]any{"state": "CLUSTER_UP_NO_HA"}})
}

func (c *call) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.answer(http.StatusOK, append(b, '\n'))
	return nil
}
