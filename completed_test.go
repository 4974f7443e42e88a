package await_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A way is one of the functions that give results to a loop. What all of them
// promise is tested over the table of them. The key of a task is its index.
type way = wayOf[int]

// A wayOf is a way for tasks that return a T.
type wayOf[T any] struct {
	name    string
	ordered bool // results come in input order
	seq     bool // the tasks come from a sequence
	queue   bool // the tasks come from a Queue

	// loop returns the loop over tasks. Each range of it is a run of its own,
	// of a queue too. It checks what is special about the way each time.
	loop loopOver[T]
}

type loopOver[T any] func(tb testing.TB, ctx context.Context, tasks []await.Task[T], opts ...await.Option) iter.Seq2[int, await.Result[T]]

// list reports whether the tasks come from a list.
func (w wayOf[T]) list() bool { return !w.seq && !w.queue }

var ways = waysOf[int]()

func waysOf[T any]() []wayOf[T] {
	return []wayOf[T]{
		{name: "AsCompleted", loop: overList(await.AsCompleted[T])},
		{name: "InOrder", ordered: true, loop: overList(await.InOrder[T])},
		{name: "AsCompletedSeq", seq: true, loop: overSequence(await.AsCompletedSeq[int, T])},
		{name: "InOrderSeq", seq: true, ordered: true, loop: overSequence(await.InOrderSeq[int, T])},
		{name: "Queue", queue: true, loop: overQueue[T]},
	}
}

// overList adapts a function over a list.
func overList[T any](f func(context.Context, []await.Task[T], ...await.Option) iter.Seq2[int, await.Result[T]]) loopOver[T] {
	return func(_ testing.TB, ctx context.Context, tasks []await.Task[T], opts ...await.Option) iter.Seq2[int, await.Result[T]] {
		return f(ctx, tasks, opts...)
	}
}

// overSequence adapts a function over a sequence. Each run checks that the
// sequence is ranged over at most once, and that nothing of it runs when the
// loop has ended.
func overSequence[T any](f func(context.Context, iter.Seq2[int, await.Task[T]], ...await.Option) iter.Seq2[int, await.Result[T]]) loopOver[T] {
	return func(tb testing.TB, ctx context.Context, tasks []await.Task[T], opts ...await.Option) iter.Seq2[int, await.Result[T]] {
		tb.Helper()
		detached := slices.Contains(opts, await.Detach())
		var mu sync.Mutex
		var runs, running, begun, open int // guarded by mu
		results := f(ctx, func(yield func(int, await.Task[T]) bool) {
			count := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				begun += max(0, n)
				open += n
			}
			count(1)
			defer count(-1)
			slices.All(tasks)(yield)
		}, opts...)
		return func(yield func(int, await.Result[T]) bool) {
			mu.Lock()
			runs++
			running++
			mu.Unlock()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				running--
				assert.LessOrEqual(tb, begun, runs, "the sequence was ranged over more than once")
				if !detached {
					assert.LessOrEqual(tb, open, running, "the sequence runs after the end of the loop")
				}
			}()
			results(yield)
		}
	}
}

// overQueue adapts a Queue. Each run is that of a new one.
func overQueue[T any](_ testing.TB, ctx context.Context, tasks []await.Task[T], opts ...await.Option) iter.Seq2[int, await.Result[T]] {
	queue := new(await.Queue[int, T])
	first := queue.AsCompleted(ctx, opts...) // at the call, which checks and reads its arguments
	opts = slices.Clone(opts)
	var again atomic.Bool
	return func(yield func(int, await.Result[T]) bool) {
		queue, results := queue, first
		if again.Swap(true) {
			queue = new(await.Queue[int, T])
			results = queue.AsCompleted(ctx, opts...)
		}
		for i, task := range tasks {
			queue.Add(i, task)
		}
		results(yield)
	}
}

// eachWay runs f for every way in, in a bubble.
func eachWay(t *testing.T, f func(t *testing.T, w way)) {
	t.Helper()
	eachOf(t, ways, f)
}

// eachOf runs f for some ways in, in a bubble.
func eachOf(t *testing.T, some []way, f func(t *testing.T, w way)) {
	t.Helper()
	for _, w := range some {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, w) })
		})
	}
}

// eachWayForReal runs f for every way in, on real goroutines and real time.
func eachWayForReal(t *testing.T, f func(t *testing.T, w way)) {
	t.Helper()
	eachOfForReal(t, ways, f)
}

// eachOfForReal runs f for some ways in, on real goroutines and real time.
func eachOfForReal(t *testing.T, some []way, f func(t *testing.T, w way)) {
	t.Helper()
	for _, w := range some {
		t.Run(w.name, func(t *testing.T) {
			f(t, w)
			tasktest.RequireNoWorkers(t)
		})
	}
}

// waysThat are the ways in of that kind.
func waysThat(are func(w way) bool) (some []way) {
	for _, w := range ways {
		if are(w) {
			some = append(some, w)
		}
	}
	return some
}

var (
	ordered   = waysThat(func(w way) bool { return w.ordered })
	unordered = waysThat(func(w way) bool { return !w.ordered })
	lists     = waysThat(way.list)
	notLists  = waysThat(func(w way) bool { return !w.list() })
)

// runWays is a subtest that runs f for every way in, in a bubble.
func runWays(t *testing.T, sentence string, f func(t *testing.T, w way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { eachWay(t, f) })
}

// runWaysForReal is a subtest that runs f for every way in, on real goroutines
// and real time.
func runWaysForReal(t *testing.T, sentence string, f func(t *testing.T, w way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { eachWayForReal(t, f) })
}

// runOf is a subtest that runs f for some ways in, in a bubble.
func runOf(t *testing.T, some []way, sentence string, f func(t *testing.T, w way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { eachOf(t, some, f) })
}

// runOfForReal is a subtest that runs f for some ways in, on real goroutines
// and real time.
func runOfForReal(t *testing.T, some []way, sentence string, f func(t *testing.T, w way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { eachOfForReal(t, some, f) })
}

// runExits is a subtest that runs f for every exit and every way in, in a
// bubble.
func runExits(t *testing.T, sentence string, f func(t *testing.T, x exit, w way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		for _, x := range exits {
			runWays(t, x.name, func(t *testing.T, w way) { f(t, x, w) })
		}
	})
}

// runEndings is a subtest that runs f for every ending and every way in, in a
// bubble.
func runEndings(t *testing.T, sentence string, f func(t *testing.T, e ending, w way)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		for _, e := range endings {
			runWays(t, e.name, func(t *testing.T, w way) { f(t, e, w) })
		}
	})
}

// results is what a loop ranges over.
type results = iter.Seq2[int, await.Result[int]]

// An exit is a way to leave a loop. It ranges over seq, calls here with the
// first result in hand, and leaves. What the loop itself panics with comes
// through.
type exit struct {
	name  string
	leave func(seq results, here func())
}

var exits = []exit{
	{name: "break", leave: func(seq results, here func()) {
		for range seq {
			here()
			break
		}
	}},
	{name: "return", leave: func(seq results, here func()) {
		for range seq {
			here()
			return
		}
	}},
	{name: "goto", leave: func(seq results, here func()) {
		for range seq {
			here()
			goto out
		}
	out:
	}},
	{name: "break with a label", leave: func(seq results, here func()) {
	outer:
		for range 2 {
			for range seq {
				here()
				break outer
			}
		}
	}},
	{name: "continue with a label", leave: func(seq results, here func()) {
	outer:
		for range 1 {
			for range seq {
				here()
				continue outer
			}
		}
	}},
	{name: "panic", leave: func(seq results, here func()) {
		defer func() {
			switch v := recover(); v {
			case "body":
			case nil:
				panic("the body's own panic is lost")
			default:
				panic(v)
			}
		}()
		for range seq {
			here()
			panic("body")
		}
	}},
	{name: "runtime.Goexit", leave: func(seq results, here func()) {
		var raised any
		returned := false
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			defer func() { raised = recover() }()
			for range seq {
				here()
				runtime.Goexit()
			}
			returned = true
		}()
		<-exited
		if raised != nil {
			panic(raised)
		}
		if returned {
			panic("the body's Goexit is lost")
		}
	}},
	{name: "stop of iter.Pull2", leave: func(seq results, here func()) {
		next, stop := iter.Pull2(seq)
		next()
		here()
		stop()
		stop()
	}},
}

// An ending is a way in which the caller's context ends after d.
type ending struct {
	name       string
	cause, err error
	end        func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

var errCause = errors.New("the caller's cause")

var endings = []ending{
	{"cancel", context.Canceled, context.Canceled, func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(d, cancel)
		return ctx, cancel
	}},
	{"cancel with a cause", errCause, context.Canceled, func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(d, func() { cancel(errCause) })
		return ctx, func() { cancel(nil) }
	}},
	{"deadline", context.DeadlineExceeded, context.DeadlineExceeded, context.WithTimeout},
	{"deadline with a cause", errCause, context.DeadlineExceeded, func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, d, errCause)
	}},
}

// An arrival is one result and the moment when the loop got it.
type arrival struct {
	key   int
	value int
	err   error
	at    time.Duration
}

// arrivals ranges over seq to its end.
func arrivals(seq results) (all []arrival) {
	start := time.Now()
	for key, r := range seq {
		all = append(all, arrival{key, r.Value, r.Err, time.Since(start)})
	}
	return all
}

// keysOf lists the keys of arrivals.
func keysOf(all []arrival) (keys []int) {
	for _, a := range all {
		keys = append(keys, a.key)
	}
	return keys
}

// byKey sorts arrivals by their keys.
func byKey(all []arrival) []arrival {
	return slices.SortedFunc(slices.Values(all), func(a, b arrival) int { return a.key - b.key })
}

// inItsOrder turns arrivals in finish order into those that w makes of them:
// in input order, a result comes no earlier than those before it.
func (w wayOf[T]) inItsOrder(finished ...arrival) []arrival {
	if !w.ordered {
		return finished
	}
	all := byKey(finished)
	for i := 1; i < len(all); i++ {
		all[i].at = max(all[i].at, all[i-1].at)
	}
	return all
}

// unstarted lists the tasks that yield ErrNotStarted if the context ends when
// from tasks of n have started and no other has been offered: all others of a
// list, one of a sequence, and of a queue none.
func (w wayOf[T]) unstarted(from, n int) (keys []int) {
	switch {
	case w.queue || from >= n:
		return nil
	case w.seq:
		return []int{from}
	}
	for key := from; key < n; key++ {
		keys = append(keys, key)
	}
	return keys
}

// splitUnstarted separates the results of tasks that never ran. It checks that
// each says why: that ctx has ended.
func splitUnstarted(t *testing.T, ctx context.Context, all []arrival) (ran, unstarted []arrival) {
	t.Helper()
	for _, a := range all {
		if !errors.Is(a.err, await.ErrNotStarted) {
			ran = append(ran, a)
			continue
		}
		require.Zero(t, a.value)
		require.ErrorIs(t, a.err, context.Cause(ctx))
		require.ErrorIs(t, a.err, ctx.Err())
		unstarted = append(unstarted, a)
	}
	return ran, unstarted
}

// A counter counts the tasks that it has wrapped.
type counter struct{ started, running, peak atomic.Int64 }

func (c *counter) wrap(tasks ...await.Task[int]) []await.Task[int] {
	wrapped := make([]await.Task[int], len(tasks))
	for i, task := range tasks {
		wrapped[i] = func(ctx context.Context) (int, error) {
			c.started.Add(1)
			running := c.running.Add(1)
			defer c.running.Add(-1)
			for peak := c.peak.Load(); running > peak && !c.peak.CompareAndSwap(peak, running); {
				peak = c.peak.Load()
			}
			return task(ctx)
		}
	}
	return wrapped
}

// seconds makes one task for each duration, which ignores its context and
// returns its index.
func seconds(durations ...int) []await.Task[int] {
	tasks := make([]await.Task[int], len(durations))
	for i, d := range durations {
		tasks[i] = tasktest.Deaf(time.Duration(d)*time.Second, i)
	}
	return tasks
}

// instant makes n tasks that return their index at once.
func instant(n int) []await.Task[int] { return seconds(make([]int, n)...) }

// below lists the numbers from 0 to n-1.
func below(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// upTo is n, or less under the race detector, which cannot follow more than
// about 8,000 goroutines at once.
func upTo(n int) int {
	if underRace() {
		return min(n, 5000)
	}
	return n
}

// rounds is n, or less where rounds take long: under the race detector and on
// js/wasm.
func rounds(n int) int {
	if underRace() || runtime.GOOS == "js" {
		return n / 20
	}
	return n
}

// page is a value large enough to be missed. A test that fails does not print
// all of it.
type page [1 << 16]byte

func (*page) GoString() string { return "a page" }

// underRace reports whether the race detector is on.
func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// goroutineID returns the number of the goroutine that calls it.
func goroutineID() string {
	stack := make([]byte, 64)
	fields := strings.Fields(string(stack[:runtime.Stack(stack, false)]))
	return fields[1] // after "goroutine"
}

// heapInUse returns how many bytes are reachable.
func heapInUse() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one has made reachable only by pools
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// afterDetached lets the tasks of at most d that a detached call has left
// behind end. What they wrote can then be read.
func afterDetached(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// explode panics. It has a name to look for in a stack.
func explode(value any) { panic(value) }

// exploding is a task that panics with value after d, in explode.
func exploding(d time.Duration, value any) await.Task[int] {
	return func(context.Context) (int, error) {
		time.Sleep(d)
		explode(value)
		return 0, nil
	}
}

// raisedBy returns the *PanicError with which f panics.
func raisedBy(t *testing.T, f func()) *await.PanicError {
	t.Helper()
	raised, ok := tasktest.PanicOf(t, f).(*await.PanicError)
	require.True(t, ok, "should have panicked with a *PanicError")
	return raised
}

// requireRaised fails unless f panics with a *PanicError of that value.
func requireRaised(t *testing.T, value any, f func()) {
	t.Helper()
	require.Equal(t, value, raisedBy(t, f).Value)
}

// A fakeT is a test whose failure nobody sees.
type fakeT struct{ failed atomic.Bool }

func (*fakeT) Errorf(string, ...any) {}

func (f *fakeT) FailNow() {
	f.failed.Store(true)
	runtime.Goexit()
}

// requireBadInput fails unless call panics with a text that names the argument.
func requireBadInput(t *testing.T, argument string, call func()) {
	t.Helper()
	text := fmt.Sprint(tasktest.PanicOf(t, call))
	require.Regexp(t, "^await: ", text)
	require.Contains(t, text, argument)
}

func TestAsCompletedStart(t *testing.T) {
	runWays(t, "the call starts nothing, the range does", func(t *testing.T, w way) {
		var c counter
		seq := w.loop(t, t.Context(), c.wrap(seconds(0, 0)...))
		time.Sleep(time.Hour)
		require.Zero(t, c.started.Load())
		require.Len(t, arrivals(seq), 2)
		require.EqualValues(t, 2, c.started.Load())
	})

	runWays(t, "ranging again runs the tasks again", func(t *testing.T, w way) {
		var c counter
		seq := w.loop(t, t.Context(), c.wrap(seconds(1, 2, 3)...), await.Limit(2))
		first := arrivals(seq)
		require.Equal(t, []int{0, 1, 2}, keysOf(first))
		require.Equal(t, first, arrivals(seq))
		require.EqualValues(t, 6, c.started.Load())
	})

	runWays(t, "ranging again after a break runs all tasks", func(t *testing.T, w way) {
		seq := w.loop(t, t.Context(), seconds(1, 2, 3))
		for range seq {
			break
		}
		require.Equal(t, []int{0, 1, 2}, keysOf(arrivals(seq)))
	})

	runWays(t, "two goroutines may range over the same value, each its own run", func(t *testing.T, w way) {
		var c counter
		seq := w.loop(t, t.Context(), c.wrap(seconds(1, 2, 3)...))
		var got [2][]arrival
		var group sync.WaitGroup
		for k := range got {
			group.Go(func() { got[k] = arrivals(seq) })
		}
		group.Wait()
		require.Equal(t, []int{0, 1, 2}, keysOf(got[0]))
		require.Equal(t, got[0], got[1])
		require.EqualValues(t, 6, c.started.Load())
		require.EqualValues(t, 6, c.peak.Load())
	})

	runWaysForReal(t, "many goroutines may range over the same value", func(t *testing.T, w way) {
		seq := w.loop(t, t.Context(), instant(100), await.Limit(3))
		var got [8][]int
		var group sync.WaitGroup
		for k := range got {
			group.Go(func() { got[k] = keysOf(arrivals(seq)) })
		}
		group.Wait()
		for _, keys := range got {
			require.ElementsMatch(t, below(100), keys)
		}
	})

	runWays(t, "a loop inside a loop over the same value is another run", func(t *testing.T, w way) {
		seq := w.loop(t, t.Context(), seconds(1, 2), await.Limit(1))
		inner := 0
		for range seq {
			inner += len(arrivals(seq))
		}
		require.Equal(t, 4, inner)
	})

	runWays(t, "a task gets a child of the caller's context", func(t *testing.T, w way) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Hour)
		defer cancel()
		want, _ := ctx.Deadline()
		require.Equal(t, []arrival{{0, 7, nil, 0}}, arrivals(w.loop(t, ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
			if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
				return 0, tasktest.ErrBoom
			}
			return ctx.Value(key{}).(int), nil
		}})))
		require.NoError(t, ctx.Err(), "the end of the loop leaves the caller's context alone")
	})

	// A task here waits until all are in. In a bubble, one that is missing is a
	// deadlock, and the test fails at once.
	runWays(t, "without Limit every task runs before any is waited for", func(t *testing.T, w way) {
		for _, n := range []int{1, 2, 10, 100, 1000, upTo(10_000)} {
			var in atomic.Int64
			open := make(chan struct{})
			require.Len(t, arrivals(w.loop(t, t.Context(), tasktest.Copies(n, func(context.Context) (int, error) {
				if in.Add(1) == int64(n) {
					close(open)
				}
				<-open
				return 0, nil
			}))), n)
		}
	})

	runWays(t, "a blocked task does not keep others from starting", func(t *testing.T, w way) {
		var c counter
		tasks := slices.Concat(seconds(9), instant(50), seconds(9), instant(50))
		start := time.Now()
		ended := make(chan []arrival)
		go func() { ended <- arrivals(w.loop(t, t.Context(), c.wrap(tasks...))) }()
		synctest.Wait()
		require.Zero(t, time.Since(start))
		require.EqualValues(t, len(tasks), c.started.Load())
		require.EqualValues(t, 2, c.running.Load())
		require.Len(t, <-ended, len(tasks))
	})

	// All tasks but the first block, and to launch all of them takes far longer
	// than one result.
	runWaysForReal(t, "the first result does not wait for the launch of the rest", func(t *testing.T, w way) {
		n := upTo(100_000)
		var c counter
		tasks := tasktest.Copies(n, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil })
		tasks[0] = func(context.Context) (int, error) { return 1, nil }
		for i, r := range w.loop(t, t.Context(), c.wrap(tasks...)) {
			require.Less(t, c.started.Load(), int64(n))
			require.Equal(t, 0, i)
			require.Equal(t, 1, r.Value)
			break
		}
		require.Zero(t, c.running.Load())
	})

	runWays(t, "with Limit(n) exactly n run", func(t *testing.T, w way) {
		for _, n := range []int{1, 2, 10, 100} {
			for _, opts := range [][]await.Option{
				{await.Limit(n)},
				{await.Limit(n), await.Buffer(0)},
				{await.Buffer(50 * n), await.Limit(n)},
			} {
				var c counter
				start := time.Now()
				require.Len(t, arrivals(w.loop(t, t.Context(), c.wrap(tasktest.Copies(10*n, tasktest.Deaf(time.Second, 0))...), opts...)), 10*n)
				require.EqualValues(t, n, c.peak.Load())
				require.Equal(t, 10*time.Second, time.Since(start))
			}
		}
	})

	runWays(t, "with Limit(n) exactly n run while there are n to run", func(t *testing.T, w way) {
		const n, tasks = 3, 40
		rng := rand.New(rand.NewPCG(1, 2))
		durations := make([]int, tasks)
		for i := range durations {
			durations[i] = 1 + rng.IntN(5)
		}
		var c counter
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			arrivals(w.loop(t, t.Context(), c.wrap(seconds(durations...)...), await.Limit(n), await.Buffer(tasks)))
		}()
		// Between two whole seconds no task starts or ends.
		time.Sleep(time.Second / 2)
		for full := true; full; time.Sleep(time.Second) {
			started, running := c.started.Load(), c.running.Load()
			full = started < tasks
			if full {
				require.EqualValues(t, n, running)
			}
		}
		<-ended
		require.EqualValues(t, n, c.peak.Load())
	})

	runWays(t, "a limit above the number of tasks is no limit", func(t *testing.T, w way) {
		var c counter
		require.Len(t, arrivals(w.loop(t, t.Context(), c.wrap(seconds(1, 1, 1)...), await.Limit(1000))), 3)
		require.EqualValues(t, 3, c.peak.Load())
	})

	runWays(t, "with Limit a task starts when another ends, in input order", func(t *testing.T, w way) {
		durations := []int{3, 1, 1, 5, 1, 1, 4}
		starts := make([]time.Duration, len(durations))
		begin := time.Now()
		tasks := seconds(durations...)
		for i, task := range tasks {
			tasks[i] = func(ctx context.Context) (int, error) {
				starts[i] = time.Since(begin)
				return task(ctx)
			}
		}
		arrivals(w.loop(t, t.Context(), tasks, await.Limit(2), await.Buffer(len(tasks))))
		want := []time.Duration{0, 0, 1, 2, 3, 4, 5}
		for i := range want {
			want[i] *= time.Second
		}
		require.Equal(t, want, starts)
	})

	runWaysForReal(t, "with Limit(1) tasks run in input order, one at a time", func(t *testing.T, w way) {
		var order []int // not locked: the race detector would report it
		tasks := make([]await.Task[int], 1000)
		for i := range tasks {
			tasks[i] = func(context.Context) (int, error) {
				order = append(order, i)
				runtime.Gosched()
				return i, nil
			}
		}
		got := arrivals(w.loop(t, t.Context(), tasks, await.Limit(1)))
		require.Equal(t, below(len(tasks)), order)
		require.Equal(t, order, keysOf(got))
	})

	runWays(t, "a task may run a loop of its own", func(t *testing.T, w way) {
		for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(1), await.Buffer(0)}} {
			size, err := treeOf(t, w, 4, 5, opts...)(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1+5+25+125+625, size)
		}
	})

	runWaysForReal(t, "a task may run a loop of its own, outside of bubbles", func(t *testing.T, w way) {
		for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(1), await.Buffer(0)}} {
			size, err := treeOf(t, w, 4, 5, opts...)(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1+5+25+125+625, size)
		}
	})

}

