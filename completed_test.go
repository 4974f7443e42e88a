package await_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// streamer is AsCompleted or InOrder. Most of their contract is the same.
type streamer = func(context.Context, []await.Task[int], ...await.Option) iter.Seq2[int, await.Result[int]]

var streamers = []struct {
	name   string
	stream streamer
}{
	{"AsCompleted", await.AsCompleted[int]},
	{"InOrder", await.InOrder[int]},
}

// bothOrders runs a test in a bubble of its own for AsCompleted and for InOrder.
func bothOrders(t *testing.T, test func(t *testing.T, stream streamer)) {
	t.Helper()
	for _, s := range streamers {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, s.stream) })
		})
	}
}

// bothOrdersOutside is bothOrders with real goroutines and real time.
func bothOrdersOutside(t *testing.T, test func(t *testing.T, stream streamer)) {
	t.Helper()
	for _, s := range streamers {
		t.Run(s.name, func(t *testing.T) {
			test(t, s.stream)
			requireNoWorkers(t)
		})
	}
}

// arrival is one result and the moment when the loop got it.
type arrival struct {
	index int
	value int
	err   error
	at    time.Duration
}

// arrivals ranges seq to its end.
func arrivals(seq iter.Seq2[int, await.Result[int]]) (all []arrival) {
	start := time.Now()
	for i, r := range seq {
		all = append(all, arrival{i, r.Value, r.Err, time.Since(start)})
	}
	return all
}

// watchedContext is a context that knows who watches it. They do not learn of
// its end by themselves, but when the test calls their functions.
type watchedContext struct {
	context.Context
	done chan struct{}

	mu   sync.Mutex
	tell []func() // guarded by mu; nil for those that watch no longer
}

func watched(parent context.Context) *watchedContext {
	return &watchedContext{Context: parent, done: make(chan struct{})}
}

func (c *watchedContext) Done() <-chan struct{} { return c.done }

func (c *watchedContext) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// AfterFunc is what package context calls if a context has it.
func (c *watchedContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.tell)
	c.tell = append(c.tell, f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		watches := c.tell[i] != nil
		c.tell[i] = nil
		return watches
	}
}

// watchers counts those who watch.
func (c *watchedContext) watchers() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.tell {
		if f != nil {
			n++
		}
	}
	return n
}

// indices are the indices of arrivals.
func indices(all []arrival) (list []int) {
	for _, a := range all {
		list = append(list, a.index)
	}
	return list
}

// census counts the tasks that it has wrapped.
type census struct{ started, running, peak atomic.Int64 }

func (c *census) wrap(tasks ...await.Task[int]) []await.Task[int] {
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

// copies is n tasks, each the same.
func copies(n int, task await.Task[int]) []await.Task[int] {
	return slices.Repeat([]await.Task[int]{task}, n)
}

// instant is n tasks that return their index at once.
func instant(n int) []await.Task[int] { return seconds(make([]int, n)...) }

// seconds is one deaf task for each duration, with its index as the value.
func seconds(durations ...int) []await.Task[int] {
	tasks := make([]await.Task[int], len(durations))
	for i, d := range durations {
		tasks[i] = deaf(time.Duration(d)*time.Second, i)
	}
	return tasks
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

// underRace reports whether the race detector is on.
func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Start.

func TestCallingStartsNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		seq := stream(t.Context(), c.wrap(seconds(0, 0)...))
		time.Sleep(time.Hour)
		require.Zero(t, c.started.Load())
		require.Len(t, arrivals(seq), 2)
		require.EqualValues(t, 2, c.started.Load())
	})
}

func TestRangingAgainRunsTheTasksAgain(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		seq := stream(t.Context(), c.wrap(seconds(1, 2, 3)...))
		first := arrivals(seq)
		require.Equal(t, first, arrivals(seq))
		require.EqualValues(t, 6, c.started.Load())
	})
}

func TestRangingAgainAfterABreakStartsFromTheBeginning(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		seq := stream(t.Context(), seconds(1, 2, 3))
		for range seq {
			break
		}
		require.Equal(t, []int{0, 1, 2}, indices(arrivals(seq)))
	})
}

func TestRangingFromTwoGoroutinesIsTwoRuns(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		seq := stream(t.Context(), c.wrap(seconds(1, 2, 3)...))
		var got [2][]arrival
		var group sync.WaitGroup
		for k := range got {
			group.Go(func() { got[k] = arrivals(seq) })
		}
		group.Wait()
		require.Equal(t, []int{0, 1, 2}, indices(got[0]))
		require.Equal(t, got[0], got[1])
		require.EqualValues(t, 6, c.started.Load())
		require.EqualValues(t, 6, c.peak.Load())
	})
}

func TestRangingInsideItsOwnLoopIsAnotherRun(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		seq := stream(t.Context(), seconds(1, 2))
		inner := 0
		for range seq {
			inner += len(arrivals(seq))
		}
		require.Equal(t, 4, inner)
	})
}

func TestTheTasksContextIsAChildOfTheCallers(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Hour)
		defer cancel()
		want, _ := ctx.Deadline()
		for _, r := range stream(ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
			if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
				return 0, errBoom
			}
			return ctx.Value(key{}).(int), nil
		}}) {
			require.Equal(t, await.Result[int]{Value: 7}, r)
		}
		require.NoError(t, ctx.Err(), "the end of the loop leaves the caller's context alone")
	})
}

