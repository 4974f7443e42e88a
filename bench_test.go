package await_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// The benchmarks set await (lib=await) beside what one would write by hand
// (lib=hand): as fast as it can be while it does the same job. To compare, let
// them take turns for ten rounds, because whatever else the machine does comes
// and goes:
//
//	go test -c -o await.test .
//	for i in {1..10}; do ./await.test -test.run '^$' -test.bench . -test.benchtime 0.05s -test.cpu 2; done > new.out
//	go run golang.org/x/perf/cmd/benchstat@latest -col '/lib@(hand await)' new.out
//
// With another -test.cpu, set GOMAXPROCS to it too, and give one number alone:
// package testing measures a benchmark with b.Loop for the first time before it
// sets GOMAXPROCS.
//
// The column "vs base" is the time of await beside that of the code by hand:
// -50% is half of it. Some benchmarks have a third way; -col /lib shows them all.

// BenchmarkAsCompleted compares with a goroutine per task.
func BenchmarkAsCompleted(b *testing.B) {
	for _, n := range sizes {
		tasks := list(n, empty)
		bench(b, n, "hand", func() int { return goroutines(b.Context(), tasks) })
		bench(b, n, "await", func() int { return count(await.AsCompleted(b.Context(), tasks)) })
	}
}

// BenchmarkAsCompletedLimit8 compares with a pool of workers.
func BenchmarkAsCompletedLimit8(b *testing.B) {
	for _, n := range sizes {
		tasks := list(n, empty)
		bench(b, n, "hand", func() int { return pool(b.Context(), tasks, 8) })
		bench(b, n, "await", func() int { return count(await.AsCompleted(b.Context(), tasks, await.Limit(8))) })
	}
}

// BenchmarkGather compares with errgroup.
func BenchmarkGather(b *testing.B) {
	for _, n := range sizes {
		tasks := list(n, empty)
		bench(b, n, "hand", func() int { return sum(group(b.Context(), tasks, -1)) })
		bench(b, n, "await", func() int { return sum(await.Gather(b.Context(), tasks)) })
	}
}

// BenchmarkGatherLimit8 compares with errgroup and its SetLimit.
func BenchmarkGatherLimit8(b *testing.B) {
	for _, n := range sizes {
		tasks := list(n, empty)
		bench(b, n, "hand", func() int { return sum(group(b.Context(), tasks, 8)) })
		bench(b, n, "await", func() int { return sum(await.Gather(b.Context(), tasks, await.Limit(8))) })
	}
}

// BenchmarkGatherTimes compares a loop over numbers, spread over the cores,
// with one over an atomic counter.
func BenchmarkGatherTimes(b *testing.B) {
	f := func(context.Context, int) (int, error) { return 1, nil }
	for _, n := range []int{10, 1000, 100_000} {
		bench(b, n, "hand", func() int { return sum(overCounter(b.Context(), n, f)) })
		bench(b, n, "await", func() int {
			return sum(await.Gather(b.Context(), await.Times(n, f), await.Limit(runtime.GOMAXPROCS(0))))
		})
	}
}

// BenchmarkAsCompletedSeqLimit8 compares with a feeder and a pool of workers.
// lib=careful can also be left early.
func BenchmarkAsCompletedSeqLimit8(b *testing.B) {
	for _, n := range sizes {
		tasks := repeat(n, empty)
		bench(b, n, "hand", func() int { return fed(b.Context(), tasks, 8) })
		bench(b, n, "careful", func() int { return fedCarefully(b.Context(), tasks, 8) })
		bench(b, n, "await", func() int { return count(await.AsCompletedSeq(b.Context(), tasks, await.Limit(8))) })
	}
}

// BenchmarkAsCompletedSeq compares with a goroutine per item of the sequence.
func BenchmarkAsCompletedSeq(b *testing.B) {
	for _, n := range sizes {
		tasks := repeat(n, empty)
		bench(b, n, "hand", func() int { return goroutinesSeq(b.Context(), tasks) })
		bench(b, n, "await", func() int { return count(await.AsCompletedSeq(b.Context(), tasks)) })
	}
}

