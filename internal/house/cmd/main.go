// Command cmd prints how the code of this repository is laid out and written.
//
//	go run ./internal/house/cmd house   # layers, files, functions, exported names of the root package
//	go run ./internal/house/cmd words   # the longest sentences, and lines of more than 100 columns
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/house"
)

func main() {
	run := map[string]func(context.Context) error{"house": layout, "words": words}
	if len(os.Args) != 2 || run[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/house/cmd house|words")
		os.Exit(2)
	}
	if err := run[os.Args[1]](context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func layout(ctx context.Context) error {
	p, err := house.Load(ctx, ".", "github.com/seed-19b57ce3/ota")
	if err != nil {
		return err
	}
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		return err
	}
	arrows := p.Arrows()
	pairs := map[string]bool{}
	for _, a := range arrows {
		pairs[a.From+a.To] = true
	}
	files, funcs, names := p.FileLengths(), p.FuncLengths(), p.Exported()
	fmt.Printf("files %d, arrows between files %d\n", len(files), len(pairs))
	fmt.Printf("exported: %d types, %d functions, %d variables, %d constants\n", names.Types, names.Funcs, names.Vars, names.Consts)
	for _, f := range files[:min(5, len(files))] {
		fmt.Printf("%5d lines  %s\n", f.Lines, f.Name)
	}
	for _, f := range funcs[:min(5, len(funcs))] {
		fmt.Printf("%5d lines  %s\n", f.Lines, f.Name)
	}
	layers, err := house.ParseLayers(string(text))
	if err != nil {
		return err
	}
	up := layers.Up(arrows)
	fmt.Printf("pairs of files where a lower layer uses a higher one: %d\n", len(up))
	for _, pair := range slices.Sorted(maps.Keys(up)) {
		fmt.Printf("  %s %v\n", pair, up[pair])
	}
	return nil
}

// columns is the width that the style card asks for.
const columns = 100

func words(ctx context.Context) error {
	files := os.DirFS(".")
	out, err := exec.CommandContext(ctx, "git", "ls-files", "*.go", "*.md").Output()
	if err != nil {
		return err
	}
	var sentences []house.Sentence
	wide := map[string]int{}
	for path := range strings.FieldsSeq(string(out)) {
		if strings.Contains(path, "testdata/") {
			continue
		}
		read := house.GoSentences
		if strings.HasSuffix(path, ".md") {
			read = house.MarkdownSentences
		}
		found, err := read(files, path)
		if err != nil {
			return err
		}
		sentences = append(sentences, found...)
		lines, err := house.LongLines(files, path, columns)
		if err != nil {
			return err
		}
		if len(lines) > 0 {
			wide[path] = len(lines)
		}
	}
	for _, s := range house.Longest(sentences, 40) {
		fmt.Printf("%3d words  %s:%d: %s\n", s.Words, s.File, s.Line, s.Text)
	}
	widest := slices.SortedFunc(maps.Keys(wide), func(a, b string) int { return wide[b] - wide[a] })
	for _, path := range widest {
		fmt.Printf("%4d lines of more than %d columns  %s\n", wide[path], columns, path)
	}
	return nil
}