// A task here waits until all are in. In a bubble, one that is missing is a
// deadlock, and the test fails at once.
func TestWithoutLimitAllRunAtOnce(t *testing.T) {
	for _, n := range []int{1, 2, 10, 100, 1000, upTo(10_000)} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				var in atomic.Int64
				open := make(chan struct{})
				got := arrivals(stream(t.Context(), copies(n, func(context.Context) (int, error) {
					if in.Add(1) == int64(n) {
						close(open)
					}
					<-open
					return 0, nil
				})))
				require.Len(t, got, n)
			})
		})
	}
}

func TestABlockedTaskDoesNotKeepShortOnesFromStarting(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		tasks := slices.Concat(seconds(9), instant(50), seconds(9), instant(50))
		start := time.Now()
		ended := make(chan []arrival)
		go func() { ended <- arrivals(stream(t.Context(), c.wrap(tasks...))) }()
		synctest.Wait()
		require.Zero(t, time.Since(start))
		require.EqualValues(t, len(tasks), c.started.Load())
		require.EqualValues(t, 2, c.running.Load())
		require.Len(t, <-ended, len(tasks))
	})
}

func TestLimitIsReachedAndNeverExceeded(t *testing.T) {
	for _, n := range []int{1, 2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				var c census
				start := time.Now()
				got := arrivals(stream(t.Context(), c.wrap(copies(10*n, deaf(time.Second, 0))...), await.Limit(n)))
				require.Len(t, got, 10*n)
				require.EqualValues(t, n, c.peak.Load())
				require.Equal(t, 10*time.Second, time.Since(start))
			})
		})
	}
}

func TestALimitAboveTheNumberOfTasksIsNoLimit(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		require.Len(t, arrivals(stream(t.Context(), c.wrap(seconds(1, 1, 1)...), await.Limit(1000))), 3)
		require.EqualValues(t, 3, c.peak.Load())
	})
}

func TestWithLimitATaskStartsWhenAnotherEnds(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
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
		arrivals(stream(t.Context(), tasks, await.Limit(2)))
		want := []time.Duration{0, 0, 1, 2, 3, 4, 5}
		for i := range want {
			want[i] *= time.Second
		}
		require.Equal(t, want, starts)
	})
}

func TestWithLimitExactlyThatManyRunWhileThereAreAsMany(t *testing.T) {
	const n, tasks = 3, 40
	bothOrders(t, func(t *testing.T, stream streamer) {
		rng := rand.New(rand.NewPCG(1, 2))
		durations := make([]int, tasks)
		for i := range durations {
			durations[i] = 1 + rng.IntN(5)
		}
		var c census
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			arrivals(stream(t.Context(), c.wrap(seconds(durations...)...), await.Limit(n)))
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
}

func TestLimit1RunsInInputOrderOneAtATime(t *testing.T) {
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		var order []int // not locked: the race detector would tell
		tasks := make([]await.Task[int], 1000)
		for i := range tasks {
			tasks[i] = func(context.Context) (int, error) {
				order = append(order, i)
				runtime.Gosched()
				return i, nil
			}
		}
		got := arrivals(stream(t.Context(), tasks, await.Limit(1)))
		require.True(t, slices.IsSorted(order))
		require.Equal(t, order, indices(got))
		require.Len(t, order, len(tasks))
	})
}

// Results.

func TestAsCompletedYieldsInFinishOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []arrival{
			{1, 1, nil, 1 * time.Second},
			{2, 2, nil, 2 * time.Second},
			{0, 0, nil, 3 * time.Second},
		}, arrivals(await.AsCompleted(t.Context(), seconds(3, 1, 2))))
	})
}

func TestAsCompletedYieldsInFinishOrderWithoutSleeps(t *testing.T) {
	second, third := make(chan struct{}), make(chan struct{})
	var order []int
	for i, r := range await.AsCompleted(t.Context(), []await.Task[int]{
		func(context.Context) (int, error) { <-third; return 10, nil },
		func(context.Context) (int, error) { return 11, nil },
		func(context.Context) (int, error) { <-second; return 12, nil },
	}) {
		require.Equal(t, 10+i, r.Value)
		order = append(order, i)
		switch i {
		case 1:
			close(second)
		case 2:
			close(third)
		}
	}
	require.Equal(t, []int{1, 2, 0}, order)
}

func TestAsCompletedYieldsInFinishOrderAlsoWhenTheBodyIsSlow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			durations := rng.Perm(50) // all different
			want := make([]int, len(durations))
			for i, d := range durations {
				want[d] = i
			}
			var got []int
			for i := range await.AsCompleted(t.Context(), seconds(durations...)) {
				got = append(got, i)
				time.Sleep(time.Duration(rng.IntN(100)) * time.Second)
			}
			require.Equal(t, want, got)
		})
	}
}

func TestEveryTaskYieldsOneResult(t *testing.T) {
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		for _, n := range []int{1, 2, 3, 100, 10_000} {
			for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(7)}, {await.Limit(7), await.Buffer(0)}} {
				got := arrivals(stream(t.Context(), instant(n), opts...))
				slices.SortFunc(got, func(a, b arrival) int { return a.index - b.index })
				require.Len(t, got, n)
				for i, a := range got {
					require.Equal(t, i, a.index)
					require.Equal(t, i, a.value)
					require.NoError(t, a.err)
				}
			}
		}
	})
}

func TestAFailedTaskIsAResultAndTheLoopGoesOn(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		got := arrivals(stream(t.Context(), []await.Task[int]{
			after(1*time.Second, 10),
			failing[int](2*time.Second, errBoom),
			func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 30, errBoom },
			after(4*time.Second, 40),
		}))
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, errBoom, 2 * time.Second},
			{2, 30, errBoom, 3 * time.Second},
			{3, 40, nil, 4 * time.Second},
		}, got)
	})
}