// treeOf is a task that has width tasks below it, and so on down to depth. It
// returns how many there are with itself.
func treeOf(t *testing.T, w way, depth, width int, opts ...await.Option) await.Task[int] {
	t.Helper()
	return func(ctx context.Context) (int, error) {
		size := 1
		if depth == 0 {
			return size, nil
		}
		for _, r := range w.loop(t, ctx, tasktest.Copies(width, treeOf(t, w, depth-1, width, opts...)), opts...) {
			if r.Err != nil {
				return 0, r.Err
			}
			size += r.Value
		}
		return size, nil
	}
}

func TestAsCompletedBadInput(t *testing.T) {
	var noContext context.Context
	good := instant(3)
	for _, test := range []struct {
		sentence string
		call     func(t *testing.T, w way)
		want     string
	}{
		{"a nil context panics at the call", func(t *testing.T, w way) { w.loop(t, noContext, good) }, "context"},
		{"a nil context without tasks panics at the call", func(t *testing.T, w way) { w.loop(t, noContext, nil) }, "context"},
		{"a nil option panics at the call", func(t *testing.T, w way) { w.loop(t, t.Context(), good, await.Limit(1), nil) }, "option 1"},
		{"a nil option without tasks panics at the call", func(t *testing.T, w way) { w.loop(t, t.Context(), nil, nil) }, "option 0"},
		{"a nil limiter panics at the call", func(t *testing.T, w way) { w.loop(t, t.Context(), good, await.Within(nil)) }, "limiter"},
	} {
		runWays(t, test.sentence, func(t *testing.T, w way) {
			requireBadInput(t, test.want, func() { test.call(t, w) })
		})
	}

	runOf(t, lists, "a nil task in a list panics at the call and is named", func(t *testing.T, w way) {
		requireBadInput(t, "task 2", func() { w.loop(t, t.Context(), []await.Task[int]{good[0], good[1], nil}) })
		requireBadInput(t, "task 0", func() { w.loop(t, t.Context(), []await.Task[int]{nil}) })
	})
}

func TestAsCompletedResults(t *testing.T) {
	runWays(t, "come in finish order, or in input order", func(t *testing.T, w way) {
		require.Equal(t, w.inItsOrder(
			arrival{1, 1, nil, 1 * time.Second},
			arrival{2, 2, nil, 2 * time.Second},
			arrival{0, 0, nil, 3 * time.Second},
		), arrivals(w.loop(t, t.Context(), seconds(3, 1, 2))))
	})

	runOfForReal(t, unordered, "come in finish order without clocks", func(t *testing.T, w way) {
		second, third := make(chan struct{}), make(chan struct{})
		var order []int
		for i, r := range w.loop(t, t.Context(), []await.Task[int]{
			func(context.Context) (int, error) { <-third; return 10, nil },
			func(context.Context) (int, error) { return 11, nil },
			func(context.Context) (int, error) { <-second; return 12, nil },
		}) {
			require.Equal(t, await.Result[int]{Value: 10 + i}, r)
			order = append(order, i)
			switch i {
			case 1:
				close(second)
			case 2:
				close(third)
			}
		}
		require.Equal(t, []int{1, 2, 0}, order)
	})

	runWaysForReal(t, "come once each, however many wait, or are given up when the loop is left", func(t *testing.T, w way) {
		for _, n := range []int{1024, 1025, 3000} { // 1024 is how many a list has room for from the start
			for _, left := range []int{1, 1024, 1025, 2000, n} {
				var finished sync.WaitGroup
				finished.Add(n)
				tasks := await.Times(n, func(_ context.Context, i int) (int, error) {
					finished.Done()
					return i, nil
				})
				var seen, discarded []int
				for i, r := range w.loop(t, t.Context(), tasks, await.OnDiscard(func(i int) { discarded = append(discarded, i) })) {
					finished.Wait()
					require.Equal(t, await.Result[int]{Value: i}, r)
					seen = append(seen, i)
					if len(seen) == left {
						break
					}
				}
				require.Len(t, seen, min(left, n))
				if !w.queue { // which keeps the others for its next loop
					require.Equal(t, below(n), slices.Sorted(slices.Values(append(seen, discarded...))), "%d of %d", left, n)
				}
			}
		}
	})

	runWays(t, "come in that order also when the body is slow", func(t *testing.T, w way) {
		rng := rand.New(rand.NewPCG(3, 4))
		for range 20 {
			durations := rng.Perm(50) // all different
			want := make([]int, len(durations))
			for i, d := range durations {
				want[d] = i
			}
			if w.ordered {
				want = below(len(want))
			}
			var got []int
			for i, r := range w.loop(t, t.Context(), seconds(durations...)) {
				require.Equal(t, await.Result[int]{Value: i}, r)
				got = append(got, i)
				time.Sleep(time.Duration(rng.IntN(100)) * time.Second)
			}
			require.Equal(t, want, got)
		}
	})

	// Four run at a time. Each of the nine tasks is released when the result
	// before it is there.
	runOf(t, unordered, "come in finish order while Limit moves over the tasks", func(t *testing.T, w way) {
		want := []int{0, 2, 1, 3, 4, 7, 8, 6, 5}
		gates := make([]chan struct{}, len(want))
		tasks := make([]await.Task[int], len(want))
		for i := range tasks {
			gates[i] = make(chan struct{})
			tasks[i] = func(context.Context) (int, error) { <-gates[i]; return i, nil }
		}
		close(gates[want[0]])
		var got []int
		for i, r := range w.loop(t, t.Context(), tasks, await.Limit(4)) {
			require.Equal(t, await.Result[int]{Value: i}, r)
			synctest.Wait() // until the next task runs
			got = append(got, i)
			if len(got) < len(want) {
				close(gates[want[len(got)]])
			}
		}
		require.Equal(t, want, got)
	})

	runWaysForReal(t, "every task yields one", func(t *testing.T, w way) {
		for _, n := range []int{0, 1, 2, 3, 100, 5000} {
			for _, opts := range [][]await.Option{
				nil,
				{await.Limit(1)},
				{await.Limit(7)},
				{await.Limit(7), await.Buffer(0)},
				{await.Limit(7), await.Buffer(1)},
				{await.Limit(7), await.Buffer(2 * n)},
				{await.Limit(n + 1)},
				{await.Within(await.NewLimiter(3))},
				{await.Detach()},
			} {
				got := arrivals(w.loop(t, t.Context(), instant(n), opts...))
				require.Len(t, got, n)
				for i, a := range byKey(got) {
					require.Equal(t, i, a.key)
					require.Equal(t, i, a.value)
					require.NoError(t, a.err)
				}
			}
		}
	})

	runWays(t, "a failed task is one like any other, and the loop goes on", func(t *testing.T, w way) {
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, tasktest.ErrBoom, 2 * time.Second},
			{2, 30, tasktest.ErrBoom, 3 * time.Second}, // the value is kept
			{3, 40, nil, 4 * time.Second},
		}, arrivals(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.After(1*time.Second, 10),
			tasktest.Failing[int](2*time.Second, tasktest.ErrBoom),
			func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 30, tasktest.ErrBoom },
			tasktest.After(4*time.Second, 40),
		})))
	})

	runWaysForReal(t, "the body runs on the caller's goroutine", func(t *testing.T, w way) {
		caller, bodies := goroutineID(), 0
		for range w.loop(t, t.Context(), instant(50), await.Limit(3)) {
			bodies++
			require.Equal(t, caller, goroutineID())
		}
		require.Equal(t, 50, bodies)
	})

	runWaysForReal(t, "what a task wrote is visible to the body that gets its result", func(t *testing.T, w way) {
		for _, opts := range [][]await.Option{nil, {await.Limit(3)}, {await.Limit(3), await.Buffer(1)}} {
			wrote := make([]int, 500)
			tasks := make([]await.Task[int], len(wrote))
			for i := range tasks {
				tasks[i] = func(context.Context) (int, error) {
					wrote[i] = i + 1
					switch i % 10 {
					case 0:
						runtime.Goexit()
					case 1:
						return 0, tasktest.ErrBoom
					}
					return i, nil
				}
			}
			for i := range w.loop(t, t.Context(), tasks, opts...) {
				require.Equal(t, i+1, wrote[i])
				wrote[i] = 0
			}
		}
	})

	runWays(t, "duplicates are separate tasks", func(t *testing.T, w way) {
		calls := 0 // one task at a time
		task := func(context.Context) (int, error) { calls++; return calls, nil }
		got := arrivals(w.loop(t, t.Context(), tasktest.Copies(3, task), await.Limit(1)))
		require.Equal(t, []arrival{{0, 1, nil, 0}, {1, 2, nil, 0}, {2, 3, nil, 0}}, got)
	})

	runWays(t, "nothing yields nothing", func(t *testing.T, w way) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{t.Context(), ended} {
			for _, opts := range [][]await.Option{nil, {await.Limit(1), await.Buffer(0)}, {await.Detach()}, {await.Within(await.NewLimiter(1))}} {
				require.Empty(t, arrivals(w.loop(t, ctx, nil, opts...)))
				require.Empty(t, arrivals(w.loop(t, ctx, []await.Task[int]{}, opts...)))
			}
		}
	})

	t.Run("one that was yielded is not kept", func(t *testing.T) {
		for _, w := range waysOf[*page]() {
			t.Run(w.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var pages [4]weak.Pointer[page]
					var errs [4]weak.Pointer[await.TaskError]
					tasks := make([]await.Task[*page], len(pages))
					for i := range tasks {
						tasks[i] = func(context.Context) (*page, error) {
							if i == 0 {
								time.Sleep(time.Second) // in input order, the others wait for it
							}
							value, err := new(page), &await.TaskError{Err: tasktest.ErrBoom}
							pages[i], errs[i] = weak.Make(value), weak.Make(err)
							return value, err
						}
					}
					last := -1
					for i := range w.loop(t, t.Context(), tasks) {
						synctest.Wait() // the others are there too
						if last >= 0 {
							runtime.GC()
							assert.Nil(t, pages[last].Value(), "the value of result %d is kept", last)
							assert.Nil(t, errs[last].Value(), "the error of result %d is kept", last)
						}
						last = i
					}
				})
			})
		}
	})

	// Tasks end in every way, with every option that may change who runs them.
	runWaysForReal(t, "every task yields one under stress", func(t *testing.T, w way) {
		rng := rand.New(rand.NewPCG(11, 12))
		for range 300 {
			n, limit, buffer := rng.IntN(51), 1+rng.IntN(5), rng.IntN(6)
			kinds := make([]int, n)
			tasks := make([]await.Task[int], n)
			var c counter
			var yielded atomic.Int64
			bound := int64(limit + buffer + 1) // the body counts a result only when it has it
			for i := range tasks {
				kinds[i] = rng.IntN(7)
				tasks[i] = func(context.Context) (int, error) {
					if c.started.Load()-yielded.Load() > bound {
						t.Error("too many are started and unread")
					}
					switch kinds[i] {
					case 0:
						return i, nil
					case 1:
						return i, tasktest.ErrBoom
					case 2:
						runtime.Goexit()
					case 3:
						explode(i)
					case 4:
						runtime.Gosched()
					case 5:
						time.Sleep(time.Microsecond)
					}
					return i, nil
				}
			}
			opts := []await.Option{await.Recover(), await.Limit(limit), await.Buffer(buffer)}
			if n%3 == 0 {
				opts = append(opts, await.Within(await.NewLimiter(1+n%4)))
			}
			if n%7 == 0 {
				opts = append(opts, await.Detach())
			}
			keys := []int{}
			for i, r := range w.loop(t, t.Context(), c.wrap(tasks...), opts...) {
				yielded.Add(1)
				keys = append(keys, i)
				switch kinds[i] {
				case 1:
					require.Equal(t, await.Result[int]{Value: i, Err: tasktest.ErrBoom}, r)
				case 2:
					require.Equal(t, await.Result[int]{Err: await.ErrGoexit}, r)
				case 3:
					var panicked *await.PanicError
					require.ErrorAs(t, r.Err, &panicked)
					require.Equal(t, i, panicked.Key)
					require.Equal(t, i, panicked.Value)
				default:
					require.Equal(t, await.Result[int]{Value: i}, r)
				}
			}
			if !w.ordered {
				slices.Sort(keys)
			}
			require.Equal(t, below(n), keys)
			require.LessOrEqual(t, c.peak.Load(), int64(limit))
		}
	})
}

