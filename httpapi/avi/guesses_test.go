package avi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// guesser sends passwords from addresses, in virtual time.
type guesser struct {
	h        http.Handler
	verified atomic.Int64
}

func newGuesser(t *testing.T) *guesser {
	t.Helper()
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := &guesser{}
	g.h, err = avi.New(e, avi.Options{Auth: httpapi.Auth{Verify: func(_ context.Context, c httpapi.Credential) (httpapi.Principal, error) {
		g.verified.Add(1)
		if c.Password == "right" {
			return httpapi.Principal{Name: "ann"}, nil
		}
		return httpapi.Principal{}, httpapi.ErrUnauthenticated
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ways are the requests that try a password.
var ways = map[string]func(password string) *http.Request{
	"login": func(password string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(`{"username":"ann","password":"`+password+`"}`))
		r.Header.Set("Content-Type", "application/json")
		return r
	},
	"form": func(password string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader("username=ann&password="+password))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	},
	"basic": func(password string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, root, http.NoBody)
		r.SetBasicAuth("ann", password)
		return r
	},
}

func (g *guesser) try(r *http.Request, from string) (int, time.Duration) {
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	start := time.Now()
	g.h.ServeHTTP(w, r)
	return w.Code, time.Since(start)
}

// Every way to try a password is slowed after a few wrong ones: one a second for each address,
// however many are sent at once. The right password is not slowed, and other addresses are not.
func TestGuessesAreSlowed(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuesser(t)
				for i := range 10 {
					want := time.Second
					if i < 5 {
						want = 0
					}
					if code, took := g.try(way("wrong"), "192.0.2.1:1000"); code != http.StatusUnauthorized || took != want {
						t.Errorf("wrong password %d: got %d after %v, want %v", i, code, took, want)
					}
				}
				if code, took := g.try(way("right"), "192.0.2.1:2000"); code != http.StatusOK || took != 0 {
					t.Errorf("right password: got %d after %v", code, took)
				}
				if code, took := g.try(way("wrong"), "192.0.2.2:1000"); code != http.StatusUnauthorized || took != 0 {
					t.Errorf("another address: got %d after %v", code, took)
				}
				time.Sleep(2 * time.Minute)
				if code, took := g.try(way("wrong"), "192.0.2.1:1000"); code != http.StatusUnauthorized || took != 0 {
					t.Errorf("two minutes later: got %d after %v", code, took)
				}
			})
		})
	}
}

// A thousand at once are no faster: those that would wait too long are refused unverified.
func TestGuessesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		var wg sync.WaitGroup
		var refused atomic.Int64
		start := time.Now()
		for i := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				from := "[2001:db8::1]:1"
				if i%2 == 1 {
					from = "[2001:db8::ffff]:1" // the same network
				}
				if code, _ := g.try(ways["login"]("wrong"), from); code == http.StatusTooManyRequests {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if n := g.verified.Load(); n > 40 || n+refused.Load() != 1000 {
			t.Errorf("%d were verified in %v, %d refused", n, time.Since(start), refused.Load())
		}
	})
}