func TestWhatATaskWroteIsVisibleToTheBody(t *testing.T) {
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
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
						return 0, errBoom
					}
					return i, nil
				}
			}
			for i := range stream(t.Context(), tasks, opts...) {
				require.Equal(t, i+1, wrote[i])
				wrote[i] = 0
			}
		}
	})
}

func TestDuplicatesAreSeparateTasks(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var calls atomic.Int64
		got := arrivals(stream(t.Context(), copies(3, func(context.Context) (int, error) {
			return int(calls.Add(1)), nil
		}), await.Limit(1)))
		require.Equal(t, []arrival{{0, 1, nil, 0}, {1, 2, nil, 0}, {2, 3, nil, 0}}, got)
	})
}

func TestAnEmptyListYieldsNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{t.Context(), ended} {
			require.Empty(t, arrivals(stream(ctx, nil)))
			require.Empty(t, arrivals(stream(ctx, []await.Task[int]{}, await.Limit(1), await.Buffer(0))))
		}
	})
}

// All tasks but the first block. The loop must not wait until all of them have
// been launched, which takes far longer than one result.
func TestTheFirstResultArrivesWhileTheRestAreLaunched(t *testing.T) {
	n := upTo(100_000)
	var c census
	tasks := copies(n, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil })
	tasks[0] = func(context.Context) (int, error) { return 1, nil }
	for i, r := range await.AsCompleted(t.Context(), c.wrap(tasks...)) {
		require.Less(t, c.started.Load(), int64(n))
		require.Equal(t, 0, i)
		require.Equal(t, 1, r.Value)
		break
	}
	require.Zero(t, c.running.Load())
	requireNoWorkers(t)
}

// The loop's end.

// departures are the ways to leave a loop. Each ranges seq, calls here with
// the first result in hand, and leaves.
var departures = []struct {
	name  string
	leave func(seq iter.Seq2[int, await.Result[int]], here func() bool)
}{
	{"break", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
		for range seq {
			if here() {
				break
			}
		}
	}},
	{"return", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
		for range seq {
			if here() {
				return
			}
		}
	}},
	{"goto", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
		for range seq {
			if here() {
				goto out
			}
		}
	out:
	}},
	{"break with a label", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
	outer:
		for range 2 {
			for range seq {
				if here() {
					break outer
				}
			}
		}
	}},
	{"continue with a label", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
	outer:
		for range 1 {
			for range seq {
				if here() {
					continue outer
				}
			}
		}
	}},
	{"panic", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
		defer func() {
			if v := recover(); v != "body" {
				panic(fmt.Sprintf("recovered %v, want the body's own panic", v))
			}
		}()
		for range seq {
			if here() {
				panic("body")
			}
		}
	}},
	{"runtime.Goexit", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for range seq {
				if here() {
					runtime.Goexit()
				}
			}
		}()
		<-gone
	}},
	{"stop of iter.Pull2", func(seq iter.Seq2[int, await.Result[int]], here func() bool) {
		next, stop := iter.Pull2(seq)
		next()
		here()
		stop()
		stop()
	}},
}

// Four tasks can run. When the first has returned and the fourth runs in its
// place, the loop is left. The second returns at once then, the third winds
// up for two seconds more, and the fourth does not listen until second nine.
func TestHoweverTheLoopIsLeftItsEndIsTheEnd(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				var c census
				var causes [3]error
				tasks := c.wrap(slices.Concat([]await.Task[int]{
					deaf(time.Second, 0),
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
				}, copies(20, deaf(time.Second, 0)))...)
				start := time.Now()
				bodies := 0
				d.leave(stream(t.Context(), tasks, await.Limit(3)), func() bool {
					bodies++
					synctest.Wait() // until the fourth runs
					return true
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
		})
	}
}

func TestTheTasksAreCancelledAtTheMomentTheLoopIsLeft(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				start := time.Now()
				var cancelled time.Duration
				d.leave(stream(t.Context(), []await.Task[int]{
					deaf(time.Second, 0),
					func(ctx context.Context) (int, error) {
						<-ctx.Done()
						cancelled = time.Since(start)
						return 0, nil
					},
					deaf(time.Minute, 0),
				}), func() bool { time.Sleep(time.Second); return true })
				require.Equal(t, 2*time.Second, cancelled)
				require.Equal(t, time.Minute, time.Since(start))
			})
		})
	}
}

func TestWhenAllIsDoneTheContextEndsWithErrStopped(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var cause func() error
		for range stream(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			cause = func() error { return context.Cause(ctx) }
			return 0, nil
		}}) {
			require.NoError(t, cause(), "the loop has not ended yet")
		}
		require.Equal(t, await.ErrStopped, cause())
	})
}

// With room for one, the result in hand has just made room for the next task
// when the loop is left. The worker that has won this room must look at the
// context again.
func TestAWorkerThatWaitedForRoomStartsNothingAfterTheLoop(t *testing.T) {
	// With one processor, a worker that the loop wakes runs only when the loop's
	// goroutine waits, which is after the loop's end.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		late := 0
		for range 1000 {
			var started atomic.Bool
			tasks := make([]await.Task[int], 10)
			for i := range tasks {
				tasks[i] = func(ctx context.Context) (int, error) {
					if ctx.Err() != nil {
						started.Store(true)
					}
					return i, nil
				}
			}
			for i := range stream(t.Context(), tasks, await.Limit(1), await.Buffer(0)) {
				if i == 1 {
					break
				}
			}
			if started.Load() {
				late++
			}
		}
		// Where the scheduler interrupts the loop's goroutine, a worker may look
		// just before the end and start just after it.
		require.Less(t, late, 100, "loops after which a task has started, of 1000")
	})
}

