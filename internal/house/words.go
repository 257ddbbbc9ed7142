package house

import (
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sentence is one sentence of a comment or a document.
type Sentence struct {
	File  string
	Line  int // of the paragraph that holds it
	Words int
	Text  string
}

// Line is one line of a file.
type Line struct {
	File    string
	Number  int
	Columns int
}

// GoSentences returns the sentences of all comments of a Go file.
func GoSentences(files fs.FS, path string) ([]Sentence, error) {
	text, err := fs.ReadFile(files, path)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var all []Sentence
	for _, c := range f.Comments {
		all = append(all, sentences(path, fset.Position(c.Pos()).Line, c.Text())...)
	}
	return all, nil
}

// MarkdownSentences returns the sentences of a document, without its code and its tables.
func MarkdownSentences(files fs.FS, path string) ([]Sentence, error) {
	text, err := fs.ReadFile(files, path)
	if err != nil {
		return nil, err
	}
	var all []Sentence
	paragraph, first, code := "", 0, false
	end := func() {
		all = append(all, sentences(path, first, paragraph)...)
		paragraph = ""
	}
	for i, line := range strings.Split(string(text), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			end()
			code = !code
		case code || strings.HasPrefix(trimmed, "|"):
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			end()
		default:
			if strings.HasPrefix(trimmed, "- ") {
				end()
			}
			if paragraph == "" {
				first = i + 1
			}
			paragraph += trimmed + " "
		}
	}
	end()
	return all, nil
}

// sentences cuts a text at the ends of its sentences.
func sentences(file string, line int, text string) []Sentence {
	var all []Sentence
	var words []string
	end := func() {
		if len(words) > 0 {
			all = append(all, Sentence{file, line, len(words), strings.Join(words, " ")})
		}
		words = nil
	}
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		for w := range strings.FieldsSeq(paragraph) {
			words = append(words, w)
			if strings.ContainsAny(w[len(w)-1:], ".?!:;") {
				end()
			}
		}
		end()
	}
	return all
}

// LongLines returns the lines of a file that are wider than a number of columns; a tab counts as
// four.
func LongLines(files fs.FS, path string, columns int) ([]Line, error) {
	text, err := fs.ReadFile(files, path)
	if err != nil {
		return nil, err
	}
	var all []Line
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "|") {
			continue // a row of a table cannot be wrapped
		}
		if n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t"); n > columns {
			all = append(all, Line{path, i + 1, n})
		}
	}
	return all, nil
}

// Longest sorts sentences, the longest first, and returns at most n.
func Longest(all []Sentence, n int) []Sentence {
	slices.SortStableFunc(all, func(a, b Sentence) int { return cmp.Compare(b.Words, a.Words) })
	return all[:min(n, len(all))]
}
