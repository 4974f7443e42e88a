package main

import "image/color"

// A palette is how a picture looks on light or on dark pages. internal/demo has
// the same cards and inks. Names stand in the colors of their lines, so each
// color has a contrast of at least 4.5 to the card.
type palette struct {
	card, edge, grid, ink, faint color.RGBA
	lines                        map[string]color.RGBA
}

// The lines' colors differ in lightness or in what the color-blind see of the
// hue; besides, each has its name at its end.
var (
	light = palette{
		card: rgb(0xFCFCFD), edge: rgb(0xD0D7DE), grid: rgb(0xE3E7EB), ink: rgb(0x1F2328), faint: rgb(0x555E68),
		lines: map[string]color.RGBA{
			"await":     rgb(0xB84E00),
			"idiom":     rgb(0x1F2328),
			"errgroup":  rgb(0x0072B2),
			"conc-pool": rgb(0x00734F),
			"pond":      rgb(0x7A4FA3),
			"ants":      rgb(0x8A6100),
			"lo":        rgb(0xA8326F),
			"juniper":   rgb(0x5F6873),
		},
	}
	dark = palette{
		card: rgb(0x151B23), edge: rgb(0x3D444D), grid: rgb(0x2A313C), ink: rgb(0xF0F3F6), faint: rgb(0xA3ADB8),
		lines: map[string]color.RGBA{
			"await":     rgb(0xF58A3C),
			"idiom":     rgb(0xF0F3F6),
			"errgroup":  rgb(0x58A6E8),
			"conc-pool": rgb(0x3FC08F),
			"pond":      rgb(0xB9A0F0),
			"ants":      rgb(0xD9A520),
			"lo":        rgb(0xF28CB8),
			"juniper":   rgb(0x9DA7B3),
		},
	}
)

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xFF}
}