// BenchmarkInOrderSeqLimit8 compares with a channel of channels. lib=reuse has a
// pool of workers and uses the channels again.
func BenchmarkInOrderSeqLimit8(b *testing.B) {
	for _, n := range sizes {
		tasks := repeat(n, empty)
		bench(b, n, "hand", func() int { return channels(b.Context(), tasks, 8) })
		bench(b, n, "reuse", func() int { return channelsAgain(b.Context(), tasks, 8) })
		bench(b, n, "await", func() int { return count(await.InOrderSeq(b.Context(), tasks, await.Limit(8))) })
	}
}

// BenchmarkQueueLimit8 compares with a slice under a mutex, and workers that
// wait on a sync.Cond. All tasks are added before the loop.
func BenchmarkQueueLimit8(b *testing.B) {
	for _, n := range sizes {
		bench(b, n, "hand", func() int {
			q := newHandQueue()
			for i := range n {
				q.add(i, empty)
			}
			return q.run(b.Context(), 8)
		})
		bench(b, n, "await", func() int {
			var q await.Queue[int, int]
			for i := range n {
				q.Add(i, empty)
			}
			return count(q.AsCompleted(b.Context(), await.Limit(8)))
		})
	}
}

// BenchmarkQueueGrows is BenchmarkQueueLimit8 with tasks that add two tasks
// each.
func BenchmarkQueueGrows(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		bench(b, n, "hand", func() int {
			q := newHandQueue()
			q.add(tree(0, n, q.add))
			return q.run(b.Context(), 8)
		})
		bench(b, n, "await", func() int {
			var q await.Queue[int, int]
			q.Add(tree(0, n, q.Add))
			return count(q.AsCompleted(b.Context(), await.Limit(8)))
		})
	}
}

// BenchmarkMicrosecond compares tasks that compute for a microsecond with their
// perfect division over the cores.
func BenchmarkMicrosecond(b *testing.B) {
	const n = 10_000
	tasks := list(n, computing(time.Microsecond))
	bench(b, n, "hand", func() int { return sum(split(b.Context(), tasks), nil) })
	bench(b, n, "await", func() int { return count(await.AsCompleted(b.Context(), tasks)) })
	bench(b, n, "Gather", func() int { return sum(await.Gather(b.Context(), tasks)) })
}

// BenchmarkAsCompletedSeqBusy is BenchmarkAsCompletedSeqLimit8 with tasks that
// compute for ten microseconds. There it matters how soon another core takes
// over a goroutine that was woken.
func BenchmarkAsCompletedSeqBusy(b *testing.B) {
	const n = 2000
	tasks := repeat(n, computing(10*time.Microsecond))
	bench(b, n, "hand", func() int { return fed(b.Context(), tasks, 8) })
	bench(b, n, "await", func() int { return count(await.AsCompletedSeq(b.Context(), tasks, await.Limit(8))) })
}

// BenchmarkFirstResult tells when the first of 100,000 results arrives, of
// tasks that all block but the first. ns/op is until all have been canceled and
// have returned.
func BenchmarkFirstResult(b *testing.B) {
	const n = 100_000
	tasks := list(n, blocked)
	tasks[0] = empty
	var arrived time.Duration
	report := func(b *testing.B) {
		b.ReportMetric(float64(arrived.Nanoseconds())/float64(b.N), "ns-to-first/op")
		arrived = 0
	}
	b.Run(fmt.Sprintf("n=%d/lib=hand", n), func(b *testing.B) {
		for b.Loop() {
			start := time.Now()
			first(b.Context(), tasks, func(int) { arrived += time.Since(start) })
		}
		report(b)
	})
	b.Run(fmt.Sprintf("n=%d/lib=await", n), func(b *testing.B) {
		for b.Loop() {
			start := time.Now()
			for range await.AsCompleted(b.Context(), tasks) {
				arrived += time.Since(start)
				break
			}
		}
		report(b)
	})
}

// BenchmarkFirst is the first success of 100,000 tasks of which all block but
// the last.
func BenchmarkFirst(b *testing.B) {
	const n = 100_000
	tasks := list(n, blocked)
	tasks[n-1] = func(context.Context) (int, error) { return n, nil }
	bench(b, n, "hand", func() (winner int) {
		first(b.Context(), tasks, func(value int) { winner = value })
		return winner
	})
	bench(b, n, "await", func() int {
		_, winner, err := await.First(await.AsCompleted(b.Context(), tasks))
		require.NoError(b, err)
		return winner
	})
}