// The loop's end is the end.
func TestAsCompletedLeft(t *testing.T) {
	// Three can run. When the first has returned and the fourth runs in its
	// place, the loop is left. The second returns at once then, the third takes
	// two seconds more, and the fourth does not look at its context until second
	// nine.
	runExits(t, "the end waits for every task that runs", func(t *testing.T, x exit, w way) {
		var c counter
		var causes [3]error // not locked: the end comes after the tasks
		tasks := c.wrap(slices.Concat([]await.Task[int]{
			tasktest.Deaf(time.Second, 0),
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				causes[0] = context.Cause(ctx)
				return 0, nil
			},
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				causes[1] = context.Cause(ctx)
				time.Sleep(2 * time.Second)
				return 0, nil
			},
			func(ctx context.Context) (int, error) {
				time.Sleep(8 * time.Second)
				causes[2] = context.Cause(ctx)
				return 0, nil
			},
		}, tasktest.Copies(20, tasktest.Deaf(time.Second, 0)))...)
		start := time.Now()
		bodies := 0
		x.leave(w.loop(t, t.Context(), tasks, await.Limit(3)), func() {
			bodies++
			synctest.Wait() // until the fourth runs
		})
		require.Equal(t, 9*time.Second, time.Since(start))
		require.Zero(t, c.running.Load())
		require.EqualValues(t, 4, c.started.Load())
		require.Equal(t, 1, bodies)
		for _, cause := range causes {
			require.Equal(t, await.ErrStopped, cause)
		}
		time.Sleep(time.Hour)
		require.EqualValues(t, 4, c.started.Load())
	})

	// A bubble can hide a missing wait. The race detector sees a write that
	// comes after the end.
	t.Run("the end waits for every task that runs, outside of bubbles", func(t *testing.T) {
		for _, x := range exits {
			runWaysForReal(t, x.name, func(t *testing.T, w way) {
				for range rounds(200) {
					var c counter
					late := 0
					tasks := c.wrap(
						func(context.Context) (int, error) { return 0, nil },
						func(ctx context.Context) (int, error) {
							<-ctx.Done()
							for range 10 {
								runtime.Gosched()
							}
							late = 1
							return 0, nil
						},
					)
					x.leave(w.loop(t, t.Context(), tasks), func() {
						for c.started.Load() < 2 {
							runtime.Gosched()
						}
					})
					require.Zero(t, c.running.Load())
					require.Equal(t, 1, late)
				}
			})
		}
	})

	runExits(t, "the tasks are canceled at the moment of leaving", func(t *testing.T, x exit, w way) {
		start := time.Now()
		var canceled time.Duration
		x.leave(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(time.Second, 0),
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				canceled = time.Since(start)
				return 0, nil
			},
			tasktest.Deaf(time.Minute, 0),
		}), func() { time.Sleep(time.Second) })
		require.Equal(t, 2*time.Second, canceled)
		require.Equal(t, time.Minute, time.Since(start))
	})

	runExits(t, "tasks that wait for room do not start", func(t *testing.T, x exit, w way) {
		for _, opts := range [][]await.Option{
			{await.Limit(3), await.Buffer(2)},
			{await.Limit(3), await.Buffer(2), await.Within(await.NewLimiter(2))},
		} {
			var c counter
			x.leave(w.loop(t, t.Context(), c.wrap(instant(100)...), opts...), synctest.Wait)
			require.EqualValues(t, 1+3+2, c.started.Load())
		}
	})

	runWays(t, "when all is done, the tasks' context ends with ErrStopped", func(t *testing.T, w way) {
		var cause func() error
		for range w.loop(t, t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			cause = func() error { return context.Cause(ctx) }
			return 0, nil
		}}) {
			require.NoError(t, cause(), "the loop has not ended yet")
		}
		require.Equal(t, await.ErrStopped, cause())
	})

	// With room for one, the result in hand has just made room for the next task
	// when the loop is left. The worker that has got this room must look at the
	// context again. With one processor, a worker that the loop wakes runs only
	// when the loop's goroutine waits, which is after the loop's end. Where the
	// scheduler interrupts the loop's goroutine, a worker may look just before
	// the end and start just after it, but that is rare.
	t.Run("a worker that waited for room starts nothing afterwards", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		eachWayForReal(t, func(t *testing.T, w way) {
			late := 0
			for range 1000 {
				var started atomic.Bool
				tasks := tasktest.Copies(10, func(ctx context.Context) (int, error) {
					if ctx.Err() != nil {
						started.Store(true)
					}
					return 0, nil
				})
				for i := range w.loop(t, t.Context(), tasks, await.Limit(1), await.Buffer(0)) {
					if i == 1 {
						break
					}
				}
				if started.Load() {
					late++
				}
			}
			require.Less(t, late, 100, "loops after which a task has started, of 1000")
		})
	})

	// With one processor, a goroutine that the loop does not wait for is still
	// there when they are counted.
	t.Run("a loop over nothing to run leaves no goroutine", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		ctx := t.Context()
		ended, cancel := context.WithCancel(ctx)
		cancel()
		tasktest.RequireNoWorkers(t)
		eachWayForReal(t, func(t *testing.T, w way) {
			for range 100 {
				arrivals(w.loop(t, ended, instant(3), await.Detach()))
				require.Zero(t, tasktest.Workers())
				if w.seq {
					continue // the goroutine that ranges over it may still be about to exit
				}
				require.Len(t, arrivals(w.loop(t, ended, instant(3))), len(w.unstarted(0, 3)))
				require.Empty(t, arrivals(w.loop(t, ctx, nil)))
				require.Zero(t, tasktest.Workers())
			}
		})
	})

	runWays(t, "iter.Pull2 without a pull starts nothing", func(t *testing.T, w way) {
		var c counter
		next, stop := iter.Pull2(w.loop(t, t.Context(), c.wrap(seconds(1, 1)...)))
		stop()
		stop()
		_, _, ok := next()
		require.False(t, ok)
		time.Sleep(time.Hour)
		require.Zero(t, c.started.Load())
	})

	runWays(t, "iter.Pull2 yields nothing after the end", func(t *testing.T, w way) {
		next, stop := iter.Pull2(w.loop(t, t.Context(), seconds(1, 2)))
		for want := range 2 {
			i, r, ok := next()
			require.True(t, ok)
			require.Equal(t, want, i)
			require.Equal(t, await.Result[int]{Value: want}, r)
		}
		for range 3 {
			_, r, ok := next()
			require.False(t, ok)
			require.Zero(t, r)
		}
		stop()
		stop()
		_, _, ok := next()
		require.False(t, ok)
	})

	runWays(t, "iter.Pull2 yields nothing after stop", func(t *testing.T, w way) {
		next, stop := iter.Pull2(w.loop(t, t.Context(), seconds(1, 1, 1)))
		_, _, ok := next()
		require.True(t, ok)
		stop()
		_, _, ok = next()
		require.False(t, ok)
	})

	runWays(t, "leaving the outer loop ends the inner ones", func(t *testing.T, w way) {
		var c counter
		leaves := c.wrap(tasktest.Copies(5, tasktest.After(time.Hour, 0))...)
		inner := func(ctx context.Context) (int, error) {
			var all []error
			for _, r := range w.loop(t, ctx, leaves) {
				all = append(all, r.Err)
			}
			return 0, errors.Join(all...)
		}
		start := time.Now()
		for range w.loop(t, t.Context(), slices.Concat(seconds(1), tasktest.Copies(5, inner))) {
			require.EqualValues(t, 25, c.running.Load())
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		require.Zero(t, c.running.Load())
	})

	runWaysForReal(t, "taking one result and leaving, many times", func(t *testing.T, w way) {
		for round := range 5000 {
			var c counter
			tasks := make([]await.Task[int], 24)
			for i := range tasks {
				switch i % 3 {
				case 0:
					tasks[i] = func(context.Context) (int, error) { return i, nil }
				case 1:
					tasks[i] = func(ctx context.Context) (int, error) { <-ctx.Done(); return i, nil }
				case 2:
					tasks[i] = func(context.Context) (int, error) { runtime.Gosched(); return i, tasktest.ErrBoom }
				}
			}
			var opts []await.Option
			if round%2 == 0 {
				opts = []await.Option{await.Limit(1 + round%8)}
			}
			taken := 0
			for i, r := range w.loop(t, t.Context(), c.wrap(tasks...), opts...) {
				require.Equal(t, i, r.Value)
				taken++
				break
			}
			require.Equal(t, 1, taken)
			require.Zero(t, c.running.Load())
		}
	})
}

// A foreignContext is not of package context, and its children learn of its end
// late: here not at all. It counts those that wait to be told.
type foreignContext struct {
	context.Context
	done chan struct{}

	mu      sync.Mutex
	waiting int // guarded by mu
}

func newForeignContext(parent context.Context) *foreignContext {
	return &foreignContext{Context: parent, done: make(chan struct{})}
}

func (c *foreignContext) end() { close(c.done) }

func (c *foreignContext) Done() <-chan struct{} { return c.done }

func (c *foreignContext) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// AfterFunc is what package context calls on a context that has it.
func (c *foreignContext) AfterFunc(func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting++
	return sync.OnceValue(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
		return true
	})
}

func (c *foreignContext) waiters() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// A bareContext is foreign too. Package context watches its channel with a
// goroutine for each child.
type bareContext struct{ done chan struct{} }

func (bareContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (bareContext) Value(any) any               { return nil }
func (c bareContext) Done() <-chan struct{}     { return c.done }

func (c bareContext) Err() error {
	select {
	case <-c.done:
		return tasktest.ErrBoom
	default:
		return nil
	}
}

func TestAsCompletedContext(t *testing.T) {
	runEndings(t, "when it has ended, nothing starts", func(t *testing.T, e ending, w way) {
		ctx, cancel := e.end(t.Context(), time.Second)
		defer cancel()
		var c counter
		tasks := c.wrap(seconds(1, 1, 1, 1)...)
		between := w.loop(t, ctx, tasks) // ended between the call and the range
		time.Sleep(time.Second)
		synctest.Wait()
		check := func(seq results) {
			ran, unstarted := splitUnstarted(t, ctx, arrivals(seq))
			require.Empty(t, ran)
			require.Equal(t, w.unstarted(0, 4), keysOf(unstarted))
			for _, a := range unstarted {
				require.Zero(t, a.at)
			}
		}
		check(between)
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(2), await.Buffer(0)}, {await.Within(await.NewLimiter(1))}} {
			check(w.loop(t, ctx, tasks, opts...))
		}
		require.Zero(t, c.started.Load())
	})

	// Two run at a time. The context ends at second 3, when task 0 has returned,
	// task 1 obeys it, task 2 does not, and tasks 3 to 5 have not started.
	runEndings(t, "when it ends, the running tasks yield their own results", func(t *testing.T, e ending, w way) {
		ctx, cancel := e.end(t.Context(), 3*time.Second)
		defer cancel()
		var c counter
		ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(t, ctx, c.wrap(
			tasktest.Deaf(1*time.Second, 10),
			tasktest.After(time.Hour, 11),
			tasktest.Deaf(9*time.Second, 12),
			tasktest.Deaf(1*time.Second, 13),
			tasktest.Deaf(1*time.Second, 14),
			tasktest.Deaf(1*time.Second, 15),
		), await.Limit(2))))
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, e.cause, 3 * time.Second},
			{2, 12, nil, 10 * time.Second},
		}, ran)
		require.Equal(t, w.unstarted(3, 6), keysOf(unstarted), "in input order")
		for _, a := range unstarted {
			if w.list() || w.ordered {
				require.Equal(t, 10*time.Second, a.at, "after those that ran")
			}
		}
		require.EqualValues(t, 3, c.started.Load())
	})

	runWays(t, "when it ends, finished results still come", func(t *testing.T, w way) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var got []int
		for i, r := range w.loop(t, ctx, seconds(1, 2, 3, 4, 20, 1, 1), await.Limit(3)) {
			if got == nil {
				time.Sleep(time.Minute)
			}
			got = append(got, i)
			require.Equal(t, await.Result[int]{Value: i}, r)
		}
		// Tasks 5 and 6 ran beside 4, so all had started.
		require.ElementsMatch(t, below(7), got)
	})

	runWays(t, "the body may end it", func(t *testing.T, w way) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var all []arrival
		for i, r := range w.loop(t, ctx, slices.Concat(seconds(1), tasktest.Copies(5, tasktest.After(time.Hour, 0))), await.Limit(2)) {
			synctest.Wait() // until the third task runs
			cancel(errCause)
			all = append(all, arrival{key: i, err: r.Err})
		}
		ran, unstarted := splitUnstarted(t, ctx, all)
		require.Equal(t, []arrival{{key: 0}, {key: 1, err: errCause}, {key: 2, err: errCause}}, byKey(ran))
		require.Equal(t, w.unstarted(3, 6), keysOf(unstarted))
	})

	runWays(t, "it may end while the buffer is full", func(t *testing.T, w way) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var c counter
		var all []arrival
		for i, r := range w.loop(t, ctx, c.wrap(instant(10)...), await.Limit(2), await.Buffer(1)) {
			synctest.Wait()
			cancel(errCause)
			all = append(all, arrival{key: i, value: r.Value, err: r.Err})
		}
		ran, unstarted := splitUnstarted(t, ctx, all)
		require.Equal(t, []arrival{{key: 0}, {key: 1, value: 1}, {key: 2, value: 2}, {key: 3, value: 3}}, byKey(ran))
		require.Equal(t, w.unstarted(4, 10), keysOf(unstarted))
		require.EqualValues(t, 4, c.started.Load())
	})

	runWays(t, "the loop may be left among the tasks that never ran", func(t *testing.T, w way) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var got []int
		for i := range w.loop(t, ctx, seconds(1, 1, 1, 1)) {
			if got = append(got, i); i == 1 {
				break
			}
		}
		require.Equal(t, w.unstarted(0, 2), got)
	})

	runWays(t, "the tasks see the caller's cause", func(t *testing.T, w way) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
		defer cancel()
		var cause error
		for range w.loop(t, ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return 0, nil
		}}) {
		}
		require.Equal(t, errCause, cause)
	})

	runWays(t, "an end after the last task changes nothing", func(t *testing.T, w way) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var got []int
		for i, r := range w.loop(t, ctx, seconds(1, 2)) {
			time.Sleep(time.Minute)
			require.Equal(t, await.Result[int]{Value: i}, r)
			got = append(got, i)
		}
		require.Equal(t, []int{0, 1}, got)
	})

	// The context ends in the first of 200 quick tasks.
	runWays(t, "one of a foreign type is asked before every start", func(t *testing.T, w way) {
		ctx := newForeignContext(t.Context())
		var c counter
		tasks := instant(200)
		tasks[0] = func(context.Context) (int, error) { ctx.end(); return 0, nil }
		ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(t, ctx, c.wrap(tasks...), await.Limit(1))))
		require.Equal(t, []arrival{{}}, ran)
		require.Equal(t, w.unstarted(1, 200), keysOf(unstarted))
		require.EqualValues(t, 1, c.started.Load())
	})

	runWaysForReal(t, "one of a foreign type is asked before every start, outside of bubbles", func(t *testing.T, w way) {
		for range 50 {
			ctx := bareContext{make(chan struct{})}
			var c counter
			tasks := instant(200)
			tasks[0] = func(context.Context) (int, error) { close(ctx.done); return 0, nil }
			ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(t, ctx, c.wrap(tasks...), await.Limit(1))))
			require.Len(t, ran, 1)
			require.Len(t, unstarted, len(w.unstarted(1, 200)))
			require.EqualValues(t, 1, c.started.Load())
		}
	})

	// Task 1 runs when the context ends at second 2, and task 2 would follow it
	// at second 5. Whoever finds the context ended cancels the tasks too.
	runWays(t, "one of a foreign type that ends cancels the tasks at the next start", func(t *testing.T, w way) {
		ctx := newForeignContext(t.Context())
		time.AfterFunc(2*time.Second, ctx.end)
		var cause error
		start := time.Now()
		ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(t, ctx, []await.Task[int]{
			tasktest.Deaf(5*time.Second, 0),
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return 1, nil
			},
			tasktest.Deaf(time.Second, 2),
			tasktest.Deaf(time.Second, 3),
		}, await.Limit(2))))
		require.Equal(t, []arrival{{0, 0, nil, 5 * time.Second}, {1, 1, nil, 5 * time.Second}}, ran)
		require.Equal(t, w.unstarted(2, 4), keysOf(unstarted))
		require.Equal(t, context.Canceled, cause)
		require.Equal(t, 5*time.Second, time.Since(start))
	})

	// Another call has the only place until second 10; the context ends at
	// second 5.
	runWays(t, "one of a foreign type is asked again after the wait for a limiter", func(t *testing.T, w way) {
		limiter := await.NewLimiter(1)
		var other sync.WaitGroup
		other.Go(func() { await.Settle(t.Context(), seconds(10), await.Within(limiter)) })
		synctest.Wait()
		ctx := newForeignContext(t.Context())
		time.AfterFunc(5*time.Second, ctx.end)
		var c counter
		ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(t, ctx, c.wrap(instant(3)...), await.Within(limiter))))
		require.Empty(t, ran)
		require.Equal(t, w.unstarted(0, 3), keysOf(unstarted))
		require.Zero(t, c.started.Load())
		other.Wait()
		require.Len(t, await.Settle(t.Context(), instant(1), await.Within(limiter)), 1, "the place is free again")
	})

	// One worker runs a task until second 10, another rests. The context ends at
	// second 2, and at second 3 there is something to do.
	t.Run("one of a foreign type is asked again after a rest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx := newForeignContext(t.Context())
			var c counter
			var queue await.Queue[int, int]
			for i, task := range c.wrap(seconds(10, 1, 0)...) {
				time.AfterFunc(time.Duration(3*(i/2))*time.Second, func() { queue.Add(i, task) })
			}
			time.AfterFunc(2*time.Second, ctx.end)
			synctest.Wait()
			require.Equal(t, []int{1, 0}, keysOf(arrivals(queue.AsCompleted(ctx))))
			require.EqualValues(t, 2, c.started.Load())
			require.Equal(t, 1, queue.Len())
		})
	})

	runWays(t, "one that never ends is fine", func(t *testing.T, w way) {
		require.Len(t, arrivals(w.loop(t, bareContext{}, seconds(1, 2))), 2)
	})

	runWays(t, "nothing of a call stays with it", func(t *testing.T, w way) {
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Detach()}, {await.Within(await.NewLimiter(1))}} {
			ctx := newForeignContext(t.Context())
			during := 0
			tasks := []await.Task[int]{func(context.Context) (int, error) {
				during = ctx.waiters()
				return 0, nil
			}}
			require.Len(t, arrivals(w.loop(t, ctx, tasks, opts...)), 1)
			require.NotZero(t, during)
			require.Zero(t, ctx.waiters())
		}
	})

	runWaysForReal(t, "whenever it ends, a task has run and yields its result, or has not and yields that", func(t *testing.T, w way) {
		const n = 60
		for round := range rounds(2000) {
			ctx := tasktest.EndingSoon(t.Context(), 20_000)
			var ran [n]atomic.Bool
			tasks := make([]await.Task[int], n)
			for i := range tasks {
				tasks[i] = func(context.Context) (int, error) {
					ran[i].Store(true)
					if i%8 == 0 {
						runtime.Gosched()
					}
					return i, nil
				}
			}
			var opts []await.Option
			if limit := round % 5; limit > 0 {
				opts = append(opts, await.Limit(limit))
			}
			if round%3 == 0 {
				opts = append(opts, await.Within(await.NewLimiter(2)))
			}
			var seen [n]bool
			unstarted := 0
			for i, r := range w.loop(t, ctx, tasks, opts...) {
				require.False(t, seen[i], "task %d came twice", i)
				seen[i] = true
				if r.Err == nil {
					require.True(t, ran[i].Load())
					require.Equal(t, i, r.Value)
					continue
				}
				require.False(t, ran[i].Load())
				require.ErrorIs(t, r.Err, await.ErrNotStarted)
				require.ErrorIs(t, r.Err, context.Canceled)
				unstarted++
			}
			came, inARow := 0, 0
			for i := range seen {
				if seen[i] {
					came++
				}
				if came == i+1 {
					inARow++
				}
				require.False(t, ran[i].Load() && !seen[i], "task %d has run and did not come", i)
			}
			switch {
			case w.list():
				require.Equal(t, n, came)
			case w.seq:
				require.Equal(t, came, inARow, "every task that was offered comes")
				require.False(t, came < n && unstarted == 0, "the loop was cut short and does not say so")
			case w.queue:
				require.Zero(t, unstarted)
			}
		}
	})

	// Tasks begin and return while the context ends.
	runWaysForReal(t, "with Detach, whenever it ends, a task that has begun yields once", func(t *testing.T, w way) {
		for round := range rounds(2000) {
			ctx := tasktest.EndingSoon(t.Context(), 20_000)
			var begun [200]atomic.Bool
			tasks := make([]await.Task[int], len(begun))
			for i := range tasks {
				tasks[i] = func(context.Context) (int, error) {
					begun[i].Store(true)
					runtime.Gosched()
					return i + 1, nil
				}
			}
			yielded := make(map[int]bool)
			for i, r := range w.loop(t, ctx, tasks, await.Limit(1+round%8), await.Detach()) {
				require.False(t, yielded[i], "twice")
				yielded[i] = true
				if r.Err == nil {
					require.Equal(t, i+1, r.Value)
				} else {
					require.ErrorIs(t, r.Err, context.Canceled)
				}
			}
			if round%50 == 0 {
				tasktest.RequireNoWorkers(t) // no task begins any more
			}
			for i := range begun {
				require.False(t, begun[i].Load() && !yielded[i], "task %d has begun and did not come", i)
			}
		}
	})
}

