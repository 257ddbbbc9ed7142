package httpapi

import (
	"bytes"
	_ "embed"
	"net/http"
)

// The description of the API, as it is served at …/openapi.json with the handler's prefix in its
// servers.
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the OpenAPI 3.0 document that describes the API, as JSON.
func OpenAPI() []byte { return bytes.Clone(openAPI) }

// getOpenAPI is GetOpenAPI.
func getOpenAPI(c *call) error {
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionDescribe}); err != nil {
		return err
	}
	b := openAPI
	if p := c.h.opt.Prefix; p != "" {
		b = bytes.Replace(b, []byte(`"url": "/"`), []byte(`"url": "`+p+`"`), 1)
	}
	c.bytes(http.StatusOK, "application/json", b)
	return nil
}
