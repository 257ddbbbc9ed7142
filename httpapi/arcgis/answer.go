package arcgis

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// The codes of errors that are no HTTP statuses.
const (
	codeBadToken = 498
	codeNoToken  = 499
)

// refusal is an error as Esri's servers send it: with HTTP status 200.
type refusal struct {
	code    int
	message string
	details []string
}

func (e *refusal) Error() string { return strconv.Itoa(e.code) + " " + e.message }

func bad(message string, details ...string) *refusal {
	return &refusal{code: http.StatusBadRequest, message: message, details: details}
}

func notFound() error {
	return &refusal{code: http.StatusNotFound, message: "There is nothing at this path."}
}

// refuse turns an error into its answer. An error that is not the client's is logged, and told
// without its text.
func (c *call) refuse(err error) any {
	var r *refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, httpapi.ErrForbidden), errors.Is(err, ota.ErrNotFound):
		r = &refusal{code: http.StatusForbidden, message: "You are not allowed to do this."}
	default:
		c.h.base.Failed(c.r, err)
		r = &refusal{code: http.StatusInternalServerError, message: "The deployment cannot be reached now; try again later."}
	}
	type body struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Details []string `json:"details"`
	}
	return struct {
		Error body `json:"error"`
	}{body{r.code, r.message, append([]string{}, r.details...)}}
}

// The formats of an answer.
const (
	formatJSON   = "json"
	formatPretty = "pjson"
	formatHTML   = "html"
)

// chooseFormat reads the parameter f.
func (c *call) chooseFormat() *refusal {
	accept := c.r.Header.Get("Accept")
	c.format = formatHTML
	if strings.Contains(accept, "application/json") || strings.Contains(accept, "+json") {
		c.format = formatJSON
	}
	switch f := c.fields["f"]; f {
	case "":
	case formatJSON, formatPretty, formatHTML:
		c.format = f
	default:
		c.format = formatJSON
		return bad("The parameter f is unknown: "+texts.Shorten(f)+".", "allowed: html, json, pjson")
	}
	return nil
}

// answer sends v in the format that was asked for.
func (c *call) answer(v any) {
	defer netlimit.Restore(c.w, c.r)
	h := c.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	body := encode(v, c.format != formatJSON)
	if c.format == formatHTML {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		body = []byte("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Upgrades</title></head>\n<body><pre>" +
			html.EscapeString(string(body)) + "</pre></body></html>\n")
	}
	c.h.base.Answer(c.w, http.StatusOK, body, time.Duration(len(body)>>14)*time.Second)
}

func encode(v any, pretty bool) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if pretty {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		panic(err) // our own types always encode
	}
	return b.Bytes()
}
