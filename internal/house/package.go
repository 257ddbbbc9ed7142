// Package house measures how the code of this repository is laid out: which layer a file belongs
// to, which uses run from a lower layer to a higher one, and how long files and functions are.
// Package internal/repository uses it as a gate; `make house` and `make words` print it.
package house

import (
	"context"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Package is one package of the repository, parsed and type-checked without its tests.
type Package struct {
	Dir   string
	Fset  *token.FileSet
	Files []*ast.File
	Types *types.Package
	Info  *types.Info
}

// Load parses and type-checks the package in a folder. Its imports are read from the build cache,
// so the go command has to be on the PATH.
func Load(ctx context.Context, dir, path string) (*Package, error) {
	p := &Package{Dir: dir, Fset: token.NewFileSet(), Info: &types.Info{Uses: map[*ast.Ident]types.Object{}}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(p.Fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, f)
	}
	lookup, err := exports(ctx, dir)
	if err != nil {
		return nil, err
	}
	conf := types.Config{Importer: importer.ForCompiler(p.Fset, "gc", lookup)}
	p.Types, err = conf.Check(path, p.Fset, p.Files, p.Info)
	return p, err
}

// exports returns the lookup of the export data of all packages that the one in dir imports.
func exports(ctx context.Context, dir string) (func(path string) (io.ReadCloser, error), error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -export in %s: %w", dir, err)
	}
	at := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, export, _ := strings.Cut(strings.TrimSpace(line), " ")
		at[path] = export
	}
	return func(path string) (io.ReadCloser, error) {
		if at[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(at[path])
	}, nil
}

// file is the name of the file at a position, without its folder.
func (p *Package) file(at token.Pos) string { return filepath.Base(p.Fset.Position(at).Filename) }

// Arrow is one use, by one file, of a name that another file of the same package declares.
type Arrow struct{ From, To, Name string }

// Arrows returns every use of a name that another file of the package declares.
func (p *Package) Arrows() []Arrow {
	var all []Arrow
	for id, used := range p.Info.Uses {
		if used.Pkg() != p.Types || !used.Pos().IsValid() {
			continue
		}
		if a := (Arrow{p.file(id.Pos()), p.file(used.Pos()), used.Name()}); a.From != a.To {
			all = append(all, a)
		}
	}
	return all
}
