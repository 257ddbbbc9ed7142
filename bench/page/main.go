// Command page draws the plots of docs/performance.md from the results of bench, and writes the
// tables between the markers of that page and of results/README.md. Everything else on both pages
// is written by hand.
//
//	cd bench && GOWORK=off go run ./page
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-19b57ce3/ota/bench/internal/record"
)

func main() {
	results := flag.String("results", "results", "the `folder` of the results")
	docs := flag.String("docs", "../docs", "the `folder` of performance.md; the plots go into plots below it")
	quick := flag.Bool("quick", false, "also accept results of smoke runs")
	flag.Parse()
	if err := run(*results, *docs, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

func run(results, docs string, quick bool) error {
	all, err := load(results, quick)
	if err != nil {
		return err
	}
	if err := draw(all, filepath.Join(docs, "plots")); err != nil {
		return err
	}
	err = fill(filepath.Join(results, "README.md"), map[string]string{
		"targets": targets(all), "figures": figures(all), "sides": sides(all),
	})
	if err != nil {
		return err
	}
	return fill(filepath.Join(docs, "performance.md"), map[string]string{"machine": machine(all)})
}

// resultSet are results in the order in which they are taken.
type resultSet []*record.Result

func load(folder string, quick bool) (resultSet, error) {
	found, err := record.Load(folder)
	if err != nil {
		return nil, err
	}
	var all resultSet
	for _, r := range found {
		if r.Quick && !quick {
			return nil, fmt.Errorf("%s is the result of a smoke run; its figures mean nothing", r.Name)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no results in %s: run bench first", folder)
	}
	slices.SortFunc(all, func(a, b *record.Result) int { return cmp.Compare(a.Order, b.Order) })
	return all, nil
}

// of returns one result. It is empty if that was not measured.
func (all resultSet) of(name string) *record.Result {
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	return &record.Result{}
}
