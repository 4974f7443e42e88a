package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// picture draws a recording into the file that c names, and for dark pages into
// one beside it. It tells where they are.
func picture(ctx context.Context, c config, out io.Writer) error {
	runs, err := record(ctx, c)
	if err != nil {
		return err
	}
	// With go run -C, the folder is not the one that the user is in.
	file, err := filepath.Abs(c.svg)
	if err != nil {
		return err
	}
	for _, page := range []struct {
		file string
		look palette
	}{{file, light}, {darkName(file), dark}} {
		image, err := page.look.svg(runs)
		if err != nil {
			return err
		}
		if err := os.WriteFile(page.file, image, 0o666); err != nil {
			return err
		}
		fmt.Fprintf(out, "wrote %s\n", printable(page.file))
	}
	return nil
}

// darkName is timeline-dark.svg for timeline.svg.
func darkName(file string) string {
	ending := filepath.Ext(file)
	return strings.TrimSuffix(file, ending) + "-dark" + ending
}

// svg draws the runs side by side, on one axis of time.
func (look palette) svg(runs []recording) ([]byte, error) {
	image := vgsvg.New(860*px, 266*px)
	canvas := draw.New(image)
	look.paintCard(canvas)
	write(canvas, 20*px, 233*px, look.bold(16), "When does your code get each result?")
	look.legend(canvas, 464*px, 239*px)

	end := longest(runs)
	panels := make([]*plot.Plot, len(runs))
	for i, run := range runs {
		panels[i] = look.panel(run, end)
	}
	for _, p := range panels[1:] {
		p.HideY() // the first has the names
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 28 * px}
	below := draw.Crop(canvas, 20*px, -28*px, 16*px, -96*px)
	for i, c := range plot.Align([][]*plot.Plot{panels}, tiles, below)[0] {
		panels[i].Draw(c)
	}

	var out bytes.Buffer
	_, err := image.WriteTo(&out)
	// The font is named, not sent along. Where it is missing, Arial and
	// Helvetica have the same widths.
	font := []byte("font-family:Liberation Sans")
	return bytes.ReplaceAll(out.Bytes(), font, append(font, ",Arial,Helvetica,sans-serif"...)), err
}

// panel is the plot of one run. Its axis of time goes to end.
func (look palette) panel(run recording, end time.Duration) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil // the card is there instead
	p.Add(bars{look, &run})

	var marks plot.ConstantTicks
	for _, t := range ticks(end) {
		marks = append(marks, plot.Tick{Value: t.Seconds(), Label: seconds(t)})
	}
	p.X.Min, p.X.Max = 0, end.Seconds()
	p.X.Width, p.X.Tick.Width = 0, 0 // bars draw a grid instead
	p.X.Tick.Marker = marks
	dress(&p.X.Tick.Label, look.plain(12))

	names := make([]string, len(run.spans))
	for i, s := range run.spans {
		names[i] = s.name
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.5, float64(len(names))-0.5
	p.Y.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}} // the first is on top
	dress(&p.Y.Tick.Label, look.strong(13))
	p.X.Padding, p.Y.Padding = 2*px, 8*px
	return p
}

// bars are a run that can draw itself.
type bars struct {
	palette
	*recording
}

// Plot draws a bar for each request, and a mark where its result was there.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	write(c, c.Min.X, c.Max.Y+27*px, b.bold(15), b.name)
	write(c, c.Min.X, c.Max.Y+9*px, b.plain(12), b.what)
	average := b.plain(12)
	average.XAlign = draw.XRight
	write(c, c.Max.X, c.Max.Y+27*px, average, "average "+b.average())

	x, y := p.Transforms(&c)
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		c.StrokeLine2(thin(b.grid), x(tick.Value), c.Min.Y, x(tick.Value), c.Max.Y)
	}
	for i, s := range b.spans {
		started, ended, got := x(s.started.Seconds()), x(s.ended.Seconds()), x(s.got.Seconds())
		b.waiting(c, ended, got, y(float64(i)))
		b.running(c, started, ended, y(float64(i)))
		b.mark(c, got, y(float64(i)))
	}
}

// legend says what the bars and marks mean.
func (look palette) legend(c draw.Canvas, x, y vg.Length) {
	words := func(x vg.Length, s string) { write(c, x, y-4*px, look.plain(12), s) }
	look.running(c, x, x+26*px, y)
	words(x+34*px, "request runs")
	look.waiting(c, x+126*px, x+152*px, y)
	words(x+160*px, "result waits")
	look.mark(c, x+250*px, y)
	words(x+264*px, "your code gets it")
}