func TestALoopOverNothingStartsNoGoroutine(t *testing.T) {
	// With one processor, a goroutine that the loop does not wait for is still
	// there when they are counted.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ctx := t.Context()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	requireNoWorkers(t)
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		for range 100 {
			require.Empty(t, arrivals(stream(ctx, nil)))
			require.Zero(t, workers())
			require.Len(t, arrivals(stream(ended, instant(3), await.Detach())), 3)
			require.Zero(t, workers())
		}
	})
}

func TestPull2ThatNeverPullsStartsNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		next, stop := iter.Pull2(stream(t.Context(), c.wrap(seconds(1, 1)...)))
		stop()
		stop()
		_, _, ok := next()
		require.False(t, ok)
		time.Sleep(time.Hour)
		require.Zero(t, c.started.Load())
	})
}

func TestPull2AfterTheEndYieldsNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		next, stop := iter.Pull2(stream(t.Context(), seconds(1, 2)))
		for want := range 2 {
			i, r, ok := next()
			require.True(t, ok)
			require.Equal(t, want, i)
			require.Equal(t, want, r.Value)
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
}

func TestPull2AfterStopYieldsNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		next, stop := iter.Pull2(stream(t.Context(), seconds(1, 1, 1)))
		_, _, ok := next()
		require.True(t, ok)
		stop()
		_, _, ok = next()
		require.False(t, ok)
	})
}

func TestTakingOneAndLeavingManyTimes(t *testing.T) {
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		for range 10_000 {
			var c census
			tasks := make([]await.Task[int], 24)
			for i := range tasks {
				switch i % 3 {
				case 0:
					tasks[i] = func(context.Context) (int, error) { return i, nil }
				case 1:
					tasks[i] = func(ctx context.Context) (int, error) { <-ctx.Done(); return i, nil }
				case 2:
					tasks[i] = func(context.Context) (int, error) { runtime.Gosched(); return i, errBoom }
				}
			}
			taken := 0
			for range stream(t.Context(), c.wrap(tasks...)) {
				taken++
				break
			}
			require.Equal(t, 1, taken)
			require.Zero(t, c.running.Load())
		}
	})
}

// Context.

func TestCancelledBeforeNothingStarts(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errBoom)
		var c census
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(2), await.Buffer(0)}} {
			got := arrivals(stream(ctx, c.wrap(seconds(1, 1, 1, 1)...), opts...))
			require.Equal(t, []int{0, 1, 2, 3}, indices(got))
			for _, a := range got {
				require.Zero(t, a.value)
				require.Zero(t, a.at)
				require.ErrorIs(t, a.err, await.ErrNotStarted)
				require.ErrorIs(t, a.err, errBoom)
			}
		}
		require.Zero(t, c.started.Load())
	})
}

func TestCancelledBetweenCallAndRangeNothingStarts(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithCancel(t.Context())
		var c census
		seq := stream(ctx, c.wrap(seconds(1, 1)...))
		cancel()
		require.Equal(t, []int{0, 1}, indices(arrivals(seq)))
		require.Zero(t, c.started.Load())
	})
}

// endings are the ways in which the caller's context ends after a while.
var endings = []struct {
	name  string
	cause error
	end   func(context.Context, time.Duration) (context.Context, context.CancelFunc)
}{
	{"cancel", context.Canceled, func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(d, cancel)
		return ctx, cancel
	}},
	{"cause", errBoom, func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(d, func() { cancel(errBoom) })
		return ctx, func() { cancel(nil) }
	}},
	{"deadline", context.DeadlineExceeded, context.WithTimeout},
	{"deadline with a cause", errBoom, func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, d, errBoom)
	}},
}

// Two run at a time. The context ends at second 3, when task 0 has returned,
// task 1 heeds it, task 2 does not, and tasks 3 to 5 have not started.
func TestWhenTheContextEndsTheRunningYieldTheirOwnResults(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				var c census
				got := arrivals(stream(ctx, c.wrap(
					deaf(1*time.Second, 10),
					after(time.Hour, 11),
					deaf(9*time.Second, 12),
					deaf(1*time.Second, 13),
					deaf(1*time.Second, 14),
					deaf(1*time.Second, 15),
				), await.Limit(2)))
				require.Equal(t, []arrival{
					{0, 10, nil, 1 * time.Second},
					{1, 0, e.cause, 3 * time.Second},
					{2, 12, nil, 10 * time.Second},
				}, got[:3])
				require.Equal(t, []int{3, 4, 5}, indices(got[3:]))
				for _, a := range got[3:] {
					require.Zero(t, a.value)
					require.ErrorIs(t, a.err, await.ErrNotStarted)
					require.ErrorIs(t, a.err, e.cause)
					require.ErrorIs(t, a.err, context.Cause(ctx))
					require.Equal(t, 10*time.Second, a.at)
				}
				require.EqualValues(t, 3, c.started.Load())
			})
		})
	}
}

func TestWhenTheContextEndsFinishedResultsStillCome(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var got []await.Result[int]
		var order []int
		for i, r := range stream(ctx, seconds(1, 2, 3, 4, 20, 1, 1), await.Limit(3)) {
			if got == nil {
				time.Sleep(time.Minute)
			}
			order = append(order, i)
			got = append(got, r)
		}
		// 5 and 6 ran beside 4, so all had started: there is nothing to tell.
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 5, 6}, order)
		for k, r := range got {
			require.Equal(t, await.Result[int]{Value: order[k]}, r)
		}
	})
}