func TestAsCompletedPanics(t *testing.T) {
	runWays(t, "are raised on the ranging goroutine, with the task and its stack", func(t *testing.T, w way) {
		raised := raisedBy(t, func() {
			arrivals(w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(0, 0),
				exploding(time.Second, tasktest.ErrBoom),
			}))
		})
		require.Equal(t, tasktest.ErrBoom, raised.Value)
		require.Equal(t, 1, raised.Key)
		require.ErrorIs(t, raised, tasktest.ErrBoom)
		require.Contains(t, string(raised.Stack), "await_test.explode(")
		require.Contains(t, string(raised.Stack), "completed_test.go")
		require.Contains(t, raised.Error(), tasktest.ErrBoom.Error())
		require.Contains(t, raised.Error(), string(raised.Stack))
	})

	runWays(t, "with nil are panics", func(t *testing.T, w way) {
		requireRaised(t, new(runtime.PanicNilError), func() {
			arrivals(w.loop(t, t.Context(), []await.Task[int]{tasktest.Panicking[int](time.Second, nil)}))
		})
	})

	// The body sleeps when the task panics at second 2, so the siblings do not
	// learn it from the loop.
	runWays(t, "cancel the siblings at once, and are raised when they have returned", func(t *testing.T, w way) {
		start := time.Now()
		var c counter
		var cause error
		var canceled time.Duration
		tasks := c.wrap(slices.Concat([]await.Task[int]{
			tasktest.Deaf(1*time.Second, 0),
			tasktest.Deaf(1*time.Second, 1), // waits to be read
			tasktest.Panicking[int](2*time.Second, "boom"),
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause, canceled = context.Cause(ctx), time.Since(start)
				time.Sleep(10 * time.Second)
				return 3, nil
			},
			tasktest.Deaf(20*time.Second, 4),
		}, tasktest.Copies(10, tasktest.Deaf(time.Hour, 0)))...)
		yielded := 0
		raised := raisedBy(t, func() {
			for range w.loop(t, t.Context(), tasks, await.Limit(5)) {
				yielded++
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, "boom", raised.Value)
		require.Equal(t, 1, yielded, "the panic is ahead of results that wait")
		require.Equal(t, 2*time.Second, canceled)
		require.Same(t, raised, cause)
		// Two started at second 1 in the place of the first two.
		require.EqualValues(t, 7, c.started.Load())
		require.Zero(t, c.running.Load())
		require.Equal(t, time.Hour+time.Second, time.Since(start))
	})

	// The first body ends at second 4, when four results wait, and the second at
	// second 7. The task panics in between.
	runWays(t, "are ahead of results that wait", func(t *testing.T, w way) {
		yielded := 0
		requireRaised(t, "boom", func() {
			for range w.loop(t, t.Context(), append(seconds(1, 2, 2, 2, 2), tasktest.Panicking[int](5*time.Second, "boom"))) {
				yielded++
				time.Sleep(3 * time.Second)
			}
		})
		require.Equal(t, 2, yielded)
	})

	runWays(t, "are raised when the last sibling returns", func(t *testing.T, w way) {
		start := time.Now()
		requireRaised(t, "boom", func() {
			for range w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Panicking[int](1*time.Second, "boom"),
				tasktest.After(time.Hour, 0),
				tasktest.Deaf(7*time.Second, 0),
			}) {
				t.Error("the panic is ahead of the siblings' results")
			}
		})
		require.Equal(t, 7*time.Second, time.Since(start))
	})

	// The loop has many results to read when the panic comes, so that it sees the
	// panic at that very moment, and must not cancel before the panic does.
	runWaysForReal(t, "are the cause, however busy the loop is", func(t *testing.T, w way) {
		for range rounds(500) {
			const n = 5000
			var done atomic.Int64
			fire := make(chan struct{})
			var cause error
			tasks := slices.Concat([]await.Task[int]{
				func(context.Context) (int, error) { return 0, nil },
				func(context.Context) (int, error) { <-fire; panic("boom") },
				func(ctx context.Context) (int, error) { <-ctx.Done(); cause = context.Cause(ctx); return 0, nil },
			}, tasktest.Copies(n, func(context.Context) (int, error) { done.Add(1); return 0, nil }))
			raised := raisedBy(t, func() {
				for i := range w.loop(t, t.Context(), tasks) {
					if i == 0 {
						for done.Load() < n {
							runtime.Gosched()
						}
						close(fire)
					}
				}
			})
			require.Same(t, raised, cause)
		}
	})

	runWays(t, "let nothing start afterwards", func(t *testing.T, w way) {
		var c counter
		requireRaised(t, "boom", func() {
			arrivals(w.loop(t, t.Context(), c.wrap(slices.Concat(
				seconds(1), []await.Task[int]{tasktest.Panicking[int](time.Second, "boom")}, seconds(1, 1, 1))...), await.Limit(1)))
		})
		require.EqualValues(t, 2, c.started.Load())
	})

	runExits(t, "are raised also when the loop was left, before the body's own", func(t *testing.T, x exit, w way) {
		start := time.Now()
		requireRaised(t, "before", func() {
			x.leave(w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(1*time.Second, 0),
				tasktest.Panicking[int](2*time.Second, "before"),
				tasktest.Deaf(9*time.Second, 0),
			}), func() { time.Sleep(5 * time.Second) })
		})
		require.Equal(t, 9*time.Second, time.Since(start))
		requireRaised(t, "after", func() {
			x.leave(w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(time.Second, 0),
				func(ctx context.Context) (int, error) { <-ctx.Done(); panic("after") },
			}), func() {})
		})
	})

	runWays(t, "of the body pass unchanged", func(t *testing.T, w way) {
		start := time.Now()
		require.Equal(t, tasktest.ErrBoom, tasktest.PanicOf(t, func() {
			for range w.loop(t, t.Context(), seconds(1, 4)) {
				panic(tasktest.ErrBoom)
			}
		}))
		require.Equal(t, 4*time.Second, time.Since(start))
	})

	runWays(t, "that come later follow the first", func(t *testing.T, w way) {
		raised := raisedBy(t, func() {
			arrivals(w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Panicking[int](3*time.Second, "third"),
				tasktest.Panicking[int](1*time.Second, "first"),
				tasktest.Panicking[int](2*time.Second, "second"),
			}))
		})
		require.Equal(t, "first", raised.Value)
		require.Equal(t, 1, raised.Key)
		require.Regexp(t, "(?s)second.*third", string(raised.Stack))
		require.Contains(t, raised.Error(), "third")
	})

	runWays(t, "that come later are counted from the eleventh on", func(t *testing.T, w way) {
		const n = 1000
		open := make(chan struct{})
		var in atomic.Int64
		raised := raisedBy(t, func() {
			arrivals(w.loop(t, t.Context(), tasktest.Copies(n, func(context.Context) (int, error) {
				if in.Add(1) == n {
					close(open)
				}
				<-open
				explode("alike")
				return 0, nil
			})))
		})
		require.Equal(t, 1+10, strings.Count(raised.Error(), "await_test.explode("))
		require.Contains(t, raised.Error(), fmt.Sprint(n-1-10))
		require.Less(t, len(raised.Error()), 32<<10)
	})

	// A deferred call may panic while Goexit unwinds the task: a cleanup after a
	// failed require, for one.
	runWays(t, "during Goexit are panics", func(t *testing.T, w way) {
		requireRaised(t, "cleanup", func() {
			arrivals(w.loop(t, t.Context(), []await.Task[int]{func(context.Context) (int, error) {
				defer explode("cleanup")
				runtime.Goexit()
				return 0, nil
			}}))
		})
	})

	runWays(t, "come before the end of the context", func(t *testing.T, w way) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		requireRaised(t, "boom", func() {
			for range w.loop(t, ctx, slices.Concat([]await.Task[int]{tasktest.Panicking[int](2*time.Second, "boom")}, seconds(1, 1)), await.Limit(1)) {
				t.Error("the panic is ahead of the tasks that never ran")
			}
		})
	})

	runWays(t, "come from next and from stop of iter.Pull2", func(t *testing.T, w way) {
		next, stop := iter.Pull2(w.loop(t, t.Context(), []await.Task[int]{tasktest.Panicking[int](time.Second, "next")}))
		requireRaised(t, "next", func() { next() })
		stop()
		next, stop = iter.Pull2(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(time.Second, 0),
			func(ctx context.Context) (int, error) { <-ctx.Done(); panic("stop") },
		}))
		_, _, ok := next()
		require.True(t, ok)
		requireRaised(t, "stop", stop)
	})

	runWaysForReal(t, "leave nothing behind", func(t *testing.T, w way) {
		for range 1000 {
			var c counter
			requireRaised(t, "boom", func() {
				arrivals(w.loop(t, t.Context(), c.wrap(slices.Concat(
					tasktest.Copies(5, tasktest.After(time.Hour, 0)), []await.Task[int]{tasktest.Panicking[int](0, "boom")}, instant(5))...)))
			})
			require.Zero(t, c.running.Load())
		}
	})

	runWaysForReal(t, "and Goexit end the goroutine, which may be locked to its thread", func(t *testing.T, w way) {
		for _, opts := range [][]await.Option{{await.Limit(1)}, {await.Limit(1), await.Buffer(0)}, {await.Within(await.NewLimiter(1))}} {
			var ids []string // one task at a time
			tasks := make([]await.Task[int], 30)
			for i := range tasks {
				tasks[i] = func(context.Context) (int, error) {
					ids = append(ids, goroutineID())
					switch i % 3 {
					case 0:
						runtime.LockOSThread()
						panic("with a locked thread")
					case 1:
						runtime.LockOSThread()
						runtime.Goexit()
					}
					return i, nil
				}
			}
			require.Len(t, arrivals(w.loop(t, t.Context(), tasks, append(opts, await.Recover())...)), len(tasks))
			for i := range ids {
				if i%3 != 2 {
					require.NotContains(t, ids[i+1:], ids[i], "goroutine of task %d", i)
				}
			}
		}
	})
}

func TestAsCompletedGoexit(t *testing.T) {
	runWays(t, "yields ErrGoexit and costs no slot", func(t *testing.T, w way) {
		const n = 12
		for _, limit := range []int{1, 2, n} { // with n tasks, a limit of n is none
			opts := []await.Option{await.Limit(limit)}
			if limit == n {
				opts = nil
			}
			var c counter
			tasks := make([]await.Task[int], n)
			for i := range tasks {
				tasks[i] = tasktest.Deaf(time.Second, i)
				if i%3 != 2 {
					tasks[i] = tasktest.Exiting[int](time.Second)
				}
			}
			start := time.Now()
			got := byKey(arrivals(w.loop(t, t.Context(), c.wrap(tasks...), opts...)))
			require.Equal(t, time.Duration(n/limit)*time.Second, time.Since(start))
			require.EqualValues(t, limit, c.peak.Load())
			require.Equal(t, below(n), keysOf(got))
			for i, a := range got {
				if i%3 != 2 {
					require.Equal(t, await.ErrGoexit, a.err)
					require.Zero(t, a.value)
				} else {
					require.NoError(t, a.err)
					require.Equal(t, i, a.value)
				}
			}
		}
	})

	runWays(t, "is what a failed require in a task does", func(t *testing.T, w way) {
		var fake fakeT
		got := arrivals(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(1*time.Second, 10),
			func(context.Context) (int, error) {
				time.Sleep(2 * time.Second)
				require.Equal(&fake, 1, 2)
				return 20, nil
			},
			tasktest.Deaf(3*time.Second, 30),
		}))
		require.True(t, fake.failed.Load())
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, await.ErrGoexit, 2 * time.Second},
			{2, 30, nil, 3 * time.Second},
		}, got)
	})

	runWays(t, "may end a panic in a deferred call", func(t *testing.T, w way) {
		got := arrivals(w.loop(t, t.Context(), []await.Task[int]{func(context.Context) (int, error) {
			defer runtime.Goexit()
			panic("ended by Goexit")
		}}))
		require.Equal(t, []arrival{{0, 0, await.ErrGoexit, 0}}, got)
	})

	runWays(t, "is waited for when the loop is left", func(t *testing.T, w way) {
		var c counter
		start := time.Now()
		for range w.loop(t, t.Context(), c.wrap(tasktest.Deaf(time.Second, 0), tasktest.Exiting[int](5*time.Second), tasktest.Deaf(2*time.Second, 0)), await.Limit(2)) {
			synctest.Wait()
			break
		}
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Zero(t, c.running.Load())
	})
}

func TestAsCompletedBackpressure(t *testing.T) {
	// Whatever tasks and body do, a free slot means that there is no room or
	// nothing left to start.
	runWays(t, "while there are fewer, as many run as may", func(t *testing.T, w way) {
		const n = 60
		rng := rand.New(rand.NewPCG(5, 6))
		for _, limit := range []int{1, 2, 4} {
			for _, buffer := range []int{0, 1, 3} {
				durations := make([]int, n)
				pauses := make([]time.Duration, n)
				for i := range n {
					durations[i] = 1 + rng.IntN(9)
					pauses[i] = time.Duration(rng.IntN(12)) * time.Second
				}
				var c counter
				var yielded atomic.Int64
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range w.loop(t, t.Context(), c.wrap(seconds(durations...)...), await.Limit(limit), await.Buffer(buffer)) {
						time.Sleep(pauses[yielded.Add(1)-1])
					}
				}()
				full := 0
				for time.Sleep(time.Second / 2); yielded.Load() < n; time.Sleep(time.Second) {
					started, running := int(c.started.Load()), int(c.running.Load())
					unread := started - int(yielded.Load())
					require.LessOrEqual(t, unread, limit+buffer)
					require.LessOrEqual(t, running, limit)
					if unread == limit+buffer {
						full++
					} else if started < n {
						require.Equal(t, limit, running, "a free slot, although there is room")
					}
				}
				<-ended
				require.NotZero(t, full, "the bound was never reached")
			}
		}
	})

	runOf(t, lists, "a slow body never holds a list back", func(t *testing.T, w way) {
		const n = 100
		start := time.Now()
		var last time.Duration
		tasks := tasktest.Copies(n, func(context.Context) (int, error) {
			time.Sleep(time.Second)
			last = max(last, time.Since(start))
			return 0, nil
		})
		for range w.loop(t, t.Context(), tasks, await.Limit(1)) {
			time.Sleep(time.Hour)
		}
		require.Equal(t, n*time.Second, last)
	})

	t.Run("a huge limit or buffer is like none", func(t *testing.T) {
		for name, opts := range map[string][]await.Option{
			"the largest limit":         {await.Limit(math.MaxInt)},
			"almost the largest limit":  {await.Limit(math.MaxInt - 1)},
			"half of the largest limit": {await.Limit(math.MaxInt/2 + 1)},
			"the largest buffer":        {await.Limit(2), await.Buffer(math.MaxInt)},
			"almost the largest buffer": {await.Limit(2), await.Buffer(math.MaxInt - 1)},
			"both":                      {await.Limit(math.MaxInt), await.Buffer(math.MaxInt)},
			"neither small":             {await.Limit(math.MaxInt32), await.Buffer(math.MaxInt32)},
		} {
			runWays(t, name, func(t *testing.T, w way) {
				const n = 100
				var c counter
				yielded := 0
				for range w.loop(t, t.Context(), c.wrap(instant(n)...), opts...) {
					yielded++
					synctest.Wait()
					require.EqualValues(t, n, c.started.Load())
				}
				require.Equal(t, n, yielded)
			})
		}
	})

	// A burst waits while the body has the first result, another one while it
	// reads the first, and perhaps one result more while it reads the second. The
	// last task measures while the loop waits for it. In input order results wait
	// in the window. A list has room for its results anyway.
	runOfForReal(t, notLists, "the memory of bursts is given back when the loop has read them", func(t *testing.T, w way) {
		for _, more := range []int{0, 1} {
			const burst = 15_000
			n := burst + burst + more + 1
			var done atomic.Int64
			tasks := tasktest.Copies(n, func(context.Context) (int, error) { done.Add(1); return 0, nil })
			gates := map[int]chan struct{}{burst: nil, 2 * burst: nil, n - 1: nil} // the first tasks of what waits together
			for i := range gates {
				gate := make(chan struct{})
				gates[i] = gate
				tasks[i] = func(context.Context) (int, error) { <-gate; done.Add(1); return 0, nil }
			}
			waitFor := func(ended int64) {
				for done.Load() < ended {
					runtime.Gosched()
				}
			}
			before := heapInUse()
			givenBack := func() bool { return heapInUse()-before < 100<<10 }
			last := tasks[n-1]
			tasks[n-1] = func(ctx context.Context) (int, error) {
				_, _ = last(ctx)
				for deadline := time.Now().Add(10 * time.Second); !givenBack(); {
					require.True(t, time.Now().Before(deadline))
				}
				return 0, nil
			}
			yielded := 0
			for range w.loop(t, t.Context(), tasks, await.Limit(1), await.Buffer(n)) {
				switch yielded++; yielded {
				case 1:
					waitFor(burst)
				case burst / 2:
					close(gates[burst])
					waitFor(2 * burst)
				case burst + burst/2:
					if more > 0 {
						close(gates[2*burst])
						waitFor(2*burst + int64(more))
					}
				case n - 1:
					close(gates[n-1])
				case n:
					require.True(t, givenBack())
				}
			}
			require.Equal(t, n, yielded)
		}
	})
}

// A seqWay is one of the functions over a sequence.
type seqWay struct {
	name    string
	ordered bool // results come in input order
	loop    func(context.Context, iter.Seq2[int, await.Task[int]], ...await.Option) results
}

var seqWays = []seqWay{
	{name: "AsCompletedSeq", loop: await.AsCompletedSeq[int, int]},
	{name: "InOrderSeq", ordered: true, loop: await.InOrderSeq[int, int]},
}

