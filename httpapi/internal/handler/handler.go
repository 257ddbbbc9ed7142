// Package handler has the code that the handlers of all APIs share.
package handler

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// Mount registers h on mux under these paths, method by method. A path without a method would
// conflict with a fallback of the host such as "GET /{any...}".
func Mount(mux *http.ServeMux, h http.Handler, paths ...string) {
	for _, method := range []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		for _, path := range paths {
			mux.Handle(method+" "+path, h)
		}
	}
}

// Plan finds a plan by its ID, with or without the prefix "plan-".
func Plan(ctx context.Context, e *ota.Engine, id string) (ota.Plan, error) {
	const prefix = "plan-"
	if !texts.LegalID(id) {
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
