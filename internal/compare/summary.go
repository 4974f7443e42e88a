package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
)

// series names what was measured of one library with one task and limit. The
// number of tasks comes apart, because comparisons run over it.
type series struct {
	job, task, limit, lib string
	cores                 int
}

// figures are nanoseconds per task, one of each round.
type figures map[series]map[int][]float64

var line = regexp.MustCompile(`^Benchmark(\w+)/task=(\w+)/limit=(\w+)/n=(\d+)/lib=([\w-]*?)(?:-(\d+))?\s.*\s([\d.e+]+) ns/task`)

// read takes the figures out of what benchmarks have printed.
func read(file string) (figures, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := make(figures)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		cores := 1
		if m[6] != "" {
			if cores, err = strconv.Atoi(m[6]); err != nil {
				return nil, err
			}
		}
		n, err := strconv.Atoi(m[4])
		if err != nil {
			return nil, err
		}
		nanoseconds, err := strconv.ParseFloat(m[7], 64)
		if err != nil {
			return nil, err
		}
		s := series{m[1], m[2], m[3], m[5], cores}
		if all[s] == nil {
			all[s] = make(map[int][]float64)
		}
		all[s][n] = append(all[s][n], nanoseconds)
	}
	return all, nil
}

// summarize prints what await costs as a ratio to what one would take else.
func summarize(out io.Writer, file string) error {
	all, err := read(file)
	if err != nil {
		return err
	}
	for _, cores := range []int{1, 2} {
		fmt.Fprintf(out, "\nTime of await as a ratio, medians, GOMAXPROCS=%d. Empty tasks:\n\n", cores)
		against := func(n int, job, limit, lib string) string {
			return all.ratio(n, series{job, "empty", limit, "await", cores}, series{job, "empty", limit, lib, cores})
		}
		var rows [][]string
		for _, n := range sizes {
			rows = append(rows, []string{
				strconv.Itoa(n),
				against(n, "AsCompleted", "none", "idiom"),
				against(n, "AsCompleted", "8", "idiom"),
				against(n, "Gather", "none", "errgroup"),
				against(n, "Gather", "8", "errgroup"),
				against(n, "AsCompletedSeq", "8", "idiom"),
			})
		}
		printTable(out, []string{
			"n", "AsCompleted / a goroutine each", "same, Limit(8) / pool of workers",
			"Gather / errgroup", "same, Limit(8)", "AsCompletedSeq, Limit(8) / feeder and pool",
		}, rows)
		perfect := series{"Gather", "1us", "none", "split", cores}
		fmt.Fprintf(out, "\n10,000 tasks of 1 µs / a perfect split over the cores: AsCompleted %s, Gather %s\n",
			all.ratio(10_000, series{"AsCompleted", "1us", "none", "await", cores}, perfect),
			all.ratio(10_000, series{"Gather", "1us", "none", "await", cores}, perfect))
		fmt.Fprintf(out, "AsCompleted of 100,000 empty tasks / 100,000 sends through a channel: %s\n",
			against(100_000, "Floor", "none", "channel"))
	}
	return nil
}

// none stands where there are no figures.
const none = "–"

// ratio is the median of what one took in each round by what the other took.
func (all figures) ratio(n int, of, than series) string {
	a, b := all[of][n], all[than][n]
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	if len(ratios) == 0 {
		return none
	}
	return fmt.Sprintf("%.2f", median(ratios))
}

// median sorts its argument.
func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// curve is the medians of a series, by the number of tasks.
func (all figures) curve(s series) (sizes []int, nanoseconds []float64) {
	for _, n := range slices.Sorted(maps.Keys(all[s])) {
		sizes = append(sizes, n)
		nanoseconds = append(nanoseconds, median(slices.Clone(all[s][n])))
	}
	return sizes, nanoseconds
}