func TestTheBodyMayEndTheContext(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var got []int
		for i, r := range stream(ctx, slices.Concat(seconds(1), copies(5, after(time.Hour, 0))), await.Limit(2)) {
			synctest.Wait() // until the third task runs
			cancel(errBoom)
			got = append(got, i)
			switch {
			case i == 0:
				require.NoError(t, r.Err)
			case i < 3:
				require.Equal(t, errBoom, r.Err)
			default:
				require.ErrorIs(t, r.Err, await.ErrNotStarted)
				require.ErrorIs(t, r.Err, errBoom)
			}
		}
		slices.Sort(got[1:3]) // the two that were cancelled at once
		require.Equal(t, []int{0, 1, 2, 3, 4, 5}, got)
	})
}

func TestTheLoopMayBeLeftAmongTheNotStarted(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var got []int
		for i := range stream(ctx, seconds(1, 1, 1, 1)) {
			got = append(got, i)
			if i == 1 {
				break
			}
		}
		require.Equal(t, []int{0, 1}, got)
	})
}

func TestTheTasksSeeTheCallersCause(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		var cause error
		for range stream(ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return 0, nil
		}}) {
		}
		require.Equal(t, errBoom, cause)
	})
}

func TestAContextThatEndsAfterTheLastTaskChangesNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for i, r := range stream(ctx, seconds(1, 2)) {
			time.Sleep(time.Minute)
			require.Equal(t, await.Result[int]{Value: i}, r)
		}
	})
}

func TestNothingOfACallStaysWithTheCallersContext(t *testing.T) {
	for name, call := range callsWithin {
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Detach()}, {await.Within(await.NewLimiter(1))}} {
			ctx := watched(t.Context())
			during := 0
			call(ctx, []await.Task[int]{func(context.Context) (int, error) {
				during = ctx.watchers()
				return 0, nil
			}}, opts...)
			require.NotZero(t, during, name)
			require.Zero(t, ctx.watchers(), name)
		}
	}
}

// Goexit.

func TestGoexitYieldsErrGoexitAndCostsNoSlot(t *testing.T) {
	const n = 12
	for _, limit := range []int{1, 2, n} { // with n tasks, a limit of n is none
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				opts := []await.Option{await.Limit(limit)}
				if limit == n {
					opts = nil
				}
				var c census
				tasks := make([]await.Task[int], n)
				for i := range tasks {
					tasks[i] = deaf(time.Second, i)
					if i%3 != 2 {
						tasks[i] = exiting[int](time.Second)
					}
				}
				start := time.Now()
				got := arrivals(stream(t.Context(), c.wrap(tasks...), opts...))
				require.Equal(t, time.Duration(n/limit)*time.Second, time.Since(start))
				require.EqualValues(t, limit, c.peak.Load())
				slices.SortFunc(got, func(a, b arrival) int { return a.index - b.index })
				require.Len(t, got, n)
				for i, a := range got {
					require.Equal(t, i, a.index)
					if i%3 != 2 {
						require.Equal(t, await.ErrGoexit, a.err)
						require.Zero(t, a.value)
					} else {
						require.NoError(t, a.err)
						require.Equal(t, i, a.value)
					}
				}
			})
		})
	}
}

func TestGoexitKeepsTheBufferExact(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		yielded := 0
		for range stream(t.Context(), c.wrap(copies(20, exiting[int](0))...), await.Limit(2), await.Buffer(1)) {
			yielded++
			synctest.Wait()
			require.EqualValues(t, min(20, yielded+2+1), c.started.Load())
		}
		require.Equal(t, 20, yielded)
	})
}

// fakeT is a test that nobody watches.
type fakeT struct{ failed atomic.Bool }

func (*fakeT) Errorf(string, ...any) {}

func (f *fakeT) FailNow() {
	f.failed.Store(true)
	runtime.Goexit()
}

func TestAFailedRequireInATaskYieldsErrGoexit(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var fake fakeT
		got := arrivals(stream(t.Context(), []await.Task[int]{
			deaf(1*time.Second, 10),
			func(context.Context) (int, error) {
				time.Sleep(2 * time.Second)
				require.Equal(&fake, 1, 2)
				return 20, nil
			},
			deaf(3*time.Second, 30),
		}))
		require.True(t, fake.failed.Load())
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, await.ErrGoexit, 2 * time.Second},
			{2, 30, nil, 3 * time.Second},
		}, got)
	})
}

func TestGoexitInADeferredCallThatEndsAPanicYieldsErrGoexit(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		got := arrivals(stream(t.Context(), []await.Task[int]{func(context.Context) (int, error) {
			defer runtime.Goexit()
			panic("ended by Goexit")
		}}))
		require.Equal(t, []arrival{{0, 0, await.ErrGoexit, 0}}, got)
	})
}

func TestGoexitAfterTheLoopWasLeftIsWaitedFor(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		start := time.Now()
		for range stream(t.Context(), c.wrap(deaf(time.Second, 0), exiting[int](5*time.Second), deaf(2*time.Second, 0)), await.Limit(2)) {
			synctest.Wait()
			break
		}
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Zero(t, c.running.Load())
	})
}

// Panics.

// raisedBy returns the *PanicError with which f panics.
func raisedBy(t *testing.T, f func()) *await.PanicError {
	t.Helper()
	raised, ok := panicOf(t, f).(*await.PanicError)
	require.True(t, ok, "should have panicked with a *PanicError")
	return raised
}

