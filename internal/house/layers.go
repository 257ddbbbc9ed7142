package house

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// LayerNames are the layers of the root package, the lowest first. A file may use its own layer and
// those below it.
var LayerNames = []string{"words", "contracts", "core", "shell", "engine"}

// Layers maps a file to the index of its layer in LayerNames.
type Layers map[string]int

var goFile = regexp.MustCompile(`[a-z]+\.go`)

// ParseLayers reads the table of layers from a Markdown document: one row for each layer, with its
// name in the first column and its files in another one.
func ParseLayers(document string) (Layers, error) {
	layers := Layers{}
	for i, name := range LayerNames {
		row := ""
		for line := range strings.Lines(document) {
			if strings.HasPrefix(line, "| "+name+" |") {
				row = line
			}
		}
		if row == "" {
			return nil, fmt.Errorf("the document has no row for the layer %q", name)
		}
		for _, file := range goFile.FindAllString(row, -1) {
			if _, twice := layers[file]; twice {
				return nil, fmt.Errorf("%s is in two layers", file)
			}
			layers[file] = i
		}
	}
	return layers, nil
}

// Missing returns the files of the package that are in no layer, and those of the table that do not
// exist.
func (l Layers) Missing(p *Package) (unlisted, gone []string) {
	exists := map[string]bool{}
	for _, f := range p.Files {
		name := p.file(f.Pos())
		exists[name] = true
		if _, ok := l[name]; !ok {
			unlisted = append(unlisted, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if !exists[name] {
			gone = append(gone, name)
		}
	}
	return unlisted, gone
}

// Up returns the pairs of files, as "from.go -> to.go", in which a lower layer uses a higher one,
// and the names that it uses.
func (l Layers) Up(arrows []Arrow) map[string][]string {
	up := map[string][]string{}
	for _, a := range arrows {
		if l[a.From] < l[a.To] {
			pair := a.From + " -> " + a.To
			up[pair] = append(up[pair], a.Name)
		}
	}
	for pair, names := range up {
		slices.Sort(names)
		up[pair] = slices.Compact(names)
	}
	return up
}
