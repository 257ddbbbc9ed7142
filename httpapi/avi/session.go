package avi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// sessions are the logins that are good now. They are in memory only: after a restart every client
// logs in again, which the SDKs do by themselves.
type sessions struct {
	clock clock.Clock
	life  time.Duration
	most  int

	mu   sync.Mutex
	open map[[sha256.Size]byte]*session // by the digest of the session's cookie
}

type session struct {
	who  httpapi.Principal
	csrf string
	ends time.Time
}

// begin makes a session and returns its cookie. When there are too many, the one that would end
// first ends.
func (s *sessions) begin(who httpapi.Principal) (cookie, csrf string) {
	cookie, csrf = secret(), secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	s.clean(now)
	if len(s.open) >= s.most {
		var oldest [sha256.Size]byte
		var ends time.Time
		for key, x := range s.open {
			if ends.IsZero() || x.ends.Before(ends) {
				oldest, ends = key, x.ends
			}
		}
		delete(s.open, oldest)
	}
	s.open[sha256.Sum256([]byte(cookie))] = &session{who: who, csrf: csrf, ends: now.Add(s.life)}
	return cookie, csrf
}

// find returns the session of a request's cookie, or nil.
func (s *sessions) find(r *http.Request) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range cookieNames {
		for _, c := range r.CookiesNamed(name) {
			if x := s.open[sha256.Sum256([]byte(c.Value))]; x != nil && s.clock.Now().Before(x.ends) {
				return x
			}
		}
	}
	return nil
}

// end forgets a session.
func (s *sessions) end(gone *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, x := range s.open {
		if x == gone {
			delete(s.open, key)
		}
	}
}

func (s *sessions) clean(now time.Time) {
	for key, x := range s.open {
		if !now.Before(x.ends) {
			delete(s.open, key)
		}
	}
}

func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// The cookies: the session's, under the names of older and newer controllers, and the token that
// scripts of other sites cannot read.
const csrfCookie = "csrftoken"

var cookieNames = []string{"avi-sessionid", "sessionid"}

var errCrossOrigin = &refusal{status: http.StatusForbidden, text: "another site made a browser send the request"}

// identify finds out who makes a request: by its Authorization header, by its session, or by
// whatever else the verifier sees in it. A request that a browser may send on its own, and that
// changes something, has to prove that it is none.
func (h *Handler) identify(r *http.Request) (httpapi.Principal, error) {
	credential := httpapi.Credential{Request: r}
	if given := r.Header.Get("Authorization"); given != "" {
		if user, password, ok := r.BasicAuth(); ok {
			credential.User, credential.Password = user, password
			if h.opt.Auth.CheckOrigin(r) != nil { // browsers remember passwords
				return httpapi.Principal{}, errCrossOrigin
			}
		} else if credential.Token = httpapi.BearerToken(r); credential.Token == "" && !strings.Contains(given, " ") {
			credential.Token = given
		}
		return h.check(r, credential)
	}
	if s := h.sessions.find(r); s != nil {
		return s.who, s.prove(r)
	}
	if h.opt.Auth.CheckOrigin(r) != nil {
		return httpapi.Principal{}, errCrossOrigin
	}
	return h.check(r, credential)
}

// prove refuses a request that changes something and has no CSRF token: any site could have made a
// browser send it.
func (s *session) prove(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-CSRFToken")), []byte(s.csrf)) != 1 {
		return refuse(http.StatusForbidden, "CSRF Failed: the X-CSRFToken header has to be that of the csrftoken cookie")
	}
	return nil
}

// Run drops logins that have ended, every minute, until ctx ends; it returns nil then. A host runs
// it beside the Engine's Run. Without it nothing is wrong: they are dropped at the next login.
func (h *Handler) Run(ctx context.Context) error {
	tick := h.base.Clock.Ticker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			h.sessions.mu.Lock()
			h.sessions.clean(now)
			h.sessions.mu.Unlock()
		}
	}
}