// runSeqs is a subtest that runs f for every function over a sequence, in a
// bubble.
func runSeqs(t *testing.T, sentence string, f func(t *testing.T, w seqWay)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		for _, w := range seqWays {
			t.Run(w.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, w) })
			})
		}
	})
}

// runSeqsForReal is a subtest that runs f for every function over a sequence,
// on real goroutines and real time.
func runSeqsForReal(t *testing.T, sentence string, f func(t *testing.T, w seqWay)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		for _, w := range seqWays {
			t.Run(w.name, func(t *testing.T) {
				f(t, w)
				tasktest.RequireNoWorkers(t)
			})
		}
	})
}

// runSeqExits is a subtest that runs f for every exit and every function over a
// sequence, in a bubble.
func runSeqExits(t *testing.T, sentence string, f func(t *testing.T, x exit, w seqWay)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		for _, x := range exits {
			runSeqs(t, x.name, func(t *testing.T, w seqWay) { f(t, x, w) })
		}
	})
}

// seqOptions are options that leave room for five tasks.
var seqOptions = []struct {
	name string
	opts []await.Option
}{
	{"no option", nil},
	{"Limit", []await.Option{await.Limit(6)}},
	{"Buffer", []await.Option{await.Limit(6), await.Buffer(0)}},
	{"Within", []await.Option{await.Within(await.NewLimiter(6))}},
	{"Recover", []await.Option{await.Recover()}},
	{"Name", []await.Option{await.Name("crawl")}},
}

// runSeqOptions is a subtest that runs f with each of seqOptions for every
// function over a sequence, in a bubble.
func runSeqOptions(t *testing.T, sentence string, f func(t *testing.T, w seqWay, opts []await.Option)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) {
		for _, o := range seqOptions {
			runSeqs(t, o.name, func(t *testing.T, w seqWay) { f(t, w, o.opts) })
		}
	})
}

// A countingSeq is a sequence of tasks that counts what happens to it. Task i
// has the key i.
type countingSeq struct {
	n    int                         // how many tasks; endless if negative
	task func(i int) await.Task[int] // makes task i
	step func(i int)                 // runs on the way to task i, and before the end, which is step n; may be nil

	counter
	pulled atomic.Int64 // tasks offered

	// These are not locked, because one goroutine ranges over the sequence and
	// the end of the loop comes after it. The race detector would report it.
	begun   int // how often the sequence was ranged over
	cleaned int // how often what it deferred has run
}

// seqOf is a sequence of these tasks.
func seqOf(tasks ...await.Task[int]) *countingSeq {
	return &countingSeq{n: len(tasks), task: func(i int) await.Task[int] { return tasks[i] }}
}

// endlessSeq is a sequence of tasks without end that each take d and ignore
// their context.
func endlessSeq(d time.Duration) *countingSeq {
	return &countingSeq{n: -1, task: func(i int) await.Task[int] { return tasktest.Deaf(d, i) }}
}

func (s *countingSeq) tasks(yield func(int, await.Task[int]) bool) {
	s.begun++
	defer func() { s.cleaned++ }()
	for i := 0; ; i++ {
		if s.step != nil {
			s.step(i)
		}
		if i == s.n {
			return
		}
		task := s.task(i)
		if task != nil {
			task = s.wrap(task)[0]
		}
		s.pulled.Add(1)
		if !yield(i, task) {
			return
		}
	}
}

// requireOver fails unless the sequence was ranged over once and is cleaned
// up, and no task runs.
func (s *countingSeq) requireOver(t *testing.T) {
	t.Helper()
	require.Equal(t, 1, s.begun)
	require.Equal(t, 1, s.cleaned)
	require.Zero(t, s.running.Load())
}

// blockingSeq is a sequence of tasks that take one second and five, and that
// blocks on the way to the third until release is closed. Then it calls late,
// which may be nil, and offers a task that takes nine.
func blockingSeq(release <-chan struct{}, late func()) *countingSeq {
	return &countingSeq{
		n:    3,
		task: func(i int) await.Task[int] { return tasktest.Deaf(time.Duration(1+4*i)*time.Second, i) },
		step: func(i int) {
			if i == 2 {
				<-release
				if late != nil {
					late()
				}
			}
		},
	}
}

// closedAfter is a channel that is closed after d.
func closedAfter(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

func TestAsCompletedSeqPulling(t *testing.T) {
	runSeqs(t, "the call pulls nothing, nor does iter.Pull2 without a pull", func(t *testing.T, w seqWay) {
		s := seqOf(seconds(0, 0)...)
		seq := w.loop(t.Context(), s.tasks)
		next, stop := iter.Pull2(seq)
		stop()
		_, _, ok := next()
		require.False(t, ok)
		time.Sleep(time.Hour)
		require.Zero(t, s.begun)
		require.Len(t, arrivals(seq), 2)
		s.requireOver(t)
	})

	// The steps of the sequence take no time, and between two whole seconds
	// nothing moves.
	runSeqs(t, "a task is pulled only when a place is free", func(t *testing.T, w seqWay) {
		const n = 60
		rng := rand.New(rand.NewPCG(5, 6))
		for _, limit := range []int{1, 2, 4} {
			for _, buffer := range []int{0, 1, 3} {
				durations := make([]int, n)
				pauses := make([]time.Duration, n)
				for i := range n {
					durations[i] = 1 + rng.IntN(9)
					pauses[i] = time.Duration(rng.IntN(12)) * time.Second
				}
				s := seqOf(seconds(durations...)...)
				yielded := 0
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range w.loop(t.Context(), s.tasks, await.Limit(limit), await.Buffer(buffer)) {
						time.Sleep(pauses[yielded])
						yielded++
					}
				}()
				for time.Sleep(time.Second / 2); ; time.Sleep(time.Second) {
					require.Equal(t, s.started.Load(), s.pulled.Load())
					if s.started.Load() == n {
						break
					}
				}
				<-ended
				require.Equal(t, n, yielded)
				s.requireOver(t)
			}
		}
	})

	runSeqs(t, "a task is pulled when another ends", func(t *testing.T, w seqWay) {
		gates := make([]chan struct{}, 10)
		for i := range gates {
			gates[i] = make(chan struct{})
		}
		s := &countingSeq{n: len(gates), task: func(i int) await.Task[int] {
			return func(context.Context) (int, error) { <-gates[i]; return i, nil }
		}}
		ended := make(chan []arrival)
		go func() { ended <- arrivals(w.loop(t.Context(), s.tasks, await.Limit(4))) }()
		for i := range gates {
			synctest.Wait()
			require.EqualValues(t, min(4+i, len(gates)), s.started.Load())
			require.Equal(t, s.started.Load(), s.pulled.Load())
			time.Sleep(time.Hour)
			close(gates[i])
		}
		require.Equal(t, below(10), keysOf(<-ended))
	})

	runSeqs(t, "an endless sequence is pulled as far as limit and buffer allow", func(t *testing.T, w seqWay) {
		for _, limit := range []int{1, 2, 5} {
			for _, buffer := range []int{0, 1, 4, 2000} {
				s := endlessSeq(time.Second)
				taken := 0
				for i, r := range w.loop(t.Context(), s.tasks, await.Limit(limit), await.Buffer(buffer)) {
					require.Equal(t, i, r.Value)
					if taken++; taken == 3 {
						time.Sleep(time.Hour)
						require.EqualValues(t, 3+limit+buffer, s.started.Load())
						require.EqualValues(t, 3+limit+buffer, s.pulled.Load())
						break
					}
				}
				s.requireOver(t)
			}
		}
	})

	runSeqs(t, "without Limit the sequence is pulled to its end before any task is waited for", func(t *testing.T, w seqWay) {
		s := seqOf(slices.Concat(seconds(9), instant(50), seconds(9), instant(50))...)
		ended := make(chan []arrival)
		go func() { ended <- arrivals(w.loop(t.Context(), s.tasks)) }()
		synctest.Wait()
		require.EqualValues(t, s.n, s.started.Load())
		require.Equal(t, 1, s.cleaned)
		require.Len(t, <-ended, s.n)
	})

	runSeqs(t, "a slow sequence holds no result back", func(t *testing.T, w seqWay) {
		for _, opts := range [][]await.Option{nil, {await.Limit(3), await.Buffer(0)}} {
			s := seqOf(seconds(1, 14, 1, 5)...)
			s.step = func(int) { time.Sleep(10 * time.Second) }
			want := way{ordered: w.ordered}.inItsOrder(
				arrival{0, 0, nil, 11 * time.Second},
				arrival{2, 2, nil, 31 * time.Second},
				arrival{1, 1, nil, 34 * time.Second},
				arrival{3, 3, nil, 45 * time.Second},
			)
			got := arrivals(w.loop(t.Context(), s.tasks, opts...))
			require.Equal(t, want, got)
		}
	})

	runSeqs(t, "the sequence runs at the same time as the body", func(t *testing.T, w seqWay) {
		fromBody, fromStep := make(chan int), make(chan int)
		s := seqOf(instant(3)...)
		s.step = func(i int) {
			if i > 0 && i < s.n {
				fromStep <- i
				<-fromBody
			}
		}
		yielded := 0
		for range w.loop(t.Context(), s.tasks) {
			if yielded++; yielded < s.n {
				require.Equal(t, yielded, <-fromStep)
				fromBody <- yielded
			}
		}
		require.Equal(t, s.n, yielded)
	})

	// An unlocked variable tells it to the race detector.
	runSeqsForReal(t, "one goroutine ranges over the sequence, and it is not the caller's", func(t *testing.T, w seqWay) {
		for _, opts := range [][]await.Option{
			nil,
			{await.Limit(1)},
			{await.Limit(8)},
			{await.Limit(8), await.Buffer(0)},
			{await.Limit(8), await.Within(await.NewLimiter(4))},
		} {
			const n = 2000
			steps, feeder := 0, ""
			s := &countingSeq{n: n, task: func(i int) await.Task[int] {
				return func(context.Context) (int, error) {
					if i%3 == 0 {
						runtime.Gosched()
					}
					if i%50 == 0 {
						runtime.Goexit()
					}
					return i, nil
				}
			}, step: func(i int) {
				if i == 0 {
					feeder = goroutineID()
				} else if i%100 == 0 && goroutineID() != feeder {
					t.Error("another goroutine has taken over")
				}
				if i%7 == 0 {
					runtime.Gosched()
				}
				steps++
			}}
			require.Len(t, arrivals(w.loop(t.Context(), s.tasks, opts...)), n)
			require.Equal(t, n+1, steps)
			require.NotEqual(t, goroutineID(), feeder)
			s.requireOver(t)
		}
	})

	runSeqs(t, "the sequence is not pulled after its end", func(t *testing.T, w seqWay) {
		for _, opts := range [][]await.Option{nil, {await.Limit(3)}, {await.Limit(3), await.Buffer(0)}, {await.Limit(100)}} {
			s := seqOf(seconds(1, 5, 2, 4, 3, 1, 1)...)
			ends := 0
			s.step = func(i int) {
				if i == s.n {
					ends++
				}
			}
			for range w.loop(t.Context(), s.tasks, opts...) {
				time.Sleep(time.Second)
			}
			s.requireOver(t)
			require.Equal(t, 1, ends)
		}
	})

	// Each of the results that the running tasks bring makes room for more.
	runSeqExits(t, "the sequence is not pulled after the loop", func(t *testing.T, x exit, w seqWay) {
		s := endlessSeq(time.Second)
		x.leave(w.loop(t.Context(), s.tasks, await.Limit(4)), synctest.Wait)
		s.requireOver(t)
		require.EqualValues(t, 8, s.pulled.Load())
		require.EqualValues(t, 8, s.started.Load())
		time.Sleep(time.Hour)
		require.EqualValues(t, 8, s.pulled.Load())
	})

	runSeqs(t, "a sequence that can be ranged over once is enough", func(t *testing.T, w seqWay) {
		next, stop := iter.Pull(slices.Values(seconds(1, 2, 3)))
		defer stop()
		require.Equal(t, []int{0, 1, 2}, keysOf(arrivals(w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
			for i := 0; ; i++ {
				if task, ok := next(); !ok || !yield(i, task) {
					return
				}
			}
		}))))
	})

	// A result has a kilobyte, so keeping them would take 100 MB.
	t.Run("an endless sequence takes constant memory", func(t *testing.T) {
		type block [1 << 10]byte
		for name, loop := range map[string]func(context.Context, iter.Seq2[int, await.Task[*block]], ...await.Option) iter.Seq2[int, await.Result[*block]]{
			"AsCompletedSeq": await.AsCompletedSeq[int, *block],
			"InOrderSeq":     await.InOrderSeq[int, *block],
		} {
			t.Run(name, func(t *testing.T) {
				fill := func(context.Context, int) (*block, error) { return new(block), nil }
				before := heapInUse()
				taken := 0
				for _, r := range loop(t.Context(), await.TaskSeq(naturals, fill), await.Limit(8)) {
					require.NoError(t, r.Err)
					if taken++; taken%25_000 == 0 {
						require.Less(t, heapInUse(), before+4<<20)
					}
					if taken == 100_000 {
						break
					}
				}
				require.Equal(t, 100_000, taken)
				require.Less(t, heapInUse(), before+4<<20)
				tasktest.RequireNoWorkers(t)
			})
		}
	})

}

// naturals are 0, 1, 2 and so on.
func naturals(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// thenTasks is a second stage: a task for each result of the first, which takes
// d and returns ten times the key and the value.
func thenTasks(first results, c *counter, d time.Duration) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		for i, r := range first {
			if !yield(i, c.wrap(tasktest.Deaf(d, 10*i+r.Value))[0]) {
				return
			}
		}
	}
}

func TestAsCompletedSeqKinds(t *testing.T) {
	t.Run("a map gives named tasks", func(t *testing.T) {
		for _, loop := range []func(context.Context, iter.Seq2[string, await.Task[int]], ...await.Option) iter.Seq2[string, await.Result[int]]{
			await.AsCompletedSeq[string, int], await.InOrderSeq[string, int],
		} {
			named := map[string]await.Task[int]{
				"one": tasktest.Deaf(0, 1), "two": tasktest.Deaf(0, 2),
				"three": tasktest.Failing[int](0, tasktest.ErrBoom), "four": tasktest.Exiting[int](0),
			}
			got := make(map[string]await.Result[int])
			yielded := 0
			for name, r := range loop(t.Context(), maps.All(named), await.Limit(2)) {
				got[name] = r
				yielded++
			}
			require.Equal(t, len(named), yielded)
			require.Equal(t, map[string]await.Result[int]{
				"one": {Value: 1}, "two": {Value: 2}, "three": {Err: tasktest.ErrBoom}, "four": {Err: await.ErrGoexit},
			}, got)
		}
	})

	t.Run("the key may be of any type", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			type site struct{ path []string }
			sites := slices.Values([]site{{[]string{"a"}}, {[]string{"b", "c"}}})
			depth := func(_ context.Context, s site) (int, error) { return len(s.path), nil }
			for key, r := range await.AsCompletedSeq(t.Context(), await.TaskSeq(sites, depth), await.Limit(2)) {
				require.Len(t, key.path, r.Value)
			}
			var texts []string
			formats := func(yield func(func(int) string, await.Task[int]) bool) {
				_ = yield(func(i int) string { return fmt.Sprintf("%d!", i) }, tasktest.Deaf(0, 4)) &&
					yield(func(i int) string { return fmt.Sprintf("%x?", i) }, tasktest.Deaf(0, 255))
			}
			for format, r := range await.InOrderSeq(t.Context(), formats) {
				texts = append(texts, format(r.Value))
			}
			require.Equal(t, []string{"4!", "ff?"}, texts)
		})
	})

	runSeqs(t, "equal keys are separate tasks", func(t *testing.T, w seqWay) {
		calls := 0 // one task at a time
		task := func(ctx context.Context) (int, error) { calls++; return calls, ctx.Err() }
		require.Equal(t, []arrival{{7, 1, nil, 0}, {7, 2, nil, 0}, {7, 3, nil, 0}}, arrivals(w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
			for range 3 {
				if !yield(7, task) {
					return
				}
			}
		}, await.Limit(1))))
	})

	runSeqsForReal(t, "what the sequence wrote is visible to the task and to the body", func(t *testing.T, w seqWay) {
		for _, opts := range [][]await.Option{nil, {await.Limit(3)}, {await.Limit(3), await.Buffer(1)}} {
			const n = 500
			offered, wrote := make([]int, n), make([]int, n)
			s := &countingSeq{n: n, step: func(i int) {
				if i < n {
					offered[i] = i
				}
			}, task: func(i int) await.Task[int] {
				return func(context.Context) (int, error) { wrote[i] = offered[i] + 1; return i, nil }
			}}
			for i := range w.loop(t.Context(), s.tasks, opts...) {
				require.Equal(t, i, offered[i])
				require.Equal(t, i+1, wrote[i])
				wrote[i] = 0
			}
		}
	})

	// The producer sends a task at seconds 1, 2, 3 and so on.
	runSeqs(t, "a sequence may read a channel", func(t *testing.T, w seqWay) {
		jobs := make(chan await.Task[int])
		var producer sync.WaitGroup
		producer.Go(func() {
			defer close(jobs)
			for i := range 4 {
				time.Sleep(time.Second)
				jobs <- tasktest.Deaf(time.Second/2, i)
			}
		})
		read := func(yield func(int, await.Task[int]) bool) {
			for i := 0; ; i++ {
				if task, ok := <-jobs; !ok || !yield(i, task) {
					return
				}
			}
		}
		require.Equal(t, []arrival{
			{0, 0, nil, 1500 * time.Millisecond},
			{1, 1, nil, 2500 * time.Millisecond},
			{2, 2, nil, 3500 * time.Millisecond},
			{3, 3, nil, 4500 * time.Millisecond},
		}, arrivals(w.loop(t.Context(), read, await.Limit(2))))
		producer.Wait()
	})

	// The first stage makes three results per second, the second takes three
	// seconds for each.
	runSeqs(t, "two stages reach exactly their own limits", func(t *testing.T, w seqWay) {
		const n = 60
		var second counter
		first := seqOf(tasktest.Copies(n, tasktest.Deaf(time.Second, 1))...)
		start := time.Now()
		var got []int
		for i, r := range w.loop(t.Context(), thenTasks(w.loop(t.Context(), first.tasks, await.Limit(3)), &second, 3*time.Second), await.Limit(5)) {
			require.Equal(t, await.Result[int]{Value: 10*i + 1}, r)
			got = append(got, i)
		}
		require.ElementsMatch(t, below(n), got)
		require.EqualValues(t, 3, first.peak.Load())
		require.EqualValues(t, 5, second.peak.Load())
		// Three slots of the second stage are taken from second 1 on, two from
		// second 2 on, and none is idle until all is done.
		require.Equal(t, time.Duration(2+n/5*3)*time.Second, time.Since(start))
		first.requireOver(t)
	})

	runSeqs(t, "two stages may share a limiter for one", func(t *testing.T, w seqWay) {
		limiter := await.NewLimiter(1)
		var c counter
		first := w.loop(t.Context(), slices.All(c.wrap(tasktest.Copies(9, tasktest.Deaf(time.Second, 1))...)), await.Within(limiter))
		require.Len(t, arrivals(w.loop(t.Context(), thenTasks(first, &c, time.Second), await.Within(limiter))), 9)
		require.EqualValues(t, 1, c.peak.Load())
	})

	runSeqExits(t, "leaving two stages ends both", func(t *testing.T, x exit, w seqWay) {
		first, second := endlessSeq(time.Second), counter{}
		tasks := thenTasks(w.loop(t.Context(), first.tasks, await.Limit(3)), &second, time.Second)
		x.leave(w.loop(t.Context(), tasks, await.Limit(2), await.Buffer(1)), func() {
			time.Sleep(time.Minute) // until nothing moves any more
		})
		first.requireOver(t)
		require.EqualValues(t, 1+2+1, second.started.Load())
		require.Zero(t, second.running.Load())
	})

	runSeqs(t, "a panic in the first of two stages is raised from the second", func(t *testing.T, w seqWay) {
		first, second := endlessSeq(time.Second), counter{}
		first.step = func(i int) {
			if i == 4 {
				explode("sequence")
			}
		}
		raised := raisedBy(t, func() {
			arrivals(w.loop(t.Context(), thenTasks(w.loop(t.Context(), first.tasks, await.Limit(2)), &second, time.Minute), await.Limit(9)))
		})
		inner, ok := raised.Value.(*await.PanicError)
		require.True(t, ok)
		require.Equal(t, "sequence", inner.Value)
		require.Contains(t, raised.Error(), "await_test.explode(")
		first.requireOver(t)
		require.Zero(t, second.running.Load())
	})
}

