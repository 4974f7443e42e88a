package await_test

import (
	"context"
	"fmt"
	"iter"
	"runtime/metrics"
	"sync"
	"testing"

	"github.com/ascompleted/await"
)

// stream is the idiom for a sequence: a feeder, a channel of jobs, workers
// that range over it, and a channel of results.
func stream(ctx context.Context, tasks iter.Seq2[int, await.Task[int]], limit int) (sum int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type job struct {
		key  int
		task await.Task[int]
	}
	jobs := make(chan job)
	results := make(chan numbered, limit)
	go func() {
		defer close(jobs)
		for key, task := range tasks {
			select {
			case jobs <- job{key, task}:
			case <-ctx.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for range limit {
		workers.Go(func() {
			for j := range jobs {
				value, err := j.task(ctx)
				select {
				case results <- numbered{j.key, value, err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	for r := range results {
		if r.err == nil {
			sum += r.value
		}
	}
	return sum
}

// repeat is a sequence of n times the same task.
func repeat(n int, task await.Task[int]) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		for i := 0; i < n && yield(i, task); i++ {
		}
	}
}

func nothing(context.Context) (int, error) { return 1, nil }

// drain takes all results of a loop.
func drain(results iter.Seq2[int, await.Result[int]]) {
	for _, r := range results {
		sink += r.Value
	}
}

func BenchmarkSeqLimit8(b *testing.B) {
	ctx := context.Background()
	for _, n := range sizes {
		tasks := repeat(n, nothing)
		bench(b, fmt.Sprintf("n=%d/lib=idiom", n), func() { stream(ctx, tasks, 8) })
		bench(b, fmt.Sprintf("n=%d/lib=await", n), func() { drain(await.AsCompletedSeq(ctx, tasks, await.Limit(8))) })
		bench(b, fmt.Sprintf("n=%d/lib=InOrderSeq", n), func() { drain(await.InOrderSeq(ctx, tasks, await.Limit(8))) })
		bench(b, fmt.Sprintf("n=%d/lib=Queue", n), func() {
			var queue await.Queue[int, int]
			for key, task := range tasks {
				queue.Add(key, task)
			}
			drain(queue.AsCompleted(ctx, await.Limit(8)))
		})
	}
}

// BenchmarkTenMillion streams 10,000,000 tasks and tells the highest live heap
// seen on the way, over that at the start.
func BenchmarkTenMillion(b *testing.B) {
	const n = 10_000_000
	numbers := func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
	same := func(_ context.Context, i int) (int, error) { return i, nil }
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	heap := func() float64 {
		metrics.Read(live)
		return float64(live[0].Value.Uint64()) / (1 << 20)
	}
	start := heap()
	var peak float64
	for b.Loop() {
		seen := 0
		for range await.AsCompletedSeq(context.Background(), await.TaskSeq(numbers, same), await.Limit(64)) {
			if seen++; seen%10_000 == 0 {
				peak = max(peak, heap()-start)
			}
		}
	}
	b.ReportMetric(peak, "peak-live-MiB")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/task")
}
