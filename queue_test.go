package await_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// intQueue is the queue of most tests.
type intQueue = await.Queue[int, int]

// queueOf is a queue of tasks, each with its index as the key.
func queueOf(tasks ...await.Task[int]) *intQueue {
	q := new(intQueue)
	for i, task := range tasks {
		q.Add(i, task)
	}
	return q
}

// queueOptions are options that do not change what a loop yields, only when.
// They are made anew for each test, because a limiter among them is shared by
// those that use it.
func queueOptions() map[string][]await.Option {
	return map[string][]await.Option{
		"no limit":            nil,
		"limit 1":             {await.Limit(1)},
		"limit 2":             {await.Limit(2)},
		"limit 8":             {await.Limit(8)},
		"limit 1, buffer 0":   {await.Limit(1), await.Buffer(0)},
		"limit 2, buffer 0":   {await.Limit(2), await.Buffer(0)},
		"limit 2, buffer 5":   {await.Limit(2), await.Buffer(5)},
		"within 1":            {await.Within(await.NewLimiter(1))},
		"within 3":            {await.Within(await.NewLimiter(3))},
		"within 2, limit 8":   {await.Within(await.NewLimiter(2)), await.Limit(8)},
		"within 8, limit 2":   {await.Within(await.NewLimiter(8)), await.Limit(2), await.Buffer(0)},
		"detach":              {await.Detach()},
		"limit 2, detach":     {await.Limit(2), await.Detach()},
		"within 2, detach":    {await.Within(await.NewLimiter(2)), await.Detach()},
		"recover, with names": {await.Recover(), await.Name("queue")},
	}
}

// eachQueueOption runs a test under all of queueOptions.
func eachQueueOption(t *testing.T, test func(t *testing.T, opts []await.Option)) {
	t.Helper()
	for name, opts := range queueOptions() {
		t.Run(name, func(t *testing.T) { test(t, opts) })
	}
}

// eachQueueOptionInABubble does so with exact time.
func eachQueueOptionInABubble(t *testing.T, test func(t *testing.T, opts []await.Option)) {
	t.Helper()
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		synctest.Test(t, func(t *testing.T) { test(t, opts) })
	})
}

// orHang runs f. If that takes a minute, the program ends with the stacks of
// all goroutines.
func orHang(f func()) {
	dog := time.AfterFunc(time.Minute, func() {
		debug.SetTraceback("all")
		panic("a test hangs")
	})
	defer dog.Stop()
	f()
}

// Start.

func TestTheZeroQueueIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q await.Queue[string, float64]
		require.Zero(t, q.Len())
		q.Add("pi", after(time.Second, 3.14))
		require.Equal(t, 1, q.Len())
		got := maps.Collect(q.AsCompleted(t.Context()))
		require.Equal(t, map[string]await.Result[float64]{"pi": {Value: 3.14}}, got)
		require.Zero(t, q.Len())
	})
}

func TestAnEmptyQueueYieldsNothing(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		start := time.Now()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var q intQueue
		for range 2 {
			require.Empty(t, arrivals(q.AsCompleted(t.Context(), opts...)))
			require.Empty(t, arrivals(q.AsCompleted(ended, opts...)))
		}
		require.Zero(t, time.Since(start))
	})
}

func TestQueueStartsNothingBeforeTheRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		q := queueOf(c.wrap(seconds(0, 0)...)...)
		seq := q.AsCompleted(t.Context())
		time.Sleep(time.Hour)
		q.Add(2, c.wrap(instant(1)...)[0])
		time.Sleep(time.Hour)
		require.Zero(t, c.started.Load())
		require.Equal(t, 3, q.Len())
		require.Len(t, arrivals(seq), 3)
		require.EqualValues(t, 3, c.started.Load())
	})
}

func TestQueueThatPull2NeverPullsStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		q := queueOf(c.wrap(seconds(1, 1)...)...)
		next, stop := iter.Pull2(q.AsCompleted(t.Context()))
		stop()
		_, _, ok := next()
		require.False(t, ok)
		time.Sleep(time.Hour)
		require.Zero(t, c.started.Load())
		require.Len(t, arrivals(q.AsCompleted(t.Context())), 2, "the queue is free for another loop")
	})
}

func TestQueueIsAddedToFromEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		q.Add(0, func(context.Context) (int, error) { // before the loop
			time.Sleep(time.Second)
			q.Add(10, deaf(2*time.Second, 10)) // from a task, at second 1
			return 0, nil
		})
		time.AfterFunc(2500*time.Millisecond, func() { // while the loop waits
			q.Add(20, deaf(1500*time.Millisecond, 20))
		})
		start := time.Now()
		var got []arrival
		for key, r := range q.AsCompleted(t.Context()) {
			got = append(got, arrival{key, r.Value, r.Err, time.Since(start)})
			if key == 20 {
				q.Add(30, deaf(time.Hour, 30)) // from the body, at the last result
			}
		}
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{10, 10, nil, 3 * time.Second},
			{20, 20, nil, 4 * time.Second},
			{30, 30, nil, 4*time.Second + time.Hour},
		}, got)
		require.Equal(t, 4*time.Second+time.Hour, time.Since(start))
	})
}

// Each way to add gives the queue tasks that wait for each other. In a bubble,
// one that does not start is a deadlock, and the test fails at once.
func TestQueueWithoutLimitRunsAllAtOnce(t *testing.T) {
	const n = 300
	ways := map[string]func(q *intQueue, add func()){
		"before the loop": func(_ *intQueue, add func()) { add() },
		"from a task": func(q *intQueue, add func()) {
			q.Add(-1, func(context.Context) (int, error) { add(); return 0, nil })
		},
		"from a task that goes on": func(q *intQueue, add func()) {
			q.Add(-1, func(context.Context) (int, error) { add(); time.Sleep(time.Hour); return 0, nil })
		},
		"from the body": func(q *intQueue, _ func()) { q.Add(-1, deaf(time.Second, 0)) },
		"from a goroutine": func(q *intQueue, add func()) {
			q.Add(-1, deaf(2*time.Second, 0))
			time.AfterFunc(time.Second, add)
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q intQueue
				var in atomic.Int64
				open := make(chan struct{})
				add := func() {
					for i := range n {
						q.Add(i, func(context.Context) (int, error) {
							if in.Add(1) == n {
								close(open)
							}
							<-open
							return 0, nil
						})
					}
				}
				way(&q, add)
				yielded := 0
				for key := range q.AsCompleted(t.Context()) {
					if key >= 0 {
						yielded++
					} else if name == "from the body" {
						add()
					}
				}
				require.Equal(t, n, yielded)
			})
		})
	}
}

func TestQueueStartsWhatTheBodyAddsWhileTheBodyStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(seconds(1)...)
		var got []arrival
		start := time.Now()
		for key, r := range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(0)) {
			got = append(got, arrival{key, r.Value, r.Err, time.Since(start)})
			if key < 3 {
				q.Add(key+1, deaf(2*time.Second, key+1))
				time.Sleep(3 * time.Second)
			}
		}
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 1, nil, 4 * time.Second},
			{2, 2, nil, 7 * time.Second},
			{3, 3, nil, 10 * time.Second},
		}, got)
	})
}

func TestQueueGivesTasksAChildOfTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Hour)
		defer cancel()
		want, _ := ctx.Deadline()
		var cause func() error
		for _, r := range queueOf(func(ctx context.Context) (int, error) {
			cause = func() error { return context.Cause(ctx) }
			if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
				return 0, errBoom
			}
			return ctx.Value(key{}).(int), nil
		}).AsCompleted(ctx) {
			require.Equal(t, await.Result[int]{Value: 7}, r)
			require.NoError(t, cause(), "the loop has not ended yet")
		}
		require.Equal(t, await.ErrStopped, cause())
		require.NoError(t, ctx.Err(), "the end of the loop leaves the caller's context alone")
	})
}

func TestQueueWithLimit1StartsInTheOrderOfTheAdds(t *testing.T) {
	const depth = 6
	var q intQueue
	var order []int // not locked: the race detector would tell
	added := 0      // the tasks add under Limit(1), so it needs no lock either
	var add func(depth int)
	add = func(depth int) {
		key := added
		added++
		q.Add(key, func(context.Context) (int, error) {
			order = append(order, key)
			if depth > 0 {
				add(depth - 1)
				runtime.Gosched()
				add(depth - 1)
				add(depth - 1)
			}
			return key, nil
		})
	}
	add(depth)
	add(depth)
	got := indices(arrivals(q.AsCompleted(t.Context(), await.Limit(1))))
	require.Equal(t, 2*(1+3+9+27+81+243+729), added)
	require.Len(t, order, added)
	require.True(t, slices.IsSorted(order))
	require.Equal(t, order, got)
	requireNoWorkers(t)
}

func TestQueueWithLimitStartsATaskWhenAnotherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		starts := make([]time.Duration, 7)
		begin := time.Now()
		for i, d := range []int{3, 1, 1, 5, 1, 1, 4} {
			q.Add(i, func(context.Context) (int, error) {
				starts[i] = time.Since(begin)
				time.Sleep(time.Duration(d) * time.Second)
				return 0, nil
			})
		}
		arrivals(q.AsCompleted(t.Context(), await.Limit(2)))
		want := []time.Duration{0, 0, 1, 2, 3, 4, 5}
		for i := range want {
			want[i] *= time.Second
		}
		require.Equal(t, want, starts)
	})
}

func TestQueueLimitIsReachedAndNeverExceeded(t *testing.T) {
	for _, n := range []int{1, 2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c census
				var q intQueue
				// Ten generations of n tasks, and the first five all there from
				// the beginning.
				var generation func(k int) await.Task[int]
				generation = func(k int) await.Task[int] {
					return c.wrap(func(context.Context) (int, error) {
						time.Sleep(time.Second)
						if k >= 4 && k < 9 {
							q.Add(k+1, generation(k+1))
						}
						return k, nil
					})[0]
				}
				for i := range 5 * n {
					q.Add(i/n, generation(i/n))
				}
				start := time.Now()
				got := arrivals(q.AsCompleted(t.Context(), await.Limit(n)))
				require.Len(t, got, 10*n)
				require.EqualValues(t, n, c.peak.Load())
				require.Equal(t, 10*time.Second, time.Since(start))
			})
		})
	}
}

// Work comes at random moments from a goroutine of its own. Between two whole
// seconds no task starts or ends.
func TestQueueKeepsExactlyLimitBusyWhileThereIsAsMuchToDo(t *testing.T) {
	const tasks = 60
	rng := rand.New(rand.NewPCG(11, 12))
	for _, limit := range []int{1, 2, 5} {
		for _, opts := range [][]await.Option{
			{await.Limit(limit)},
			{await.Limit(limit), await.Buffer(0)},
			{await.Within(await.NewLimiter(limit))},
			{await.Within(await.NewLimiter(limit)), await.Limit(limit)},
		} {
			synctest.Test(t, func(t *testing.T) {
				var c census
				q := queueOf(c.wrap(seconds(1000)...)...)
				if limit > 1 { // one place is taken all the time, so that the loop does not end
					go func() {
						for i := range tasks {
							time.Sleep(time.Duration(rng.IntN(3)) * time.Second)
							q.Add(i, c.wrap(deaf(time.Duration(1+rng.IntN(6))*time.Second, i))[0])
						}
					}()
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					arrivals(q.AsCompleted(t.Context(), opts...))
				}()
				for time.Sleep(time.Second / 2); q.Len() > 0; time.Sleep(time.Second) {
					require.EqualValues(t, min(limit, q.Len()), c.running.Load())
				}
				<-ended
			})
		}
	}
}

// Results.

func TestQueueYieldsInFinishOrderAlsoWhenTheBodyIsSlow(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			durations := rng.Perm(50) // all different
			want := make([]int, len(durations))
			for i, d := range durations {
				want[d] = i
			}
			var got []int
			for key := range queueOf(seconds(durations...)...).AsCompleted(t.Context()) {
				got = append(got, key)
				time.Sleep(time.Duration(rng.IntN(100)) * time.Second)
			}
			require.Equal(t, want, got)
		})
	}
}

func TestQueueYieldsFailuresAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, errBoom, 2 * time.Second},
			{2, 30, errBoom, 3 * time.Second},
			{3, 0, await.ErrGoexit, 4 * time.Second},
			{4, 50, nil, 5 * time.Second},
		}, arrivals(queueOf(
			after(1*time.Second, 10),
			failing[int](2*time.Second, errBoom),
			func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 30, errBoom },
			exiting[int](4*time.Second),
			after(5*time.Second, 50),
		).AsCompleted(t.Context())))
	})
}

func TestQueueKeysMayBeAnything(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		var q await.Queue[[]string, int] // no key for a map, and may be nil
		q.Add([]string{"a", "b"}, deaf(time.Second, 1))
		q.Add(nil, deaf(time.Second, 2))
		q.Add([]string{"a", "b"}, deaf(time.Second, 3)) // the same again is another task
		got := make(map[int][]string)
		for key, r := range q.AsCompleted(t.Context(), opts...) {
			got[r.Value] = key
		}
		require.Equal(t, map[int][]string{1: {"a", "b"}, 2: nil, 3: {"a", "b"}}, got)
	})
}

func TestQueueRunsATaskThatWasAddedTwiceTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		calls := 0
		task := func(context.Context) (int, error) { calls++; return calls, nil }
		q.Add(7, task)
		q.Add(7, task)
		require.Equal(t, []arrival{{7, 1, nil, 0}, {7, 2, nil, 0}},
			arrivals(q.AsCompleted(t.Context(), await.Limit(1))))
	})
}

