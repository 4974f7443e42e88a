package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// sizes are the numbers of tasks in the benchmarks.
var sizes = []int{1, 2, 10, 100, 1000, 10_000, 100_000, million}

// millionEvery tells in which rounds a million tasks are run: the first, and
// each so many rounds later.
const millionEvery = 4

// benchmark adds rounds of benchmarks to a file and prints what the file has.
func benchmark(out io.Writer, rounds int, filter, file string) error {
	if rounds > 0 {
		if err := measure(rounds, filter, file); err != nil {
			return err
		}
	}
	if err := command(out, "go", "run", "golang.org/x/perf/cmd/benchstat@latest",
		"-table", ".name", "-row", "/task,/limit,/n,/gomaxprocs", "-col", "/lib", file); err != nil {
		return err
	}
	fmt.Fprint(out, "\nWhat the comparison leaves out:\n\n")
	for _, p := range peers() {
		if p.unfair != "" {
			fmt.Fprintf(out, "- %s: %s\n", p.name, p.unfair)
		}
	}
	return summarize(out, file)
}

// measure runs the benchmarks and adds what they print to a file. Each library
// at each size has a process of its own, so that none inherits the heap, or
// the dead goroutines, of another. All take turns, round after round, so that
// what else happens on the machine strikes them alike.
func measure(rounds int, filter, file string) (err error) {
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary := filepath.Join(dir, "compare.test")
	if err := command(os.Stderr, "go", "test", "-c", "-o", binary, "."); err != nil {
		return err
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintln(log, heading())
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		if filter == "" {
			if err := asyncio(log); err != nil {
				return err
			}
		}
		for _, n := range sizes {
			cores := []string{"1", "2"}
			switch {
			case n == million && round%millionEvery != 0:
				continue
			case n == million: // these take longer than all the rest
				cores = []string{"2"}
			case round%2 == 0:
				cores = []string{"1", "2", "4", "8"}
			}
			for _, lib := range libs() {
				bench := pattern(filter, n, lib)
				for _, procs := range cores {
					// The variable too: package testing measures the first loop of
					// the first benchmark, by b.Loop, before it sets GOMAXPROCS.
					if err := os.Setenv("GOMAXPROCS", procs); err != nil {
						return err
					}
					err := command(log, binary, "-test.run=^$", "-test.benchtime=10ms", "-test.cpu="+procs, "-test.bench="+bench)
					if err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// heading begins a run: when and where it was. The plots and tables repeat it.
func heading() string {
	return fmt.Sprintf("%s%s, Go %s, %s/%s, %d cores", headingMark, time.Now().Format("2 January 2006"),
		strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}

const headingMark = "# measured "

//go:embed coroutines.py
var coroutines string

// asyncio runs the benchmarks of Python, where it is installed.
func asyncio(log io.Writer) error {
	python, err := exec.LookPath("python3")
	if errors.Is(err, exec.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return command(log, python, "-c", coroutines)
}

// libs are the peers and what else a benchmark can be of.
func libs() []string {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	return append(names, fast.name, "split", "channel")
}

// pattern chooses the benchmarks of one library at one size, whose names are
// Job/task=.../limit=.../n=.../lib=..., as far as the filter lets them through.
func pattern(filter string, n int, lib string) string {
	parts := []string{".", ".", "."}
	if filter != "" {
		copy(parts, strings.Split(filter, "/"))
	}
	return strings.Join(append(parts, fmt.Sprintf("^n=%d$", n), "^lib="+lib+"$"), "/")
}

// command runs a command and lets it write to out.
func command(out io.Writer, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
