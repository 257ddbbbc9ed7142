package arcgis

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
)

// multipartBoundary returns the boundary of a body that is multipart/form-data. Clients of Esri send
// forms so where an operation may have a file.
func multipartBoundary(h http.Header) (string, bool) {
	t, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	return params["boundary"], err == nil && t == "multipart/form-data"
}

// parts reads the parameters of a body that is multipart/form-data. Parts with other names are
// ignored, also files.
func (c *call) parts(boundary string) (map[string]string, *refusal) {
	fields := map[string]string{}
	if boundary == "" {
		return fields, bad("The multipart form has no boundary.")
	}
	c.wait.Suspend() // the client has a limit of its own
	defer c.wait.Again()
	in := c.h.base.Body(c.w, c.r)
	defer in.Done()
	var first *refusal
	for r := multipart.NewReader(in, boundary); ; {
		part, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // one that is wrapped is an end in the middle
			return fields, first
		}
		if err != nil {
			return fields, c.unreadable(err)
		}
		name := part.FormName()
		if !slices.Contains(known, name) {
			continue
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return fields, c.unreadable(err)
		}
		_, twice := fields[name]
		problem := textProblem(name, string(b))
		if twice {
			problem = "is given twice"
		}
		if problem == "" {
			fields[name] = string(b)
		} else if first == nil {
			first = bad("The parameter " + name + " " + problem + ".")
		}
	}
}
