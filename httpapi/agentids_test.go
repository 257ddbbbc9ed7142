package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// An ID means the same agent in every form in which it may be given: blanks around it are dropped, and what cannot be seen is
// refused by its code point.
func TestIDsInEveryForm(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	require.NoError(t, err)
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Tokens(map[string]string{"T": "op"})})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()
	create := func(agents string) (int, string) {
		body := `{"name":"n","fromVersion":"1","toVersion":"2","toRelease":"r",` + agents + `}`
		r, err := http.NewRequest(http.MethodPost, server.URL+"/api/v1/lifecycle/upgrade-plans", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer T")
		r.Header.Set("Content-Type", "application/json")
		a, err := server.Client().Do(r)
		require.NoError(t, err)
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		return a.StatusCode, string(text)
	}
	forms := []string{`"agentIds":"%s,other"`, `"agentIds":["%s","other"]`, `"agents":[{"id":"%s"},{"id":"other"}]`}
	for _, form := range forms {
		for _, id := range []string{"a", " a", "a ", `\u00a0a\u00a0`} {
			status, text := create(fmt.Sprintf(form, id))
			require.Less(t, status, 300, "%s: %s", fmt.Sprintf(form, id), text)
			require.Contains(t, text, `"agentIds":["a","other"]`, form)
		}
		for id, point := range map[string]string{`a\u200bb`: "U+200B", `\ufeffa`: "U+FEFF", `a\u202e`: "U+202E", `a\tb`: "U+0009", `\ta`: "U+0009", `a\u00adb`: "U+00AD", `a\u00a0b`: "U+00A0"} {
			status, text := create(fmt.Sprintf(form, id))
			require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, status, "%s: %s", fmt.Sprintf(form, id), text)
			require.Contains(t, text, point)
		}
		status, text := create(fmt.Sprintf(form, "Other"))
		require.Less(t, status, 300, text)
		require.Contains(t, text, "differs from another one only in capitals")
	}
}