func TestQueueShowsTheBodyWhatATaskWrote(t *testing.T) {
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		var q intQueue
		wrote := make([]int, 500)
		for i := range wrote {
			wrote[i] = -1
			q.Add(i, func(context.Context) (int, error) { // sees what was written before the Add
				wrote[i] += i + 2
				if i%10 == 0 {
					runtime.Goexit()
				}
				return i, nil
			})
		}
		for key := range q.AsCompleted(t.Context(), opts...) {
			require.Equal(t, key+1, wrote[key])
			wrote[key] = 0
		}
		requireNoWorkers(t)
	})
}

func TestFirstOfAQueueLeavesTheRestQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(slices.Concat([]await.Task[int]{failing[int](time.Second, errBoom)}, seconds(1, 1, 1, 1))...)
		results := func(yield func(int, await.Result[int]) bool) {
			for key, r := range q.AsCompleted(t.Context(), await.Limit(1)) {
				synctest.Wait() // until the next one runs
				if !yield(key, r) {
					return
				}
			}
		}
		key, _, err := await.First(results)
		require.NoError(t, err)
		require.Equal(t, 1, key)
		require.Equal(t, []int{3, 4}, indices(arrivals(q.AsCompleted(t.Context(), await.Limit(1)))))
		_, _, err = await.First(results)
		require.Equal(t, await.ErrNoTasks, err)
	})
}

// The loop's end, when nothing is left.

func TestQueueDoesNotEndWhileATaskThatWillAddRuns(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		const generations = 20
		var q intQueue
		var grow func(k int) await.Task[int]
		grow = func(k int) await.Task[int] {
			return func(context.Context) (int, error) {
				time.Sleep(time.Hour)
				if k < generations {
					q.Add(k+1, grow(k+1))
				}
				return k, nil
			}
		}
		q.Add(1, grow(1))
		start := time.Now()
		got := arrivals(q.AsCompleted(t.Context(), opts...))
		require.Len(t, got, generations)
		for i, a := range got {
			require.Equal(t, arrival{i + 1, i + 1, nil, time.Duration(i+1) * time.Hour}, a)
		}
		require.Equal(t, generations*time.Hour, time.Since(start), "the loop ends with the last result")
	})
}

func TestQueueDoesNotEndWhenATaskAddsAndThenEndsInAnyWay(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		for name, end := range map[string]func() (int, error){
			"error":  func() (int, error) { return 0, errBoom },
			"Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
			"panic":  func() (int, error) { panic("boom") },
		} {
			var q intQueue
			q.Add(0, func(context.Context) (int, error) {
				time.Sleep(time.Second)
				q.Add(1, deaf(time.Second, 1))
				return end()
			})
			got := arrivals(q.AsCompleted(t.Context(), append(slices.Clip(opts), await.Recover())...))
			require.Equal(t, []int{0, 1}, indices(got), name)
			require.Error(t, got[0].err, name)
			require.Equal(t, arrival{1, 1, nil, 2 * time.Second}, got[1], name)
		}
	})
}

func TestQueueThatHasRunEmptyIsReadyForMore(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		var q intQueue
		seq := q.AsCompleted(t.Context(), opts...)
		for round := range 5 {
			require.Empty(t, arrivals(seq))
			for i := range round {
				q.Add(i, deaf(time.Second, i))
			}
			require.Equal(t, round, q.Len())
			require.Len(t, arrivals(seq), round)
			require.Zero(t, q.Len())
		}
	})
}

// Len.

func TestQueueLenAtEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		inTask := func(want int, d time.Duration, and func()) await.Task[int] {
			return func(context.Context) (int, error) {
				time.Sleep(d)
				and()
				if got := q.Len(); got != want {
					return 0, fmt.Errorf("in the task Len is %d, should be %d", got, want)
				}
				return 0, nil
			}
		}
		q.Add(0, inTask(2, 1*time.Second, func() {}))
		q.Add(1, inTask(3, 2*time.Second, func() {
			q.Add(2, inTask(2, time.Second, func() {}))
			q.Add(3, inTask(1, 2*time.Second, func() {}))
		}))
		require.Equal(t, 2, q.Len())
		lens := []int{1, 2, 1, 0}
		for key, r := range q.AsCompleted(t.Context()) {
			require.NoError(t, r.Err)
			require.Equal(t, lens[key], q.Len(), "after result %d", key)
		}
		require.Zero(t, q.Len())
	})
}

func TestQueueLenCountsResultsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(instant(10)...)
		left := 10
		for range q.AsCompleted(t.Context()) {
			synctest.Wait() // all have finished
			left--
			require.Equal(t, left, q.Len())
		}
	})
}

func TestQueueTakeOneAddOne(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		q := queueOf(seconds(1, 2)...)
		taken := 0
		for key := range q.AsCompleted(t.Context(), opts...) {
			taken++
			if taken > 16 {
				continue
			}
			require.Equal(t, 1, q.Len())
			q.Add(key+2, deaf(time.Duration(1+key%3)*time.Second, key))
			require.Equal(t, 2, q.Len())
		}
		require.Equal(t, 18, taken)
		require.Zero(t, q.Len())
	})
}

func TestQueueLenWhileTasksFinishOutOfOrderAndMoreAreAdded(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		const most = 100
		var q intQueue
		added, handed := 0, 0
		add := func(n int) {
			for ; n > 0 && added < most; n-- {
				q.Add(added, deaf(time.Duration(rng.IntN(9))*time.Second, 0))
				added++
				require.Equal(t, added-handed, q.Len())
			}
		}
		add(3)
		for range q.AsCompleted(t.Context(), opts...) {
			handed++
			require.Equal(t, added-handed, q.Len())
			add(rng.IntN(3))
			time.Sleep(time.Duration(rng.IntN(3)) * time.Second)
			require.Equal(t, added-handed, q.Len())
			if handed == added {
				add(1)
			}
		}
		require.Equal(t, most, handed)
	})
}

// The loop's end, when it is left.

// Two run at a time. When the loop is left, at second 1, tasks 1 and 2 run;
// tasks 3 to 5 have not started.
func TestHoweverAQueuesLoopIsLeftWhatHasNotStartedStays(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c census
				var causes [2]error
				q := queueOf(c.wrap(
					deaf(time.Second, 0),
					func(ctx context.Context) (int, error) {
						<-ctx.Done()
						causes[0] = context.Cause(ctx)
						return 0, nil
					},
					func(ctx context.Context) (int, error) {
						time.Sleep(8 * time.Second)
						causes[1] = context.Cause(ctx)
						return 0, nil
					},
					deaf(1*time.Second, 13),
					deaf(2*time.Second, 14),
					deaf(3*time.Second, 15),
				)...)
				start := time.Now()
				bodies := 0
				d.leave(q.AsCompleted(t.Context(), await.Limit(2)), func() bool {
					bodies++
					synctest.Wait() // until the third runs
					require.Equal(t, 5, q.Len())
					return true
				})
				require.Equal(t, 1, bodies)
				require.Equal(t, 9*time.Second, time.Since(start))
				require.Zero(t, c.running.Load())
				require.Equal(t, [2]error{await.ErrStopped, await.ErrStopped}, causes)
				require.Equal(t, 3, q.Len())

				q.Add(6, c.wrap(deaf(time.Second, 16))[0])
				time.Sleep(time.Hour)
				require.EqualValues(t, 3, c.started.Load(), "nothing starts without a loop")
				require.Equal(t, 4, q.Len())
				require.Equal(t, []arrival{
					{3, 13, nil, 1 * time.Second},
					{4, 14, nil, 2 * time.Second},
					{6, 16, nil, 3 * time.Second},
					{5, 15, nil, 4 * time.Second},
				}, arrivals(q.AsCompleted(t.Context(), await.Limit(2))))
				require.EqualValues(t, 7, c.started.Load(), "nothing runs twice")
				require.Zero(t, q.Len())
			})
		})
	}
}

