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

// Everything stands on a light card, so that it looks the same on light and
// dark pages. The blue and the orange differ for the color-blind too.
var (
	light  = color.RGBA{0xFC, 0xFC, 0xFD, 0xFF}
	edge   = color.RGBA{0xD0, 0xD7, 0xDE, 0xFF}
	grid   = color.RGBA{0xE3, 0xE7, 0xEB, 0xFF}
	dark   = color.RGBA{0x1F, 0x23, 0x28, 0xFF}
	faint  = color.RGBA{0x55, 0x5E, 0x68, 0xFF}
	blue   = color.RGBA{0x00, 0x72, 0xB2, 0xFF}
	pale   = color.RGBA{0xB4, 0xD2, 0xE7, 0xFF}
	orange = color.RGBA{0xD5, 0x5E, 0x00, 0xFF}
)

// card draws what the rest stands on.
func card(c draw.Canvas) {
	c.SetColor(light)
	outline := rounded(px, px, c.Max.X-px, c.Max.Y-px, 10*px)
	c.Fill(outline)
	c.SetLineStyle(thin(edge))
	c.Stroke(outline)
}

// running draws a thick bar around y, waiting a thin one.
func running(c draw.Canvas, from, to, y vg.Length) { bar(c, from, to, y, 12*px, blue) }
func waiting(c draw.Canvas, from, to, y vg.Length) { bar(c, from, to, y, 4*px, pale) }

func bar(c draw.Canvas, from, to, y, height vg.Length, fill color.Color) {
	c.SetColor(fill)
	c.Fill(rounded(from, y-height/2, to, y+height/2, min(2*px, (to-from)/2)))
}

// mark draws a diamond, kept apart from what is under it.
func mark(c draw.Canvas, x, y vg.Length) {
	diamond(c, x, y, 9*px, light)
	diamond(c, x, y, 7*px, orange)
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

func plain(size vg.Length) *draw.TextStyle {
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size * px}
	return &draw.TextStyle{Color: faint, Font: sans, Handler: plot.DefaultTextHandler}
}

func strong(size vg.Length) *draw.TextStyle {
	style := plain(size)
	style.Color = dark
	return style
}

func bold(size vg.Length) *draw.TextStyle {
	style := strong(size)
	style.Font.Weight = xfont.WeightBold
	return style
}