// requireRaised fails unless f panics with a *PanicError of that value.
func requireRaised(t *testing.T, value any, f func()) {
	t.Helper()
	require.Equal(t, value, raisedBy(t, f).Value)
}

func explode(v any) (int, error) { panic(v) }

func TestAPanicIsRaisedOnTheRangingGoroutineWithItsStack(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		raised := raisedBy(t, func() {
			for range stream(t.Context(), []await.Task[int]{func(context.Context) (int, error) { return explode(errBoom) }}) {
				t.Error("the task has no result")
			}
		})
		require.Equal(t, errBoom, raised.Value)
		require.ErrorIs(t, raised, errBoom)
		require.Contains(t, string(raised.Stack), "explode")
		require.Contains(t, string(raised.Stack), "completed_test.go")
		require.Contains(t, raised.Error(), errBoom.Error())
		require.Contains(t, raised.Error(), string(raised.Stack))
	})
}

func TestPanicNilIsAPanic(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		requireRaised(t, new(runtime.PanicNilError), func() {
			arrivals(stream(t.Context(), []await.Task[int]{panicking[int](time.Second, nil)}))
		})
	})
}

// The body sleeps when the task panics at second 2, so the siblings do not
// learn it from the loop.
func TestAPanicCancelsTheSiblingsAtOnceAndIsRaisedWhenTheyHaveReturned(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		start := time.Now()
		var c census
		var cause error
		var cancelled time.Duration
		tasks := c.wrap(slices.Concat([]await.Task[int]{
			deaf(1*time.Second, 0),
			deaf(1*time.Second, 1), // waits to be read
			panicking[int](2*time.Second, "boom"),
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause, cancelled = context.Cause(ctx), time.Since(start)
				time.Sleep(10 * time.Second)
				return 3, nil
			},
			deaf(20*time.Second, 4),
		}, copies(10, deaf(time.Hour, 0)))...)
		yielded := 0
		raised := raisedBy(t, func() {
			for range stream(t.Context(), tasks, await.Limit(5)) {
				yielded++
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, "boom", raised.Value)
		require.Equal(t, 1, yielded, "the panic is ahead of results that wait")
		require.Equal(t, 2*time.Second, cancelled)
		var seen *await.PanicError
		require.ErrorAs(t, cause, &seen)
		require.Equal(t, raised.Value, seen.Value)
		// Two started at second 1 in the place of the first two.
		require.EqualValues(t, 7, c.started.Load())
		require.Zero(t, c.running.Load())
		require.Equal(t, time.Hour+time.Second, time.Since(start))
	})
}

// The loop has many results to read when the panic comes, so that it sees the
// panic at the very moment, and then it must not be first to tell why.
func TestThePanicIsTheCauseHoweverBusyTheLoop(t *testing.T) {
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		for range rounds(1000) {
			const n = 5000
			var done atomic.Int64
			fire := make(chan struct{})
			var cause error
			tasks := slices.Concat([]await.Task[int]{
				func(context.Context) (int, error) { return 0, nil },
				func(context.Context) (int, error) { <-fire; panic("boom") },
				func(ctx context.Context) (int, error) { <-ctx.Done(); cause = context.Cause(ctx); return 0, nil },
			}, copies(n, func(context.Context) (int, error) { done.Add(1); return 0, nil }))
			raised := raisedBy(t, func() {
				for i := range stream(t.Context(), tasks) {
					if i == 0 {
						for done.Load() < n {
							runtime.Gosched()
						}
						close(fire)
					}
				}
			})
			require.ErrorIs(t, cause, raised)
		}
	})
}

func TestAPanicIsRaisedWhenTheLastSiblingReturns(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		start := time.Now()
		requireRaised(t, "boom", func() {
			for range stream(t.Context(), []await.Task[int]{
				panicking[int](1*time.Second, "boom"),
				after(time.Hour, 0),
				deaf(7*time.Second, 0),
			}) {
				t.Error("the panic is ahead of the siblings' results")
			}
		})
		require.Equal(t, 7*time.Second, time.Since(start))
	})
}

func TestNothingStartsAfterAPanic(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		requireRaised(t, "boom", func() {
			arrivals(stream(t.Context(), c.wrap(slices.Concat(
				seconds(1), []await.Task[int]{panicking[int](time.Second, "boom")}, seconds(1, 1, 1))...), await.Limit(1)))
		})
		require.EqualValues(t, 2, c.started.Load())
	})
}

func TestAPanicIsRaisedAlsoWhenTheLoopWasLeft(t *testing.T) {
	for _, d := range departures {
		if d.name == "panic" || d.name == "runtime.Goexit" {
			continue // below
		}
		t.Run(d.name, func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				start := time.Now()
				requireRaised(t, "before", func() {
					d.leave(stream(t.Context(), []await.Task[int]{
						deaf(1*time.Second, 0),
						panicking[int](2*time.Second, "before"),
						deaf(9*time.Second, 0),
					}), func() bool { time.Sleep(5 * time.Second); return true })
				})
				require.Equal(t, 9*time.Second, time.Since(start))
				requireRaised(t, "after", func() {
					d.leave(stream(t.Context(), []await.Task[int]{
						deaf(time.Second, 0),
						func(ctx context.Context) (int, error) { <-ctx.Done(); panic("after") },
					}), func() bool { return true })
				})
			})
		})
	}
}

func TestATasksPanicIsNotLostWhenTheBodyPanicsToo(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		requireRaised(t, "task", func() {
			for range stream(t.Context(), []await.Task[int]{
				deaf(time.Second, 0),
				func(ctx context.Context) (int, error) { <-ctx.Done(); panic("task") },
			}) {
				panic("body")
			}
		})
	})
}

