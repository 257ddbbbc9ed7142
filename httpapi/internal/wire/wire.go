// Package wire has what all APIs do alike with paths, IDs and the texts of requests.
package wire

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// Mount registers h on mux under these paths, method by method, so that it coexists with every other pattern of the host: a
// path without a method would conflict with a fallback such as "GET /{any...}".
func Mount(mux *http.ServeMux, h http.Handler, paths ...string) {
	for _, method := range []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		for _, path := range paths {
			mux.Handle(method+" "+path, h)
		}
	}
}

// LegalID reports whether a plan, or a record of its history, may have this ID.
func LegalID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

// Plan finds a plan by its ID, with or without the prefix "plan-".
func Plan(ctx context.Context, e *ota.Engine, id string) (ota.Plan, error) {
	const prefix = "plan-"
	if !LegalID(id) {
		return ota.Plan{}, ota.ErrNotFound
	}
	other := prefix + id
	if len(id) > len(prefix) && strings.HasPrefix(id, prefix) {
		other = id[len(prefix):]
	}
	p, err := e.Plan(ctx, id)
	if errors.Is(err, ota.ErrNotFound) {
		p, err = e.Plan(ctx, other)
	}
	return p, err
}

// Shorten is a value of a request as it may be told in a refusal: at most 64 bytes of it, and valid UTF-8.
func Shorten(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