// What follows of the loop's end is the end, for sequences: nothing of them runs
// afterwards.
func TestAsCompletedSeqLeft(t *testing.T) {
	runSeqExits(t, "a sequence that waits for a free place is cleaned up", func(t *testing.T, x exit, w seqWay) {
		for _, opts := range [][]await.Option{
			{await.Limit(3), await.Buffer(2)},
			{await.Limit(3), await.Buffer(2), await.Within(await.NewLimiter(2))},
		} {
			s := endlessSeq(0)
			x.leave(w.loop(t.Context(), s.tasks, opts...), func() {
				synctest.Wait() // until the buffer is full
				require.Zero(t, s.cleaned)
			})
			s.requireOver(t)
			require.EqualValues(t, 1+3+2, s.started.Load())
		}
	})

	t.Run("a sequence that waits for a free place is cleaned up, outside of bubbles", func(t *testing.T) {
		for _, x := range exits {
			runSeqsForReal(t, x.name, func(t *testing.T, w seqWay) {
				for range 100 {
					s := endlessSeq(0)
					x.leave(w.loop(t.Context(), s.tasks, await.Limit(2), await.Buffer(1)), func() {
						for s.started.Load() < 1+2+1 || s.running.Load() > 0 {
							runtime.Gosched()
						}
					})
					s.requireOver(t)
				}
			})
		}
	})

	// The sequence is in the middle of a step until second 3, or 20. The loop is
	// left at second 1 when a task runs until second 5, or at second 10 when
	// nothing runs.
	t.Run("the end waits for the step, as for a task", func(t *testing.T) {
		for _, o := range seqOptions {
			runSeqExits(t, o.name, func(t *testing.T, x exit, w seqWay) {
				for _, test := range []struct{ leave, release, end time.Duration }{
					{1, 20, 20}, {1, 3, 5}, {10, 20, 20},
				} {
					s := blockingSeq(closedAfter(test.release*time.Second), nil)
					start := time.Now()
					x.leave(w.loop(t.Context(), s.tasks, o.opts...), func() { time.Sleep((test.leave - 1) * time.Second) })
					require.Equal(t, test.end*time.Second, time.Since(start))
					s.requireOver(t)
					require.EqualValues(t, 2, s.started.Load(), "the task that the late step offers does not start")
					require.LessOrEqual(t, s.pulled.Load(), int64(3))
				}
			})
		}
	})

	runSeqs(t, "the end waits for the step that ends the sequence", func(t *testing.T, w seqWay) {
		s := blockingSeq(closedAfter(20*time.Second), nil)
		s.n = 2
		start := time.Now()
		for range w.loop(t.Context(), s.tasks) {
			break
		}
		require.Equal(t, 20*time.Second, time.Since(start))
		s.requireOver(t)
		require.EqualValues(t, 2, s.pulled.Load())
	})

	runSeqExits(t, "the end waits for the cleanup", func(t *testing.T, x exit, w seqWay) {
		cleaned := false
		start := time.Now()
		x.leave(w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
			defer func() { time.Sleep(time.Minute); cleaned = true }()
			for i := 0; yield(i, tasktest.Deaf(0, i)); i++ {
			}
		}, await.Limit(2)), func() {})
		require.Equal(t, time.Minute, time.Since(start))
		require.True(t, cleaned)
	})

	runSeqs(t, "the end of all waits for the cleanup", func(t *testing.T, w seqWay) {
		cleaned := false
		start := time.Now()
		require.Len(t, arrivals(w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
			defer func() { time.Sleep(time.Minute); cleaned = true }()
			yield(0, tasktest.Deaf(time.Second, 0))
		})), 1)
		require.Equal(t, time.Minute, time.Since(start))
		require.True(t, cleaned)
	})

	runSeqs(t, "a blocked sequence is ranged over by nobody else", func(t *testing.T, w seqWay) {
		s := blockingSeq(closedAfter(time.Hour), nil)
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 1, nil, 5 * time.Second},
			{2, 2, nil, time.Hour + 9*time.Second},
		}, arrivals(w.loop(t.Context(), s.tasks, await.Limit(10))))
		s.requireOver(t)
	})

	// In real time, the sequence is at any point of a step when the loop is left.
	// Nothing here is locked: the race detector sees a use that is too early.
	t.Run("what is behind the sequence is the caller's again", func(t *testing.T) {
		task := func(context.Context, []byte) (int, error) { runtime.Gosched(); return 0, nil }
		text := bytes.Repeat([]byte("one line\n"), 5000)
		for range rounds(1000) {
			scanner := bufio.NewScanner(bytes.NewReader(text))
			scanning := false
			lines := func(yield func([]byte) bool) {
				for {
					scanning = true
					ok := scanner.Scan()
					scanning = false
					if !ok || !yield(scanner.Bytes()) {
						return
					}
				}
			}
			for range await.AsCompletedSeq(t.Context(), await.TaskSeq(lines, task)) {
				break
			}
			require.False(t, scanning)
			scanner.Scan()
			require.NoError(t, scanner.Err())
		}
		for range rounds(1000) {
			named := make(map[int]await.Task[int])
			for i := range 50 {
				named[i] = tasktest.Deaf(0, i)
			}
			for range await.AsCompletedSeq(t.Context(), maps.All(named)) {
				break
			}
			clear(named)
		}
		tasktest.RequireNoWorkers(t)
	})

	// A worker may have taken a task just before the loop is left, and begin it
	// afterwards; but it does not take one and then let others go first.
	runSeqsForReal(t, "hardly ever a task begins after the loop was left", func(t *testing.T, w seqWay) {
		var left atomic.Bool
		var late atomic.Int64
		task := func(context.Context) (int, error) {
			if left.Load() {
				late.Add(1)
			}
			for begun := time.Now(); time.Since(begun) < 20*time.Microsecond; {
			}
			return 0, nil
		}
		const n = 100
		for range n {
			left.Store(false)
			yielded := 0
			for range w.loop(t.Context(), slices.All(tasktest.Copies(200, task)), await.Limit(4)) {
				if yielded++; yielded == 60 {
					left.Store(true)
					break
				}
			}
		}
		require.Less(t, late.Load(), int64(n/2))
	})

	// The step returns at the same moment as the last task.
	runSeqsForReal(t, "a step that ends when the loop ends is cleaned up once", func(t *testing.T, w seqWay) {
		rng := rand.New(rand.NewPCG(9, 10))
		for range rounds(3000) {
			release := make(chan struct{})
			cleaned := 0
			inTask, inCleanup := rng.IntN(4), rng.IntN(4)
			for range w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
				defer func() {
					for range inCleanup {
						runtime.Gosched()
					}
					cleaned++
				}()
				if yield(0, tasktest.Deaf(0, 0)) && yield(1, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					for range inTask {
						runtime.Gosched()
					}
					return 1, nil
				}) {
					<-release
					yield(2, tasktest.Deaf(0, 2))
				}
			}, await.OnCancel(func() { close(release) })) {
				break
			}
			require.Equal(t, 1, cleaned)
		}
	})

	// A plain range statement does the same, with a runtime error.
	t.Run("a sequence that goes on after yield has returned false panics, and that is raised", func(t *testing.T) {
		ignoring := func(n int, cleaned *int) iter.Seq2[int, await.Task[int]] {
			return func(yield func(int, await.Task[int]) bool) {
				defer func() { *cleaned++ }()
				for i := 0; i != n; i++ {
					yield(i, tasktest.Deaf(time.Second, i))
				}
			}
		}
		for _, n := range []int{20, -1} { // or endless
			runSeqExits(t, fmt.Sprint(n), func(t *testing.T, x exit, w seqWay) {
				cleaned := 0
				raised := raisedBy(t, func() {
					x.leave(w.loop(t.Context(), ignoring(n, &cleaned), await.Limit(2)), synctest.Wait)
				})
				_, ok := raised.Value.(runtime.Error)
				require.True(t, ok, "%v", raised.Value)
				require.Nil(t, raised.Key)
				require.Equal(t, 1, cleaned)
			})
			runSeqs(t, fmt.Sprintf("%d when the context ends", n), func(t *testing.T, w seqWay) {
				ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
				defer cancel()
				cleaned := 0
				raised := raisedBy(t, func() { arrivals(w.loop(ctx, ignoring(n, &cleaned), await.Limit(2))) })
				_, ok := raised.Value.(runtime.Error)
				require.True(t, ok, "%v", raised.Value)
				require.Equal(t, 1, cleaned)
			})
		}
		runSeqs(t, "that has come to its end is fine", func(t *testing.T, w seqWay) {
			cleaned := 0
			require.Len(t, arrivals(w.loop(t.Context(), ignoring(5, &cleaned), await.Limit(2))), 5)
			require.Equal(t, 1, cleaned)
		})
	})
}

func TestAsCompletedSeqContext(t *testing.T) {
	// The sequence waits for a free place when the context ends, so it is asked
	// for one task more, and only for one.
	t.Run("a loop that was cut short yields one task that never ran", func(t *testing.T) {
		for _, e := range endings {
			runSeqs(t, e.name, func(t *testing.T, w seqWay) {
				for _, opts := range [][]await.Option{
					{await.Limit(2)},
					{await.Limit(2), await.Buffer(0)},
					{await.Limit(2), await.Recover()},
				} {
					ctx, cancel := e.end(t.Context(), 2500*time.Millisecond)
					s := endlessSeq(time.Second)
					ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks, opts...)))
					require.Equal(t, below(6), keysOf(byKey(ran)))
					require.Equal(t, []int{6}, keysOf(unstarted))
					require.EqualValues(t, 6, s.started.Load())
					require.EqualValues(t, 7, s.pulled.Load())
					s.requireOver(t)
					cancel()
				}
			})
		}
	})

	runSeqs(t, "a sequence that is asked once more and ends was not cut short", func(t *testing.T, w seqWay) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		s := seqOf(seconds(1, 2)...)
		require.Equal(t, []arrival{{0, 0, nil, 1 * time.Second}, {1, 1, nil, 3 * time.Second}}, arrivals(w.loop(ctx, s.tasks, await.Limit(1))))
		s.requireOver(t)
	})

	runSeqOptions(t, "a context that has ended is cut short at the first task", func(t *testing.T, w seqWay, opts []await.Option) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := endlessSeq(0)
		cancel(errCause)
		ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks, opts...)))
		require.Empty(t, ran)
		require.Equal(t, []int{0}, keysOf(unstarted))
		require.EqualValues(t, 1, s.pulled.Load())
		require.Zero(t, s.started.Load())
		s.requireOver(t)
	})

	t.Run("maps.Collect and First see that the loop was cut short", func(t *testing.T) {
		named := map[string]await.Task[int]{"one": tasktest.Deaf(0, 1), "two": tasktest.Deaf(0, 2)}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errCause)
		for _, loop := range []func(context.Context, iter.Seq2[string, await.Task[int]], ...await.Option) iter.Seq2[string, await.Result[int]]{
			await.AsCompletedSeq[string, int], await.InOrderSeq[string, int],
		} {
			got := maps.Collect(loop(ctx, maps.All(named)))
			require.Len(t, got, 1)
			for name, r := range got {
				require.Contains(t, named, name)
				require.ErrorIs(t, r.Err, await.ErrNotStarted)
				require.ErrorIs(t, r.Err, errCause)
				require.ErrorIs(t, r.Err, context.Canceled)
			}
			_, _, err := await.First(loop(ctx, maps.All(named)))
			require.ErrorIs(t, err, await.ErrNotStarted)
			require.ErrorIs(t, err, errCause)
			require.NotErrorIs(t, err, await.ErrNoTasks)
		}
	})

	// The step goes on until second 20; the context ends when a task runs, or
	// when nothing does.
	t.Run("a step in progress is awaited, and the task that it offers never runs", func(t *testing.T) {
		for _, e := range endings {
			runSeqOptions(t, e.name, func(t *testing.T, w seqWay, opts []await.Option) {
				for _, end := range []time.Duration{3 * time.Second, 7 * time.Second} {
					ctx, cancel := e.end(t.Context(), end)
					s := blockingSeq(closedAfter(20*time.Second), nil)
					ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks, opts...)))
					require.Equal(t, []arrival{{0, 0, nil, 1 * time.Second}, {1, 1, nil, 5 * time.Second}}, ran)
					require.Len(t, unstarted, 1)
					require.Equal(t, 2, unstarted[0].key)
					require.Equal(t, 20*time.Second, unstarted[0].at)
					require.EqualValues(t, 2, s.started.Load())
					require.EqualValues(t, 3, s.pulled.Load())
					s.requireOver(t)
					cancel()
				}
			})
		}
	})

	runSeqOptions(t, "a first step in progress is awaited", func(t *testing.T, w seqWay, opts []await.Option) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := endlessSeq(time.Second)
		s.step = func(int) { time.Sleep(20 * time.Second) }
		ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks, opts...)))
		require.Empty(t, ran)
		require.Len(t, unstarted, 1)
		require.Equal(t, 0, unstarted[0].key)
		require.Equal(t, 20*time.Second, unstarted[0].at)
		require.Zero(t, s.started.Load())
		s.requireOver(t)
	})

	runSeqOptions(t, "a step in progress that ends the sequence leaves nothing out", func(t *testing.T, w seqWay, opts []await.Option) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		s := blockingSeq(closedAfter(20*time.Second), nil)
		s.n = 2
		require.Equal(t, []arrival{{0, 0, nil, 1 * time.Second}, {1, 1, nil, 5 * time.Second}}, arrivals(w.loop(ctx, s.tasks, opts...)))
		require.Equal(t, 20*time.Second, time.Since(start))
		s.requireOver(t)
	})

	// Another call has the only place until second 60.
	t.Run("a task that waits for its place in a limiter never runs, and does not hold up the end", func(t *testing.T) {
		for _, e := range endings {
			runSeqs(t, e.name, func(t *testing.T, w seqWay) {
				for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(1), await.Buffer(0)}, {await.Detach()}} {
					limiter := await.NewLimiter(1)
					var other sync.WaitGroup
					other.Go(func() { await.Settle(t.Context(), seconds(60), await.Within(limiter)) })
					synctest.Wait()
					ctx, cancel := e.end(t.Context(), time.Second)
					s := endlessSeq(time.Second)
					start := time.Now()
					ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks, append(opts, await.Within(limiter))...)))
					require.Equal(t, time.Second, time.Since(start))
					require.Empty(t, ran)
					if !slices.Contains(opts, await.Detach()) {
						require.Equal(t, []int{0}, keysOf(unstarted))
					}
					synctest.Wait()
					s.requireOver(t)
					require.EqualValues(t, 1, s.pulled.Load())
					require.Zero(t, s.started.Load())
					other.Wait()
					require.Len(t, arrivals(w.loop(t.Context(), slices.All(seconds(1, 2)), await.Within(limiter))), 2, "the place is free again")
					cancel()
				}
			})
		}
	})

	// The context of the tasks has ended when the sequence offers its next task.
	runSeqs(t, "the sequence itself may end it", func(t *testing.T, w seqWay) {
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			s := seqOf(seconds(1, 1, 1)...)
			s.step = func(i int) {
				if i == 1 {
					time.Sleep(time.Second / 2) // until the first task runs
					cancel()
				}
			}
			ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks)))
			require.Equal(t, []int{0}, keysOf(ran))
			require.Equal(t, []int{1}, keysOf(unstarted))
			require.EqualValues(t, 1, s.started.Load())
			s.requireOver(t)
		}
	})

	// One of the contexts tells its children at second 3, the other never does;
	// a worker may rest when the step ends at second 20.
	runSeqOptions(t, "one of a foreign type is asked again after a step", func(t *testing.T, w seqWay, opts []await.Option) {
		telling, silent := bareContext{make(chan struct{})}, newForeignContext(t.Context())
		check := func(ctx context.Context, end func()) {
			time.AfterFunc(3*time.Second, end)
			s := blockingSeq(closedAfter(20*time.Second), nil)
			s.task = func(i int) await.Task[int] { return tasktest.Deaf(time.Second, i) }
			ran, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, s.tasks, opts...)))
			require.Equal(t, []int{0, 1}, keysOf(byKey(ran)))
			require.Equal(t, []int{2}, keysOf(unstarted))
			require.EqualValues(t, 2, s.started.Load())
			s.requireOver(t)
		}
		check(telling, func() { close(telling.done) })
		check(silent, silent.end)
	})

	runSeqs(t, "both of two stages say that they were cut short", func(t *testing.T, w seqWay) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		first, second := endlessSeq(time.Second), counter{}
		_, unstarted := splitUnstarted(t, ctx, arrivals(w.loop(ctx, thenTasks(w.loop(ctx, first.tasks, await.Limit(1)), &second, 0), await.Limit(1))))
		require.NotEmpty(t, unstarted)
		first.requireOver(t)
	})
}

