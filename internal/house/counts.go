package house

import (
	"cmp"
	"go/ast"
	"slices"
	"strings"
)

// Length is how long a file or a function is.
type Length struct {
	Name  string // of the file, or "file.go: name of the function"
	Lines int
}

// FileLengths returns the files of the package, the longest first.
func (p *Package) FileLengths() []Length {
	var all []Length
	for _, f := range p.Files {
		all = append(all, Length{p.file(f.Pos()), p.Fset.File(f.Pos()).LineCount()})
	}
	return longestFirst(all)
}

// FuncLengths returns the functions and methods of the package, the longest first.
func (p *Package) FuncLengths() []Length {
	var all []Length
	for _, f := range p.Files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				lines := p.Fset.Position(fn.End()).Line - p.Fset.Position(fn.Pos()).Line + 1
				all = append(all, Length{p.file(fn.Pos()) + ": " + fn.Name.Name, lines})
			}
		}
	}
	return longestFirst(all)
}

func longestFirst(all []Length) []Length {
	slices.SortFunc(all, func(a, b Length) int {
		return cmp.Or(cmp.Compare(b.Lines, a.Lines), strings.Compare(a.Name, b.Name))
	})
	return all
}

// Exported counts the exported names at the top level of the package.
type Exported struct{ Types, Funcs, Vars, Consts int }

// Exported counts what the package exports, without methods and fields.
func (p *Package) Exported() Exported {
	var n Exported
	for _, f := range p.Files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() {
					n.Funcs++
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					n.add(s, d.Tok.String())
				}
			}
		}
	}
	return n
}

func (n *Exported) add(spec ast.Spec, token string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			n.Types++
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			switch {
			case !name.IsExported():
			case token == "const":
				n.Consts++
			default:
				n.Vars++
			}
		}
	}
}
