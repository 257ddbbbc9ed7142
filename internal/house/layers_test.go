package house

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const table = `
| layer | files |
|---|---|
| words | low.go |
| contracts | store.go |
| core | |
| shell | |
| engine | high.go |
`

func TestLayersFindArrowsThatRunUp(t *testing.T) {
	t.Parallel()
	layers, err := ParseLayers(table)
	require.NoError(t, err)
	up := layers.Up([]Arrow{
		{"high.go", "low.go", "fine"},
		{"low.go", "high.go", "b"},
		{"low.go", "high.go", "a"},
		{"low.go", "high.go", "a"},
		{"low.go", "store.go", "c"},
		{"store.go", "store.go", "same"},
	})
	assert.Equal(t, map[string][]string{"low.go -> high.go": {"a", "b"}, "low.go -> store.go": {"c"}}, up)
}

func TestLayersAreReadWhole(t *testing.T) {
	t.Parallel()
	_, err := ParseLayers("| words | low.go |\n")
	require.ErrorContains(t, err, `no row for the layer "contracts"`)
	_, err = ParseLayers(table + "| core | low.go |\n")
	require.ErrorContains(t, err, "low.go is in two layers")
}

// The package itself is small enough to be a sample.
func TestArrowsOfThisPackage(t *testing.T) {
	t.Parallel()
	p, err := Load(t.Context(), ".", "github.com/seed-19b57ce3/ota/internal/house")
	require.NoError(t, err)
	arrows := p.Arrows()
	assert.Contains(t, arrows, Arrow{"layers.go", "package.go", "Package"})
	assert.False(t, slices.ContainsFunc(arrows, func(a Arrow) bool { return a.From == "package.go" && a.To == "layers.go" }))
}
