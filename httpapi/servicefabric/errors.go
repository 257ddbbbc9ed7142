package servicefabric

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/internal/plural"
)

// fabricError is a refusal: what a client gets as {"Error":{"Code":…,"Message":…}}. Clients lose a
// code that comes without a message, so there is always one.
type fabricError struct {
	status  int
	code    string
	message string
}

func (e *fabricError) Error() string { return "servicefabric: " + e.code + ": " + e.message }

// The codes that are answered, with their statuses.
const (
	codeInvalid       = "E_INVALIDARG"
	codeDenied        = "E_ACCESSDENIED"
	codeNotFound      = "FABRIC_E_APPLICATION_NOT_FOUND"
	codeNoType        = "FABRIC_E_APPLICATION_TYPE_NOT_FOUND"
	codeNotUpgrading  = "FABRIC_E_APPLICATION_NOT_UPGRADING"
	codeValidation    = "FABRIC_E_APPLICATION_UPGRADE_VALIDATION_ERROR"
	codeDomainDone    = "FABRIC_E_UPGRADE_DOMAIN_ALREADY_COMPLETED"
	codeInProgress    = "FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS"
	codeInTarget      = "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION"
	codeTooLarge      = "FABRIC_E_VALUE_TOO_LARGE"
	codeTimeout       = "FABRIC_E_TIMEOUT"
	codeNotReady      = "FABRIC_E_NOT_READY"
	codeNotPrimary    = "FABRIC_E_NOT_PRIMARY"
	messageNoUpgrade  = "The application is not being upgraded."
	messageUpgrading  = "The application is being upgraded."
	messageTryAgain   = "The application's upgrade was changed by somebody else at the same time; try again."
	messageNotFound   = "There is no such application."
	messageNotAllowed = "The caller may not do this."
)

var statuses = map[string]int{
	codeInvalid: http.StatusBadRequest, codeDenied: http.StatusForbidden, codeNotFound: http.StatusNotFound, codeNoType: http.StatusNotFound,
	codeNotUpgrading: http.StatusBadRequest, codeValidation: http.StatusBadRequest, codeDomainDone: http.StatusBadRequest,
	codeInProgress: http.StatusConflict, codeInTarget: http.StatusConflict, codeTooLarge: http.StatusRequestEntityTooLarge,
	codeTimeout: http.StatusGatewayTimeout, codeNotReady: http.StatusServiceUnavailable, codeNotPrimary: http.StatusServiceUnavailable,
}

func refuse(code, format string, args ...any) *fabricError {
	return &fabricError{status: statuses[code], code: code, message: fmt.Sprintf(format, args...)}
}

// errAgain says that what was read is no longer so: the call is to be looked at anew.
var errAgain = errors.New("servicefabric: changed meanwhile")

// refusalOf is the refusal that stands for an error of the Engine, of Auth or of the inventory.
// What it does not know, such as a Store that does not answer, is 503.
func refusalOf(err error) *fabricError {
	var made *fabricError
	var claim *ota.ClaimError
	switch {
	case errors.As(err, &made):
		return made
	case errors.Is(err, httpapi.ErrUnauthenticated):
		return &fabricError{http.StatusUnauthorized, codeDenied, "There is no valid credential."}
	case errors.Is(err, httpapi.ErrForbidden):
		return refuse(codeDenied, messageNotAllowed)
	case errors.Is(err, ota.ErrNotFound):
		return refuse(codeNotFound, messageNotFound)
	case errors.As(err, &claim):
		return refuse(codeInProgress, "%s of the application %s being upgraded by another plan.", plural.Count(claim.Total, "agent"), plural.Verb(claim.Total, "is", "are"))
	case errors.Is(err, ota.ErrState), errors.Is(err, ota.ErrNothing):
		return refuse(codeNotUpgrading, "%s", texts.Plain(err))
	case errors.Is(err, ota.ErrInvalid), errors.Is(err, ota.ErrRefused):
		return refuse(codeInvalid, "%s", texts.Plain(err))
	case errors.Is(err, ota.ErrFenced):
		return refuse(codeNotPrimary, messageTryAgain)
	case errors.Is(err, errAgain), errors.Is(err, ota.ErrConflict), errors.Is(err, ota.ErrExists), errors.Is(err, ota.ErrBreach):
		return refuse(codeNotReady, messageTryAgain)
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(codeTimeout, "The operation did not end within the timeout.")
	default:
		return refuse(codeNotReady, "Something that is needed does not answer; try again.")
	}
}

// unreadable is the refusal of a body that could not be read to its end.
func unreadable(err error) error {
	var bad *strictjson.Error
	var made *fabricError
	switch status, limit := netlimit.Failure(err); {
	case errors.As(err, &made):
		return err
	case errors.As(err, &bad):
		return refuse(codeInvalid, "The body cannot be read: %s.", bad)
	case status == http.StatusRequestEntityTooLarge:
		return refuse(codeTooLarge, "The body is longer than %d bytes.", limit)
	case status == http.StatusRequestTimeout:
		return &fabricError{status, codeTimeout, "The body came too slowly."}
	default:
		return refuse(codeInvalid, "The body ended before it was complete.")
	}
}

// stale turns what a verb says when the plan is no longer what it was into errAgain.
func stale(err error) error {
	if errors.Is(err, ota.ErrState) || errors.Is(err, ota.ErrConflict) || errors.Is(err, ota.ErrExists) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return err
}
