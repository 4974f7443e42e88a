package main

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// makeTask makes the task of a kind.
func makeTask(kind string) task {
	switch kind {
	case "empty":
		return func(context.Context) (int, error) { return 1, nil }
	case "1us", "10us":
		rounds := microsecond()
		if kind == "10us" {
			rounds *= 10
		}
		return func(context.Context) (int, error) { return spin(rounds), nil }
	case "1ms":
		return func(context.Context) (int, error) {
			time.Sleep(time.Millisecond)
			return 1, nil
		}
	}
	panic("no such kind of task: " + kind)
}

// list is n times the same task: one closure, so that a list is small beside
// what running it takes.
func list(n int, t task) []task {
	tasks := make([]task, n)
	for i := range tasks {
		tasks[i] = t
	}
	return tasks
}

// sequence is list, made as it is pulled.
func sequence(n int, t task) iter.Seq2[int, task] {
	return func(yield func(int, task) bool) {
		for i := 0; i < n && yield(i, t); i++ {
		}
	}
}

// spin keeps a core busy. Counted rounds, and not a clock, so
// that a task that is interrupted still does all of its work.
func spin(rounds int) int {
	x := uint32(1)
	for range rounds {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
	}
	return int(x)
}

// microsecond is how many rounds of spin take that long: the most seen,
// because whatever else the machine does only makes it slower.
var microsecond = sync.OnceValue(func() int {
	const rounds = 100_000
	best := time.Hour
	for range 100 {
		start := time.Now()
		sink.Store(int64(spin(rounds)))
		best = min(best, time.Since(start))
	}
	return int(rounds * time.Microsecond / best)
})

var sink atomic.Int64 // keeps the compiler from leaving out what nobody uses

// split divides the tasks evenly over the cores: nothing can be faster if all
// take the same time.
func split(ctx context.Context, tasks []task, _ int) ([]int, error) {
	values := make([]int, len(tasks))
	cores := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	for core := range cores {
		group.Go(func() {
			for i := core * len(tasks) / cores; i < (core+1)*len(tasks)/cores; i++ {
				values[i], _ = tasks[i](ctx)
			}
		})
	}
	group.Wait()
	return values, nil
}
