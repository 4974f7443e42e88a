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
	"strings"
	"time"
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

// headingOf is what the last run in a file begins with.
func headingOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	heading := "date unknown"
	for line := range strings.Lines(string(text)) {
		if found, ok := strings.CutPrefix(line, headingMark); ok {
			heading = strings.TrimSpace(found)
		}
	}
	return heading, nil
}

// column is a comparison in a table: await beside a library, in one job.
type column struct {
	title           string
	job, limit, lib string
}

var (
	listColumns = []column{
		{"AsCompleted / a goroutine each", "AsCompleted", "none", "idiom"},
		{"AsCompleted, Limit(8) / fast pool", "AsCompleted", "8", "fast"},
		{"Gather / errgroup", "Gather", "none", "errgroup"},
		{"Gather, Limit(8) / errgroup", "Gather", "8", "errgroup"},
	}
	seqColumns = []column{
		{"AsCompletedSeq / fast feeder and pool", "AsCompletedSeq", "8", "fast"},
		{"AsCompletedSeq / those that can be left", "AsCompletedSeq", "8", "idiom"},
		{"InOrderSeq / channel of channels", "InOrderSeq", "8", "idiom"},
		{"Queue / mutex and sync.Cond", "Queue", "8", "fast"},
		{"Queue that grows / the same", "QueueGrows", "8", "fast"},
	}
	splitColumns = []column{
		{"AsCompleted / a goroutine each", "AsCompleted", "none", "idiom"},
		{"Gather / errgroup", "Gather", "none", "errgroup"},
		{"Gather / perfect split", "Gather", "none", "split"},
		{"AsCompletedSeq, Limit(8) / fast feeder and pool", "AsCompletedSeq", "8", "fast"},
	}
)

// summarize prints what await costs as a ratio to what one would take else.
func summarize(out io.Writer, file string) error {
	all, err := read(file)
	if err != nil {
		return err
	}
	heading, err := headingOf(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nTime of await as a ratio: below 1, await is faster. Medians. %s.\n", heading)
	for _, cores := range []int{1, 2, 4, 8} {
		if !all.has(cores) {
			continue
		}
		fmt.Fprintf(out, "\n## GOMAXPROCS=%d\n\nLists of empty tasks:\n\n", cores)
		all.table(out, "n", listColumns, cores, "empty", sizes)
		fmt.Fprint(out, "\nSequences and queues of empty tasks, Limit(8):\n\n")
		all.table(out, "n", seqColumns, cores, "empty", sizes)
		for _, kind := range []string{"1us", "10us"} {
			fmt.Fprintf(out, "\nTasks of %s:\n\n", strings.Replace(kind, "us", " µs", 1))
			all.table(out, "n", splitColumns, cores, kind, []int{1000, 10_000})
		}
		fmt.Fprintf(out, "\nAsCompleted of 100,000 empty tasks / 100,000 sends through a channel: %s\n",
			all.ratio(100_000, series{"Floor", "empty", "none", "await", cores}, series{"Floor", "empty", "none", "channel", cores}))
	}
	all.besideAsyncio(out)
	return nil
}

// has tells whether await was measured with so many cores.
func (all figures) has(cores int) bool {
	for s := range all {
		if s.cores == cores && s.lib == "await" {
			return true
		}
	}
	return false
}

// table prints the ratios of the columns, and no row without one.
func (all figures) table(out io.Writer, corner string, columns []column, cores int, kind string, sizes []int) {
	header := []string{corner}
	for _, c := range columns {
		header = append(header, c.title)
	}
	var rows [][]string
	for _, n := range sizes {
		row, empty := []string{thousands(n)}, true
		for _, c := range columns {
			cell := all.ratio(n, series{c.job, kind, c.limit, "await", cores}, series{c.job, kind, c.limit, c.lib, cores})
			row = append(row, cell)
			empty = empty && cell == none
		}
		if !empty {
			rows = append(rows, row)
		}
	}
	printTable(out, header, rows)
}

// besideAsyncio prints how long Python's asyncio and await take.
func (all figures) besideAsyncio(out io.Writer) {
	var rows [][]string
	for _, job := range []string{"AsCompleted", "Gather"} {
		python := series{job, "empty", "none", "asyncio", 1}
		for _, n := range slices.Sorted(maps.Keys(all[python])) {
			row := []string{job, thousands(n), took(all[python][n], n)}
			for _, cores := range []int{1, 2} {
				row = append(row, took(all[series{job, "empty", "none", "await", cores}][n], n))
			}
			rows = append(rows, row)
		}
	}
	if rows == nil {
		return
	}
	fmt.Fprint(out, "\n## Beside asyncio\n\nCoroutines, or tasks, that return at once; the whole call:\n\n")
	printTable(out, []string{"job", "n", "asyncio", "await, GOMAXPROCS=1", "await, GOMAXPROCS=2"}, rows)
}

// took is the median time of a call with n tasks.
func took(perTask []float64, n int) string {
	if len(perTask) == 0 {
		return none
	}
	d := time.Duration(median(slices.Clone(perTask)) * float64(n))
	for _, unit := range []time.Duration{time.Millisecond, time.Microsecond} {
		if d >= 10*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(100 * time.Nanosecond).String()
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
