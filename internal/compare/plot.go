package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// pictures are what is drawn, each for light and for dark pages.
var pictures = []struct{ file, job, title string }{
	{"growth", "Gather", "Gather: time per task (lower is better)"},
	{"growth-completed", "AsCompleted", "AsCompleted: time per task (lower is better)"},
}

// drawAll draws the pictures into a folder.
func drawAll(dir, file string) error {
	all, err := read(file)
	if err != nil {
		return err
	}
	when, err := headingOf(file)
	if err != nil {
		return err
	}
	for _, p := range pictures {
		curves := all.curvesOf(p.job)
		if len(curves) == 0 {
			return errors.New("no figures of " + p.job + " in " + file)
		}
		for suffix, look := range map[string]palette{"": light, "-dark": dark} {
			g := &growth{palette: look, title: p.title, caption: "empty tasks, no limit, GOMAXPROCS=2; median. Measured " + when, curves: curves}
			image, err := g.svg()
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, p.file+suffix+".svg"), image, 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}

// A curve is the time per task of one library over the number of tasks.
type curve struct {
	name   string
	points plotter.XYs
}

func (c curve) end() plotter.XY { return c.points[len(c.points)-1] }

// curvesOf are the curves of a job; await is the last, on top of the others.
func (all figures) curvesOf(job string) (curves []curve) {
	for _, p := range peers() {
		sizes, nanoseconds := all.curve(series{job, "empty", "none", p.name, 2})
		if len(sizes) == 0 {
			continue
		}
		c := curve{name: p.name}
		for i := range sizes {
			c.points = append(c.points, plotter.XY{X: float64(sizes[i]), Y: nanoseconds[i]})
		}
		curves = append(curves, c)
	}
	return curves
}

// px is a pixel of a browser; the library counts in points.
const px = vg.Inch / 96

const width, height = 860 * px, 460 * px

// growth is a picture of curves.
type growth struct {
	palette
	title, caption string
	curves         []curve
}

// svg draws the picture.
func (g *growth) svg() ([]byte, error) {
	image := vgsvg.New(width, height)
	canvas := draw.New(image)
	g.paintCard(canvas)
	heading := g.style(16, g.ink)
	heading.Font.Weight = stdfont.WeightBold
	canvas.FillText(heading, vg.Point{X: 20 * px, Y: height - 33*px}, g.title)
	canvas.FillText(g.style(12, g.faint), vg.Point{X: 20 * px, Y: height - 55*px}, g.caption)

	p := plot.New()
	p.BackgroundColor = nil // the card is there instead
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Width, p.X.Tick.Width = 0, 0
	p.Y.Width, p.Y.Tick.Width = 0, 0
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Tick.Label.Color = g.style(12, g.faint).Font, g.faint
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = axis.Tick.Label.Font, g.faint
	}
	p.X.Label.Text = "tasks in one call"
	p.X.Label.Padding = 4 * px
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(decades), plot.TickerFunc(times)
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: g.grid, Width: px}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
	for _, c := range g.curves {
		line, dots, err := plotter.NewLinePoints(c.points)
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color = g.lines[c.name], g.lines[c.name]
		line.Width, dots.Radius = 1.6*px, 2.4*px
		if c.name == "await" {
			line.Width, dots.Radius = 4*px, 4.5*px
		}
		dots.Shape = draw.CircleGlyph{}
		p.Add(line, dots)
	}
	p.Add(names{g})
	p.X.Padding, p.Y.Padding = 6*px, 6*px
	p.Y.Min, p.Y.Max = p.Y.Min/1.2, p.Y.Max*1.1
	p.Draw(draw.Crop(canvas, 16*px, -146*px, 12*px, -76*px))

	var out bytes.Buffer
	_, err := image.WriteTo(&out)
	// The font is named, not sent along. Where it is missing, Arial and
	// Helvetica have the same widths.
	family := []byte("font-family:Liberation Sans")
	return bytes.ReplaceAll(out.Bytes(), family, append(family, ",Arial,Helvetica,sans-serif"...)), err
}

