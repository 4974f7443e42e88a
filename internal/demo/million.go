package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/ascompleted/await"
)

// million runs a million tasks, at most 64 of them at once, and shows that the
// memory in use stays flat. The sequence of inputs is pulled as the tasks get
// on: nowhere are a million of anything.
func million(ctx context.Context, c config, inputs int, out io.Writer) error {
	numbers := func(yield func(int) bool) {
		for i := 0; i < inputs && yield(i); i++ {
		}
	}
	square := func(_ context.Context, i int) (int, error) { return i * i, nil }
	limit := await.Limit(c.limitOr(64))

	began := time.Now()
	atStart := heap()
	done := 0
	for _, r := range await.AsCompletedSeq(ctx, await.TaskSeq(numbers, square), limit, await.Name("million")) {
		if r.Err != nil { // the loop was cut short
			return fmt.Errorf("%w: %d of %d tasks were done", context.Cause(ctx), done, inputs)
		}
		if done++; done%(inputs/10) == 0 {
			fmt.Fprintf(out, "%9d tasks  %7d ms  %+5d kB of memory in use\n",
				done, time.Since(began).Milliseconds(), (heap()-atStart)/1000)
		}
	}
	fmt.Fprintf(out, "%d ns for each task\n", time.Since(began).Nanoseconds()/int64(inputs))
	return nil
}

// heap is how many bytes are in use after a collection of garbage.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