// BenchmarkTenMillion runs a sequence of 10,000,000 tasks and tells the highest
// live heap on the way, over that at the start.
func BenchmarkTenMillion(b *testing.B) {
	const n = 10_000_000
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	heap := func() float64 {
		metrics.Read(live)
		return float64(live[0].Value.Uint64()) / (1 << 20)
	}
	b.Run(fmt.Sprintf("n=%d/lib=await", n), func(b *testing.B) {
		start, peak := heap(), 0.0
		for b.Loop() {
			seen := 0
			for range await.AsCompletedSeq(b.Context(), repeat(n, empty), await.Limit(64)) {
				if seen++; seen%10_000 == 0 {
					peak = max(peak, heap()-start)
				}
			}
			require.Equal(b, n, seen)
		}
		b.ReportMetric(peak, "peak-live-MiB")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/task")
	})
}

func TestAllocationsDoNotGrowWithTheTasks(t *testing.T) {
	calls := map[string]func([]await.Task[int]){
		"AsCompleted": func(tasks []await.Task[int]) { count(await.AsCompleted(t.Context(), tasks)) },
		"Gather":      func(tasks []await.Task[int]) { sum(await.Gather(t.Context(), tasks)) },
	}
	for name, call := range calls {
		most := 5
		if testing.CoverMode() != "" || os.Getenv("MUTANT") != "" { // see internal/tools/mutate
			one := list(1, empty)
			most = allocations(func() { call(one) }) // added code keeps functions from being inlined
		}
		for _, n := range []int{1, 100, 10_000} {
			tasks := list(n, empty)
			most := most
			if n == 10_000 {
				most++ // AsCompleted makes room for so many results in two steps
			}
			require.LessOrEqual(t, allocations(func() { call(tasks) }), most, "%s of %d", name, n)
		}
	}
}

// A call that returns a loop is inlined, so that the body of the loop is not
// allocated. Nor is the slice of options that the caller passes.
func TestAllocationsOfOneTask(t *testing.T) {
	if testing.CoverMode() != "" || os.Getenv("MUTANT") != "" { // see internal/tools/mutate
		t.Skip("added code keeps functions from being inlined")
	}
	one, seq := list(1, empty), repeat(1, empty)
	for _, c := range []struct {
		name string
		most int
		call func()
	}{
		{"AsCompleted", 7, func() { count(await.AsCompleted(t.Context(), one, await.Limit(8))) }},
		{"InOrder", 8, func() { count(await.InOrder(t.Context(), one, await.Limit(8))) }},
		{"Gather", 7, func() { sum(await.Gather(t.Context(), one, await.Limit(8))) }},
		{"AsCompletedSeq", 11, func() { count(await.AsCompletedSeq(t.Context(), seq, await.Limit(8))) }},
		{"InOrderSeq", 12, func() { count(await.InOrderSeq(t.Context(), seq, await.Limit(8))) }},
		{"Queue", 10, func() {
			var q await.Queue[int, int]
			q.Add(0, empty)
			count(q.AsCompleted(t.Context(), await.Limit(8)))
		}},
	} {
		require.LessOrEqual(t, allocations(c.call), c.most, c.name)
	}
}

// allocations counts those of f, in the best of some rounds: the runtime now and
// then makes goroutines anew that it could have used again.
func allocations(f func()) int {
	least := testing.AllocsPerRun(10, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(10, f))
	}
	return int(least)
}

var sizes = []int{1, 2, 10, 100, 1000, 100_000}

// bench measures f, which must return n.
func bench(b *testing.B, n int, lib string, f func() int) {
	b.Run(fmt.Sprintf("n=%d/lib=%s", n, lib), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got := f(); got != n {
				b.Fatalf("%d results, not %d", got, n)
			}
		}
	})
}

// The tasks. Those that do nothing show what it costs to run them.

func empty(context.Context) (int, error) { return 1, nil }

