package httpapi

import (
	"errors"
	"net/http"

	"github.com/seed-19b57ce3/ota"
)

// refusal is one row of the only table from errors to answers, which the handler reads from left to right and Client
// from right to left.
type refusal struct {
	err    error // what it matches with errors.Is
	status int
	code   string // unique
	title  string
}

var refusals = []refusal{
	{ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "A valid credential is needed"},
	{ErrForbidden, http.StatusForbidden, "forbidden", "Not allowed"},
	{ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Not available now; try again later"},
	{ota.ErrNotFound, http.StatusNotFound, "not_found", "There is no such thing"},
	{ota.ErrInvalid, http.StatusUnprocessableEntity, "invalid", "Values were refused"},
	{ota.ErrState, http.StatusConflict, "state", "The plan's state forbids it"},
	{ota.ErrBreach, http.StatusConflict, "breach", "A breach stands and needs a decision"},
	{ota.ErrClaimed, http.StatusConflict, "claimed", "Agents belong to another active plan"},
	{ota.ErrNothing, http.StatusConflict, "nothing", "Nothing to roll back"},
	{ota.ErrConflict, http.StatusConflict, "conflict", "Changed by somebody else"},
	{ota.ErrExists, http.StatusConflict, "exists", "It exists already"},
	{ota.ErrFenced, http.StatusServiceUnavailable, "fenced", "Another engine took the plan over; try again"},
	// The rest never comes from errors: the handler makes these itself, and Client reads them.
	{ota.ErrConflict, http.StatusPreconditionFailed, "precondition_failed", "The plan is not what If-Match says"},
	{ota.ErrConflict, http.StatusPreconditionRequired, "precondition_required", "If-Match is required"},
	{ota.ErrExists, http.StatusUnprocessableEntity, "key_reused", "The Idempotency-Key was used for another request"},
	{ota.ErrInvalid, http.StatusBadRequest, "malformed", "The request cannot be read"},
	{ota.ErrNotFound, http.StatusNotFound, "no_route", "There is nothing at this path"},
	{ota.ErrInvalid, http.StatusMethodNotAllowed, "method_not_allowed", "This method is not for this path"},
	{ota.ErrInvalid, http.StatusRequestTimeout, "too_slow", "The body came too slowly"},
	{ota.ErrInvalid, http.StatusRequestEntityTooLarge, "too_large", "The body is too large"},
	{ota.ErrInvalid, http.StatusUnsupportedMediaType, "media_type", "The body has to be JSON"},
	{ErrUnavailable, http.StatusServiceUnavailable, "too_many_watchers", "Too many streams are open"},
}

// Status is the row of the table for an error of the Engine or of Auth: the HTTP status and the code of the Problem. What the
// table does not know, such as a Store that does not answer, is 503 "unavailable".
func Status(err error) (status int, code string) {
	r := rowOf(err)
	return r.status, r.code
}

func rowOf(err error) refusal {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r
		}
	}
	return rowCalled("unavailable")
}

func rowCalled(code string) refusal {
	for _, r := range refusals {
		if r.code == code {
			return r
		}
	}
	panic("httpapi: no refusal is called " + code)
}
