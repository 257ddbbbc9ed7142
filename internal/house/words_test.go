package house

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func file(name, text string) fstest.MapFS {
	return fstest.MapFS{name: &fstest.MapFile{Data: []byte(text)}}
}

func TestSentencesOfAGoFile(t *testing.T) {
	t.Parallel()
	all, err := GoSentences(file("a.go", "// Package a is small. It has\n// one comment.\npackage a\n"), "a.go")
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, "It has one comment.", all[1].Text)
	assert.Equal(t, 4, all[1].Words)
}

func TestSentencesOfADocument(t *testing.T) {
	t.Parallel()
	text := "# Title\n\nOne two.\nThree four five.\n\n```\ncode is. not read\n```\n| no | table |\n- an item\n"
	all, err := MarkdownSentences(file("a.md", text), "a.md")
	require.NoError(t, err)
	var got []string
	for _, s := range all {
		got = append(got, s.Text)
	}
	assert.Equal(t, []string{"One two.", "Three four five.", "- an item"}, got)
	assert.Equal(t, "Three four five.", Longest(all, 1)[0].Text)
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	files := file("a.go", "short\n"+strings.Repeat("x", 11)+"\n| "+strings.Repeat("y", 20)+" |\n\t"+strings.Repeat("é", 6)+"\n")
	all, err := LongLines(files, "a.go", 9)
	require.NoError(t, err)
	assert.Equal(t, []Line{{"a.go", 2, 11}, {"a.go", 4, 10}}, all)
}