func TestQueueDropsWhatHadFinishedUnreadWhenTheLoopIsLeft(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c census
				q := queueOf(c.wrap(instant(20)...)...)
				d.leave(q.AsCompleted(t.Context(), await.Limit(2), await.Buffer(3)), func() bool {
					synctest.Wait() // until the buffer is full
					return true
				})
				require.EqualValues(t, 1+2+3, c.started.Load())
				require.Equal(t, 20-1-2-3, q.Len())
				require.Len(t, arrivals(q.AsCompleted(t.Context())), 20-1-2-3)
				require.EqualValues(t, 20, c.started.Load())
			})
		})
	}
}

func TestWhatATaskAddsAfterTheLoopsEndStartsNoGoroutine(t *testing.T) {
	// With one processor, a goroutine that Add would start cannot be gone again
	// when the task counts them.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	orHang(func() {
		more := 0
		for range 100 {
			var q intQueue
			before, after := 0, 0
			q.Add(0, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				before = workers()
				q.Add(2, instant(1)[0])
				after = workers()
				return 0, nil
			})
			q.Add(1, instant(1)[0])
			for range q.AsCompleted(t.Context()) {
				break
			}
			require.Equal(t, 1, q.Len())
			if after > before {
				more++
			}
		}
		// Where the scheduler interrupts the loop's goroutine, the context may have
		// ended and the queue not know.
		require.Less(t, more, 50, "loops after which a goroutine was started, of 100")
	})
}

func TestQueueKeepsWhatATaskAddsOnItsWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		q.Add(0, deaf(time.Second, 0))
		q.Add(1, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			q.Add(2, deaf(time.Second, 2))
			return 1, nil
		})
		for range q.AsCompleted(t.Context()) {
			break
		}
		require.Equal(t, 1, q.Len())
		require.Equal(t, []arrival{{2, 2, nil, time.Second}}, arrivals(q.AsCompleted(t.Context())))
	})
}

// Each loop takes one result, and when it is left the next one waits unread.
func TestQueueGoesOnWhereTheLastLoopLeftIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		q := queueOf(c.wrap(instant(10)...)...)
		var got []int
		for q.Len() > 0 {
			for key := range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(0)) {
				synctest.Wait()
				got = append(got, key)
				break
			}
		}
		require.Equal(t, []int{0, 2, 4, 6, 8}, got)
		require.EqualValues(t, 10, c.started.Load())
	})
}

func TestABreakAtTheLastResultLeavesAnEmptyQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(seconds(1)...)
		for range q.AsCompleted(t.Context()) {
			break
		}
		require.Zero(t, q.Len())
		require.Empty(t, arrivals(q.AsCompleted(t.Context())))
	})
}

func TestQueueThroughPull2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(seconds(1, 2)...)
		next, stop := iter.Pull2(q.AsCompleted(t.Context()))
		for want := range 4 {
			key, r, ok := next()
			require.True(t, ok)
			require.Equal(t, want, key)
			require.Equal(t, want, r.Value)
			if want < 2 {
				q.Add(want+2, deaf(2*time.Second, want+2))
			}
		}
		for range 3 {
			_, _, ok := next()
			require.False(t, ok)
		}
		q.Add(4, deaf(time.Second, 4))
		_, _, ok := next()
		require.False(t, ok, "the end stays the end")
		stop()
		require.Equal(t, []int{4}, indices(arrivals(q.AsCompleted(t.Context()))))
	})
}

// Context.

func TestQueueWithAnEndedContextStartsNothing(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		var c census
		q := queueOf(c.wrap(seconds(1, 1, 1)...)...)
		ctx, cancel := context.WithCancelCause(t.Context())
		seq := q.AsCompleted(ctx, opts...)
		cancel(errBoom)
		start := time.Now()
		for range 3 {
			require.Empty(t, arrivals(seq))
			require.Equal(t, 3, q.Len())
		}
		require.Zero(t, time.Since(start))
		require.Zero(t, c.started.Load())
		require.ElementsMatch(t, []int{0, 1, 2}, indices(arrivals(q.AsCompleted(t.Context(), opts...))))
	})
}

// Two run at a time. The context ends at second 3, when task 0 has returned,
// task 1 heeds it, task 2 does not, and tasks 3 to 5 have not started.
func TestWhenTheContextEndsAQueueYieldsTheRunningAndKeepsTheRest(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				var c census
				var cause error
				q := queueOf(c.wrap(
					deaf(1*time.Second, 10),
					after(time.Hour, 11),
					func(ctx context.Context) (int, error) {
						time.Sleep(9 * time.Second)
						cause = context.Cause(ctx)
						return 12, nil
					},
					deaf(1*time.Second, 13),
					deaf(1*time.Second, 14),
					deaf(1*time.Second, 15),
				)...)
				start := time.Now()
				require.Equal(t, []arrival{
					{0, 10, nil, 1 * time.Second},
					{1, 0, e.cause, 3 * time.Second},
					{2, 12, nil, 10 * time.Second},
				}, arrivals(q.AsCompleted(ctx, await.Limit(2))))
				require.Equal(t, 10*time.Second, time.Since(start))
				require.Equal(t, e.cause, cause)
				require.EqualValues(t, 3, c.started.Load())
				require.Equal(t, 3, q.Len())
				require.Equal(t, []int{3, 4, 5}, indices(arrivals(q.AsCompleted(t.Context(), await.Limit(1)))))
			})
		})
	}
}

func TestWhenTheContextEndsAQueueYieldsWhatHadFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var c census
		q := queueOf(c.wrap(instant(10)...)...)
		got := 0
		for _, r := range q.AsCompleted(ctx, await.Limit(2), await.Buffer(1)) {
			require.NoError(t, r.Err)
			synctest.Wait() // until the buffer is full
			cancel()
			got++
		}
		require.Equal(t, 1+2+1, got)
		require.EqualValues(t, got, c.started.Load())
		require.Equal(t, 10-got, q.Len())
	})
}

func TestWhatIsAddedAfterTheContextHasEndedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var q intQueue
		q.Add(0, func(context.Context) (int, error) {
			time.Sleep(5 * time.Second)
			q.Add(1, deaf(time.Second, 1)) // from a task
			return 0, nil
		})
		time.AfterFunc(3*time.Second, func() { q.Add(2, deaf(time.Second, 2)) }) // while the loop waits
		start := time.Now()
		yielded := 0
		for key := range q.AsCompleted(ctx) {
			require.Zero(t, key)
			q.Add(3, deaf(time.Second, 3)) // from the body
			yielded++
		}
		require.Equal(t, 1, yielded)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Equal(t, 3, q.Len())
		require.ElementsMatch(t, []int{1, 2, 3}, indices(arrivals(q.AsCompleted(t.Context()))))
	})
}

func TestATaskOfAQueueMayEndTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var c census
		tasks := seconds(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
		tasks[4] = func(context.Context) (int, error) { cancel(errBoom); return 4, nil }
		q := queueOf(c.wrap(tasks...)...)
		got := arrivals(q.AsCompleted(ctx, await.Limit(1)))
		require.Equal(t, []int{0, 1, 2, 3, 4}, indices(got))
		require.NoError(t, got[4].err)
		require.Equal(t, 5, q.Len())
		require.EqualValues(t, 5, c.started.Load())
	})
}

func TestKeepingOnAddingUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var q intQueue
		added := 0
		var task await.Task[int]
		add := func() { q.Add(added, task); added++ }
		task = func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			add() // under Limit(1), so it needs no lock
			add()
			return 0, ctx.Err()
		}
		add()
		yielded := len(arrivals(q.AsCompleted(ctx, await.Limit(1))))
		require.InDelta(t, 60, yielded, 1) // the last one ends with the context
		require.Equal(t, added, yielded+q.Len())
	})
}

// Goexit.

func TestGoexitInAQueueCostsNoSlot(t *testing.T) {
	const n = 12
	for _, limit := range []int{1, 2, n} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c census
				var q intQueue
				for i := range n {
					q.Add(i, c.wrap(func(context.Context) (int, error) {
						time.Sleep(time.Second)
						if i%3 != 2 {
							q.Add(n+i, c.wrap(exiting[int](0))[0])
							runtime.Goexit()
						}
						return i, nil
					})[0])
				}
				start := time.Now()
				got := arrivals(q.AsCompleted(t.Context(), await.Limit(limit)))
				require.Equal(t, time.Duration(n/limit)*time.Second, time.Since(start))
				require.EqualValues(t, limit, c.peak.Load())
				slices.SortFunc(got, func(a, b arrival) int { return a.index - b.index })
				require.Len(t, got, n+2*n/3)
				for _, a := range got {
					if a.index%3 != 2 {
						require.Equal(t, await.ErrGoexit, a.err)
					} else {
						require.NoError(t, a.err)
					}
				}
			})
		})
	}
}

func TestGoexitInAQueueAfterTheLoopWasLeftIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		q := queueOf(c.wrap(deaf(time.Second, 0), exiting[int](5*time.Second), deaf(2*time.Second, 0), deaf(0, 0))...)
		start := time.Now()
		for range q.AsCompleted(t.Context(), await.Limit(2)) {
			synctest.Wait()
			break
		}
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Equal(t, 1, q.Len())
	})
}

// Panics.

// At second 2 a task panics. One sibling heeds the end of its context, one does
// not and even adds, and results wait for the body, which sleeps.
func TestAPanicInAQueueIsRaisedAndTheRestStaysQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var c census
		var cause error
		var cancelled time.Duration
		var q intQueue
		for i, task := range c.wrap(
			deaf(1*time.Second, 0),
			deaf(1*time.Second, 1), // waits to be read
			func(context.Context) (int, error) { time.Sleep(2 * time.Second); return explode(errBoom) },
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause, cancelled = context.Cause(ctx), time.Since(start)
				return 3, nil
			},
			func(context.Context) (int, error) {
				time.Sleep(20 * time.Second)
				q.Add(100, deaf(time.Second, 100))
				return 4, nil
			},
			deaf(10*time.Second, 5),
			deaf(10*time.Second, 6),
			deaf(1*time.Second, 7),
		) {
			q.Add(i, task)
		}
		yielded := 0
		raised := raisedBy(t, func() {
			for range q.AsCompleted(t.Context(), await.Limit(5)) {
				yielded++
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, errBoom, raised.Value)
		require.ErrorIs(t, raised, errBoom)
		require.Contains(t, string(raised.Stack), "explode")
		require.Equal(t, 1, yielded, "the panic is ahead of results that wait")
		require.Equal(t, 2*time.Second, cancelled)
		var seen *await.PanicError
		require.ErrorAs(t, cause, &seen)
		require.Equal(t, raised.Value, seen.Value)
		require.Equal(t, 20*time.Second, time.Since(start))
		require.EqualValues(t, 7, c.started.Load())

		require.Equal(t, 2, q.Len())
		require.Equal(t, []arrival{{7, 7, nil, time.Second}, {100, 100, nil, 2 * time.Second}},
			arrivals(q.AsCompleted(t.Context(), await.Limit(1))), "the queue is usable")
	})
}

func TestAPanicInAQueueIsRaisedAlsoWhenTheLoopWasLeft(t *testing.T) {
	for _, d := range departures {
		if d.name == "panic" || d.name == "runtime.Goexit" {
			continue // they end in another way: see the tests of AsCompleted
		}
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queueOf(
					deaf(1*time.Second, 0),
					panicking[int](2*time.Second, "boom"),
					deaf(9*time.Second, 0),
					deaf(1*time.Second, 3),
				)
				start := time.Now()
				requireRaised(t, "boom", func() {
					d.leave(q.AsCompleted(t.Context(), await.Limit(2), await.Buffer(0)), func() bool { return true })
				})
				require.GreaterOrEqual(t, time.Since(start), 2*time.Second)
				require.NotEmpty(t, arrivals(q.AsCompleted(t.Context())), "the queue is usable")
			})
		})
	}
}

func TestAPanicInAQueueOutranksTheEndOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		q := queueOf(panicking[int](2*time.Second, nil), deaf(time.Second, 1))
		requireRaised(t, new(runtime.PanicNilError), func() {
			arrivals(q.AsCompleted(ctx, await.Limit(1)))
		})
		require.Equal(t, 1, q.Len())
	})
}

func TestRecoverInAQueueMakesAPanicAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		q.Add(0, func(context.Context) (int, error) {
			time.Sleep(time.Second)
			q.Add(1, deaf(2*time.Second, 1))
			return explode("boom")
		})
		q.Add(2, after(2*time.Second, 2))
		got := arrivals(q.AsCompleted(t.Context(), await.Recover()))
		var failed *await.PanicError
		require.ErrorAs(t, got[0].err, &failed)
		require.Equal(t, "boom", failed.Value)
		require.Contains(t, string(failed.Stack), "explode")
		got[0].err = nil
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{2, 2, nil, 2 * time.Second},
			{1, 1, nil, 3 * time.Second},
		}, got)
	})
}

// Two loops.

// requireQueueBusy fails unless loop panics because another one is there.
func requireQueueBusy(t *testing.T, loop func()) {
	t.Helper()
	requireBadInput(t, "another loop", loop)
}

