package apitest

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// documented are the operations of documents, whose bodies may have more at the top.
var documented = []string{"CreateGraduatedPlan", "PreviewPlan", "CreateRollbackPlan", "CreateDowngradePlan", "Precheck"}

// strict is a body as the schema of its operation wants it: without the leniency that the
// operation's description lists.
func strict(router routers.Router, method string, u *url.URL, body string) string {
	route, _, err := router.FindRoute(httptest.NewRequest(method, u.String(), nil))
	if err != nil || route.Operation.RequestBody == nil {
		return body
	}
	v, err := decode(body)
	if err != nil {
		return body
	}
	schema := route.Operation.RequestBody.Value.Content["application/json"].Schema.Value
	top, _ := v.(map[string]any)
	for name := range top {
		if schema.Properties[name] == nil && slices.Contains(documented, route.Operation.OperationID) {
			delete(top, name)
		}
	}
	b, err := json.Marshal(tighten(v, schema))
	if err != nil {
		return body
	}
	return string(b)
}

// tighten turns the values that the server also accepts into those of the schema.
func tighten(v any, schema *openapi3.Schema) any {
	if len(schema.AllOf) == 1 {
		schema = schema.AllOf[0].Value
	}
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			p := schema.Properties[name]
			switch {
			case p == nil:
			case x == nil && !p.Value.Nullable:
				delete(v, name)
			default:
				v[name] = tighten(x, p.Value)
			}
		}
	case []any:
		for i := range v {
			if schema.Items != nil {
				v[i] = tighten(v[i], schema.Items.Value)
			}
		}
	case string:
		switch {
		case schema.Type.Is("array"):
			list := []any{}
			for id := range strings.SplitSeq(v, ",") {
				if id = strings.TrimSpace(id); id != "" {
					list = append(list, id)
				}
			}
			return list
		case schema.Type.Is("integer"), schema.Type.Is("number"):
			if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
				return n
			}
		case v == "" && len(schema.Enum) > 0:
			return schema.Enum[0]
		}
	case float64:
		if schema.Type.Is("string") {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	case json.Number:
		if schema.Type.Is("string") {
			return v.String()
		}
	}
	return v
}