func TestATasksPanicIsNotLostWhenTheBodyCallsGoexit(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		recovered := make(chan any, 1)
		go func() {
			defer func() { recovered <- recover() }()
			for range stream(t.Context(), []await.Task[int]{
				deaf(time.Second, 0),
				func(ctx context.Context) (int, error) { <-ctx.Done(); panic("task") },
			}) {
				runtime.Goexit()
			}
		}()
		raised, ok := (<-recovered).(*await.PanicError)
		require.True(t, ok)
		require.Equal(t, "task", raised.Value)
	})
}

func TestABodysOwnPanicPassesUnchanged(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		start := time.Now()
		value := panicOf(t, func() {
			for range stream(t.Context(), seconds(1, 4)) {
				panic(errBoom)
			}
		})
		require.Equal(t, errBoom, value)
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestASecondPanicIsNotLost(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		raised := raisedBy(t, func() {
			arrivals(stream(t.Context(), []await.Task[int]{
				panicking[int](3*time.Second, "third"),
				panicking[int](1*time.Second, "first"),
				panicking[int](2*time.Second, "second"),
			}))
		})
		require.Equal(t, "first", raised.Value)
		require.Regexp(t, "(?s)second.*third", string(raised.Stack))
		require.Equal(t, 2, strings.Count(string(raised.Stack), "another task panicked"))
		require.Contains(t, raised.Error(), "third")
	})
}

// A deferred call may panic while Goexit unwinds the task: a cleanup after a
// failed require, for one.
func TestAPanicDuringGoexitIsNotLost(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		requireRaised(t, "cleanup", func() {
			arrivals(stream(t.Context(), []await.Task[int]{func(context.Context) (int, error) {
				defer func() { panic("cleanup") }()
				runtime.Goexit()
				return 0, nil
			}}))
		})
	})
}

func TestAPanicOutranksTheEndOfTheContext(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		requireRaised(t, "boom", func() {
			for range stream(ctx, slices.Concat([]await.Task[int]{panicking[int](2*time.Second, "boom")}, seconds(1, 1)), await.Limit(1)) {
				t.Error("the panic is ahead of the tasks that never ran")
			}
		})
	})
}

func TestPull2RaisesAPanicFromNextAndFromStop(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		next, stop := iter.Pull2(stream(t.Context(), []await.Task[int]{panicking[int](time.Second, "next")}))
		requireRaised(t, "next", func() { next() })
		stop()
		next, stop = iter.Pull2(stream(t.Context(), []await.Task[int]{
			deaf(time.Second, 0),
			func(ctx context.Context) (int, error) { <-ctx.Done(); panic("stop") },
		}))
		_, _, ok := next()
		require.True(t, ok)
		requireRaised(t, "stop", stop)
	})
}

func TestNoWorkerIsLeftAfterPanics(t *testing.T) {
	bothOrdersOutside(t, func(t *testing.T, stream streamer) {
		for range 1000 {
			var c census
			requireRaised(t, "boom", func() {
				arrivals(stream(t.Context(), c.wrap(slices.Concat(
					copies(5, after(time.Hour, 0)), []await.Task[int]{panicking[int](0, "boom")}, instant(5))...)))
			})
			require.Zero(t, c.running.Load())
		}
	})
}

// Backpressure.

// The body blocks at every result until nothing moves any more.
func TestLimitAndBufferBoundWhatIsStartedAndUnread(t *testing.T) {
	const n = 30
	for _, limit := range []int{1, 2, 5} {
		for _, buffer := range []int{0, 1, 3, n - 5, n} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				bothOrders(t, func(t *testing.T, stream streamer) {
					var c census
					yielded := 0
					for range stream(t.Context(), c.wrap(instant(n)...), await.Limit(limit), await.Buffer(buffer)) {
						yielded++
						synctest.Wait()
						require.Equal(t, min(limit+buffer, n-yielded), int(c.started.Load())-yielded)
						require.Zero(t, c.running.Load())
					}
					require.Equal(t, n, yielded)
				})
			})
		}
	}
}

// Whatever tasks and body do, a free slot means that there is no room or
// nothing left to start.
func TestAllSlotsAreBusyWhileThereIsRoom(t *testing.T) {
	const n = 60
	rng := rand.New(rand.NewPCG(5, 6))
	for _, limit := range []int{1, 2, 4} {
		for _, buffer := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				bothOrders(t, func(t *testing.T, stream streamer) {
					durations := make([]int, n)
					pauses := make([]time.Duration, n)
					for i := range n {
						durations[i] = 1 + rng.IntN(9)
						pauses[i] = time.Duration(rng.IntN(12)) * time.Second
					}
					var c census
					var yielded atomic.Int64
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						for range stream(t.Context(), c.wrap(seconds(durations...)...), await.Limit(limit), await.Buffer(buffer)) {
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
							require.Equal(t, limit, running)
						}
					}
					<-ended
					require.NotZero(t, full, "the bound was never reached")
				})
			})
		}
	}
}

func TestByDefaultASlowLoopNeverHoldsTasksBack(t *testing.T) {
	const n = 100
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		start := time.Now()
		var last time.Duration
		tasks := copies(n, func(context.Context) (int, error) {
			time.Sleep(time.Second)
			last = max(last, time.Since(start))
			return 0, nil
		})
		yielded := 0
		for range stream(t.Context(), c.wrap(tasks...), await.Limit(1)) {
			yielded++
			time.Sleep(time.Hour)
			require.EqualValues(t, n, c.started.Load())
		}
		require.Equal(t, n, yielded)
		require.Equal(t, n*time.Second, last)
	})
}