func TestASecondLoopOverAQueuePanicsAndTheFirstGoesOn(t *testing.T) {
	eachQueueOptionInABubble(t, func(t *testing.T, opts []await.Option) {
		var c census
		var q intQueue
		second := func() {
			ctx := watched(t.Context())
			requireQueueBusy(t, func() {
				for range q.AsCompleted(ctx, opts...) {
					t.Error("the second loop yields")
				}
			})
			require.Zero(t, ctx.watchers())
		}
		for i, task := range c.wrap(seconds(1, 2, 3, 4)...) {
			q.Add(i, task)
		}
		q.Add(4, func(context.Context) (int, error) { second(); return 4, nil }) // from a task
		tried := make(chan struct{})
		go func() { // from another goroutine
			defer close(tried)
			time.Sleep(2500 * time.Millisecond)
			second()
		}()
		var got []int
		for key, r := range q.AsCompleted(t.Context(), opts...) {
			require.NoError(t, r.Err)
			second() // from the body
			got = append(got, key)
		}
		<-tried
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4}, got)
		require.EqualValues(t, 4, c.started.Load())
		q.Add(5, deaf(time.Second, 5))
		require.Equal(t, []int{5}, indices(arrivals(q.AsCompleted(t.Context(), opts...))), "the queue is usable")
	})
}

func TestANestedLoopOverItsOwnQueuePanicsThroughBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		q := queueOf(c.wrap(seconds(1, 5, 1)...)...)
		start := time.Now()
		requireQueueBusy(t, func() {
			for range q.AsCompleted(t.Context(), await.Limit(2), await.Buffer(0)) {
				for range q.AsCompleted(t.Context()) {
					t.Error("the second loop yields")
				}
			}
		})
		require.Equal(t, 5*time.Second, time.Since(start), "as with any panic in the body")
		require.Zero(t, c.running.Load())
		arrivals(q.AsCompleted(t.Context()))
		require.EqualValues(t, 3, c.started.Load())
	})
}

func TestATaskThatRangesItsOwnQueuePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		q.Add(0, func(ctx context.Context) (int, error) {
			return len(arrivals(q.AsCompleted(ctx))), nil
		})
		raised := raisedBy(t, func() { arrivals(q.AsCompleted(t.Context())) })
		require.Contains(t, fmt.Sprint(raised.Value), "another loop")
	})
}

func TestTwoLoopsOverAQueueThroughPull2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(seconds(1, 2)...)
		seq := q.AsCompleted(t.Context())
		first, stopFirst := iter.Pull2(seq)
		second, stopSecond := iter.Pull2(seq) // not yet a loop
		_, _, ok := first()
		require.True(t, ok)
		requireQueueBusy(t, func() { second() })
		stopSecond()
		_, _, ok = first()
		require.True(t, ok)
		_, _, ok = first()
		require.False(t, ok)
		stopFirst()
		require.Empty(t, arrivals(seq))
	})
}

func TestLoopsOverOneQueueAtOnceWithRealGoroutines(t *testing.T) {
	orHang(func() {
		for range 500 {
			const n, loops = 20, 4
			var c census
			q := queueOf(c.wrap(instant(n)...)...)
			var yielded, refused atomic.Int64
			var group sync.WaitGroup
			for range loops {
				group.Go(func() {
					defer func() {
						if recover() != nil {
							refused.Add(1)
						}
					}()
					for range q.AsCompleted(t.Context(), await.Limit(2)) {
						yielded.Add(1)
					}
				})
			}
			group.Wait()
			require.EqualValues(t, n, yielded.Load())
			require.EqualValues(t, n, c.started.Load())
			require.Less(t, refused.Load(), int64(loops))
			require.Zero(t, q.Len())
		}
		requireNoWorkers(t)
	})
}

// Backpressure.

// The body blocks at every result until nothing moves any more. A buffer of -1
// stands for the default.
func TestQueueLimitAndBufferBoundWhatIsStartedAndUnread(t *testing.T) {
	const n = 30
	for _, limit := range []int{1, 2, 5} {
		for _, buffer := range []int{-1, 0, 1, 3, n} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					opts := []await.Option{await.Limit(limit)}
					room := limit + limit
					if buffer >= 0 {
						opts = append(opts, await.Buffer(buffer))
						room = limit + buffer
					}
					var c census
					q := queueOf(c.wrap(instant(n / 2)...)...)
					yielded := 0
					for range q.AsCompleted(t.Context(), opts...) {
						yielded++
						if yielded == 1 { // never blocks, whatever is full
							for i, task := range c.wrap(instant(n / 2)...) {
								q.Add(n/2+i, task)
							}
						}
						synctest.Wait()
						require.Equal(t, min(room, n-yielded), int(c.started.Load())-yielded)
						require.Zero(t, c.running.Load())
						require.Equal(t, n-yielded, q.Len())
					}
					require.Equal(t, n, yielded)
				})
			})
		}
	}
}

func TestQueueWithoutLimitHasNoBound(t *testing.T) {
	for _, opts := range [][]await.Option{nil, {await.Buffer(0)}, {await.Detach()}} {
		synctest.Test(t, func(t *testing.T) {
			const n = 3000
			var c census
			yielded := 0
			for range queueOf(c.wrap(instant(n)...)...).AsCompleted(t.Context(), opts...) {
				yielded++
				synctest.Wait()
				require.EqualValues(t, n, c.started.Load())
			}
			require.Equal(t, n, yielded)
		})
	}
}

func TestGoexitKeepsTheBufferOfAQueueExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		yielded := 0
		for range queueOf(c.wrap(copies(20, exiting[int](0))...)...).AsCompleted(t.Context(), await.Limit(2), await.Buffer(1)) {
			yielded++
			synctest.Wait()
			require.EqualValues(t, min(20, yielded+2+1), c.started.Load())
		}
		require.Equal(t, 20, yielded)
	})
}

// Detach.

func TestDetachLeavesAQueuesLoopAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		var cause error
		var q intQueue
		for i, task := range c.wrap(
			deaf(time.Second, 0),
			func(ctx context.Context) (int, error) { // runs until second 20
				time.Sleep(20 * time.Second)
				cause = context.Cause(ctx)
				q.Add(100, deaf(time.Second, 100))
				return 1, nil
			},
			func(ctx context.Context) (int, error) { // runs from second 1 until second 4
				time.Sleep(3 * time.Second)
				q.Add(101, deaf(time.Second, 101))
				return 2, nil
			},
			deaf(5*time.Second, 3),
		) {
			q.Add(i, task)
		}
		start := time.Now()
		for range q.AsCompleted(t.Context(), await.Limit(2), await.Detach()) {
			synctest.Wait() // until the third runs
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		require.EqualValues(t, 2, c.running.Load())
		require.Equal(t, 1, q.Len())

		// A later loop yields nothing of those left behind but what they add.
		require.Equal(t, []arrival{
			{101, 101, nil, 4 * time.Second},
			{3, 3, nil, 5 * time.Second},
		}, arrivals(q.AsCompleted(t.Context(), await.Limit(2))))
		require.EqualValues(t, 1, c.running.Load())
		require.Zero(t, q.Len())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, await.ErrStopped, cause)
		require.Equal(t, 1, q.Len())
		require.Equal(t, []int{100}, indices(arrivals(q.AsCompleted(t.Context()))))
	})
}

