package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// row is a row of benchmarks: one kind of task, one limit, some sizes.
type row struct {
	kind  string
	limit int
	sizes []int
}

// Of a million tasks there is what shows how costs grow, and no more.
var (
	listRows = []row{
		{"empty", 0, sizes},
		{"empty", 8, []int{1, 2, 10, 100, 1000, 100_000}},
		{"empty", 64, []int{1000}},
		{"1us", 0, []int{1000, 10_000}},
		{"1us", 8, []int{1000}},
		{"10us", 0, []int{1000}},
		{"1ms", 0, []int{100}},
		{"1ms", 8, []int{100}},
	}
	orderRows = []row{
		{"empty", 0, []int{1, 10, 1000, 100_000}},
		{"empty", 8, []int{1, 10, 1000, 100_000}},
		{"1ms", 8, []int{100}},
	}
	sequenceRows = []row{
		{"empty", 8, []int{1, 2, 10, 100, 1000, 100_000, million}},
		{"empty", 64, []int{1000}},
		{"1us", 8, []int{1000}},
		{"10us", 8, []int{1000}},
		{"1ms", 8, []int{100}},
	}
	orderSequenceRows = []row{
		{"empty", 8, []int{1, 10, 1000, 100_000}},
		{"1us", 8, []int{1000}},
		{"1ms", 8, []int{100}},
	}
	queueRows = []row{
		{"empty", 8, []int{1, 10, 1000, 100_000}},
		{"1us", 8, []int{1000}},
	}
)

func BenchmarkGather(b *testing.B) {
	all := append(peers(), peer{name: "split", gather: split, noLimit: true})
	for _, r := range listRows {
		r.bench(b, all, func(p *peer, tasks []task) func() int {
			if p.gather == nil || p.noLimit && r.limit > 0 || p.name == "split" && r.kind != "1us" && r.kind != "10us" {
				return nil
			}
			return func() int {
				values, err := p.gather(context.Background(), tasks, r.limit)
				must(err)
				return len(values)
			}
		})
	}
}

func BenchmarkAsCompleted(b *testing.B) {
	for _, r := range listRows {
		all := peers()
		if r.limit > 0 {
			all = append(all, fast)
		}
		r.bench(b, all, func(p *peer, tasks []task) func() int { return loop(p.finish, tasks, r.limit) })
	}
}

func BenchmarkInOrder(b *testing.B) {
	for _, r := range orderRows {
		r.bench(b, peers(), func(p *peer, tasks []task) func() int { return loop(p.inOrder, tasks, r.limit) })
	}
}

func BenchmarkAsCompletedSeq(b *testing.B) {
	for _, r := range sequenceRows {
		r.bench(b, append(peers(), fast), func(p *peer, tasks []task) func() int { return loop(p.finishSeq, slices.All(tasks), r.limit) })
	}
}

func BenchmarkInOrderSeq(b *testing.B) {
	for _, r := range orderSequenceRows {
		r.bench(b, peers(), func(p *peer, tasks []task) func() int { return loop(p.inOrderSeq, slices.All(tasks), r.limit) })
	}
}

// BenchmarkQueue adds all tasks before the loop, BenchmarkQueueGrows has them
// add two tasks each.
func BenchmarkQueue(b *testing.B) {
	for _, r := range queueRows {
		r.bench(b, append(peers(), fast), func(p *peer, tasks []task) func() int {
			fill := func(add func(int, task)) {
				for i, t := range tasks {
					add(i, t)
				}
			}
			return loop(p.queue, fill, r.limit)
		})
	}
}

func BenchmarkQueueGrows(b *testing.B) {
	for _, r := range queueRows {
		r.bench(b, append(peers(), fast), func(p *peer, tasks []task) func() int {
			return loop(p.queue, func(add func(int, task)) { add(tree(0, tasks, add)) }, r.limit)
		})
	}
}

