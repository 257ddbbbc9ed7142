package protocol

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// The sentinels of access. Package wire exports them and says what they mean.
var (
	ErrUnauthenticated = errors.New("httpapi: no valid credential")
	ErrForbidden       = errors.New("httpapi: not allowed")
	ErrUnavailable     = errors.New("httpapi: unavailable")

	// ErrCrossOrigin is the ErrForbidden of a request that another site made a browser send.
	ErrCrossOrigin = fmt.Errorf("%w: another site made a browser send the request", ErrForbidden)
)

// Refusal is one row of the only table from errors to answers. The handler reads it from left to
// right, the client from right to left.
type Refusal struct {
	Err    error // the error that it matches with errors.Is
	Status int   // of HTTP
	Code   string
	Title  string
}

var refusals = []Refusal{
	{ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "A valid credential is needed"},
	{ErrCrossOrigin, http.StatusForbidden, "cross_origin", "Another site made a browser send this"},
	{ErrForbidden, http.StatusForbidden, "forbidden", "Not allowed"},
	{ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Not available now; try again later"},
	{ota.ErrNotFound, http.StatusNotFound, "not_found", "There is no such thing"},
	{ota.ErrInvalid, http.StatusUnprocessableEntity, "invalid", "Values were refused"},
	{ota.ErrState, http.StatusConflict, "state", "The plan's state forbids it"},
	{ota.ErrBreach, http.StatusConflict, "breach", "A breach stands and needs a decision"},
	{ota.ErrClaimed, http.StatusConflict, "claimed", "Agents belong to another plan"},
	{ota.ErrNothing, http.StatusConflict, "nothing", "Nothing to roll back"},
	{ota.ErrConflict, http.StatusConflict, "conflict", "Changed by somebody else"},
	{ota.ErrExists, http.StatusConflict, "exists", "It exists already"},
	{ota.ErrRefused, http.StatusUnprocessableEntity, "refused", "The store refuses it for good"},
	{ota.ErrFenced, http.StatusServiceUnavailable, "fenced", "Another engine took the plan over; try again"},
	// The rest never comes from errors: the handler makes these itself, and the client reads them.
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

// Refusals returns the rows, in order.
func Refusals() []Refusal { return slices.Clone(refusals) }

// RefusalOf returns the row for an error of the Engine or of Auth. An error that the table does not
// know, such as that of a Store that does not answer, is "unavailable".
func RefusalOf(err error) Refusal {
	for _, r := range refusals {
		if errors.Is(err, r.Err) {
			return r
		}
	}
	return RefusalCalled("unavailable")
}

// RefusalCalled returns the row with a code. It panics for any other code.
func RefusalCalled(code string) Refusal {
	for _, r := range refusals {
		if r.Code == code {
			return r
		}
	}
	panic("httpapi: no refusal is called " + code)
}

// Sentinel returns the error that a code stands for, or nil for an unknown code.
func Sentinel(code string) error {
	for _, r := range refusals {
		if r.Code == code {
			return r.Err
		}
	}
	return nil
}