func TestAsCompletedSeqDetach(t *testing.T) {
	t.Run("drops a nil task, and lets runtime.Goexit be, after the end", func(t *testing.T) {
		for name, late := range map[string]func(yield func(int, await.Task[int]) bool){
			"a nil task":     func(yield func(int, await.Task[int]) bool) { yield(1, nil) },
			"runtime.Goexit": func(func(int, await.Task[int]) bool) { runtime.Goexit() },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ended := make(chan struct{})
					for range await.AsCompletedSeq(t.Context(), func(yield func(int, await.Task[int]) bool) {
						defer close(ended)
						if yield(0, tasktest.Deaf(0, 0)) {
							time.Sleep(time.Hour)
							late(yield) // a panic would crash the program
						}
					}, await.Detach()) {
						break
					}
					<-ended
				})
			})
		}
	})
	runSeqExits(t, "the end does not wait for the step, and its task never starts", func(t *testing.T, x exit, w seqWay) {
		release := make(chan struct{})
		s := blockingSeq(release, nil)
		start := time.Now()
		x.leave(w.loop(t.Context(), s.tasks, await.Detach()), func() {})
		require.Equal(t, time.Second, time.Since(start))
		afterDetached(time.Minute)
		require.Zero(t, s.cleaned)
		close(release)
		afterDetached(time.Minute)
		s.requireOver(t)
		require.EqualValues(t, 2, s.started.Load())
		require.LessOrEqual(t, s.pulled.Load(), int64(3))
	})

	runSeqExits(t, "a sequence that waits for a free place is cleaned up", func(t *testing.T, x exit, w seqWay) {
		s := endlessSeq(time.Hour)
		s.task = func(i int) await.Task[int] {
			if i == 0 {
				return tasktest.Deaf(time.Second, 0)
			}
			return tasktest.Deaf(time.Hour, i)
		}
		tasks := func(yield func(int, await.Task[int]) bool) {
			defer time.Sleep(time.Minute)
			s.tasks(yield)
		}
		start := time.Now()
		x.leave(w.loop(t.Context(), tasks, await.Limit(2), await.Detach()), func() {
			synctest.Wait() // until the third runs
		})
		require.Equal(t, time.Second+time.Minute, time.Since(start), "the end waits for the cleanup, and not for the tasks")
		require.Equal(t, 1, s.cleaned)
		afterDetached(2 * time.Hour)
		s.requireOver(t)
		require.EqualValues(t, 3, s.pulled.Load())
	})

	runSeqs(t, "when the context ends in the body, a sequence that waits for a free place is cleaned up at once", func(t *testing.T, w seqWay) {
		start := time.Now()
		var cleaned time.Duration
		tasks := func(yield func(int, await.Task[int]) bool) {
			defer func() { cleaned = time.Since(start) }()
			_ = yield(0, tasktest.Deaf(time.Second, 0)) && yield(1, tasktest.Deaf(time.Hour, 1))
		}
		for range w.loop(endsAfter(t, 3*time.Second), tasks, await.Limit(1), await.Detach()) {
			time.Sleep(time.Minute)
		}
		require.Equal(t, 3*time.Second, cleaned)
		afterDetached(time.Hour)
	})

	runSeqs(t, "when the context ends, the step is not awaited", func(t *testing.T, w seqWay) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errCause)
		defer cancel()
		release := make(chan struct{})
		s := blockingSeq(release, nil)
		got := arrivals(w.loop(ctx, s.tasks, await.Detach()))
		require.Len(t, got, 2)
		require.Equal(t, arrival{0, 0, nil, 1 * time.Second}, got[0])
		require.Equal(t, 1, got[1].key)
		require.Equal(t, 3*time.Second, got[1].at)
		require.ErrorIs(t, got[1].err, errCause)
		require.ErrorIs(t, got[1].err, context.DeadlineExceeded)
		afterDetached(time.Minute)
		require.Zero(t, s.cleaned)
		close(release)
		afterDetached(time.Minute)
		s.requireOver(t)
		require.EqualValues(t, 2, s.started.Load(), "what the step offers afterwards is dropped")
	})

	runSeqs(t, "what a step offers when the context has ended is dropped, although the loop goes on", func(t *testing.T, w seqWay) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s := blockingSeq(closedAfter(20*time.Second), nil)
		var keys []int
		for key := range w.loop(ctx, s.tasks, await.Detach()) {
			keys = append(keys, key)
			time.Sleep(time.Minute)
		}
		require.Equal(t, []int{0, 1}, keys)
		s.requireOver(t)
		require.EqualValues(t, 2, s.started.Load())
		require.EqualValues(t, 3, s.pulled.Load())
	})

	runSeqs(t, "when the context has ended, the sequence is not asked", func(t *testing.T, w seqWay) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := endlessSeq(0)
		require.Empty(t, arrivals(w.loop(ctx, s.tasks, await.Detach())))
		synctest.Wait()
		require.Zero(t, s.pulled.Load())
		require.Zero(t, s.started.Load())
	})

	runSeqs(t, "a panic does not wait for the step", func(t *testing.T, w seqWay) {
		release := make(chan struct{})
		s := blockingSeq(release, nil)
		s.task = func(i int) await.Task[int] {
			if i == 0 {
				return tasktest.Panicking[int](time.Second, "boom")
			}
			return tasktest.Deaf(time.Hour, i)
		}
		start := time.Now()
		requireRaised(t, "boom", func() { arrivals(w.loop(t.Context(), s.tasks, await.Detach())) })
		require.Equal(t, time.Second, time.Since(start))
		close(release)
		afterDetached(2 * time.Hour)
		s.requireOver(t)
	})

	runSeqs(t, "a new loop may run beside a sequence that is still blocked", func(t *testing.T, w seqWay) {
		release := make(chan struct{})
		defer close(release)
		first := true
		seq := w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
			blocks := first
			first = false
			for i := range 3 {
				if i == 1 && blocks {
					<-release
				}
				if !yield(i, tasktest.Deaf(time.Duration(i)*time.Second, i)) {
					return
				}
			}
		}, await.Limit(3), await.Detach())
		for range seq {
			break
		}
		require.Equal(t, []int{0, 1, 2}, keysOf(arrivals(seq)))
	})

	// The task that goes on for an hour keeps its call, but not what the others
	// were about.
	t.Run("no key of a task that has returned is kept", func(t *testing.T) {
		takes := []time.Duration{time.Second, time.Hour, time.Minute, time.Minute}
		for name, loop := range map[string]func(context.Context, iter.Seq2[*page, await.Task[int]], ...await.Option) iter.Seq2[*page, await.Result[int]]{
			"AsCompletedSeq": await.AsCompletedSeq[*page, int],
			"InOrderSeq":     await.InOrderSeq[*page, int],
		} {
			for leave := range takes { // after 0 results: not at all
				t.Run(fmt.Sprintf("%s left after %d", name, leave), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
						defer cancel()
						keys := make([]weak.Pointer[page], len(takes))
						requireCollected := func(which ...int) {
							afterDetached(2 * time.Minute)
							runtime.GC()
							for _, i := range which {
								assert.Nil(t, keys[i].Value(), "key %d is kept", i)
							}
						}
						yielded := 0
						for range loop(ctx, func(yield func(*page, await.Task[int]) bool) {
							for i, d := range takes {
								key := new(page)
								keys[i] = weak.Make(key)
								if !yield(key, tasktest.Deaf(d, i)) {
									return
								}
							}
						}, await.Detach()) {
							yielded++
							if yielded == leave {
								break
							}
							if yielded == len(takes) {
								requireCollected(0, 2)
							}
						}
						requireCollected(0, 2, 3)
						afterDetached(2 * time.Hour)
					})
				})
			}
		}
	})
}

func TestAsCompletedSeqDetachedLatePanicCrashesTheProgram(t *testing.T) {
	for _, w := range seqWays {
		for _, place := range []string{"step", "cleanup"} {
			for _, end := range []string{"break", "context"} {
				t.Run(w.name+" "+place+" "+end, func(t *testing.T) {
					if !tasktest.IsChild(t) {
						output, err := tasktest.RunChild(t)
						require.Error(t, err)
						require.Contains(t, output, "the loop has ended")
						require.Contains(t, output, "too late")
						require.Contains(t, output, "await_test.explode(")
						return
					}
					ctx, cancel := context.WithCancel(t.Context())
					blocked, release := make(chan struct{}), make(chan struct{})
					seq := func(yield func(int, await.Task[int]) bool) {
						yield(0, tasktest.Deaf(0, 0))
						close(blocked)
						<-release
						if place == "cleanup" {
							defer explode("too late")
							yield(1, tasktest.Deaf(0, 1))
						} else {
							explode("too late")
						}
					}
					for range w.loop(ctx, seq, await.Detach()) {
						<-blocked
						if end == "break" {
							break
						}
						cancel()
					}
					fmt.Println("the loop has ended")
					close(release)
					select {} // the crash ends it
				})
			}
		}
	}
}

// requireSeqFails ranges over a sequence that offers a task at every second,
// and calls fail at the second after the one with the number before. With ends,
// fail is in place of the sequence's end. It checks what the tasks see, and
// returns what is raised.
func requireSeqFails(t *testing.T, w seqWay, opts []await.Option, before int, ends bool, fail func()) *await.PanicError {
	t.Helper()
	causes := make(chan error, 5)
	s := &countingSeq{n: 5, task: func(int) await.Task[int] {
		return func(ctx context.Context) (int, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			time.Sleep(10 * time.Second)
			return 0, nil
		}
	}, step: func(i int) {
		time.Sleep(time.Second)
		if i == before {
			fail()
		}
	}}
	if ends {
		s.n = before
	}
	start := time.Now()
	raised := raisedBy(t, func() {
		for range w.loop(t.Context(), s.tasks, opts...) {
			t.Error("the panic is ahead of the results")
		}
	})
	want := time.Duration(before+1) * time.Second
	if before > 0 && !slices.Contains(opts, await.Detach()) {
		want += 10 * time.Second // the running tasks are waited for
	}
	require.Equal(t, want, time.Since(start))
	afterDetached(time.Minute)
	s.requireOver(t)
	require.EqualValues(t, before, s.started.Load())
	require.EqualValues(t, before, s.pulled.Load())
	require.Nil(t, raised.Key)
	for range before {
		require.Same(t, raised, <-causes)
	}
	return raised
}

func TestAsCompletedSeqPanics(t *testing.T) {
	withDetach := append(slices.Clone(seqOptions), struct {
		name string
		opts []await.Option
	}{"Detach", []await.Option{await.Detach()}})

	t.Run("in the sequence are raised with their stack", func(t *testing.T) {
		for _, o := range withDetach {
			runSeqs(t, o.name, func(t *testing.T, w seqWay) {
				for before := range 4 {
					for _, ends := range []bool{false, true} {
						raised := requireSeqFails(t, w, o.opts, before, ends, func() { explode(tasktest.ErrBoom) })
						require.Equal(t, tasktest.ErrBoom, raised.Value)
						require.ErrorIs(t, raised, tasktest.ErrBoom)
						require.Contains(t, string(raised.Stack), "await_test.explode(")
						require.Contains(t, string(raised.Stack), "(*countingSeq).tasks")
						require.Contains(t, raised.Error(), tasktest.ErrBoom.Error())
						require.Contains(t, raised.Error(), string(raised.Stack))
					}
				}
			})
		}
	})

	t.Run("Goexit in the sequence is raised", func(t *testing.T) {
		for _, o := range withDetach {
			runSeqs(t, o.name, func(t *testing.T, w seqWay) {
				for before := range 4 {
					for _, ends := range []bool{false, true} {
						raised := requireSeqFails(t, w, o.opts, before, ends, runtime.Goexit)
						require.Equal(t, await.ErrGoexit, raised.Value)
						require.ErrorIs(t, raised, await.ErrGoexit)
					}
				}
			})
		}
	})

	runSeqs(t, "with nil in the sequence are panics", func(t *testing.T, w seqWay) {
		raised := requireSeqFails(t, w, nil, 2, false, func() { explode(nil) })
		require.Equal(t, new(runtime.PanicNilError), raised.Value)
	})

	runSeqs(t, "a failed require in the sequence is raised", func(t *testing.T, w seqWay) {
		var fake fakeT
		raised := requireSeqFails(t, w, nil, 1, false, func() { require.Equal(&fake, 1, 2) })
		require.True(t, fake.failed.Load())
		require.Equal(t, await.ErrGoexit, raised.Value)
	})

	// A deferred call may panic while Goexit unwinds the sequence.
	runSeqs(t, "during Goexit in the sequence are raised", func(t *testing.T, w seqWay) {
		raised := requireSeqFails(t, w, nil, 1, false, func() {
			defer explode("cleanup")
			runtime.Goexit()
		})
		require.Equal(t, "cleanup", raised.Value)
	})

	t.Run("a nil task out of the sequence is one, and is named by its key", func(t *testing.T) {
		for _, o := range withDetach {
			runSeqs(t, o.name, func(t *testing.T, w seqWay) {
				for _, index := range []int{0, 1, 4} {
					causes := make(chan error, 5)
					s := &countingSeq{n: 5, task: func(i int) await.Task[int] {
						if i == index {
							return nil
						}
						return func(ctx context.Context) (int, error) {
							<-ctx.Done()
							causes <- context.Cause(ctx)
							return 0, nil
						}
					}, step: func(int) { time.Sleep(time.Second) }}
					start := time.Now()
					raised := raisedBy(t, func() {
						for range w.loop(t.Context(), func(yield func(int, await.Task[int]) bool) {
							s.tasks(func(i int, task await.Task[int]) bool { return yield(1000+i, task) })
						}, o.opts...) {
							t.Error("the panic is ahead of the results")
						}
					})
					require.Equal(t, time.Duration(index+1)*time.Second, time.Since(start))
					require.Regexp(t, fmt.Sprintf("^await: .*%d.* nil", 1000+index), fmt.Sprint(raised.Value))
					require.Contains(t, raised.Error(), fmt.Sprint(raised.Value))
					require.NotEmpty(t, raised.Stack)
					synctest.Wait()
					s.requireOver(t)
					require.EqualValues(t, index+1, s.pulled.Load())
					for range index {
						require.Same(t, raised, <-causes)
					}
				}
			})
		}
	})

	// At second 2, results 0 and 1 are there, the body has the first one, and the
	// way to the next task fails.
	runSeqs(t, "in the sequence are ahead of results that wait", func(t *testing.T, w seqWay) {
		s := endlessSeq(time.Second / 4)
		s.step = func(i int) {
			if i == 2 {
				time.Sleep(2 * time.Second)
				explode("sequence")
			}
		}
		yielded := 0
		requireRaised(t, "sequence", func() {
			for range w.loop(t.Context(), s.tasks) {
				yielded++
				time.Sleep(time.Minute)
			}
		})
		require.Equal(t, 1, yielded)
		s.requireOver(t)
	})

	// failures are what a cleanup or a late step may do, and what is raised then.
	failures := []struct {
		value any
		fail  func()
	}{{"late", func() { explode("late") }}, {await.ErrGoexit, runtime.Goexit}}

	runSeqExits(t, "in the sequence's cleanup are raised", func(t *testing.T, x exit, w seqWay) {
		for _, f := range failures {
			s := endlessSeq(time.Second)
			requireRaised(t, f.value, func() {
				x.leave(w.loop(t.Context(), thenFail(s.tasks, f.fail), await.Limit(2)), synctest.Wait)
			})
			s.requireOver(t)
		}
	})

	t.Run("in the cleanup at the sequence's end are raised", func(t *testing.T) {
		for _, o := range withDetach {
			runSeqs(t, o.name, func(t *testing.T, w seqWay) {
				for _, f := range failures {
					s := seqOf(seconds(1, 2)...)
					requireRaised(t, f.value, func() { arrivals(w.loop(t.Context(), thenFail(s.tasks, f.fail), o.opts...)) })
					afterDetached(time.Minute)
					s.requireOver(t)
				}
			})
		}
	})

	runSeqs(t, "in the cleanup when the context ends are raised", func(t *testing.T, w seqWay) {
		for _, f := range failures {
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			s := endlessSeq(time.Second)
			requireRaised(t, f.value, func() { arrivals(w.loop(ctx, thenFail(s.tasks, f.fail), await.Limit(2))) })
			s.requireOver(t)
			cancel()
		}
	})

	// The loop is left at second 1, the step goes on until second 3, and a task
	// until second 5; or the step is longest.
	runSeqExits(t, "in the step that the end waits for are raised", func(t *testing.T, x exit, w seqWay) {
		for _, f := range failures {
			for _, release := range []time.Duration{3 * time.Second, 20 * time.Second} {
				s := blockingSeq(closedAfter(release), f.fail)
				start := time.Now()
				requireRaised(t, f.value, func() { x.leave(w.loop(t.Context(), s.tasks), func() {}) })
				require.Equal(t, max(release, 5*time.Second), time.Since(start))
				s.requireOver(t)
			}
		}
	})

	// Two may run. Task 1 panics at second 2, in a body that sleeps.
	runSeqs(t, "of a task end the pulling", func(t *testing.T, w seqWay) {
		s := endlessSeq(time.Hour)
		s.task = func(i int) await.Task[int] {
			switch i {
			case 0:
				return tasktest.Deaf(time.Second, 0)
			case 1:
				return exploding(2*time.Second, "boom")
			}
			return func(ctx context.Context) (int, error) {
				<-ctx.Done()
				time.Sleep(10 * time.Second)
				return 0, nil
			}
		}
		start := time.Now()
		requireRaised(t, "boom", func() {
			for range w.loop(t.Context(), s.tasks, await.Limit(2)) {
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, 12*time.Second, time.Since(start))
		require.EqualValues(t, 3, s.started.Load())
		require.EqualValues(t, 3, s.pulled.Load())
		s.requireOver(t)
	})

	runSeqs(t, "of a task wait for the step", func(t *testing.T, w seqWay) {
		s := blockingSeq(closedAfter(20*time.Second), nil)
		second := s.task
		s.task = func(i int) await.Task[int] {
			if i == 0 {
				return tasktest.Panicking[int](time.Second, "boom")
			}
			return second(i)
		}
		start := time.Now()
		requireRaised(t, "boom", func() { arrivals(w.loop(t.Context(), s.tasks)) })
		require.Equal(t, 20*time.Second, time.Since(start))
		s.requireOver(t)
		require.EqualValues(t, 2, s.started.Load())
	})

	runSeqs(t, "of a task and of the sequence follow each other in time", func(t *testing.T, w seqWay) {
		late := func(ctx context.Context) (int, error) { <-ctx.Done(); panic("task") }
		for _, test := range []struct {
			seq           iter.Seq2[int, await.Task[int]]
			first, second string
		}{
			{func(yield func(int, await.Task[int]) bool) {
				yield(0, late)
				time.Sleep(time.Second) // until the task runs
				explode("sequence")
			}, "sequence", "task"},
			{func(yield func(int, await.Task[int]) bool) {
				defer explode("cleanup")
				yield(0, tasktest.Panicking[int](time.Second, "task"))
				time.Sleep(time.Second / 2)
			}, "cleanup", "task"},
			{func(yield func(int, await.Task[int]) bool) {
				defer explode("cleanup")
				_ = yield(0, tasktest.Panicking[int](time.Second, "task")) && yield(1, tasktest.Deaf(time.Minute, 1)) && yield(2, tasktest.Deaf(0, 2))
			}, "task", "cleanup"},
		} {
			raised := raisedBy(t, func() { arrivals(w.loop(t.Context(), test.seq, await.Limit(2))) })
			require.Equal(t, test.first, raised.Value)
			require.Contains(t, string(raised.Stack), test.second)
		}
	})

	// The loop has results to read when the sequence panics, and must not cancel
	// before the panic does.
	runSeqsForReal(t, "in the sequence are the cause, however busy the loop is", func(t *testing.T, w seqWay) {
		for range rounds(3000) {
			var cause error
			s := endlessSeq(0)
			s.task = func(i int) await.Task[int] {
				if i == 9 {
					return func(ctx context.Context) (int, error) {
						<-ctx.Done()
						cause = context.Cause(ctx)
						return 0, nil
					}
				}
				return func(context.Context) (int, error) { runtime.Gosched(); return i, nil }
			}
			s.step = func(i int) {
				if i == 20 {
					explode("sequence")
				}
			}
			raised := raisedBy(t, func() { arrivals(w.loop(t.Context(), s.tasks)) })
			require.Equal(t, "sequence", raised.Value)
			if cause != nil { // the task had started
				require.Same(t, raised, cause)
			}
		}
	})

	runSeqsForReal(t, "in the sequence leave nothing behind", func(t *testing.T, w seqWay) {
		for round := range 1000 {
			s := endlessSeq(0)
			s.task = func(i int) await.Task[int] {
				if i%2 == 0 {
					return tasktest.After(time.Hour, i)
				}
				return func(context.Context) (int, error) { runtime.Gosched(); return i, nil }
			}
			s.step = func(i int) {
				if i == round%7 {
					explode("sequence")
				}
			}
			requireRaised(t, "sequence", func() { arrivals(w.loop(t.Context(), s.tasks)) })
			s.requireOver(t)
		}
	})
}

// thenFail is tasks with a cleanup that ends in fail.
func thenFail(tasks iter.Seq2[int, await.Task[int]], fail func()) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		defer fail()
		tasks(yield)
	}
}

