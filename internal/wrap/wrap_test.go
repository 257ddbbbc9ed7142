package wrap

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// table has the optional interfaces of an io.Reader.
type table struct {
	Closer io.Closer
	Seeker io.Seeker
}

type plain struct{}

func (plain) Read([]byte) (int, error) { return 0, io.EOF }

type closer struct{ plain }

func (closer) Close() error { return nil }

type (
	wrapper  struct{ io.Reader }
	silent   struct{ next io.Reader }
	embedded struct{ io.Reader }
	failure  struct{ plain }
	endless  struct{ plain }
)

func (w wrapper) Unwrap() io.Reader         { return w.Reader }
func (silent) Unwrap() io.Reader            { return nil }
func (s silent) Read(b []byte) (int, error) { return s.next.Read(b) }
func (failure) Error() string               { return "" }
func (failure) Unwrap() error               { return errors.New("no reader") }
func (e endless) Unwrap() io.Reader         { return e }

func find(x io.Reader) (has []string, problems []string) {
	var t table
	Find(x, &t, func(_, problem, _ string) { problems = append(problems, problem) })
	has, _ = Named(&t)
	return has, problems
}

func TestFind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value   io.Reader
		has     []string
		problem string
	}{
		"plain":                 {plain{}, nil, ""},
		"direct":                {closer{}, []string{"Closer"}, ""},
		"wrapped":               {wrapper{closer{}}, []string{"Closer"}, ""},
		"wrapped twice":         {&wrapper{wrapper{closer{}}}, []string{"Closer"}, ""},
		"hidden on purpose":     {silent{closer{}}, nil, ""},
		"embedded":              {embedded{closer{}}, nil, "hides io.Closer of wrap.closer in its field Reader"},
		"an error's Unwrap":     {failure{}, nil, ""},
		"nil inside":            {(*wrapper)(nil), nil, "is nil inside"},
		"wraps nil":             {wrapper{(*closer)(nil)}, nil, "wraps a *wrap.closer that is nil"},
		"wraps nothing":         {wrapper{}, nil, ""},
		"wraps itself, endless": {endless{}, nil, "wraps itself, or more than 63 values"},
	} {
		has, problems := find(c.value)
		if c.problem != "" {
			require.Contains(t, problems, c.problem, name)
			continue
		}
		require.Empty(t, problems, name)
		require.Equal(t, c.has, has, name)
		require.Equal(t, c.has, Names(c.value, &table{}), name)
		_, ok := As[io.Closer](c.value)
		require.Equal(t, c.has != nil, ok, name)
	}
}