func blocked(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// list is n times the same task.
func list(n int, task await.Task[int]) []await.Task[int] {
	tasks := make([]await.Task[int], n)
	for i := range tasks {
		tasks[i] = task
	}
	return tasks
}

// repeat is a list that is made as it is pulled.
func repeat(n int, task await.Task[int]) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		for i := 0; i < n && yield(i, task); i++ {
		}
	}
}

// tree is task i of n, which adds its two children in a binary tree.
func tree(i, n int, add func(int, await.Task[int])) (int, await.Task[int]) {
	return i, func(context.Context) (int, error) {
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			add(tree(child, n, add))
		}
		return 1, nil
	}
}

// computing is a task that computes for d.
func computing(d time.Duration) await.Task[int] {
	rounds := calibrate(d)
	return func(context.Context) (int, error) {
		sink.Store(int64(compute(rounds)))
		return 1, nil
	}
}

// compute keeps a core busy. It counts rounds and reads no clock, so that a
// task that is interrupted still does all of its work.
func compute(rounds int) int {
	x := uint32(1)
	for range rounds {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
	}
	return int(x)
}

var sink atomic.Int64 // keeps the compiler from leaving out what nobody uses

// calibrate finds how many rounds of compute take d: the most seen, because
// whatever else the machine does only makes it slower.
func calibrate(d time.Duration) int {
	const rounds = 1_000_000
	best := time.Hour
	for range 10 {
		start := time.Now()
		sink.Store(int64(compute(rounds)))
		best = min(best, time.Since(start))
	}
	return int(rounds * d / best)
}

// The loops over what await gives.

func count(results iter.Seq2[int, await.Result[int]]) (n int) {
	for _, r := range results {
		if r.Err == nil {
			n += r.Value
		}
	}
	return n
}

// sum is -1 if there is an error; none of the tasks returns one.
func sum(values []int, err error) (n int) {
	if err != nil {
		return -1
	}
	for _, value := range values {
		n += value
	}
	return n
}

// The same by hand. Unless a comment says so, the loops cannot be left early:
// what that needs makes them slower.

// result is what one task returned, with its index or key.
type result struct {
	key   int
	value int
	err   error
}

func goroutines(ctx context.Context, tasks []await.Task[int]) (n int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, len(tasks))
	for i, task := range tasks {
		go func() {
			value, err := task(ctx)
			results <- result{i, value, err}
		}()
	}
	for range tasks {
		if r := <-results; r.err == nil {
			n += r.value
		}
	}
	return n
}

// pool is the fastest of several: with a channel of jobs in place of the counter
// it takes up to twice as long.
func pool(ctx context.Context, tasks []await.Task[int], limit int) (n int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, len(tasks))
	var next atomic.Int64
	for range min(limit, len(tasks)) {
		go func() {
			for i := int(next.Add(1)) - 1; i < len(tasks); i = int(next.Add(1)) - 1 {
				value, err := tasks[i](ctx)
				results <- result{i, value, err}
			}
		}()
	}
	for range tasks {
		if r := <-results; r.err == nil {
			n += r.value
		}
	}
	return n
}

// group is the example Parallel of errgroup. A limit of -1 is none.
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

func overCounter(ctx context.Context, n int, f func(context.Context, int) (int, error)) ([]int, error) {
	g, ctx := errgroup.WithContext(ctx)
	values := make([]int, n)
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				value, err := f(ctx, i)
				if err != nil {
					return err
				}
				values[i] = value
			}
			return nil
		})
	}
	return values, g.Wait()
}

