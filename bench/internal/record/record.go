// Package record stores the results of measurements: every sample as it was taken, and the figures
// drawn from them. A result is one JSON file.
package record

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Result is one measurement.
type Result struct {
	Name    string    `json:"name"`
	What    string    `json:"what"`
	Order   int       `json:"order"`           // among all measurements
	Quick   bool      `json:"quick,omitempty"` // a smoke run: its figures mean nothing
	Taken   time.Time `json:"taken"`
	Took    float64   `json:"took"` // seconds, including preparations
	Machine Machine   `json:"machine"`
	Figures []Figure  `json:"figures"`
	Samples []Sample  `json:"samples"`
}

// Sample is one side of one round.
type Sample struct {
	Round   int       `json:"round"` // from 1; 0 is a sample outside the rounds
	Side    string    `json:"side"`
	X       int       `json:"x,omitempty"`     // the varied size, if any: agents, or batches
	At      time.Time `json:"at"`              // its beginning
	Tasks   int       `json:"tasks"`           // the work: agents upgraded, jobs worked, rows written
	Seconds float64   `json:"seconds"`         // elapsed time
	CPU     float64   `json:"cpu"`             // seconds of this process
	Server  float64   `json:"server"`          // seconds of the processes of the database or broker; 0 without one
	Allocs  uint64    `json:"allocs"`          // allocations of this process
	Bytes   uint64    `json:"bytes"`           // bytes allocated by this process
	Commits uint64    `json:"commits"`         // durable or not; 0 if unknown
	Flushes int64     `json:"flushes"`         // of the disk, or of PostgreSQL's WAL
	Extra   Extra     `json:"extra,omitempty"` // numbers that only this measurement has
}

// Extra are numbers by their name.
type Extra map[string]float64

// Figure is one number drawn from the samples: the median over the rounds, the lowest and the
// highest.
type Figure struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"` // "x" is a ratio
	Value  float64  `json:"value"`
	Low    float64  `json:"low"`
	High   float64  `json:"high"`
	Rounds int      `json:"rounds"`
	Most   *float64 `json:"most,omitempty"`  // the target: at most this
	Least  *float64 `json:"least,omitempty"` // the target: at least this
}

// Reached reports whether the figure meets its target. A figure without a target always does.
func (f Figure) Reached() bool {
	return (f.Most == nil || f.Value <= *f.Most) && (f.Least == nil || f.Value >= *f.Least)
}

// Of returns the figure for the values of all rounds.
func Of(name, unit string, values []float64) Figure {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return Figure{Name: name, Unit: unit}
	}
	return Figure{Name: name, Unit: unit, Value: Median(s), Low: s[0], High: s[len(s)-1], Rounds: len(s)}
}

// Median returns the median of values, in any order.
func Median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Save writes the result into a folder, as NAME.json.
func (r *Result) Save(folder string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, r.Name+".json"), append(text, '\n'), 0o600)
}

// Load reads every result of a folder, by name.
func Load(folder string) (map[string]*Result, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	results := map[string]*Result{}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a name that Glob found
		if err != nil {
			return nil, err
		}
		r := &Result{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, err
		}
		results[r.Name] = r
	}
	return results, nil
}
