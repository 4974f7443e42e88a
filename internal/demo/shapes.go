package main

import (
	"image/color"
	"math"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// px is a pixel of a browser; the library counts in points.
const px = vg.Inch / 96

// A palette is how a picture looks on light or on dark pages. The blue and the
// orange differ for the color-blind too.
type palette struct{ card, edge, grid, ink, faint, blue, pale, orange color.RGBA }

var (
	light = palette{
		card: rgb(0xFCFCFD), edge: rgb(0xD0D7DE), grid: rgb(0xE3E7EB), ink: rgb(0x1F2328), faint: rgb(0x555E68),
		blue: rgb(0x0072B2), pale: rgb(0xB4D2E7), orange: rgb(0xD55E00),
	}
	dark = palette{
		card: rgb(0x151B23), edge: rgb(0x3D444D), grid: rgb(0x2A313C), ink: rgb(0xF0F3F6), faint: rgb(0xA3ADB8),
		blue: rgb(0x4A9FE3), pale: rgb(0x2F5875), orange: rgb(0xF58A3C),
	}
)

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xFF}
}

// paintCard draws what the rest stands on.
func (p palette) paintCard(c draw.Canvas) {
	c.SetColor(p.card)
	outline := rounded(px, px, c.Max.X-px, c.Max.Y-px, 10*px)
	c.Fill(outline)
	c.SetLineStyle(thin(p.edge))
	c.Stroke(outline)
}

// running draws a thick bar around y, waiting a thin one.
func (p palette) running(c draw.Canvas, from, to, y vg.Length) { bar(c, from, to, y, 12*px, p.blue) }
func (p palette) waiting(c draw.Canvas, from, to, y vg.Length) { bar(c, from, to, y, 4*px, p.pale) }

func bar(c draw.Canvas, from, to, y, height vg.Length, fill color.Color) {
	c.SetColor(fill)
	c.Fill(rounded(from, y-height/2, to, y+height/2, min(2*px, (to-from)/2)))
}

// mark draws a diamond, kept apart from what is under it.
func (p palette) mark(c draw.Canvas, x, y vg.Length) {
	diamond(c, x, y, 9*px, p.card)
	diamond(c, x, y, 7*px, p.orange)
}

func diamond(c draw.Canvas, x, y, r vg.Length, fill color.Color) {
	c.FillPolygon(fill, []vg.Point{{X: x - r, Y: y}, {X: x, Y: y + r}, {X: x + r, Y: y}, {X: x, Y: y - r}})
}

// rounded is a rectangle with round corners.
func rounded(left, bottom, right, top, radius vg.Length) vg.Path {
	var path vg.Path
	path.Move(vg.Point{X: right, Y: bottom + radius})
	path.Arc(vg.Point{X: right - radius, Y: top - radius}, radius, 0, math.Pi/2)
	path.Arc(vg.Point{X: left + radius, Y: top - radius}, radius, math.Pi/2, math.Pi/2)
	path.Arc(vg.Point{X: left + radius, Y: bottom + radius}, radius, math.Pi, math.Pi/2)
	path.Arc(vg.Point{X: right - radius, Y: bottom + radius}, radius, -math.Pi/2, math.Pi/2)
	path.Close()
	return path
}

func thin(c color.Color) draw.LineStyle { return draw.LineStyle{Color: c, Width: px} }

func write(c draw.Canvas, x, y vg.Length, style *draw.TextStyle, words string) {
	c.FillText(*style, vg.Point{X: x, Y: y}, words)
}

// dress gives a text the font and the ink of another one.
func dress(text, like *draw.TextStyle) { text.Font, text.Color = like.Font, like.Color }

func (p palette) plain(size vg.Length) *draw.TextStyle {
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size * px}
	return &draw.TextStyle{Color: p.faint, Font: sans, Handler: plot.DefaultTextHandler}
}

func (p palette) strong(size vg.Length) *draw.TextStyle {
	style := p.plain(size)
	style.Color = p.ink
	return style
}

func (p palette) bold(size vg.Length) *draw.TextStyle {
	style := p.strong(size)
	style.Font.Weight = xfont.WeightBold
	return style
}
