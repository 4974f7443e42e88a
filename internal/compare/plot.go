package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strconv"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The picture has a light card of its own behind it, because the page that
// shows it may be dark.
var (
	card = color.RGBA{0xfa, 0xfa, 0xf7, 0xff}
	ink  = color.RGBA{0x33, 0x33, 0x33, 0xff}
	grid = color.RGBA{0xdd, 0xdd, 0xd8, 0xff}
)

// colors are told apart by those who see no red or no green too (Okabe and
// Ito). The lines have names at their ends besides.
var colors = map[string]color.Color{
	"await":     color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	"idiom":     color.RGBA{0x00, 0x00, 0x00, 0xff},
	"errgroup":  color.RGBA{0x00, 0x72, 0xb2, 0xff},
	"conc-pool": color.RGBA{0x00, 0x9e, 0x73, 0xff},
	"pond":      color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	"ants":      color.RGBA{0xe6, 0x9f, 0x00, 0xff},
	"lo":        color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	"juniper":   color.RGBA{0x88, 0x88, 0x88, 0xff},
}

const width, height = 760, 460

// drawGrowth draws the time per task over the number of tasks, of all libraries,
// from what the benchmarks have printed into file.
func drawGrowth(svg, job, file string) error {
	all, err := read(file)
	if err != nil {
		return err
	}
	p := plot.New()
	p.BackgroundColor = card
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant, style.Color = "Sans", ink
	}
	for _, style := range []*draw.LineStyle{&p.X.LineStyle, &p.Y.LineStyle, &p.X.Tick.LineStyle, &p.Y.Tick.LineStyle} {
		style.Color = ink
	}
	p.Title.TextStyle.Font.Size = vg.Points(14)
	p.Title.Padding = vg.Points(8)
	p.Title.Text = fmt.Sprintf("%s: nanoseconds per task that does nothing", job)
	p.X.Label.Text = "tasks in one call (2 cores, no limit)"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(decades), plot.TickerFunc(decades)
	lines := plotter.NewGrid()
	lines.Horizontal.Color, lines.Vertical.Color = grid, grid
	p.Add(lines)

	var ends []end
	for _, peer := range peers() { // await is the last, on top of the others
		s := series{job, "empty", "none", peer.name, 2}
		sizes, nanoseconds := all.curve(s)
		if len(sizes) == 0 {
			continue
		}
		points := make(plotter.XYs, len(sizes))
		for i := range points {
			points[i] = plotter.XY{X: float64(sizes[i]), Y: nanoseconds[i]}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color = colors[peer.name], colors[peer.name]
		line.Width, dots.Radius = vg.Points(1.2), vg.Points(1.8)
		if peer.name == "await" {
			line.Width, dots.Radius = vg.Points(3.2), vg.Points(3.4)
		}
		dots.Shape = draw.CircleGlyph{}
		p.Add(line, dots)
		ends = append(ends, end{peer.name, points[len(points)-1]})
	}
	if len(ends) == 0 {
		return errors.New("no figures of " + job + " in " + file)
	}
	p.Add(names(ends))
	p.X.Max = 1.2 * float64(sizes[len(sizes)-1])
	p.Y.Min = math.Pow(10, math.Floor(math.Log10(p.Y.Min)))
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
	return save(p, svg)
}

// save writes the plot on its card.
func save(p *plot.Plot, svg string) error {
	canvas := vgsvg.New(width, height)
	canvas.SetColor(card)
	canvas.Fill(roundedCard())
	p.Draw(draw.Crop(draw.New(canvas), 16, -76, 14, -14))
	var picture bytes.Buffer
	if _, err := canvas.WriteTo(&picture); err != nil {
		return err
	}
	// Not every viewer has the font that the text was laid out with.
	fonts := bytes.ReplaceAll(picture.Bytes(), []byte("font-family:Liberation Sans"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif"))
	return os.WriteFile(svg, fonts, 0o666)
}

// roundedCard is the outline of the card.
func roundedCard() vg.Path {
	const r = 10
	var path vg.Path
	path.Move(vg.Point{X: r, Y: 0})
	for _, corner := range []struct{ x, y, start float64 }{
		{width - r, r, -math.Pi / 2},
		{width - r, height - r, 0},
		{r, height - r, math.Pi / 2},
		{r, r, math.Pi},
	} {
		path.Arc(vg.Point{X: vg.Length(corner.x), Y: vg.Length(corner.y)}, r, corner.start, math.Pi/2)
	}
	path.Close()
	return path
}

// decades are the ticks of an axis: the powers of ten.
func decades(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for v := math.Pow(10, math.Floor(math.Log10(low))); v <= high; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(int(v))})
	}
	return ticks
}

// thousands writes a number with its thousands set apart.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// names writes the name of each library at the end of its line, and moves
// those apart that would meet.
type names []end

type end struct {
	name string
	at   plotter.XY
}

// Plot implements [plot.Plotter].
func (ends names) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	slices.SortFunc(ends, func(a, b end) int { return cmp.Compare(a.at.Y, b.at.Y) })
	const apart = 13
	heights := make([]vg.Length, len(ends))
	for i, e := range ends {
		heights[i] = y(e.at.Y)
		if i > 0 {
			heights[i] = max(heights[i], heights[i-1]+apart)
		}
	}
	for i, e := range ends {
		style := p.X.Label.TextStyle
		style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
		style.Color = colors[e.name]
		if e.name == "await" {
			style.Font.Weight = stdfont.WeightBold
		}
		end, label := vg.Point{X: x(e.at.X), Y: y(e.at.Y)}, vg.Point{X: c.Max.X + 18, Y: heights[i]}
		c.StrokeLine2(draw.LineStyle{Color: style.Color, Width: vg.Points(0.5)}, end.X+5, end.Y, label.X-3, label.Y)
		c.FillText(style, label, e.name)
	}
}
