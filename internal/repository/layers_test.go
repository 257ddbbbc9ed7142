package repository

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/house"
)

// The pairs of files in which a lower layer uses a higher one, each with its reason. The list only
// gets shorter.
var upward = map[string]string{}

// TestNoArrowRunsUp holds the files to the table of layers in docs/design.md: a file uses its own
// layer and those below it.
func TestNoArrowRunsUp(t *testing.T) {
	t.Parallel()
	layers, err := house.ParseLayers(read(t, "docs/design.md"))
	require.NoError(t, err)
	p, err := house.Load(t.Context(), ".", "github.com/seed-19b57ce3/ota")
	require.NoError(t, err)
	unlisted, gone := layers.Missing(p)
	assert.Empty(t, unlisted, "files without a layer in docs/design.md")
	assert.Empty(t, gone, "files in docs/design.md that do not exist")
	up := layers.Up(p.Arrows())
	for _, pair := range slices.Sorted(maps.Keys(up)) {
		assert.NotEmpty(t, upward[pair], "%s runs up, by %v", pair, up[pair])
	}
	for pair := range upward {
		assert.NotEmpty(t, up[pair], "%s does not run up any more: take it off the list", pair)
	}
	assert.LessOrEqual(t, len(upward), 10)
}

// TestTheLinterKnowsTheCore compares the files of the rule core in .golangci.yml with the layer core:
// the linter refuses context, sync and the like in these files.
func TestTheLinterKnowsTheCore(t *testing.T) {
	t.Parallel()
	layers, err := house.ParseLayers(read(t, "docs/design.md"))
	require.NoError(t, err)
	var core []string
	for file, layer := range layers {
		if house.LayerNames[layer] == "core" {
			core = append(core, strings.TrimSuffix(file, ".go"))
		}
	}
	rule := regexp.MustCompile(`(?m)^ +core:\n +files:\n +- "\*\*/\{(.*)\}\.go"$`).FindStringSubmatch(read(t, ".golangci.yml"))
	require.NotNil(t, rule, "the rule core of .golangci.yml")
	assert.ElementsMatch(t, core, strings.Split(rule[1], ","))
}
