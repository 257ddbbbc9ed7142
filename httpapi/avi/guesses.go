package avi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// guesses slow down those who try passwords. After some wrong ones, an address gets the answer to
// one wrong password a second, however many it sends at once. A right password is not delayed,
// unless too many wrong ones wait.
type guesses struct {
	clock clock.Clock

	mu sync.Mutex
	of map[netip.Prefix]*guesser
}

// guesser is an address with wrong passwords.
type guesser struct {
	free int       // wrong passwords that are answered at once
	next time.Time // when the next one is answered
}

const (
	freeGuesses  = 5
	guessEvery   = time.Second
	guessesWait  = 30          // wrong passwords of one address that wait for an answer
	guesserLasts = time.Minute // without a wrong password, an address is forgotten
	mostGuessers = 10_000      // further ones share one entry
)

var errGuesses = &refusal{status: http.StatusTooManyRequests, text: "too many wrong passwords from this address; try again in a minute"}

// addressOf is the network of a client: one address of IPv4, or a /64 of IPv6. A client without an
// address shares an entry with its like.
func addressOf(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// full reports whether an address has to wait before anything is verified.
func (g *guesses) full(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.of[addressOf(r)]
	return x != nil && x.next.Sub(g.clock.Now()) > guessesWait*guessEvery
}

// wrong notes a wrong password and returns how long its answer waits.
func (g *guesses) wrong(r *http.Request) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	address := addressOf(r)
	x := g.of[address]
	if x == nil {
		for key, old := range g.of {
			if now.Sub(old.next) > guesserLasts {
				delete(g.of, key)
			}
		}
		if len(g.of) >= mostGuessers {
			address = netip.Prefix{}
		}
		if x = g.of[address]; x == nil {
			x = &guesser{free: freeGuesses}
			g.of[address] = x
		}
	}
	if now.Sub(x.next) > guesserLasts {
		x.free = freeGuesses
	}
	if x.next.Before(now) {
		x.next = now
	}
	if x.free > 0 {
		x.free--
		return 0
	}
	x.next = x.next.Add(guessEvery)
	return x.next.Sub(now)
}

// check verifies a credential. A wrong password is answered late.
func (h *Handler) check(r *http.Request, c httpapi.Credential) (httpapi.Principal, error) {
	if c.Password == "" && c.Token == "" {
		return h.opt.Auth.Check(r.Context(), c)
	}
	if h.guesses.full(r) {
		return httpapi.Principal{}, errGuesses
	}
	who, err := h.opt.Auth.Check(r.Context(), c)
	if err != nil && r.Context().Err() == nil && errors.Is(err, httpapi.ErrUnauthenticated) {
		h.pause(r.Context(), h.guesses.wrong(r))
	}
	return who, err
}

func (h *Handler) pause(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	t := h.base.Clock.Timer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