func fed(ctx context.Context, tasks iter.Seq2[int, await.Task[int]], limit int) (n int) {
	jobs := make(chan job, limit)
	go func() {
		for key, task := range tasks {
			jobs <- job{key, task}
		}
		close(jobs)
	}()
	results := make(chan result, limit)
	var workers sync.WaitGroup
	for range limit {
		workers.Go(func() {
			for j := range jobs {
				value, err := j.task(ctx)
				results <- result{j.key, value, err}
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	for r := range results {
		if r.err == nil {
			n += r.value
		}
	}
	return n
}

type job struct {
	key  int
	task await.Task[int]
}

// fedCarefully is fed with everything that leaving the loop needs, but it does
// not wait for the tasks then.
func fedCarefully(ctx context.Context, tasks iter.Seq2[int, await.Task[int]], limit int) (n int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan job, limit)
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
	results := make(chan result, limit)
	var workers sync.WaitGroup
	for range limit {
		workers.Go(func() {
			for j := range jobs {
				value, err := j.task(ctx)
				select {
				case results <- result{j.key, value, err}:
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
			n += r.value
		}
	}
	return n
}

func goroutinesSeq(ctx context.Context, tasks iter.Seq2[int, await.Task[int]]) (n int) {
	results := make(chan result, 64)
	go func() {
		var running sync.WaitGroup
		for key, task := range tasks {
			running.Go(func() {
				value, err := task(ctx)
				results <- result{key, value, err}
			})
		}
		running.Wait()
		close(results)
	}()
	for r := range results {
		if r.err == nil {
			n += r.value
		}
	}
	return n
}

// channels has a channel for each result, and a channel that has these in
// order.
func channels(ctx context.Context, tasks iter.Seq2[int, await.Task[int]], limit int) (n int) {
	queue := make(chan chan result, limit-1) // the loop has one more
	go func() {
		for key, task := range tasks {
			r := make(chan result, 1)
			queue <- r
			go func() {
				value, err := task(ctx)
				r <- result{key, value, err}
			}()
		}
		close(queue)
	}()
	for c := range queue {
		if r := <-c; r.err == nil {
			n += r.value
		}
	}
	return n
}

// channelsAgain lets limit results wait while limit tasks run.
func channelsAgain(ctx context.Context, tasks iter.Seq2[int, await.Task[int]], limit int) (n int) {
	type ordered struct {
		job
		result chan result
	}
	free := make(chan chan result, 2*limit)
	for range cap(free) {
		free <- make(chan result, 1)
	}
	jobs := make(chan ordered, limit)
	for range limit {
		go func() {
			for j := range jobs {
				value, err := j.task(ctx)
				j.result <- result{j.key, value, err}
			}
		}()
	}
	queue := make(chan chan result, cap(free))
	go func() {
		for key, task := range tasks {
			r := <-free
			queue <- r
			jobs <- ordered{job{key, task}, r}
		}
		close(queue)
		close(jobs)
	}()
	for c := range queue {
		if r := <-c; r.err == nil {
			n += r.value
		}
		free <- c
	}
	return n
}

// A handQueue is a queue of tasks by hand.
type handQueue struct {
	pending atomic.Int64 // added, and not yet taken by the loop

	mu   sync.Mutex
	more sync.Cond
	jobs []job
	done bool
}

func newHandQueue() *handQueue {
	q := new(handQueue)
	q.more.L = &q.mu
	return q
}

func (q *handQueue) add(key int, task await.Task[int]) {
	q.pending.Add(1)
	q.mu.Lock()
	q.jobs = append(q.jobs, job{key, task})
	q.mu.Unlock()
	q.more.Signal()
}

// next waits for a job, until there will be none.
func (q *handQueue) next() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.done {
		q.more.Wait()
	}
	if q.done {
		return job{}, false
	}
	j, q.jobs = q.jobs[0], q.jobs[1:]
	return j, true
}

func (q *handQueue) run(ctx context.Context, limit int) (n int) {
	results := make(chan result, limit)
	for range limit {
		go func() {
			for j, ok := q.next(); ok; j, ok = q.next() {
				value, err := j.task(ctx)
				results <- result{j.key, value, err}
			}
		}()
	}
	for r := range results {
		if r.err == nil {
			n += r.value
		}
		if q.pending.Add(-1) == 0 {
			break
		}
	}
	q.mu.Lock()
	q.done = true
	q.mu.Unlock()
	q.more.Broadcast()
	return n
}

// split divides the tasks evenly over the cores: nothing is faster if all take
// the same time.
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

// first calls got with the first value, cancels the other tasks, and waits for
// them.
func first(ctx context.Context, tasks []await.Task[int], got func(int)) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result, len(tasks))
	var running sync.WaitGroup
	for i, task := range tasks {
		running.Go(func() {
			value, err := task(ctx)
			results <- result{i, value, err}
		})
	}
	for range tasks {
		if r := <-results; r.err == nil {
			got(r.value)
			break
		}
	}
	cancel()
	running.Wait()
}
