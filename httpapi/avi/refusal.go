package avi

import (
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

// refusal is an answer that is no success. Its body is {"error": text}.
type refusal struct {
	status int
	text   string
	allow  string // of a 405
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

// errNotFound says what the real controller says.
var errNotFound = &refusal{status: http.StatusNotFound, text: "UpgradeStatusInfo object not found!"}

// refusalOf is the answer for an error. The SDKs repeat a request after 401, 419 and 5xx, so what
// cannot get better by repeating is 400, also where the lifecycle API says 409, 412 or 422.
func refusalOf(err error) *refusal {
	var made *refusal
	if errors.As(err, &made) {
		return made
	}
	status, _ := httpapi.Status(err)
	text := texts.Plain(err)
	switch status {
	case http.StatusUnauthorized:
		text = "Invalid credentials"
	case http.StatusForbidden:
		text = "Not allowed"
	case http.StatusNotFound:
		return errNotFound
	case http.StatusServiceUnavailable:
		text = "Not available now; try again later"
	default:
		status = http.StatusBadRequest
	}
	var breach *ota.BreachError
	if errors.As(err, &breach) {
		text = fmt.Sprintf("%s; %s failed so far, and another try is no answer to that: send skip_suspended true to go on without them", breach.Breach, plural.Count(breach.Failed, "agent"))
	}
	return &refusal{status: status, text: text}
}

// unreadable is the refusal of a body that could not be read.
func unreadable(err error) error {
	var bad *strictjson.Error
	var made *refusal
	switch status, limit := netlimit.Failure(err); {
	case errors.As(err, &made):
		return err
	case errors.As(err, &bad):
		return refuse(http.StatusBadRequest, "%s", bad.Error())
	case status == http.StatusRequestEntityTooLarge:
		return refuse(status, "the body has more than %d bytes", limit)
	case status == http.StatusRequestTimeout:
		return refuse(status, "the body came too slowly")
	default:
		return refuse(status, "the body ended before it was complete")
	}
}