func TestAsCompletedSeqThreads(t *testing.T) {
	threadOptions := [][]await.Option{nil, {await.Limit(2)}, {await.Limit(2), await.Buffer(0)}, {await.Within(await.NewLimiter(2))}, {await.Detach()}}

	// lockedSeq is s on a goroutine that is locked to its thread.
	lockedSeq := func(s *countingSeq) iter.Seq2[int, await.Task[int]] {
		return func(yield func(int, await.Task[int]) bool) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			s.tasks(yield)
		}
	}

	runSeqsForReal(t, "the sequence may lock its goroutine to a thread", func(t *testing.T, w seqWay) {
		for _, opts := range threadOptions {
			s := seqOf(instant(100)...)
			require.Len(t, arrivals(w.loop(t.Context(), lockedSeq(s), opts...)), 100)
			s.requireOver(t)

			for range w.loop(t.Context(), lockedSeq(seqOf(instant(100)...)), opts...) {
				break
			}
			ctx, cancel := context.WithCancel(t.Context())
			for range w.loop(ctx, lockedSeq(endlessSeq(0)), append(slices.Clone(opts), await.Limit(2))...) {
				cancel()
			}
			cancel()
		}
	})

	runSeqsForReal(t, "the sequence may end with its thread locked", func(t *testing.T, w seqWay) {
		for _, end := range []func(){func() {}, func() { explode("locked") }, runtime.Goexit} {
			s := seqOf(instant(100)...)
			s.step = func(i int) {
				switch i {
				case 0:
					runtime.LockOSThread()
				case 50:
					end()
				}
			}
			func() {
				defer func() { _ = recover() }()
				arrivals(w.loop(t.Context(), s.tasks, await.Limit(2)))
			}()
			s.requireOver(t)
		}
	})

	runSeqsForReal(t, "the loop may run on a goroutine that is locked to its thread", func(t *testing.T, w seqWay) {
		locked := func(f func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				f()
			}()
			<-done
		}
		for _, opts := range threadOptions {
			s := seqOf(instant(100)...)
			locked(func() { assert.Len(t, arrivals(w.loop(t.Context(), s.tasks, opts...)), 100) })
			s.requireOver(t)
			locked(func() {
				var second counter
				assert.Len(t, arrivals(w.loop(t.Context(), thenTasks(w.loop(t.Context(), slices.All(instant(100)), opts...), &second, 0), opts...)), 100)
			})
		}
		for _, x := range exits {
			s := endlessSeq(0)
			locked(func() {
				x.leave(w.loop(t.Context(), s.tasks, await.Limit(2), await.Buffer(1)), func() {
					for s.started.Load() < 1+2+1 || s.running.Load() > 0 {
						runtime.Gosched()
					}
				})
			})
			s.requireOver(t)
		}
		s := seqOf(instant(100)...)
		for i := range w.loop(t.Context(), s.tasks, await.Limit(2)) { // locked in the middle
			if i%2 == 0 {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread() //nolint:gocritic // it is the goroutine's, not the loop's
			}
		}
		s.requireOver(t)
	})
}

func TestAsCompletedSeqLabels(t *testing.T) {
	runSeqsForReal(t, "tasks have those of the call's context, not those of the sequence", func(t *testing.T, w seqWay) {
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(4)}, {await.Name("crawl")}, {await.Within(await.NewLimiter(1))}} {
			ctx := pprof.WithLabels(t.Context(), pprof.Labels("tenant", "north"))
			records := make(chan string, 3)
			task := func(context.Context) (int, error) { records <- ownRecord(t); return 0, nil }
			s := seqOf(tasktest.Copies(3, task)...)
			s.step = func(int) {
				pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("sequence", "stray")))
			}
			require.Len(t, arrivals(w.loop(ctx, s.tasks, opts...)), 3)
			for range 3 {
				record := <-records
				require.NotContains(t, record, "stray")
				require.Contains(t, record, `"tenant":"north"`)
			}
		}
	})
	runSeqsForReal(t, "the sequence has those of the call's context, not those of the caller's goroutine", func(t *testing.T, w seqWay) {
		defer pprof.SetGoroutineLabels(t.Context())
		pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("caller", "stray")))
		record := ""
		s := seqOf()
		s.step = func(int) { record = ownRecord(t) }
		require.Empty(t, arrivals(w.loop(pprof.WithLabels(t.Context(), pprof.Labels("tenant", "north")), s.tasks)))
		require.NotContains(t, record, "stray")
		require.Contains(t, record, `"tenant":"north"`)
	})
}

func TestAsCompletedSeqBadInput(t *testing.T) {
	runSeqs(t, "a nil sequence panics at the call", func(t *testing.T, w seqWay) {
		requireBadInput(t, "sequence", func() { w.loop(t.Context(), nil) })
		requireBadInput(t, "nil", func() { w.loop(t.Context(), nil, nil) })
	})
}

func TestInOrderResults(t *testing.T) {
	runOf(t, ordered, "come in input order, as soon as that allows", func(t *testing.T, w way) {
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 1, nil, 5 * time.Second},
			{2, 2, nil, 5 * time.Second},
			{3, 3, nil, 5 * time.Second},
			{4, 4, nil, 6 * time.Second},
		}, arrivals(w.loop(t, t.Context(), seconds(1, 5, 2, 4, 6))))
	})

	runOf(t, ordered, "wait for a slow head, and the tasks do not", func(t *testing.T, w way) {
		var c counter
		tasks := c.wrap(slices.Concat(seconds(60), instant(20))...)
		start := time.Now()
		var got []int
		for i := range w.loop(t, t.Context(), tasks) {
			require.Equal(t, time.Minute, time.Since(start))
			require.EqualValues(t, len(tasks), c.started.Load())
			got = append(got, i)
		}
		require.Equal(t, below(len(tasks)), got)
	})

	runOf(t, ordered, "come in input order whatever the tasks take", func(t *testing.T, w way) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, opts := range [][]await.Option{
			nil,
			{await.Limit(1)},
			{await.Limit(4)},
			{await.Limit(4), await.Buffer(0)},
			{await.Limit(4), await.Buffer(3)},
			{await.Limit(4), await.Buffer(100)},
		} {
			for range 5 {
				durations := rng.Perm(50)
				yielded := 0
				for i, r := range w.loop(t, t.Context(), seconds(durations...), opts...) {
					require.Equal(t, yielded, i)
					require.Equal(t, await.Result[int]{Value: i}, r)
					yielded++
					time.Sleep(time.Duration(rng.IntN(10)) * time.Second)
				}
				require.Equal(t, len(durations), yielded)
			}
		}
	})

	runOf(t, ordered, "of failed tasks keep their places", func(t *testing.T, w way) {
		got := arrivals(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(4*time.Second, 10),
			tasktest.Failing[int](1*time.Second, tasktest.ErrBoom),
			tasktest.Exiting[int](2 * time.Second),
			exploding(1*time.Second, "boom"),
			tasktest.Deaf(5*time.Second, 13),
			tasktest.Failing[int](0, tasktest.ErrBoom),
		}, await.Recover()))
		var panicked *await.PanicError
		require.ErrorAs(t, got[3].err, &panicked)
		got[3].err = nil
		require.Equal(t, []arrival{
			{0, 10, nil, 4 * time.Second},
			{1, 0, tasktest.ErrBoom, 4 * time.Second},
			{2, 0, await.ErrGoexit, 4 * time.Second},
			{3, 0, nil, 4 * time.Second},
			{4, 13, nil, 5 * time.Second},
			{5, 0, tasktest.ErrBoom, 5 * time.Second},
		}, got)
	})
}

func TestInOrderBackpressure(t *testing.T) {
	// The head of a window of two is done last.
	runOf(t, ordered, "a slow head holds back what comes and what starts", func(t *testing.T, w way) {
		var c counter
		ended := make(chan []arrival)
		go func() {
			ended <- arrivals(w.loop(t, t.Context(), c.wrap(seconds(10, 1, 1, 1)...), await.Limit(2), await.Buffer(0)))
		}()
		time.Sleep(9 * time.Second)
		require.EqualValues(t, 2, c.started.Load())
		require.EqualValues(t, 1, c.running.Load())
		require.Equal(t, []arrival{
			{0, 0, nil, 10 * time.Second},
			{1, 1, nil, 10 * time.Second},
			{2, 2, nil, 11 * time.Second},
			{3, 3, nil, 11 * time.Second},
		}, <-ended)
	})

	// The head takes a hundred seconds and every other task takes one. Between
	// two whole seconds, k rounds of the other limit-1 slots are over.
	runOf(t, ordered, "a slow head holds exactly limit and buffer", func(t *testing.T, w way) {
		for _, limit := range []int{1, 2, 5} {
			for _, buffer := range []int{0, 1, 3, 7} {
				var c counter
				tasks := c.wrap(slices.Concat(seconds(100), tasktest.Copies(50, tasktest.Deaf(time.Second, 0)))...)
				ended := make(chan []int)
				go func() {
					ended <- keysOf(arrivals(w.loop(t, t.Context(), tasks, await.Limit(limit), await.Buffer(buffer))))
				}()
				time.Sleep(time.Second / 2)
				for k := range 90 {
					others := min((limit-1)*(k+1), limit-1+buffer)
					busy := max(0, min(limit-1, limit-1+buffer-(limit-1)*k))
					require.EqualValues(t, 1+others, c.started.Load(), "limit %d, buffer %d, second %d", limit, buffer, k)
					require.EqualValues(t, 1+busy, c.running.Load(), "limit %d, buffer %d, second %d", limit, buffer, k)
					time.Sleep(time.Second)
				}
				if limit > 1 {
					require.EqualValues(t, limit+buffer, c.started.Load())
				}
				require.Equal(t, below(len(tasks)), <-ended)
			}
		}
	})

	// Any task may be the slow one. What is started and not yet yielded is counted
	// while it blocks and nothing moves.
	runOf(t, ordered, "whichever task is slow, it holds exactly limit and buffer", func(t *testing.T, w way) {
		const limit, buffer, n = 3, 2, 40
		for slow := range 8 {
			release := make(chan struct{})
			var c counter
			tasks := instant(n)
			for i := slow; i < n; i += 8 {
				tasks[i] = func(context.Context) (int, error) { <-release; return i, nil }
			}
			ended := make(chan struct{})
			yielded := 0
			go func() {
				defer close(ended)
				for i := range w.loop(t, t.Context(), c.wrap(tasks...), await.Limit(limit), await.Buffer(buffer)) {
					assert.Equal(t, yielded, i)
					yielded++
				}
			}()
			for head := slow; head < n; head += 8 {
				synctest.Wait()
				require.Equal(t, head, yielded)
				require.EqualValues(t, min(head+limit+buffer, n), c.started.Load())
				release <- struct{}{}
			}
			<-ended
			require.Equal(t, n, yielded)
		}
	})
}

func TestInOrderPanics(t *testing.T) {
	runOf(t, ordered, "behind a slow head are raised when the head has returned", func(t *testing.T, w way) {
		start := time.Now()
		requireRaised(t, "boom", func() {
			for range w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(10*time.Second, 0),
				tasktest.Panicking[int](time.Second, "boom"),
			}) {
				t.Error("the panic is ahead of the head")
			}
		})
		require.Equal(t, 10*time.Second, time.Since(start))
	})

	runOf(t, ordered, "come in the middle of a run of results", func(t *testing.T, w way) {
		var got []int
		requireRaised(t, "boom", func() {
			for i := range w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(2*time.Second, 0),
				tasktest.Deaf(1*time.Second, 1), // waits until second 2, then is next
				tasktest.Panicking[int](3*time.Second, "boom"),
			}) {
				got = append(got, i)
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, []int{0}, got)
	})
}

func TestInOrderContext(t *testing.T) {
	runOf(t, ordered, "when it ends behind a slow head, all that has started comes in its place", func(t *testing.T, w way) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var c counter
		tasks := c.wrap(slices.Concat([]await.Task[int]{tasktest.After(time.Hour, 0)}, tasktest.Copies(9, tasktest.Deaf(time.Second, 7)))...)
		all := arrivals(w.loop(t, ctx, tasks, await.Limit(2), await.Buffer(1)))
		require.Equal(t, 3*time.Second, time.Since(start))
		require.True(t, slices.IsSorted(keysOf(all)))
		ran, unstarted := splitUnstarted(t, ctx, all)
		require.Equal(t, []arrival{
			{0, 0, context.DeadlineExceeded, 3 * time.Second},
			{1, 7, nil, 3 * time.Second},
			{2, 7, nil, 3 * time.Second},
		}, ran)
		require.Equal(t, w.unstarted(3, 10), keysOf(unstarted))
		require.EqualValues(t, 3, c.started.Load())
	})

	runOf(t, ordered, "with Detach the order is kept when it ends", func(t *testing.T, w way) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errCause)
		defer cancel()
		got := arrivals(w.loop(t, ctx, seconds(1, 3600, 2, 3600, 1, 2), await.Detach()))
		require.Equal(t, below(6), keysOf(got))
		for i, a := range got {
			if i%2 == 1 && i < 4 {
				require.ErrorIs(t, a.err, errCause)
				require.ErrorIs(t, a.err, context.DeadlineExceeded)
			} else {
				require.NoError(t, a.err)
				require.Equal(t, i, a.value)
			}
			if i > 0 {
				require.Equal(t, 3*time.Second, a.at)
			}
		}
		afterDetached(2 * time.Hour)
	})
}

func TestInOrderSeqResults(t *testing.T) {
	// The order is that of the pulls and has nothing to do with the keys.
	t.Run("come in the order of the sequence, whatever the keys", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			for key := range await.InOrderSeq(t.Context(), func(yield func(string, await.Task[int]) bool) {
				_ = yield("c", tasktest.Deaf(3*time.Second, 0)) && yield("a", tasktest.Deaf(1*time.Second, 0)) &&
					yield("a", tasktest.Deaf(2*time.Second, 0)) && yield("b", tasktest.Deaf(0, 0))
			}) {
				got = append(got, key)
			}
			require.Equal(t, []string{"c", "a", "a", "b"}, got)
		})
	})

	t.Run("come in the order of a slow sequence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, 8))
			for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(4)}, {await.Limit(4), await.Buffer(0)}, {await.Limit(4), await.Buffer(100)}} {
				durations, steps := rng.Perm(50), rng.Perm(51)
				s := seqOf(seconds(durations...)...)
				s.step = func(i int) { time.Sleep(time.Duration(steps[i]%3) * time.Second) }
				yielded := 0
				for i, r := range await.InOrderSeq(t.Context(), s.tasks, opts...) {
					require.Equal(t, yielded, i)
					require.Equal(t, await.Result[int]{Value: i}, r)
					yielded++
					time.Sleep(time.Duration(rng.IntN(10)) * time.Second)
				}
				require.Equal(t, len(durations), yielded)
				s.requireOver(t)
			}
		})
	})
}

func TestInOrderSeqPanics(t *testing.T) {
	t.Run("in the sequence behind a slow head are raised when the head has returned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := seqOf(seconds(10, 1)...)
			s.step = func(i int) {
				if i == s.n {
					time.Sleep(5 * time.Second)
					explode("sequence")
				}
			}
			start := time.Now()
			requireRaised(t, "sequence", func() {
				for range await.InOrderSeq(t.Context(), s.tasks) {
					t.Error("the panic is ahead of the head")
				}
			})
			require.Equal(t, 10*time.Second, time.Since(start))
			s.requireOver(t)
		})
	})

	t.Run("in the sequence come in the middle of a run of results", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := seqOf(seconds(2, 1)...)
			s.step = func(i int) {
				if i == s.n {
					time.Sleep(3 * time.Second)
					explode("sequence")
				}
			}
			var got []int
			requireRaised(t, "sequence", func() {
				for i := range await.InOrderSeq(t.Context(), s.tasks, await.Limit(3)) {
					got = append(got, i)
					time.Sleep(5 * time.Second)
				}
			})
			require.Equal(t, []int{0}, got)
			s.requireOver(t)
		})
	})
}