func TestDetachLetsAQueuesLoopEndWithTheContext(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				var c census
				q := queueOf(c.wrap(seconds(1, 100, 200, 1, 1)...)...)
				start := time.Now()
				require.Equal(t, []arrival{
					{0, 0, nil, 1 * time.Second},
					{1, 0, e.cause, 3 * time.Second},
					{2, 0, e.cause, 3 * time.Second},
				}, arrivals(q.AsCompleted(ctx, await.Limit(2), await.Detach())))
				require.Equal(t, 3*time.Second, time.Since(start))
				require.EqualValues(t, 2, c.running.Load())
				require.Equal(t, 2, q.Len())
				require.Equal(t, []int{3, 4}, indices(arrivals(q.AsCompleted(t.Context(), await.Limit(1)))))
				time.Sleep(time.Hour)
				require.EqualValues(t, 5, c.started.Load())
				require.Zero(t, c.running.Load())
			})
		})
	}
}

func TestDetachRaisesAPanicInAQueueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(seconds(10, 10, 1)...)
		q.Add(3, panicking[int](time.Second, "boom"))
		q.Add(4, deaf(time.Second, 4))
		start := time.Now()
		requireRaised(t, "boom", func() {
			for key := range q.AsCompleted(t.Context(), await.Limit(3), await.Detach()) {
				require.Equal(t, 2, key)
			}
		})
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Equal(t, []int{4}, indices(arrivals(q.AsCompleted(t.Context()))))
		time.Sleep(time.Hour)
	})
}

// Name.

func TestNameLabelsTheContextOfAQueuesTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		label := func(ctx context.Context) (string, error) {
			label, _ := pprof.Label(ctx, "await")
			return label, nil
		}
		for want, opts := range map[string][]await.Option{
			"":      nil,
			"crawl": {await.Name("crawl")},
			"fetch": {await.Name("fetch"), await.Limit(1), await.Within(await.NewLimiter(1))},
		} {
			var q await.Queue[int, string]
			q.Add(0, func(ctx context.Context) (string, error) {
				q.Add(1, label)
				return label(ctx)
			})
			for _, r := range q.AsCompleted(t.Context(), opts...) {
				require.Equal(t, want, r.Value)
			}
		}
	})
}

// Bad input.

func TestBadInputToAQueuePanicsAtTheCall(t *testing.T) {
	var noContext context.Context
	var q intQueue
	requireBadInput(t, "task", func() { q.Add(1, nil) })
	require.Zero(t, q.Len(), "the nil task is not queued")
	requireBadInput(t, "context", func() { q.AsCompleted(noContext) })
	requireBadInput(t, "option 1", func() { q.AsCompleted(t.Context(), await.Limit(1), nil) })
	q.Add(1, deaf(0, 1))
	require.Equal(t, []int{1}, indices(arrivals(q.AsCompleted(t.Context()))))
}

func TestANilTaskAddedByATaskIsThatTasksPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q intQueue
		q.Add(0, func(context.Context) (int, error) { q.Add(1, nil); return 0, nil })
		raised := raisedBy(t, func() { arrivals(q.AsCompleted(t.Context())) })
		require.Contains(t, fmt.Sprint(raised.Value), "await: ")
		require.Zero(t, q.Len())
	})
}

// Real goroutines.

// growth is random work that makes more work, up to a number of tasks. A
// task's key is the order in which it was added.
type growth struct {
	intQueue
	seed   uint64
	added  atomic.Int64
	starts []atomic.Int32 // of each task
	ended  atomic.Int64   // tasks
}

func newGrowth(seed uint64, most int) *growth {
	return &growth{seed: seed, starts: make([]atomic.Int32, most)}
}

// add adds the next task, if there may be one.
func (g *growth) add() {
	if key := int(g.added.Add(1) - 1); key < len(g.starts) {
		g.Add(key, func(context.Context) (int, error) { return g.task(key) })
	}
}

// keys counts the tasks that were added.
func (g *growth) keys() int { return min(int(g.added.Load()), len(g.starts)) }

func (g *growth) task(key int) (int, error) {
	g.starts[key].Add(1)
	defer g.ended.Add(1)
	rng := rand.New(rand.NewPCG(g.seed, uint64(key)))
	for range rng.IntN(5) {
		switch rng.IntN(4) {
		case 0:
			runtime.Gosched()
		case 1:
			var group sync.WaitGroup
			group.Go(g.add)
			group.Wait()
		default:
			g.add()
		}
	}
	switch rng.IntN(6) {
	case 0:
		runtime.Goexit()
	case 1:
		return key, errBoom
	case 2:
		runtime.Gosched()
	}
	return key, nil
}

// requireAllStartedOnce fails unless every task that was added has run once.
func (g *growth) requireAllStartedOnce(t *testing.T) {
	t.Helper()
	require.Zero(t, g.Len())
	for key := range g.keys() {
		require.EqualValues(t, 1, g.starts[key].Load(), "starts of task %d of %d", key, g.keys())
	}
}

func TestQueueYieldsAllOfAnyGrowthOnce(t *testing.T) {
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		orHang(func() {
			for round := range 200 {
				g := newGrowth(uint64(round), 1+round%50)
				for range 3 {
					g.add()
				}
				yields := make([]int, len(g.starts))
				for key := range g.AsCompleted(t.Context(), opts...) {
					yields[key]++
					if key%5 == 0 {
						g.add()
					}
				}
				g.requireAllStartedOnce(t)
				for key := range g.keys() {
					require.Equal(t, 1, yields[key], "yields of task %d of %d", key, g.keys())
				}
			}
			requireNoWorkers(t)
		})
	})
}

func TestQueueLosesAndRepeatsNothingHoweverOftenItsLoopIsLeft(t *testing.T) {
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		orHang(func() {
			for round := range 100 {
				g := newGrowth(uint64(round), 40)
				g.add()
				rng := rand.New(rand.NewPCG(17, uint64(round)))
				yields := make([]int, len(g.starts))
				for loops := 0; g.ended.Load() < int64(g.keys()); loops++ {
					require.Less(t, loops, 100_000, "a task never runs")
					ctx, cancel := context.WithCancel(t.Context())
					for key := range g.AsCompleted(ctx, opts...) {
						yields[key]++
						g.add()
						switch rng.IntN(8) {
						case 0:
							cancel()
							continue
						case 1, 2:
						default:
							continue
						}
						break
					}
					cancel()
					runtime.Gosched()
				}
				g.requireAllStartedOnce(t)
				for key := range g.keys() {
					require.LessOrEqual(t, yields[key], 1, "yields of task %d", key)
				}
			}
			requireNoWorkers(t)
		})
	})
}