// tree is task i, which adds its two children in a binary tree.
func tree(i int, tasks []task, add func(int, task)) (int, task) {
	return i, func(ctx context.Context) (int, error) {
		for child := 2*i + 1; child <= 2*i+2 && child < len(tasks); child++ {
			add(tree(child, tasks, add))
		}
		return tasks[i](ctx)
	}
}

// loop is a run of a loop over all results; nil if the peer has no such loop.
func loop[Tasks any](run func(context.Context, Tasks, int, func(outcome) bool), tasks Tasks, limit int) func() int {
	if run == nil {
		return nil
	}
	return func() (seen int) {
		run(context.Background(), tasks, limit, func(o outcome) bool {
			if o.err == nil {
				seen++
			}
			return true
		})
		return seen
	}
}

// BenchmarkFloor is what it costs to hand results to another goroutine, as the
// hand-written way does: through a channel with room for all.
func BenchmarkFloor(b *testing.B) {
	r := row{"empty", 0, []int{1000, 100_000}}
	all := []peer{{name: "channel", finish: handOver}, awaitPeer}
	r.bench(b, all, func(p *peer, tasks []task) func() int { return loop(p.finish, tasks, 0) })
}

func handOver(_ context.Context, tasks []task, _ int, each func(outcome) bool) {
	results := make(chan outcome, len(tasks))
	go func() {
		for i := range tasks {
			results <- outcome{key: i}
		}
		close(results)
	}()
	for result := range results {
		each(result)
	}
}

// BenchmarkFirstResult tells when the first result is there, and goes on to
// the last.
func BenchmarkFirstResult(b *testing.B) {
	for _, p := range peers() {
		for _, n := range []int{1000, 100_000} {
			if p.finish == nil {
				continue
			}
			b.Run(fmt.Sprintf("task=empty/limit=none/n=%d/lib=%s", n, p.name), func(b *testing.B) {
				tasks := list(n, makeTask("empty"))
				var first time.Duration
				for b.Loop() {
					start := time.Now()
					seen := 0
					p.finish(context.Background(), tasks, 0, func(outcome) bool {
						if seen == 0 {
							first += time.Since(start)
						}
						seen++
						return true
					})
				}
				b.ReportMetric(float64(first.Nanoseconds())/float64(b.N), "ns-to-first/op")
			})
		}
	}
}

// BenchmarkPeak tells how many goroutines there are at most.
func BenchmarkPeak(b *testing.B) {
	for _, p := range peers() {
		const n = 10_000
		if p.finish == nil {
			continue
		}
		b.Run(fmt.Sprintf("task=empty/limit=none/n=%d/lib=%s", n, p.name), func(b *testing.B) {
			var most atomic.Int64
			before := int64(runtime.NumGoroutine())
			tasks := list(n, func(context.Context) (int, error) {
				raise(&most, int64(runtime.NumGoroutine())-before)
				return 1, nil
			})
			for b.Loop() {
				loop(p.finish, tasks, 0)()
			}
			b.ReportMetric(float64(most.Load()), "goroutines")
		})
	}
}

// raise makes most at least n.
func raise(most *atomic.Int64, n int64) {
	for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
	}
}

// bench runs the row for all peers for which prepare makes a run.
func (r row) bench(b *testing.B, all []peer, prepare func(p *peer, tasks []task) func() int) {
	limit := "none"
	if r.limit > 0 {
		limit = fmt.Sprint(r.limit)
	}
	for _, n := range r.sizes {
		for _, p := range all {
			if prepare(&p, nil) == nil {
				continue
			}
			b.Run(fmt.Sprintf("task=%s/limit=%s/n=%d/lib=%s", r.kind, limit, n, p.name), func(b *testing.B) {
				run := prepare(&p, list(n, makeTask(r.kind)))
				b.ReportAllocs()
				for b.Loop() {
					if seen := run(); seen != n {
						b.Fatalf("%d of %d results", seen, n)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/task")
			})
		}
	}
}
