package avi

import (
	"bytes"
	_ "embed"
)

//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the OpenAPI 3.0 document that describes what this package serves, as JSON. Its
// paths are without the prefix of the host.
func OpenAPI() []byte { return bytes.Clone(openAPI) }
