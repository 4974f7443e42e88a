package await_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"golang.org/x/sync/errgroup"
)

type res struct {
	i   int
	v   int
	err error
}

func idiom(ctx context.Context, tasks []await.Task[int]) (sum int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan res, len(tasks))
	for i, task := range tasks {
		go func() {
			v, err := task(ctx)
			results <- res{i, v, err}
		}()
	}
	for range tasks {
		r := <-results
		sum += r.v
	}
	return sum
}

func idiomPool(ctx context.Context, tasks []await.Task[int], limit int) (sum int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan int)
	results := make(chan res, len(tasks))
	var wg sync.WaitGroup
	for range limit {
		wg.Go(func() {
			for i := range jobs {
				v, err := tasks[i](ctx)
				results <- res{i, v, err}
			}
		})
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
		r := <-results
		sum += r.v
	}
	wg.Wait()
	return sum
}

func eg(ctx context.Context, tasks []await.Task[int], limit int) ([]int, error) {
	g, ctx := errgroup.WithContext(ctx)
	if limit > 0 {
		g.SetLimit(limit)
	}
	out := make([]int, len(tasks))
	for i, task := range tasks {
		g.Go(func() error {
			v, err := task(ctx)
			if err == nil {
				out[i] = v
			}
			return err
		})
	}
	return out, g.Wait()
}

func empties(n int) []await.Task[int] {
	tasks := make([]await.Task[int], n)
	for i := range tasks {
		tasks[i] = func(context.Context) (int, error) { return i, nil }
	}
	return tasks
}

func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

func Benchmark(b *testing.B) {
	ctx := context.Background()
	for _, n := range []int{1, 2, 10, 100, 1000, 100000} {
		tasks := empties(n)
		b.Run(fmt.Sprintf("n=%d/lib=idiom", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				idiom(ctx, tasks)
			}
		})
		b.Run(fmt.Sprintf("n=%d/lib=await", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ours(ctx, tasks)
			}
		})
		b.Run(fmt.Sprintf("n=%d/lib=errgroup", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				eg(ctx, tasks, 0)
			}
		})
		b.Run(fmt.Sprintf("n=%d/lib=gather", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				await.Gather(ctx, tasks)
			}
		})
		b.Run(fmt.Sprintf("limit=8/n=%d/lib=pool", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				idiomPool(ctx, tasks, 8)
			}
		})
		b.Run(fmt.Sprintf("limit=8/n=%d/lib=await", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ours8(ctx, tasks)
			}
		})
	}
	work := make([]await.Task[int], 10000)
	for i := range work {
		work[i] = func(context.Context) (int, error) { spin(time.Microsecond); return i, nil }
	}
	b.Run("spin/lib=split", func(b *testing.B) {
		for b.Loop() {
			var wg sync.WaitGroup
			p := runtime.GOMAXPROCS(0)
			out := make([]int, len(work))
			for k := range p {
				wg.Go(func() {
					for i := k * len(work) / p; i < (k+1)*len(work)/p; i++ {
						out[i], _ = work[i](ctx)
					}
				})
			}
			wg.Wait()
		}
	})
	b.Run("spin/lib=await", func(b *testing.B) {
		for b.Loop() {
			for _, r := range await.AsCompleted(ctx, work) {
				_ = r
			}
		}
	})
	b.Run("spin/lib=gather", func(b *testing.B) {
		for b.Loop() {
			await.Gather(ctx, work)
		}
	})
}

func ours(ctx context.Context, tasks []await.Task[int]) (sum int) {
	for _, r := range await.AsCompleted(ctx, tasks) {
		sum += r.Value
	}
	return sum
}
func ours8(ctx context.Context, tasks []await.Task[int]) (sum int) {
	for _, r := range await.AsCompleted(ctx, tasks, await.Limit(8)) {
		sum += r.Value
	}
	return sum
}