func (g *growth) style(size vg.Length, ink color.Color) draw.TextStyle {
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size * px}
	return draw.TextStyle{Color: ink, Font: sans, Handler: plot.DefaultTextHandler}
}

// paintCard draws what the rest stands on.
func (g *growth) paintCard(c draw.Canvas) {
	const r = 10 * px
	left, bottom, right, top := px, px, width-px, height-px
	var path vg.Path
	path.Move(vg.Point{X: right, Y: bottom + r})
	path.Arc(vg.Point{X: right - r, Y: top - r}, r, 0, math.Pi/2)
	path.Arc(vg.Point{X: left + r, Y: top - r}, r, math.Pi/2, math.Pi/2)
	path.Arc(vg.Point{X: left + r, Y: bottom + r}, r, math.Pi, math.Pi/2)
	path.Arc(vg.Point{X: right - r, Y: bottom + r}, r, -math.Pi/2, math.Pi/2)
	path.Close()
	c.SetColor(g.card)
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: g.edge, Width: px})
	c.Stroke(path)
}

// decades are the ticks of an axis of numbers: the powers of ten.
func decades(low, high float64) (ticks []plot.Tick) {
	for v := math.Pow(10, math.Ceil(math.Log10(low)-1e-9)); v <= high; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(int(math.Round(v)))})
	}
	return ticks
}

// times are the ticks of an axis of nanoseconds: 1, 2 and 5 of each decade.
func times(low, high float64) (ticks []plot.Tick) {
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high; decade *= 10 {
		for _, v := range []float64{decade, 2 * decade, 5 * decade} {
			if low <= v && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: nanoseconds(v)})
			}
		}
	}
	return ticks
}

// nanoseconds writes a time in the unit that suits it.
func nanoseconds(ns float64) string {
	if ns < 1000 {
		return fmt.Sprintf("%.3g ns", ns)
	}
	return fmt.Sprintf("%.3g µs", ns/1000)
}

// thousands writes a number with its thousands set apart.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// names writes, at the end of each line, which library it is of and how long it
// takes there, and moves those apart that would meet.
type names struct{ *growth }

// Plot implements [plot.Plotter].
func (n names) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	curves := slices.SortedFunc(slices.Values(n.curves), func(a, b curve) int { return cmp.Compare(a.end().Y, b.end().Y) })
	heights := make([]vg.Length, len(curves))
	for i, curve := range curves {
		heights[i] = y(curve.end().Y)
	}
	spread(heights, 18*px, c.Min.Y, c.Max.Y)
	for i, curve := range curves {
		style := n.style(13, n.lines[curve.name])
		style.YAlign = draw.YCenter
		if curve.name == "await" {
			style.Font.Weight = stdfont.WeightBold
		}
		from, to := vg.Point{X: x(curve.end().X) + 7*px, Y: y(curve.end().Y)}, vg.Point{X: c.Max.X + 28*px, Y: heights[i]}
		c.StrokeLine2(draw.LineStyle{Color: style.Color, Width: px}, from.X, from.Y, to.X-4*px, to.Y)
		c.FillText(style, to, curve.name+" "+nanoseconds(rounded(curve.end().Y)))
	}
}

// rounded has two digits that count, as many as the machine's noise leaves.
func rounded(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/unit) * unit
}

// spread moves sorted heights so that they lie apart, as little as possible,
// and between low and high.
func spread(heights []vg.Length, apart, low, high vg.Length) {
	for range 200 {
		for i := range heights {
			heights[i] = max(low, min(high, heights[i]))
			if i == 0 {
				continue
			}
			if lack := apart - (heights[i] - heights[i-1]); lack > 0 {
				heights[i-1] -= lack / 2
				heights[i] += lack / 2
			}
		}
	}
}
