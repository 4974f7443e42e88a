package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// load is something to do a million times, in a process of its own.
type load struct {
	name    string
	prepare func() []task // nil if the tasks are a sequence
	offers  func(p *peer) bool
	run     func(p *peer, tasks []task)
}

const million = 1_000_000

var loads = []load{
	{"list, values in order", emptyMillion, gathers, func(p *peer, tasks []task) {
		values, err := p.gather(context.Background(), tasks, 0)
		must(err)
		check(len(values))
	}},
	{"list, as completed", emptyMillion, completes, drain},
	{"list of tasks that all block", blockingMillion, completes, drain},
	{"sequence, limit 8", func() []task { return nil }, func(p *peer) bool { return p.loopSeq() != nil }, func(p *peer, _ []task) {
		sum := 0
		p.loopSeq()(context.Background(), sequence(million, makeTask("empty")), 8, func(o outcome) bool {
			sum += o.value
			return true
		})
		check(sum)
	}},
}

func gathers(p *peer) bool   { return p.gather != nil }
func completes(p *peer) bool { return p.finish != nil }

func emptyMillion() []task { return list(million, makeTask("empty")) }

// blockingMillion are tasks each of which waits until all have started.
func blockingMillion() []task {
	var started atomic.Int64
	all := make(chan struct{})
	return list(million, func(context.Context) (int, error) {
		if started.Add(1) == million {
			close(all)
		}
		<-all
		return 1, nil
	})
}

// drain takes all outcomes as they come.
func drain(p *peer, tasks []task) {
	sum := 0
	p.finish(context.Background(), tasks, 0, func(o outcome) bool {
		sum += o.value
		return true
	})
	check(sum)
}

// check sees to it that nothing is measured that has not done its work.
func check(done int) {
	if done != million {
		panic(fmt.Sprintf("%d of %d tasks done", done, million))
	}
}

// printMemory prints the peak memory of each peer under each load: the median
// of some rounds.
func printMemory(out io.Writer) error {
	const rounds = 3
	if _, err := os.Stat(status); err != nil {
		return fmt.Errorf("the peak memory of a process is known on Linux only: %w", err)
	}
	header := []string{"peak memory in MiB, 1,000,000 tasks"}
	for _, l := range loads {
		header = append(header, l.name)
	}
	rows := make([][]string, 0, len(peers())+1)
	for _, p := range append(peers(), peer{name: nobody}) {
		row := []string{p.name}
		for _, l := range loads {
			if p.name != nobody && !l.offers(&p) {
				row = append(row, "–")
				continue
			}
			peaks := make([]int, rounds)
			for i := range peaks {
				answer, _, err := ask(context.Background(), 5*time.Minute, "memory", l.name, p.name)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", p.name, l.name, err)
				}
				if peaks[i], err = strconv.Atoi(answer); err != nil {
					return err
				}
			}
			slices.Sort(peaks)
			row = append(row, strconv.Itoa(peaks[rounds/2]))
		}
		rows = append(rows, row)
	}
	printTable(out, header, rows)
	fmt.Fprint(out, `
The resident set at its highest (VmHWM), each measured in a process of its own:
the median. How long the garbage collector waits is part of it. The tasks are
one closure; the sequence is made as it is pulled. Where a library has no
as-completed loop of its own, the channel is ours; of conc-stream and juniper
the sequence comes in input order.
`)
	return nil
}

// status is what Linux tells a process about itself.
const status = "/proc/self/status"

// peakMemory is the highest resident set of this process so far, in MiB.
func peakMemory() int {
	text, err := os.ReadFile(status)
	must(err)
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(kib)[0])
			must(err)
			return n / 1024
		}
	}
	panic(status + " has no VmHWM")
}
