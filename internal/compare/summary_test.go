package main

import (
	"bytes"
	"encoding/xml"
	"image/color"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

// printed is what benchmarks print, of three rounds; something has disturbed
// the second.
const printed = `# measured 24 November 2026, Go 1.26.8, linux/amd64, 2 cores
BenchmarkGather/task=empty/limit=none/n=1/lib=asyncio	100	100000.0 ns/op	100000.0 ns/task
goos: linux
BenchmarkGather/task=empty/limit=none/n=1/lib=errgroup-2   	 100	   700 ns/op	       700.0 ns/task	  96 B/op	    5 allocs/op
BenchmarkGather/task=empty/limit=none/n=1/lib=await-2      	 100	   350 ns/op	       350.0 ns/task	  96 B/op	    5 allocs/op
BenchmarkGather/task=empty/limit=none/n=10/lib=await-2     	 100	   500 ns/op	       50.00 ns/task	  96 B/op	    5 allocs/op
BenchmarkGather/task=empty/limit=none/n=1/lib=conc-pool    	 100	   900 ns/op	       900.0 ns/task	  96 B/op	    5 allocs/op
PASS
BenchmarkGather/task=empty/limit=none/n=1/lib=errgroup-2   	 100	 70000 ns/op	     70000 ns/task	  96 B/op	    5 allocs/op
BenchmarkGather/task=empty/limit=none/n=1/lib=await-2      	 100	   350 ns/op	       350.0 ns/task	  96 B/op	    5 allocs/op
BenchmarkGather/task=empty/limit=none/n=1/lib=errgroup-2   	 100	   800 ns/op	       800.0 ns/task	  96 B/op	    5 allocs/op
BenchmarkGather/task=empty/limit=none/n=1/lib=await-2      	 100	   200 ns/op	       200.0 ns/task	  96 B/op	    5 allocs/op
`

func outFile(t *testing.T) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "compare.out")
	require.NoError(t, os.WriteFile(name, []byte(printed), 0o600))
	return name
}

func TestReadTakesNamesApart(t *testing.T) {
	all, err := read(outFile(t))
	require.NoError(t, err)
	require.Equal(t, figures{
		{"Gather", "empty", "none", "errgroup", 2}:  {1: {700, 70000, 800}},
		{"Gather", "empty", "none", "await", 2}:     {1: {350, 350, 200}, 10: {50}},
		{"Gather", "empty", "none", "conc-pool", 1}: {1: {900}},
		{"Gather", "empty", "none", "asyncio", 1}:   {1: {100000}},
	}, all)
}

func TestSummaryHasTheMedianOfTheRatios(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, summarize(&out, outFile(t)))
	_, cores2, found := strings.Cut(out.String(), "GOMAXPROCS=2\n")
	require.True(t, found)
	require.Contains(t, cores2, "| 1 | – | – | 0.25 | – |") // of 0.5, 0.005 and 0.25
	require.NotContains(t, cores2, "| 10 |", "of which there is nothing to compare with")
	require.Contains(t, out.String(), "24 November 2026, Go 1.26.8, linux/amd64, 2 cores")
	require.Contains(t, out.String(), "| Gather | 1 | 100µs | – | 400ns |")
	require.NotContains(t, out.String(), "GOMAXPROCS=4")
}

func TestPlotsHaveTheNames(t *testing.T) {
	dir := t.TempDir()
	file := outFile(t)
	require.ErrorContains(t, drawAll(dir, file), "no figures of AsCompleted")
	completed := strings.ReplaceAll(printed, "BenchmarkGather", "BenchmarkAsCompleted")
	require.NoError(t, os.WriteFile(file, []byte(printed+completed), 0o600))
	require.NoError(t, drawAll(dir, file))
	for _, name := range []string{"growth", "growth-dark", "growth-completed", "growth-completed-dark"} {
		picture, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		require.NoError(t, err)
		require.NoError(t, xml.Unmarshal(picture, new(struct{})))
		require.Contains(t, string(picture), ">await 50 ns<")
		require.Contains(t, string(picture), ">errgroup 800 ns<", "the median of three")
		require.NotContains(t, string(picture), ">conc-pool", "of which there are no figures for two cores")
		require.Contains(t, string(picture), "24 November 2026, Go 1.26.8, linux/amd64, 2 cores")
	}
}

// What WCAG 2.2 wants of text.
func TestNamesCanBeRead(t *testing.T) {
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
		inks := append(slices.Collect(maps.Values(look.lines)), look.ink, look.faint)
		require.Len(t, inks, len(peers())-1+2, "conc-stream is in no picture")
		for _, ink := range inks {
			a, b := luminance(ink), luminance(look.card)
			require.GreaterOrEqual(t, (max(a, b)+0.05)/(min(a, b)+0.05), 4.5, "%v on %v", ink, look.card)
		}
	}
}

func TestSpreadKeepsNamesApart(t *testing.T) {
	heights := []vg.Length{10, 10, 11, 50, 98, 100}
	spread(heights, 10, 0, 100)
	for i := range heights[1:] {
		require.Greater(t, heights[i+1]-heights[i], vg.Length(9.5))
	}
	require.InDelta(t, 50, float64(heights[3]), 1)
}

func TestBadFlags(t *testing.T) {
	for args, want := range map[string]string{
		"":            "nothing to do",
		"-unknown":    "not defined",
		"-plot x y":   "unexpected argument",
		"-rounds one": "invalid value",
	} {
		require.ErrorContains(t, run(strings.Fields(args), io.Discard), want)
	}
	var out bytes.Buffer
	require.NoError(t, run([]string{"-h"}, &out))
	require.Equal(t, usage, out.String())
}

func TestPatternChoosesOneLibraryAtOneSize(t *testing.T) {
	require.Equal(t, "./././^n=10$/^lib=lo$", pattern("", 10, "lo"))
	require.Equal(t, "Gather/task=empty/./^n=10$/^lib=lo$", pattern("Gather/task=empty", 10, "lo"))
}

func TestAChildTellsItsPeakMemory(t *testing.T) {
	if _, err := os.Stat(status); err != nil {
		t.Skip("known on Linux only")
	}
	answer, _, err := ask(t.Context(), patience, "memory", loads[0].name, nobody)
	require.NoError(t, err)
	require.Regexp(t, `^\d+$`, answer)
}