func TestWithoutLimitBufferChangesNothing(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		for range stream(t.Context(), c.wrap(seconds(1, 1, 1, 1, 1, 1)...), await.Buffer(0)) {
			require.EqualValues(t, 6, c.peak.Load())
		}
	})
}

func TestLeavingALoopWhoseBufferIsFull(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothOrders(t, func(t *testing.T, stream streamer) {
				var c census
				d.leave(stream(t.Context(), c.wrap(instant(100)...), await.Limit(3), await.Buffer(2)), func() bool {
					synctest.Wait()
					return true
				})
				require.EqualValues(t, 1+3+2, c.started.Load())
			})
		})
	}
}

func TestWhenTheContextEndsWhileTheBufferIsFull(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var c census
		var ran, skipped []int
		for i, r := range stream(ctx, c.wrap(instant(10)...), await.Limit(2), await.Buffer(1)) {
			synctest.Wait()
			cancel(errBoom)
			if r.Err == nil {
				ran = append(ran, i)
				continue
			}
			skipped = append(skipped, i)
			require.ErrorIs(t, r.Err, await.ErrNotStarted)
			require.ErrorIs(t, r.Err, errBoom)
		}
		require.EqualValues(t, 4, c.started.Load())
		require.ElementsMatch(t, []int{0, 1, 2, 3}, ran)
		require.Equal(t, []int{4, 5, 6, 7, 8, 9}, skipped)
	})
}

// Nesting.

func TestATaskMayRangeTasksOfItsOwn(t *testing.T) {
	for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(1), await.Buffer(0)}} {
		bothOrdersOutside(t, func(t *testing.T, stream streamer) {
			var tree func(depth int) await.Task[int]
			tree = func(depth int) await.Task[int] {
				return func(ctx context.Context) (int, error) {
					size := 1
					if depth == 0 {
						return size, nil
					}
					for _, r := range stream(ctx, copies(5, tree(depth-1)), opts...) {
						if r.Err != nil {
							return 0, r.Err
						}
						size += r.Value
					}
					return size, nil
				}
			}
			size, err := tree(4)(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1+5+25+125+625, size)
		})
	}
}

func TestLeavingTheOuterLoopEndsTheInnerOnes(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		var c census
		leaves := c.wrap(copies(5, after(time.Hour, 0))...)
		inner := func(ctx context.Context) (int, error) {
			var all []error
			for _, r := range stream(ctx, leaves) {
				all = append(all, r.Err)
			}
			return 0, errors.Join(all...)
		}
		start := time.Now()
		for range stream(t.Context(), slices.Concat(seconds(1), copies(5, inner))) {
			require.EqualValues(t, 25, c.running.Load())
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		require.Zero(t, c.running.Load())
	})
}

// Tasks.

func TestTasksGivesEachInputToTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "!")
		tasks := await.Tasks([]string{"a", "b", "a"}, func(ctx context.Context, in string) (string, error) {
			if in == "b" {
				return in, errBoom
			}
			return in + ctx.Value(key{}).(string), nil
		})
		require.Len(t, tasks, 3)
		var got [3]await.Result[string]
		for i, r := range await.AsCompleted(ctx, tasks) {
			got[i] = r
		}
		require.Equal(t, [3]await.Result[string]{{Value: "a!"}, {Value: "b", Err: errBoom}, {Value: "a!"}}, got)
	})
}

func TestTasksCallsNothingItself(t *testing.T) {
	tasks := await.Tasks([]int{1, 2}, func(context.Context, int) (int, error) {
		t.Error("called")
		return 0, nil
	})
	require.Len(t, tasks, 2)
}

func TestTasksOfNothingIsEmpty(t *testing.T) {
	double := func(_ context.Context, in int) (int, error) { return 2 * in, nil }
	require.Empty(t, await.Tasks(nil, double))
	require.Empty(t, await.Tasks([]int{}, double))
}

// Bad input.

func TestBadInputPanicsAtTheCall(t *testing.T) {
	good := instant(3)
	var noContext context.Context
	for _, s := range streamers {
		for _, test := range []struct {
			name string
			call func()
			want string
		}{
			{"nil context", func() { s.stream(noContext, good) }, "context"},
			{"nil context and no tasks", func() { s.stream(noContext, nil) }, "context"},
			{"nil task", func() { s.stream(t.Context(), []await.Task[int]{good[0], good[1], nil}) }, "task 2"},
			{"nil first task", func() { s.stream(t.Context(), []await.Task[int]{nil}) }, "task 0"},
			{"nil option", func() { s.stream(t.Context(), good, await.Limit(1), nil) }, "option 1"},
			{"nil option and no tasks", func() { s.stream(t.Context(), nil, nil) }, "option 0"},
		} {
			t.Run(s.name+"/"+test.name, func(t *testing.T) { requireBadInput(t, test.want, test.call) })
		}
	}
	t.Run("Tasks/nil function", func(t *testing.T) {
		var none func(context.Context, int) (int, error)
		requireBadInput(t, "function", func() { await.Tasks([]int{1}, none) })
		requireBadInput(t, "function", func() { await.Tasks(nil, none) })
	})
}

// requireBadInput fails unless call panics with a text that names the argument.
func requireBadInput(t *testing.T, argument string, call func()) {
	t.Helper()
	text := fmt.Sprint(panicOf(t, call))
	require.Regexp(t, "^await: ", text)
	require.Contains(t, text, argument)
}