// A task that is added while the loop comes to its end is either yielded or
// left in the queue. It must not start and then be cut off by the end.
func TestQueueLosesNothingThatIsAddedWhileTheLoopEnds(t *testing.T) {
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		orHang(func() {
			for range 100 {
				const producers, n = 3, 10
				var q intQueue
				var c census
				var group sync.WaitGroup
				for p := range producers {
					group.Go(func() {
						for i, task := range c.wrap(instant(n)...) {
							q.Add(p*n+i, task)
							if i%3 == 0 {
								runtime.Gosched()
							}
						}
					})
				}
				done := make(chan struct{})
				go func() { group.Wait(); close(done) }()
				yields := make([]int, producers*n)
				for last := false; !last; {
					select {
					case <-done:
						last = true
					default:
					}
					for key := range q.AsCompleted(t.Context(), opts...) {
						yields[key]++
					}
					runtime.Gosched()
				}
				require.Zero(t, q.Len())
				require.EqualValues(t, producers*n, c.started.Load())
				require.Equal(t, slices.Repeat([]int{1}, producers*n), yields)
			}
			requireNoWorkers(t)
		})
	})
}

// The end of a context reaches the queue on a goroutine of its own. It must not
// end a later loop.
func TestTheEndOfAContextEndsNoLaterLoopOverTheQueue(t *testing.T) {
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		orHang(func() {
			for range 300 {
				q := queueOf(instant(5)...)
				ctx, cancel := context.WithCancel(t.Context())
				for range q.AsCompleted(ctx, opts...) {
					cancel()
					break
				}
				cancel()
				for range q.AsCompleted(t.Context(), opts...) {
				}
				require.Zero(t, q.Len())
			}
			requireNoWorkers(t)
		})
	})
}

func TestQueueWithManyProducersYieldsEachOnce(t *testing.T) {
	orHang(func() {
		for range 300 {
			const producers, n = 5, 5
			var q intQueue
			open := make(chan struct{})
			// It keeps the loop from ending before all have added.
			var group sync.WaitGroup
			q.Add(-1, func(context.Context) (int, error) { group.Wait(); return 0, nil })
			for p := range producers {
				group.Go(func() {
					<-open
					for i := range n {
						q.Add(p*n+i, deaf(0, p*n+i))
					}
				})
			}
			close(open)
			yields := make([]int, producers*n)
			for key, r := range q.AsCompleted(t.Context(), await.Limit(3)) {
				if key >= 0 {
					require.Equal(t, key, r.Value)
					yields[key]++
				}
			}
			require.Equal(t, slices.Repeat([]int{1}, producers*n), yields)
		}
		requireNoWorkers(t)
	})
}

// One of two workers keeps the loop going. A task is added at about the moment
// when the other one finds nothing to do and leaves: then a new one has to come.
func TestATaskThatIsAddedAsAWorkerLeavesIsRun(t *testing.T) {
	orHang(func() {
		n := rounds(50_000)
		var q intQueue
		var left atomic.Bool // the last task has all but returned
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range n {
				for !left.CompareAndSwap(true, false) {
					runtime.Gosched()
				}
				for range i % 100 { // at one moment or another
					left.Load()
				}
				q.Add(i, func(context.Context) (int, error) { left.Store(true); return 0, nil })
			}
		}()
		q.Add(-1, func(context.Context) (int, error) { left.Store(true); return 0, nil })
		q.Add(-2, func(context.Context) (int, error) { <-done; return 0, nil }) // until then the loop goes on
		yielded := 0
		for range q.AsCompleted(t.Context(), await.Limit(2)) {
			yielded++
		}
		require.Equal(t, n+2, yielded)
	})
}

func TestManyTasksOfAQueueReleasedAtOneInstant(t *testing.T) {
	eachQueueOption(t, func(t *testing.T, opts []await.Option) {
		orHang(func() {
			for range 20 {
				const n = 100
				release := make(chan struct{})
				q := queueOf(copies(n, func(context.Context) (int, error) { <-release; return 0, nil })...)
				time.AfterFunc(time.Millisecond, func() { close(release) })
				require.Len(t, arrivals(q.AsCompleted(t.Context(), opts...)), n)
			}
			requireNoWorkers(t)
		})
	})
}

func TestNoWorkerIsLeftAfterPanicsInAQueue(t *testing.T) {
	orHang(func() {
		for range 1000 {
			var c census
			q := queueOf(c.wrap(slices.Concat(
				copies(5, after(time.Hour, 0)), []await.Task[int]{panicking[int](0, "boom")}, instant(5))...)...)
			requireRaised(t, "boom", func() { arrivals(q.AsCompleted(t.Context(), await.Limit(7))) })
			require.Zero(t, c.running.Load())
			got := arrivals(q.AsCompleted(t.Context()))
			require.LessOrEqual(t, len(got), 5)
			require.EqualValues(t, 11, c.started.Load())
		}
		requireNoWorkers(t)
	})
}

// Memory.

// queueHeap is what the heap holds after a collection.
func queueHeap() int64 {
	runtime.GC()
	runtime.GC() // what the first has made free to finalise
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// A million tasks come and go, a few at a time.
func TestQueueInASteadyFlowKeepsItsSize(t *testing.T) {
	n := upTo(1_000_000)
	var q intQueue
	start := queueHeap()
	added, yielded := 0, 0
	add := func() {
		if added < n {
			q.Add(added, func(context.Context) (int, error) { return 0, nil })
			added++
		}
	}
	for range 50 {
		add()
	}
	for range q.AsCompleted(t.Context(), await.Limit(8)) {
		yielded++
		add()
		if yielded%(n/5) == 0 {
			require.Less(t, queueHeap()-start, int64(1<<20))
		}
	}
	require.Equal(t, n, yielded)
}

func TestQueueTakesLittleMemoryForATaskAndGivesItBack(t *testing.T) {
	n := upTo(1_000_000)
	task := deaf(0, 0)
	var q intQueue
	start := queueHeap()
	for i := range n {
		q.Add(i, task)
	}
	full := queueHeap() - start
	require.Less(t, full, int64(64*n), "bytes of %d tasks that wait", n)
	yielded := 0
	for range q.AsCompleted(t.Context(), await.Limit(8)) {
		yielded++
	}
	require.Equal(t, n, yielded)
	require.Less(t, queueHeap()-start, full/10+1<<16, "bytes that an empty queue keeps")
	runtime.KeepAlive(&q)
}

// A queue must not keep what its tasks hold once they are through.
func TestQueueKeepsNothingOfTasksThatAreThrough(t *testing.T) {
	const n, size = 4000, 4 << 10
	var q await.Queue[*[size]byte, int]
	start := queueHeap()
	for range n {
		held := new([size]byte)
		q.Add(new([size]byte), func(context.Context) (int, error) { return int(held[0]), nil })
	}
	full := queueHeap() - start
	require.Greater(t, full, int64(2*n*size))
	yielded := 0
	for range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(0)) {
		yielded++
		if yielded%(n/8) == 0 {
			left := float64(n-yielded) / n
			require.InDelta(t, left*float64(full), float64(queueHeap()-start), 0.05*float64(full))
		}
	}
	require.Equal(t, n, yielded)
	runtime.KeepAlive(&q)
}
