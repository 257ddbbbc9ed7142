package main

import (
	"image/color"
	"math"
	"os"
	"path/filepath"

	"github.com/seed-19b57ce3/ota/bench/internal/record"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// picture is one plot: a cost per agent against the size of the fleet or the number of batches.
type picture struct {
	file, title, x, y string
	lines             []line
}

// line is one side of one measurement.
type line struct {
	name        string
	measurement string
	side        string
	y           func(record.Sample) float64
}

const (
	fleetAxis = "agents in the plan"
	batchAxis = "batches in the plan"
)

func micros(s record.Sample) float64    { return 1e6 * s.Seconds / float64(s.Tasks) }
func allocated(s record.Sample) float64 { return float64(s.Bytes) / float64(s.Tasks) }
func commits(s record.Sample) float64   { return float64(s.Commits) / float64(s.Tasks) }
func flushes(s record.Sample) float64   { return float64(s.Flushes) / float64(s.Tasks) }

func extra(name string) func(record.Sample) float64 {
	return func(s record.Sample) float64 { return s.Extra[name] }
}

// byFleet and byBatches are the engine's lines, one for each kind of store.
func byFleet(y func(record.Sample) float64) []line {
	return []line{
		{"memstore", "growth-agents", "engine", y},
		{"SQLite", "growth-sqlite", "engine", y},
		{"PostgreSQL", "growth-postgres", "engine", y},
	}
}

func byBatches(y func(record.Sample) float64) []line {
	return []line{
		{"memstore", "growth-batches", "engine", y},
		{"SQLite", "growth-sqlite", "engine, by batches", y},
		{"PostgreSQL", "growth-postgres", "engine, by batches", y},
	}
}

func pictures() []picture {
	return []picture{
		{"time-fleet", "Time per agent", fleetAxis, "microseconds", byFleet(micros)},
		{"time-batches", "Time per agent", batchAxis, "microseconds", append(byBatches(micros), line{"bare errgroups", "growth-batches", "errgroup", micros})},
		{"memory-fleet", "Memory held per agent, memstore", fleetAxis, "bytes", []line{
			{"rows and claims, without IDs", "held", "engine", extra("store")},
			{"the log of a run", "held", "engine", extra("log")},
			{"most while it runs, with IDs", "held", "engine", extra("peak")},
		}},
		{"memory-batches", "Memory allocated per agent over a run", batchAxis, "bytes", byBatches(allocated)},
		{"commits-fleet", "Commits per agent", fleetAxis, "commits", byFleet(commits)},
		{"commits-batches", "Commits per agent", batchAxis, "commits", byBatches(commits)},
		{"flushes-fleet", "Flushes per agent", fleetAxis, "flushes", byFleet(flushes)[1:]},
		{"flushes-batches", "Flushes per agent", batchAxis, "flushes", byBatches(flushes)[1:]},
	}
}

func draw(all resultSet, folder string) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for _, p := range pictures() {
		if err := p.draw(all, filepath.Join(folder, p.file+".svg")); err != nil {
			return err
		}
	}
	return nil
}

var colours = []color.RGBA{{0x1b, 0x6c, 0xa8, 0xff}, {0xd1, 0x49, 0x5b, 0xff}, {0x2f, 0x85, 0x5a, 0xff}, {0x80, 0x80, 0x80, 0xff}}

// look selects a line's colour and shape if they are not the first: a store looks the same in every
// plot.
var look = map[string]int{"SQLite": 1, "the log of a run": 1, "PostgreSQL": 2, "most while it runs, with IDs": 2, "bare errgroups": 3}

var shapes = []vgdraw.GlyphDrawer{vgdraw.CircleGlyph{}, vgdraw.SquareGlyph{}, vgdraw.TriangleGlyph{}, vgdraw.CrossGlyph{}}

func (p picture) draw(all resultSet, file string) error {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	g := plot.New()
	g.BackgroundColor = color.White
	g.Title.Text, g.X.Label.Text, g.Y.Label.Text = p.title, p.x, p.y
	g.X.Scale, g.X.Tick.Marker = plot.LogScale{}, powers{}
	g.Y.Scale, g.Y.Tick.Marker = plot.LogScale{}, powers{}
	g.Add(plotter.NewGrid())
	g.Legend.Top, g.Legend.Left = true, true
	g.Legend.YOffs = -vg.Points(4)
	found := false
	for _, l := range p.lines {
		points, i := l.points(all), look[l.name]
		if len(points) == 0 {
			continue
		}
		found = true
		path, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		path.Color, path.Width = colours[i], vg.Points(1.5)
		dots.Color, dots.Shape, dots.Radius = colours[i], shapes[i], vg.Points(3)
		g.Add(path, dots)
		g.Legend.Add(l.name, path, dots)
	}
	if !found {
		return nil // not measured yet
	}
	p.frame(g)
	c := vgsvg.New(14*vg.Centimeter, 9*vg.Centimeter)
	g.Draw(vgdraw.New(c))
	out, err := os.Create(file) //nolint:gosec // a name of this file
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(out); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// frame leaves space for the legend at the top. It shows at least one power of ten, so that flat
// lines look flat.
func (p picture) frame(g *plot.Plot) {
	g.X.Max *= 1.5
	g.Y.Max *= 8
	if g.Y.Max/g.Y.Min < 100 {
		g.Y.Min = g.Y.Max / 100
	}
}

// powers are the ticks of a logarithmic axis. Those at powers of ten have a label.
type powers struct{}

// Ticks implements plot.Ticker.
func (powers) Ticks(least, most float64) (ticks []plot.Tick) {
	for power := math.Pow10(int(math.Floor(math.Log10(least)))); power <= most; power *= 10 {
		for digit := 1.0; digit < 10; digit++ {
			if v := digit * power; v >= least*0.999 && v <= most {
				t := plot.Tick{Value: v}
				if digit == 1 {
					t.Label = number(v)
				}
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

// points are the medians of the line's samples.
func (l line) points(all resultSet) (points plotter.XYs) {
	for _, o := range sidesOf(all.of(l.measurement)) {
		if y := o.median(l.y); o.side == l.side && y > 0 {
			points = append(points, plotter.XY{X: float64(o.x), Y: y})
		}
	}
	return points
}
