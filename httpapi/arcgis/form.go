package arcgis

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota/httpapi/internal/netlimit"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// known are the parameters that mean something here. Others, such as callback, are ignored.
var known = []string{"f", "token", "versionManifest", "rollbackSettings"}

// read gathers the parameters: those of a POST from its body, those of every other method from the
// query. What can be read is there also when something else cannot.
func (c *call) read() *refusal {
	query, err := parseForm(c.r.URL.RawQuery)
	c.fields = query
	if c.r.Method == http.MethodPost {
		format := query["f"]
		var body string
		if boundary, ok := multipartBoundary(c.r.Header); ok {
			c.fields, err = c.parts(boundary)
		} else if body, err = c.body(); err == nil {
			c.fields, err = parseForm(body)
		} else {
			c.fields = map[string]string{}
		}
		if _, given := c.fields["f"]; !given && format != "" {
			c.fields["f"] = format
		}
	}
	if e := c.chooseFormat(); err == nil {
		err = e
	}
	return err
}

// body returns the form that was sent.
func (c *call) body() (string, *refusal) {
	if c.r.ContentLength == 0 {
		return "", nil
	}
	if !isForm(c.r.Header) {
		return "", bad("The parameters are to be sent as application/x-www-form-urlencoded or multipart/form-data.")
	}
	c.wait.Suspend() // the client has a limit of its own
	defer c.wait.Again()
	in := c.h.base.Body(c.w, c.r)
	defer in.Done()
	b, err := io.ReadAll(in)
	if err != nil {
		return "", c.unreadable(err)
	}
	return string(b), nil
}

// unreadable is the refusal of a form that could not be read to its end.
func (c *call) unreadable(err error) *refusal {
	switch status, limit := netlimit.Failure(err); status {
	case http.StatusRequestEntityTooLarge:
		return bad("The form is larger than " + strconv.FormatInt(limit, 10) + " bytes.")
	case http.StatusRequestTimeout:
		c.w.Header().Set("Connection", "close")
		return bad("The form came too slowly.")
	default:
		return bad("The form ended before it was complete.")
	}
}

// isForm accepts a missing Content-Type too.
func isForm(h http.Header) bool {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	value := h.Get("Content-Type")
	if value == "" {
		return true
	}
	t, params, err := mime.ParseMediaType(value)
	charset := params["charset"]
	return err == nil && t == "application/x-www-form-urlencoded" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// parseForm is url.ParseQuery for clients that do not encode: a semicolon is a character like any
// other, spaces and quotes may stand there as they are. A parameter that is given twice is refused.
func parseForm(s string) (map[string]string, *refusal) {
	fields := map[string]string{}
	var first *refusal
	for pair := range strings.SplitSeq(s, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		if !slices.Contains(known, name) {
			continue
		}
		value, err := url.QueryUnescape(value)
		_, twice := fields[name]
		problem := textProblem(name, value)
		switch {
		case err != nil:
			problem = "has a percent sign that does not begin an escape"
		case twice:
			problem = "is given twice"
		}
		if problem == "" {
			fields[name] = value
		} else if first == nil {
			first = bad("The parameter " + name + " " + problem + ".")
		}
	}
	return fields, first
}

// textProblem tells what no parameter may have. White space belongs to JSON.
func textProblem(name, s string) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		space := (r == '\t' || r == '\n' || r == '\r') && name != "token" && name != "f"
		if (r < 0x20 || r == 0x7f) && !space {
			return "has a control character"
		}
	}
	return ""
}

// inQuery reports whether a query has a token.
func inQuery(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if n, err := url.QueryUnescape(name); err == nil && n == "token" {
			return true
		}
	}
	return false
}

// manifestID reads the parameter versionManifest: an object with an id. Its other members, such as
// those that checkRollback lists, are ignored.
func (c *call) manifestID() (string, error) {
	const allowed = `for example {"id":"pat_345432_505"}`
	text, ok := c.fields["versionManifest"]
	if !ok || strings.TrimSpace(text) == "" {
		return "", bad("The parameter versionManifest is missing.", allowed)
	}
	id, found := "", false
	err := c.json(text, func(r *strictjson.Reader, key string) (err error) {
		if key != "id" {
			return r.Skip()
		}
		found = true
		id, err = r.String()
		return err
	})
	switch {
	case err != nil:
		return "", bad("The parameter versionManifest cannot be read.", err.Error(), allowed)
	case !found || id == "":
		return "", bad("The parameter versionManifest has no id.", allowed)
	}
	return id, nil
}

// settings checks the parameter rollbackSettings, which is an empty object where it is given.
func (c *call) settings() error {
	text := c.fields["rollbackSettings"]
	if strings.TrimSpace(text) == "" {
		return nil
	}
	unknown := ""
	err := c.json(text, func(r *strictjson.Reader, key string) error {
		unknown = key
		return r.Skip()
	})
	switch {
	case err != nil:
		return bad("The parameter rollbackSettings cannot be read.", err.Error(), "allowed: {}")
	case unknown != "":
		return bad("The parameter rollbackSettings has settings, and there are none.", "unknown: "+texts.Shorten(unknown), "allowed: {}")
	}
	return nil
}

func (c *call) json(text string, member func(*strictjson.Reader, string) error) error {
	r := strictjson.NewReader(strings.NewReader(text), strictjson.Limits{Depth: c.h.base.Limits.Depth})
	if err := r.Object(func(key string) error { return member(r, key) }); err != nil {
		return err
	}
	return r.End()
}
