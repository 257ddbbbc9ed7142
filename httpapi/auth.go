package httpapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// The sentinels of access. Problems made from them match them on both sides of the wire.
var (
	// ErrUnauthenticated says that a credential is missing or not valid.
	ErrUnauthenticated = wire.ErrUnauthenticated
	// ErrForbidden says that the principal may not do this.
	ErrForbidden = wire.ErrForbidden
	// ErrUnavailable says that something that is needed does not answer: the Store, or what
	// verifies credentials. The same request may succeed later.
	ErrUnavailable = wire.ErrUnavailable
)

// Principal is the caller of a request.
type Principal struct {
	// Name is the actor of every verb in the plan's history. Control characters are dropped, and it
	// is cut to 255 bytes.
	Name string
	// Detail is the verifier's own, for the authorizer.
	Detail any
}

// Credential is the proof of identity in a request. Each API fills in the fields that its clients
// send.
type Credential struct {
	Token    string        // a bearer token, or a token from a form; empty when there is none
	User     string        // with Password: a login
	Password string        //
	Request  *http.Request // for other proofs, such as a client certificate; do not read its body
}

// Access is one action that a principal asks for.
type Access struct {
	Action Action
	Plan   *ota.Plan // the plan it is done to; nil where there is none, as for ActionCreate
	Tenant string    // what the client named, for APIs that have tenants
}

// Action names an action. A verb has the name that package ota gives it, for example
// "create_rollback".
type Action string

// The actions that are no verbs.
const (
	ActionCreate   Action = "create"   // make a plan, or preview one; Access.Plan is nil
	ActionList     Action = "list"     // list plans; Access.Plan is nil. Each also needs ActionRead
	ActionRead     Action = "read"     // see a plan and everything of it
	ActionReport   Action = "report"   // report the health of agents, or how attempts ended
	ActionDescribe Action = "describe" // read the description of the API itself
)

// VerbAction is the action of saying a verb to a plan.
func VerbAction(v ota.Verb) Action { return Action(v.String()) }

// Auth identifies callers and decides what they may do. All APIs of one host share it. Many
// goroutines call its functions at once.
type Auth struct {
	// Verify turns a credential into a principal. Required. An error means that the credential is
	// not valid, unless it matches ErrUnavailable; it is not shown to the caller. Compare secrets
	// in constant time.
	Verify func(ctx context.Context, c Credential) (Principal, error)
	// Authorize returns nil if p may do a. Otherwise it returns an error, which matches
	// ErrUnavailable if it cannot decide. A caller without read access to a plan gets 404. A nil
	// function allows every action to every verified caller.
	Authorize func(ctx context.Context, p Principal, a Access) error
	// CrossOrigin finds requests that another site made a browser send. Such a request is refused if
	// it may change something and has no bearer token: a browser adds cookies, client certificates
	// and passwords by itself, and never a token. Nil trusts no other site.
	CrossOrigin *http.CrossOriginProtection
}

var noOtherSite = http.NewCrossOriginProtection()

// CheckOrigin refuses a request that another site made a browser send, as CrossOrigin says. Its
// error matches ErrForbidden. Clients that are no browsers are never refused.
func (a Auth) CheckOrigin(r *http.Request) error {
	if BearerToken(r) != "" || cmp.Or(a.CrossOrigin, noOtherSite).Check(r) == nil {
		return nil
	}
	return protocol.ErrCrossOrigin
}

// Open accepts every caller, with any credential, as the principal "anonymous". It is for tests,
// and for hosts that keep strangers out by other means.
func Open() Auth {
	return Auth{Verify: func(context.Context, Credential) (Principal, error) { return Principal{Name: "anonymous"}, nil }}
}

// Tokens identifies principals by fixed secrets: the keys are tokens, the values names. A password
// counts as a token; the user name beside it is ignored. The time of a comparison does not depend
// on the token.
func Tokens(tokens map[string]string) Auth {
	type entry struct {
		digest [sha256.Size]byte
		name   string
	}
	var known []entry
	for token, name := range tokens {
		if token != "" {
			known = append(known, entry{sha256.Sum256([]byte(token)), name})
		}
	}
	return Auth{Verify: func(_ context.Context, c Credential) (Principal, error) {
		digest := sha256.Sum256([]byte(cmp.Or(c.Token, c.Password)))
		found := -1
		for i := range known {
			if subtle.ConstantTimeCompare(digest[:], known[i].digest[:]) == 1 {
				found = i
			}
		}
		if found < 0 {
			return Principal{}, ErrUnauthenticated
		}
		return Principal{Name: known[found].name}, nil
	}}
}

// Check verifies a credential. Its error matches ErrUnauthenticated or ErrUnavailable.
func (a Auth) Check(ctx context.Context, c Credential) (Principal, error) {
	p, err := a.Verify(ctx, c)
	switch {
	case err == nil:
		p.Name = cleanName(p.Name)
		return p, nil
	case errors.Is(err, ErrUnavailable), ctx.Err() != nil:
		return Principal{}, errors.Join(ErrUnavailable, err)
	default:
		return Principal{}, ErrUnauthenticated
	}
}

// Allow reports whether p may do x. Its error matches ErrForbidden, ErrUnavailable, or
// ota.ErrNotFound if p may not read the plan.
func (a Auth) Allow(ctx context.Context, p Principal, x Access) error {
	if a.Authorize == nil {
		return nil
	}
	err := a.Authorize(ctx, p, x)
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
		return errors.Join(ErrUnavailable, err)
	}
	if x.Plan == nil {
		return ErrForbidden
	}
	if x.Action != ActionRead {
		x.Action = ActionRead
		if a.Authorize(ctx, p, x) == nil {
			return ErrForbidden
		}
	}
	return ota.ErrNotFound
}

// BearerToken returns the token of an Authorization header of the form "Bearer …", or "".
func BearerToken(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > 255 {
		s = strings.ToValidUTF8(s[:255], "")
	}
	return s
}
