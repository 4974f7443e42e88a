package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// draws runs demo -svg and returns the file.
func draws(t *testing.T, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "timeline.svg")
	require.Equal(t, allHere, demo(t, "", append(args, "-svg", file)...).status)
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	return svg
}

// words are the texts of an SVG picture, and how often each is there.
func words(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	texts := make(map[string]int)
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
			var text string
			require.NoError(t, d.DecodeElement(&text, &start))
			texts[text]++
		}
	}
}

// places are the numbers that the pattern finds.
func places(t *testing.T, svg []byte, pattern string) (xs []float64) {
	t.Helper()
	for _, found := range regexp.MustCompile(pattern).FindAllSubmatch(svg, -1) {
		x, err := strconv.ParseFloat(string(found[1]), 64)
		require.NoError(t, err)
		xs = append(xs, x)
	}
	return xs
}

func TestPictureNamesEveryPanelAndTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		texts := words(t, draws(t))
		want := map[string]int{
			"When does your code get each result?": 1,
			"request runs":                         1, "result waits": 1, "your code gets it": 1,
			"AsCompleted": 1, "each as soon as it is done": 1, "average 0.31 s": 1,
			"InOrder": 1, "each once it and all before it are done": 1, "average 0.43 s": 1,
			"Gather": 1, "all at once, after the last is done": 1, "average 0.60 s": 1,
			"0 s": 3, "0.2 s": 3, "0.4 s": 3, "0.6 s": 3,
		}
		for _, r := range requests {
			want[r.name] = 1
		}
		assert.Equal(t, want, texts)
	})
}

func TestPictureMarksWhenResultsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		marks := places(t, draws(t), `d="M([\d.]+),[^"]*" style="fill:#D55E00`)[1:] // the first is in the legend
		require.Len(t, marks, 3*len(requests))
		// Which mark is at the same place as the one before it, or right of it?
		order := func(marks []float64) (signs string) {
			for i := 1; i < len(marks); i++ {
				switch {
				case marks[i] < marks[i-1]:
					signs += "<"
				case marks[i] > marks[i-1]:
					signs += ">"
				default:
					signs += "="
				}
			}
			return signs
		}
		assert.Equal(t, "><>><", order(marks[:6]), "AsCompleted")
		assert.Equal(t, ">==>=", order(marks[6:12]), "InOrder")
		assert.Equal(t, "=====", order(marks[12:]), "Gather")
	})
}

func TestPictureBarsBeginWhenTasksStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The path of a bar goes up its right side and round a corner to the left.
		const left = `d="M[^A"]*A[^L"]*L([\d.]+),[^"]*" style="fill:#0072B2`
		together := places(t, draws(t), left)[1:]
		require.Len(t, together, 3*len(requests))
		assert.InDelta(t, together[0], together[5], 0.01)
		assert.IsIncreasing(t, places(t, draws(t, "-limit", "1"), left)[1:7])
	})
}

func TestPictureHasTheFirstTaskOnTop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The names come in input order; y grows downwards.
		heights := places(t, draws(t), ` y="([-\d.]+)"[^>]*>(?:profile|photos|weather|news|prices|orders)<`)
		require.Len(t, heights, len(requests))
		assert.IsIncreasing(t, heights)
	})
}

func TestPictureForDarkPagesSaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "timeline.svg")
		require.Equal(t, allHere, demo(t, "", "-svg", file).status)
		onLight, err := os.ReadFile(file)
		require.NoError(t, err)
		onDark, err := os.ReadFile(strings.Replace(file, ".svg", "-dark.svg", 1))
		require.NoError(t, err)
		assert.Equal(t, words(t, onLight), words(t, onDark))
		assert.Contains(t, string(onLight), "fill:#FCFCFD")
		assert.Contains(t, string(onDark), "fill:#151B23")
		assert.NotContains(t, string(onDark), "fill:#FCFCFD")
	})
}

// WCAG 2.2 wants a contrast of 4.5 for text, and of 3 for graphics.
func TestPictureHasContrast(t *testing.T) {
	luminance := func(c color.RGBA) float64 {
		linear := func(v uint8) float64 {
			if s := float64(v) / 255; s > 0.04045 {
				return math.Pow((s+0.055)/1.055, 2.4)
			} else {
				return s / 12.92
			}
		}
		return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	}
	for _, look := range []palette{light, dark} {
		contrast := func(c color.RGBA) float64 {
			a, b := luminance(c), luminance(look.card)
			return (max(a, b) + 0.05) / (min(a, b) + 0.05)
		}
		for _, text := range []color.RGBA{look.ink, look.faint} {
			assert.GreaterOrEqual(t, contrast(text), 4.5, "%v", text)
		}
		for _, shape := range []color.RGBA{look.blue, look.orange} {
			assert.GreaterOrEqual(t, contrast(shape), 3.0, "%v", shape)
		}
	}
}

func TestPictureNamesFontsThatOthersHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svg := string(draws(t))
		assert.Contains(t, svg, "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
		assert.NotContains(t, svg, "font-family:Liberation Sans;")
	})
}

func TestPictureTellsWhereItIs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	dir, err := os.Getwd()
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		o := demo(t, "", "-svg", "timeline.svg")
		assert.Equal(t, outcome{status: allHere, stdout: "wrote " + filepath.Join(dir, "timeline.svg") +
			"\nwrote " + filepath.Join(dir, "timeline-dark.svg") + "\n"}, o)
		for line := range strings.Lines(o.stdout) {
			assert.FileExists(t, strings.TrimSpace(strings.TrimPrefix(line, "wrote ")))
		}
	})
}

func TestPictureThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := demo(t, "", "-svg", filepath.Join(t.TempDir(), "none", "timeline.svg"))
		assert.Equal(t, someFailed, o.status)
		assert.Contains(t, o.stderr, "timeline.svg: ")
		assert.Empty(t, o.stdout)
	})
}

func TestPictureIsNotWrittenWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "timeline.svg")
		o := demo(t, "", "-svg", file, "-timeout", "150ms")
		assert.Equal(t, outcome{status: someFailed, stderr: "demo: AsCompleted: time is up after 150ms\n"}, o)
		assert.NoFileExists(t, file)
	})
}
