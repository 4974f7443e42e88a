package await_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// The benchmarks set await beside what a Go programmer would write by hand.
// To compare:
//
//	go test -run '^$' -bench . -count 10 . | tee new.txt
//	go run golang.org/x/perf/cmd/benchstat@latest -col /lib new.txt

// numbered is a result with its index, as the hand-written versions send it.
type numbered struct {
	index int
	value int
	err   error
}

// idiom is a goroutine and a closure per task, all launched before the first
// result is received.
func idiom(ctx context.Context, tasks []await.Task[int]) (sum int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan numbered, len(tasks))
	for i, task := range tasks {
		go func() {
			value, err := task(ctx)
			results <- numbered{i, value, err}
		}()
	}
	for range tasks {
		if r := <-results; r.err == nil {
			sum += r.value
		}
	}
	return sum
}

// pool is the idiom with a limit: workers that range over a channel of jobs.
func pool(ctx context.Context, tasks []await.Task[int], limit int) (sum int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan int)
	results := make(chan numbered, len(tasks))
	for range limit {
		go func() {
			for i := range jobs {
				value, err := tasks[i](ctx)
				results <- numbered{i, value, err}
			}
		}()
	}
	go func() {
		defer close(jobs)
		for i := range tasks {
			select {
			case jobs <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	for range tasks {
		if r := <-results; r.err == nil {
			sum += r.value
		}
	}
	return sum
}

func completed(ctx context.Context, tasks []await.Task[int], opts ...await.Option) (sum int) {
	for _, r := range await.AsCompleted(ctx, tasks, opts...) {
		if r.Err == nil {
			sum += r.Value
		}
	}
	return sum
}

// group is what the documentation of errgroup shows for results in input
// order. A limit of -1 is none.
func group(ctx context.Context, tasks []await.Task[int], limit int) ([]int, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	values := make([]int, len(tasks))
	for i, task := range tasks {
		g.Go(func() error {
			value, err := task(ctx)
			if err == nil {
				values[i] = value
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return values, nil
}

// split is the perfect division of the tasks over the cores, if every task
// takes the same time.
func split(ctx context.Context, tasks []await.Task[int]) []int {
	values := make([]int, len(tasks))
	cores := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for core := range cores {
		wg.Go(func() {
			for i := core * len(tasks) / cores; i < (core+1)*len(tasks)/cores; i++ {
				values[i], _ = tasks[i](ctx)
			}
		})
	}
	wg.Wait()
	return values
}

var sizes = []int{1, 2, 10, 100, 1000, 100_000}

// empty makes n tasks that do nothing.
func empty(n int) []await.Task[int] {
	return await.Tasks(make([]int, n), func(context.Context, int) (int, error) { return 1, nil })
}

func BenchmarkAsCompleted(b *testing.B) {
	ctx := context.Background()
	for _, n := range sizes {
		tasks := empty(n)
		bench(b, fmt.Sprintf("n=%d/lib=idiom", n), func() { idiom(ctx, tasks) })
		bench(b, fmt.Sprintf("n=%d/lib=await", n), func() { completed(ctx, tasks) })
	}
}

func BenchmarkAsCompletedLimit8(b *testing.B) {
	ctx := context.Background()
	for _, n := range sizes {
		tasks := empty(n)
		bench(b, fmt.Sprintf("n=%d/lib=pool", n), func() { pool(ctx, tasks, 8) })
		bench(b, fmt.Sprintf("n=%d/lib=await", n), func() { completed(ctx, tasks, await.Limit(8)) })
	}
}

func BenchmarkGather(b *testing.B) {
	ctx := context.Background()
	for _, n := range sizes {
		tasks := empty(n)
		bench(b, fmt.Sprintf("n=%d/lib=errgroup", n), func() { group(ctx, tasks, -1) })
		bench(b, fmt.Sprintf("n=%d/lib=await", n), func() { await.Gather(ctx, tasks) })
	}
}

func BenchmarkGatherLimit8(b *testing.B) {
	ctx := context.Background()
	for _, n := range sizes {
		tasks := empty(n)
		bench(b, fmt.Sprintf("n=%d/lib=errgroup", n), func() { group(ctx, tasks, 8) })
		bench(b, fmt.Sprintf("n=%d/lib=await", n), func() { await.Gather(ctx, tasks, await.Limit(8)) })
	}
}

// BenchmarkMicrosecond runs 10,000 tasks that compute for a microsecond.
func BenchmarkMicrosecond(b *testing.B) {
	ctx := context.Background()
	rounds := calibrate(time.Microsecond)
	tasks := await.Tasks(make([]int, 10_000), func(context.Context, int) (int, error) { return compute(rounds), nil })
	bench(b, "lib=split", func() { split(ctx, tasks) })
	bench(b, "lib=AsCompleted", func() { completed(ctx, tasks) })
	bench(b, "lib=Gather", func() { await.Gather(ctx, tasks) })
}

// BenchmarkFirstResult tells when the first of 100,000 results arrives, of
// tasks that all block but the first.
func BenchmarkFirstResult(b *testing.B) {
	tasks := await.Tasks(make([]int, 100_000), func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	tasks[0] = func(context.Context) (int, error) { return 1, nil }
	var first time.Duration
	for b.Loop() {
		start := time.Now()
		for range await.AsCompleted(context.Background(), tasks) {
			first += time.Since(start)
			break
		}
	}
	b.ReportMetric(float64(first.Nanoseconds())/float64(b.N), "ns-to-first/op")
}

// The design promises at most 10 allocations a call, and none for a task.
func TestAllocationsDoNotGrowWithTheTasks(t *testing.T) {
	ctx := context.Background()
	for _, n := range []int{1, 100, 10_000} {
		tasks := empty(n)
		require.LessOrEqual(t, allocations(func() { completed(ctx, tasks) }), 10.0, "AsCompleted of %d", n)
		require.LessOrEqual(t, allocations(func() { await.Gather(ctx, tasks) }), 10.0, "Gather of %d", n)
	}
}

// allocations counts those of f, in the best of some rounds: the runtime now and
// then makes goroutines anew that it could have used again.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(10, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(10, f))
	}
	return least
}

func bench(b *testing.B, name string, f func()) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
}

// compute keeps a core busy. Counted rounds, and not a clock, so that a task
// that is interrupted still does all of its work.
func compute(rounds int) int {
	x := uint32(1)
	for range rounds {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
	}
	return int(x)
}

var sink int // keeps the compiler from leaving out what nobody uses

// calibrate finds how many rounds of compute take d: the most seen, because
// whatever else the machine does only makes it slower.
func calibrate(d time.Duration) int {
	const rounds = 1_000_000
	best := time.Hour
	for range 10 {
		start := time.Now()
		sink = compute(rounds)
		best = min(best, time.Since(start))
	}
	return int(rounds * d / best)
}
