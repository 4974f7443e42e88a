package await_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// A callWithin runs tasks and returns the error of each, nil for those that
// succeeded. A task that never ran may be left out.
type callWithin = func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error

// callsWithin are the functions that can run tasks Within a limiter.
var callsWithin = map[string]callWithin{
	"AsCompleted": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
		return errorsOf(await.AsCompleted(ctx, tasks, opts...))
	},
	"InOrder": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
		return errorsOf(await.InOrder(ctx, tasks, opts...))
	},
	"AsCompletedSeq": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
		return errorsOf(await.AsCompletedSeq(ctx, slices.All(tasks), opts...))
	},
	"InOrderSeq": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
		return errorsOf(await.InOrderSeq(ctx, slices.All(tasks), opts...))
	},
	"Queue": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
		return errorsOf(queueOf(tasks...).AsCompleted(ctx, opts...))
	},
	"Settle": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) (all []error) {
		for _, r := range await.Settle(ctx, tasks, opts...) {
			all = append(all, r.Err)
		}
		return all
	},
	"Gather": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
		all := make([]error, len(tasks))
		failed := new(await.TaskError)
		if _, err := await.Gather(ctx, tasks, opts...); errors.As(err, &failed) {
			all[failed.Index] = failed.Err
		}
		return all
	},
}

// errorsOf ranges results to their end.
func errorsOf(results iter.Seq2[int, await.Result[int]]) (all []error) {
	for _, r := range results {
		all = append(all, r.Err)
	}
	return all
}

// eachCall runs a test in a bubble of its own for every kind of call.
func eachCall(t *testing.T, test func(t *testing.T, call callWithin)) {
	t.Helper()
	for name, call := range callsWithin {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, call) })
		})
	}
}

// requireFree fails unless exactly n places of l are free. It needs a bubble.
func requireFree(t *testing.T, l *await.Limiter, n int) {
	t.Helper()
	var c census
	start := time.Now()
	require.Len(t, arrivals(await.AsCompleted(t.Context(), c.wrap(copies(3*n, deaf(time.Second, 0))...), await.Within(l))), 3*n)
	require.Equal(t, 3*time.Second, time.Since(start), "some of the %d places are taken", n)
	require.EqualValues(t, n, c.peak.Load(), "there are more than %d places", n)
}

// diary notes in which order things happen, and when.
type diary struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func newDiary() *diary { return &diary{begin: time.Now()} }

func (d *diary) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v %s", time.Since(d.begin), what))
}

// starting is tasks that note their start under name and number.
func (d *diary) starting(name string, tasks ...await.Task[int]) []await.Task[int] {
	noting := make([]await.Task[int], len(tasks))
	for i, task := range tasks {
		noting[i] = func(ctx context.Context) (int, error) {
			d.note(fmt.Sprintf("%s%d", name, i))
			return task(ctx)
		}
	}
	return noting
}

// One call.

func TestLimiterIsReachedAndNeverExceeded(t *testing.T) {
	for _, n := range []int{1, 2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachCall(t, func(t *testing.T, call callWithin) {
				l := await.NewLimiter(n)
				for range 2 {
					var c census
					start := time.Now()
					require.Equal(t, make([]error, 10*n), call(t.Context(), c.wrap(copies(10*n, deaf(time.Second, 0))...), await.Within(l)))
					require.EqualValues(t, n, c.peak.Load())
					require.Equal(t, 10*time.Second, time.Since(start))
				}
			})
		})
	}
}

func TestLimiterAboveTheNumberOfTasksChangesNothing(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		var in atomic.Int64
		open := make(chan struct{})
		call(t.Context(), copies(200, func(context.Context) (int, error) {
			if in.Add(1) == 200 {
				close(open)
			}
			<-open
			return 0, nil
		}), await.Within(await.NewLimiter(200)))
	})
}

func TestOfLimiterAndLimitTheSmallerWins(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for _, test := range []struct{ limiter, limit int }{{2, 5}, {5, 2}, {1, 9}, {9, 1}, {3, 3}} {
			var c census
			l := await.NewLimiter(test.limiter)
			smaller := min(test.limiter, test.limit)
			start := time.Now()
			call(t.Context(), c.wrap(copies(6*smaller, deaf(time.Second, 0))...), await.Within(l), await.Limit(test.limit))
			require.EqualValues(t, smaller, c.peak.Load(), "limiter %d, limit %d", test.limiter, test.limit)
			require.Equal(t, 6*time.Second, time.Since(start))
			requireFree(t, l, test.limiter)
		}
	})
}

func TestWithinALimiterTasksStartInInputOrder(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		d := newDiary()
		call(t.Context(), d.starting("", seconds(3, 1, 1, 5, 1, 1, 4)...), await.Within(await.NewLimiter(2)))
		slices.Sort(d.lines) // those of the same moment
		require.Equal(t, []string{"0s 0", "0s 1", "1s 2", "2s 3", "3s 4", "4s 5", "5s 6"}, d.lines)
	})
}

func TestWithinALimiterOfOneTasksRunInInputOrderOneAtATime(t *testing.T) {
	for name, call := range callsWithin {
		t.Run(name, func(t *testing.T) {
			var order []int // not locked: the race detector would tell
			tasks := make([]await.Task[int], 500)
			for i := range tasks {
				tasks[i] = func(context.Context) (int, error) {
					order = append(order, i)
					runtime.Gosched()
					return i, nil
				}
			}
			call(t.Context(), tasks, await.Within(await.NewLimiter(1)))
			require.Len(t, order, len(tasks))
			require.True(t, slices.IsSorted(order))
			requireNoWorkers(t)
		})
	}
}

func TestTheLastWithinCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		call := callsWithin["AsCompleted"]
		call(t.Context(), c.wrap(seconds(1, 1, 1, 1)...), await.Within(await.NewLimiter(1)), await.Within(await.NewLimiter(3)))
		require.EqualValues(t, 3, c.peak.Load())
	})
}

func TestAPlaceIsGivenBackHoweverATaskEnds(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for name, task := range map[string]await.Task[int]{
			"return": deaf(time.Second, 0),
			"error":  failing[int](time.Second, errBoom),
			"panic":  panicking[int](time.Second, "boom"),
			"Goexit": exiting[int](time.Second),
		} {
			l := await.NewLimiter(2)
			start := time.Now()
			for range 5 { // calls of one task each, because Gather ends with the first error
				call(t.Context(), []await.Task[int]{task}, await.Within(l), await.Recover())
			}
			require.Equal(t, 5*time.Second, time.Since(start), name)
			requireFree(t, l, 2)
			call(t.Context(), copies(10, task), await.Within(l), await.Recover())
			requireFree(t, l, 2)
		}
	})
}

func TestAPlaceIsFreeAtTheMomentItsTaskEnds(t *testing.T) {
	for name, task := range map[string]await.Task[int]{
		"return": deaf(time.Second, 0),
		"error":  failing[int](time.Second, errBoom),
		"panic":  panicking[int](time.Second, "boom"),
		"Goexit": exiting[int](time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(1)
				d := newDiary()
				var group sync.WaitGroup
				group.Go(func() {
					await.Settle(t.Context(), d.starting("a", slices.Concat(copies(3, task), seconds(1))...), await.Within(l), await.Recover())
				})
				synctest.Wait()
				await.Settle(t.Context(), d.starting("b", seconds(1)...), await.Within(l))
				group.Wait()
				require.Equal(t, []string{"0s a0", "1s a1", "2s b0", "3s a2", "4s a3"}, d.lines)
			})
		})
	}
}

func TestHoweverALoopWithinALimiterIsLeftItKeepsNoPlace(t *testing.T) {
	loops := map[string]func(context.Context, []await.Task[int], ...await.Option) iter.Seq2[int, await.Result[int]]{
		"AsCompleted": await.AsCompleted[int],
		"InOrder":     await.InOrder[int],
		"AsCompletedSeq": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
			return await.AsCompletedSeq(ctx, slices.All(tasks), opts...)
		},
		"InOrderSeq": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
			return await.InOrderSeq(ctx, slices.All(tasks), opts...)
		},
		"Queue": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) iter.Seq2[int, await.Result[int]] {
			return queueOf(tasks...).AsCompleted(ctx, opts...)
		},
	}
	for name, loop := range loops {
		for _, d := range departures {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := await.NewLimiter(2)
					var c census
					start := time.Now()
					d.leave(loop(t.Context(), c.wrap(seconds(1, 5, 7, 1, 1)...), await.Within(l)), func() bool {
						synctest.Wait() // until the third runs, and a worker waits for a place
						return true
					})
					require.Equal(t, 8*time.Second, time.Since(start))
					require.EqualValues(t, 3, c.started.Load())
					require.Zero(t, c.running.Load())
					requireFree(t, l, 2)
				})
			})
		}
	}
}

func TestResultsThatWaitForALoopHoldNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(1)
		yielded := 0
		for range await.AsCompleted(t.Context(), instant(10), await.Within(l), await.Limit(2), await.Buffer(0)) {
			yielded++
			synctest.Wait() // until tasks wait for room
			requireFree(t, l, 1)
		}
		require.Equal(t, 10, yielded)
	})
}

func TestLimiterWithBufferIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct{ limiter, limit, buffer int }{{1, 2, 0}, {5, 2, 0}, {1, 1, 3}, {2, 3, 1}} {
			const n = 30
			var c census
			yielded := 0
			for range queueOf(c.wrap(instant(n)...)...).AsCompleted(t.Context(), await.Within(await.NewLimiter(test.limiter)),
				await.Limit(test.limit), await.Buffer(test.buffer)) {
				yielded++
				synctest.Wait()
				require.EqualValues(t, min(n, yielded+test.limit+test.buffer), c.started.Load())
			}
			require.Equal(t, n, yielded)
		}
	})
}

// The place in the context.

func TestWithinGivesTasksAChildOfTheCallersContext(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Hour)
		defer cancel()
		want, _ := ctx.Deadline()
		require.Equal(t, []error{nil}, call(ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
			if got, ok := ctx.Deadline(); !ok || !got.Equal(want) || ctx.Value(key{}) != 7 {
				return 0, errBoom
			}
			return 0, nil
		}}, await.Within(await.NewLimiter(1))))
	})
}

// Waiting with the context.

func TestWithinWhenTheContextHasEndedNothingStarts(t *testing.T) {
	for name, call := range callsWithin {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errBoom)
				l := await.NewLimiter(2) // with free places
				var c census
				errs := call(ctx, c.wrap(seconds(1, 1, 1)...), await.Within(l))
				require.Zero(t, c.started.Load())
				requireFree(t, l, 2)
				switch name {
				case "AsCompletedSeq", "InOrderSeq", "Queue":
					require.Empty(t, errs)
				case "Gather":
					require.ErrorIs(t, errs[0], await.ErrNotStarted)
					require.ErrorIs(t, errs[0], errBoom)
				default:
					require.Len(t, errs, 3)
					for _, err := range errs {
						require.ErrorIs(t, err, await.ErrNotStarted)
						require.ErrorIs(t, err, errBoom)
					}
				}
			})
		})
	}
}

// The one place is taken for an hour. The call ends with its context.
func TestTheWaitForAPlaceEndsWithTheContext(t *testing.T) {
	for _, e := range endings {
		for name, call := range callsWithin {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := await.NewLimiter(1)
					var group sync.WaitGroup
					group.Go(func() { await.Settle(t.Context(), seconds(3600), await.Within(l)) })
					synctest.Wait()
					ctx, cancel := e.end(t.Context(), 3*time.Second)
					defer cancel()
					var c census
					start := time.Now()
					errs := call(ctx, c.wrap(seconds(1, 1, 1, 1)...), await.Within(l))
					require.Equal(t, 3*time.Second, time.Since(start))
					require.Zero(t, c.started.Load())
					for _, err := range errs {
						if err != nil || name != "Gather" {
							require.ErrorIs(t, err, await.ErrNotStarted)
							require.ErrorIs(t, err, e.cause)
						}
					}
					group.Wait()
					requireFree(t, l, 1)
				})
			})
		}
	}
}

// One runs at a time. At second 3 the context ends, when task 0 has returned
// and task 1 runs.
func TestWithinWhenTheContextEndsTheRunningCountAndTheRestIsNotStarted(t *testing.T) {
	bothOrders(t, func(t *testing.T, stream streamer) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errBoom)
		defer cancel()
		l := await.NewLimiter(1)
		got := arrivals(stream(ctx, seconds(2, 7, 1, 1, 1), await.Within(l)))
		require.Equal(t, []arrival{{0, 0, nil, 2 * time.Second}, {1, 1, nil, 9 * time.Second}}, got[:2])
		require.Equal(t, []int{2, 3, 4}, indices(got[2:]))
		for _, a := range got[2:] {
			require.ErrorIs(t, a.err, await.ErrNotStarted)
			require.ErrorIs(t, a.err, errBoom)
			require.Equal(t, 9*time.Second, a.at)
		}
		requireFree(t, l, 1)
	})
}

func TestAQueueKeepsWhatWaitedForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(1)
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(60), await.Within(l)) })
		synctest.Wait()
		var c census
		q := queueOf(c.wrap(seconds(1, 1, 1)...)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Empty(t, arrivals(q.AsCompleted(ctx, await.Within(l))))
		require.Equal(t, 3, q.Len())
		require.Equal(t, []int{0, 1, 2}, indices(arrivals(q.AsCompleted(t.Context(), await.Within(l)))))
		require.EqualValues(t, 3, c.started.Load())
		group.Wait()
	})
}

// Gather fails at second 1. Its other tasks wait for a place, and the failed
// task's own must not start one.
func TestWithinALimiterNothingStartsAfterAGatherHasFailed(t *testing.T) {
	for range 50 { // what comes first at second 1 is for the scheduler
		synctest.Test(t, func(t *testing.T) {
			l := await.NewLimiter(2)
			var group sync.WaitGroup
			group.Go(func() { await.Settle(t.Context(), seconds(10), await.Within(l)) })
			synctest.Wait()
			var c census
			start := time.Now()
			_, err := await.Gather(t.Context(), c.wrap(slices.Concat(
				[]await.Task[int]{failing[int](time.Second, errBoom)}, seconds(1, 1, 1))...), await.Within(l))
			require.ErrorIs(t, err, errBoom)
			require.Equal(t, time.Second, time.Since(start))
			require.EqualValues(t, 1, c.started.Load())
			group.Wait()
			requireFree(t, l, 2)
		})
	}
}

func TestWithinALimiterNothingStartsAfterAPanic(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for range 20 {
			l := await.NewLimiter(2)
			var c census
			start := time.Now()
			requireRaised(t, "boom", func() {
				call(t.Context(), c.wrap(slices.Concat(
					[]await.Task[int]{panicking[int](time.Second, "boom"), after(time.Hour, 0)}, seconds(1, 1, 1))...), await.Within(l))
			})
			require.Equal(t, time.Second, time.Since(start))
			require.EqualValues(t, 2, c.started.Load())
			requireFree(t, l, 2)
		}
	})
}

func TestOneThatGivesUpWaitingLetsTheNextOneIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(1)
		d := newDiary()
		var group sync.WaitGroup
		begin := func(ctx context.Context, name string) {
			group.Go(func() { await.Settle(ctx, d.starting(name, seconds(4)...), await.Within(l)) })
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin(t.Context(), "first")
		begin(ctx, "impatient")
		begin(t.Context(), "second")
		group.Wait()
		require.Equal(t, []string{"0s first0", "4s second0"}, d.lines)
		requireFree(t, l, 1)
	})
}

// Several calls.

func TestCallsGetPlacesInTheOrderInWhichTheyAsked(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		d := newDiary()
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			group.Go(func() { call(t.Context(), d.starting(name, seconds(1, 1, 1)...), await.Within(l)) })
			synctest.Wait() // until it runs, or waits for its first place
		}
		group.Wait()
		require.Equal(t, []string{
			"0s a0",
			"1s a1", "2s b0", "3s c0",
			"4s a2", "5s b1", "6s c1",
			"7s b2", "8s c2",
		}, d.lines)
	})
}

func TestALongLineIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		l := await.NewLimiter(3)
		var order []string
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				await.Settle(t.Context(), []await.Task[int]{func(context.Context) (int, error) {
					mu.Lock()
					order = append(order, fmt.Sprint(i))
					mu.Unlock()
					time.Sleep(time.Minute + time.Duration(i)) // so that no two end at once
					return 0, nil
				}}, await.Within(l))
			})
			time.Sleep(time.Second)
		}
		group.Wait()
		want := make([]string, n)
		for i := range want {
			want[i] = fmt.Sprint(i)
		}
		require.Equal(t, want, order)
	})
}

func TestALimiterIsSharedByAllKindsOfCalls(t *testing.T) {
	for _, n := range []int{1, 2, 4, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const each = 4
				l := await.NewLimiter(n)
				var c census
				tasks := 0
				start := time.Now()
				var group sync.WaitGroup
				begin := func(f func()) {
					group.Go(f)
					tasks += each
				}
				for _, call := range callsWithin {
					for range 2 {
						begin(func() { call(t.Context(), c.wrap(copies(each, deaf(time.Second, 0))...), await.Within(l)) })
					}
				}
				begin(func() {
					w := c.wrap(copies(each, failing[int](time.Second, errBoom))...)
					_, _, err := await.First(await.AsCompleted(t.Context(), w, await.Within(l)))
					require.ErrorIs(t, err, errBoom)
				})
				begin(func() {
					w := c.wrap(seconds(1, 1)...)
					_, _, err := await.Gather2(t.Context(), w[0], w[1], await.Within(l))
					require.NoError(t, err)
					_, _, err = await.Gather2(t.Context(), w[0], w[1], await.Within(l))
					require.NoError(t, err)
				})
				group.Wait()
				require.EqualValues(t, tasks, c.started.Load())
				require.EqualValues(t, n, c.peak.Load())
				require.Equal(t, time.Duration((tasks+n-1)/n)*time.Second, time.Since(start), "no place is idle while somebody waits")
				requireFree(t, l, n)
			})
		})
	}
}

func TestTwoStagesWithLimitersOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 30
		first, second := await.NewLimiter(3), await.NewLimiter(5)
		var stages [2]census
		var q intQueue
		for i := range n {
			q.Add(i, stages[0].wrap(deaf(time.Second, i))[0])
		}
		for _, r := range await.AsCompletedSeq(t.Context(), func(yield func(int, await.Task[int]) bool) {
			for key, r := range q.AsCompleted(t.Context(), await.Within(first)) {
				if !yield(key, stages[1].wrap(deaf(5*time.Second/3, r.Value))[0]) {
					return
				}
			}
		}, await.Within(second)) {
			require.NoError(t, r.Err)
		}
		require.EqualValues(t, 3, stages[0].peak.Load())
		require.EqualValues(t, 5, stages[1].peak.Load())
		require.EqualValues(t, n, stages[1].started.Load())
	})
}

// A slow sequence.

func TestASequenceHoldsNoPlaceWhileItIsPulled(t *testing.T) {
	for _, name := range []string{"AsCompletedSeq", "InOrderSeq"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(1)
				slow := func(yield func(int, await.Task[int]) bool) {
					for i := range 3 {
						time.Sleep(time.Hour)
						if !yield(i, deaf(time.Second, i)) {
							return
						}
					}
					time.Sleep(time.Hour)
				}
				seq := await.AsCompletedSeq(t.Context(), slow, await.Within(l))
				if name == "InOrderSeq" {
					seq = await.InOrderSeq(t.Context(), slow, await.Within(l))
				}
				start := time.Now()
				ended := make(chan []arrival)
				go func() { ended <- arrivals(seq) }()
				for range 4 {
					time.Sleep(30 * time.Minute)
					requireFree(t, l, 1)
					time.Sleep(30*time.Minute - 3*time.Second)
				}
				require.Equal(t, []arrival{
					{0, 0, nil, 1*time.Hour + time.Second},
					{1, 1, nil, 2*time.Hour + time.Second},
					{2, 2, nil, 3*time.Hour + time.Second},
				}, <-ended)
				require.Equal(t, 4*time.Hour, time.Since(start))
			})
		})
	}
}

func TestASequenceIsPulledAtMostOneAheadOfItsPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(2)
		var pulled atomic.Int64
		var c census
		endless := func(yield func(int, await.Task[int]) bool) {
			for i := 0; ; i++ {
				pulled.Add(1)
				if !yield(i, c.wrap(deaf(time.Second, i))[0]) {
					return
				}
			}
		}
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(10, 10), await.Within(l)) })
		synctest.Wait()
		time.AfterFunc(5*time.Second, func() { // while both places are taken
			if pulled.Load() > 1 || c.started.Load() > 0 {
				t.Error("it is pulled too far ahead")
			}
		})
		for key := range await.AsCompletedSeq(t.Context(), endless, await.Within(l)) {
			synctest.Wait()
			require.LessOrEqual(t, pulled.Load()-c.started.Load(), int64(1))
			if key == 20 {
				break
			}
		}
		group.Wait()
		requireFree(t, l, 2)
	})
}

// A blocked sequence does not hold up the end, and its task that comes too late
// takes no place.
func TestLeavingALoopWithinALimiterWhoseSequenceBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(1)
		cleaned := false
		start := time.Now()
		for range await.AsCompletedSeq(t.Context(), func(yield func(int, await.Task[int]) bool) {
			defer func() { cleaned = true }()
			_ = yield(0, deaf(time.Second, 0))
			time.Sleep(time.Hour)
			yield(1, func(context.Context) (int, error) { t.Error("started after the loop"); return 0, nil })
		}, await.Within(l)) {
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		requireFree(t, l, 1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.True(t, cleaned)
		requireFree(t, l, 1)
	})
}

// Nesting.

// nest is a tree of calls within limiters: each task above the leaves calls,
// and the leaves are counted.
type nest struct {
	census
	width int
	leaf  func(ctx context.Context, path int) (int, error) // path numbers the leaves
	call  func(level int) callWithin
	opts  []await.Option
}

// task is the task at the top of a tree of that depth; a leaf has depth 0.
func (n *nest) task(depth, path int) await.Task[int] {
	if depth == 0 {
		return n.wrap(func(ctx context.Context) (int, error) { return n.leaf(ctx, path) })[0]
	}
	return func(ctx context.Context) (int, error) {
		return 0, errors.Join(n.run(ctx, depth, path)...)
	}
}

// run calls for the tasks below one of that depth.
func (n *nest) run(ctx context.Context, depth, path int) []error {
	tasks := make([]await.Task[int], n.width)
	for i := range tasks {
		tasks[i] = n.task(depth-1, path*n.width+i)
	}
	return n.call(depth)(ctx, tasks, n.opts...)
}

// aSecond is a leaf that takes a second.
func aSecond(context.Context, int) (int, error) {
	time.Sleep(time.Second)
	return 0, nil
}

// requireBusy fails if that many leaves of a second each have taken too little
// time for the places, or twice as long as that. A place is idle while its task
// has got it back and waits for another task of its own, which has a place from
// elsewhere. With one place there is no elsewhere, and the time is exact.
func requireBusy(t *testing.T, leaves, places int, took time.Duration) {
	t.Helper()
	least := time.Duration((leaves+places-1)/places) * time.Second
	require.GreaterOrEqual(t, took, least, "%d places", places)
	require.Less(t, took, 2*least, "%d places", places)
	if places == 1 {
		require.Equal(t, least, took)
	}
}

func TestNestedCallsOfAnyDepthWithALimiterOfOne(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		n := nest{
			width: 2,
			leaf:  aSecond,
			call:  func(int) callWithin { return call },
			opts:  []await.Option{await.Within(l)},
		}
		start := time.Now()
		require.NoError(t, errors.Join(n.run(t.Context(), 5, 0)...))
		require.Equal(t, 32*time.Second, time.Since(start))
		require.EqualValues(t, 32, n.started.Load())
		require.EqualValues(t, 1, n.peak.Load())
		requireFree(t, l, 1)
	})
}

func TestNestedCallsReachTheLimitAndNeverExceedIt(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for places := 1; places <= 3; places++ {
			l := await.NewLimiter(places)
			n := nest{
				width: 3,
				leaf:  aSecond,
				call:  func(int) callWithin { return call },
				opts:  []await.Option{await.Within(l)},
			}
			start := time.Now()
			require.NoError(t, errors.Join(n.run(t.Context(), 4, 0)...))
			require.EqualValues(t, 81, n.started.Load())
			require.EqualValues(t, places, n.peak.Load())
			requireBusy(t, 81, places, time.Since(start))
			requireFree(t, l, places)
		}
	})
}

func TestNestedCallsOfAllKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"AsCompleted", "InOrderSeq", "Queue", "Gather", "AsCompletedSeq", "Settle", "InOrder"}
		for places := 1; places <= 3; places++ {
			l := await.NewLimiter(places)
			n := nest{
				width: 2,
				leaf:  aSecond,
				call: func(level int) callWithin {
					return callsWithin[names[level%len(names)]]
				},
				opts: []await.Option{await.Within(l), await.Limit(2)},
			}
			start := time.Now()
			require.NoError(t, errors.Join(n.run(t.Context(), 7, 0)...))
			require.EqualValues(t, 128, n.started.Load())
			require.EqualValues(t, places, n.peak.Load())
			requireBusy(t, 128, places, time.Since(start))
			requireFree(t, l, places)
		}
	})
}

// Each task makes three calls at once, so they compete for the place that it
// lends.
func TestSeveralNestedCallsOfOneTaskAtOnce(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for places := 1; places <= 3; places++ {
			l := await.NewLimiter(places)
			n := nest{
				width: 2,
				leaf:  aSecond,
				call: func(int) callWithin {
					return func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []error {
						var all [3][]error
						var group sync.WaitGroup
						for i := range all {
							group.Go(func() { all[i] = call(ctx, tasks, opts...) })
						}
						group.Wait()
						return slices.Concat(all[:]...)
					}
				},
				opts: []await.Option{await.Within(l)},
			}
			start := time.Now()
			require.NoError(t, errors.Join(n.run(t.Context(), 3, 0)...))
			require.EqualValues(t, 6*6*6, n.started.Load())
			require.EqualValues(t, places, n.peak.Load())
			requireBusy(t, 6*6*6, places, time.Since(start))
			requireFree(t, l, places)
		}
	})
}

func TestANestedCallUsesFreePlacesBesideTheOneItIsLent(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for places, want := range map[int]time.Duration{1: 3 * time.Second, 2: 2 * time.Second, 3: time.Second, 9: time.Second} {
			l := await.NewLimiter(places)
			var c census
			start := time.Now()
			await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
				call(ctx, c.wrap(seconds(1, 1, 1)...), await.Within(l))
				return 0, nil
			}}, await.Within(l))
			require.Equal(t, want, time.Since(start), "%d places", places)
			require.EqualValues(t, min(3, places), c.peak.Load())
			requireFree(t, l, places)
		}
	})
}

// The first inner task keeps the lent place until second 10. The second waits,
// and starts at second 3, when another call gives a place back.
func TestANestedCallThatWaitsGetsAPlaceThatComesFreeElsewhere(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(2)
		d := newDiary()
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(3), await.Within(l)) })
		synctest.Wait()
		await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			call(ctx, d.starting("inner", seconds(10, 1, 1)...), await.Within(l))
			return 0, nil
		}}, await.Within(l))
		group.Wait()
		require.Equal(t, []string{"0s inner0", "3s inner1", "4s inner2"}, d.lines)
		require.Equal(t, 10*time.Second, time.Since(d.begin))
		requireFree(t, l, 2)
	})
}

// The other way round: the place elsewhere is taken for long, and the lent one
// comes back.
func TestANestedCallThatWaitsGetsTheLentPlaceWhenItComesBack(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(2)
		d := newDiary()
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(60), await.Within(l)) })
		synctest.Wait()
		group.Go(func() {
			await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
				call(ctx, d.starting("inner", seconds(2, 2, 2)...), await.Within(l))
				return 0, nil
			}}, await.Within(l))
		})
		synctest.Wait()
		// Asked before the second inner task could, but the place is not free.
		await.Settle(t.Context(), d.starting("outer", seconds(1)...), await.Within(l))
		group.Wait()
		require.Equal(t, []string{"0s inner0", "2s inner1", "4s inner2", "6s outer0"}, d.lines)
		requireFree(t, l, 2)
	})
}

func TestNestedCallsOfOneTaskGetItsPlaceInTheOrderInWhichTheyAsked(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		d := newDiary()
		await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			var group sync.WaitGroup
			for _, name := range []string{"a", "b", "c"} {
				group.Go(func() { call(ctx, d.starting(name, seconds(1, 1, 1)...), await.Within(l)) })
				synctest.Wait()
			}
			group.Wait()
			return 0, nil
		}}, await.Within(l))
		require.Equal(t, []string{
			"0s a0",
			"1s a1", "2s b0", "3s c0",
			"4s a2", "5s b1", "6s c1",
			"7s b2", "8s c2",
		}, d.lines)
	})
}

// A task runs by itself, then calls, then runs by itself again. All that time
// its place is taken.
func TestATaskKeepsItsPlaceBeforeAndAfterItsNestedCalls(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		d := newDiary()
		var group sync.WaitGroup
		group.Go(func() {
			await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
				for range 2 {
					time.Sleep(time.Second)
					call(ctx, d.starting("inner", seconds(1, 1)...), await.Within(l))
				}
				time.Sleep(time.Second)
				return 0, nil
			}}, await.Within(l))
		})
		synctest.Wait()
		await.Settle(t.Context(), d.starting("other", seconds(1)...), await.Within(l))
		group.Wait()
		require.Equal(t, []string{"1s inner0", "2s inner1", "4s inner0", "5s inner1", "7s other0"}, d.lines)
		requireFree(t, l, 1)
	})
}

func TestANestedCallKnowsItsTaskByAnyContextMadeFromItsOwn(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		type key struct{}
		for name, derive := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"cancel": context.WithCancel,
			"value": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithValue(ctx, key{}, 1), func() {}
			},
			"timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Hour)
			},
			"without cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithoutCancel(ctx), func() {}
			},
		} {
			l := await.NewLimiter(1)
			var c census
			await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
				ctx, cancel := derive(ctx)
				defer cancel()
				call(ctx, c.wrap(seconds(1, 1)...), await.Within(l))
				return 0, nil
			}}, await.Within(l))
			require.EqualValues(t, 2, c.started.Load(), name)
			require.EqualValues(t, 1, c.peak.Load(), name)
		}
	})
}

// A task leaves a goroutine behind that makes a call with its context. By then
// the task's place is somebody else's, and there is none to lend.
func TestATaskThatHasEndedLendsNoPlace(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		var c census
		d := newDiary()
		var late sync.WaitGroup
		await.Settle(t.Context(), slices.Concat([]await.Task[int]{func(ctx context.Context) (int, error) {
			late.Go(func() {
				time.Sleep(time.Second)
				call(context.WithoutCancel(ctx), d.starting("late", c.wrap(seconds(1, 1)...)...), await.Within(l))
			})
			return 0, nil
		}}, d.starting("sibling", c.wrap(seconds(2, 2)...)...)), await.Within(l))
		late.Wait()
		require.EqualValues(t, 1, c.peak.Load())
		require.Equal(t, []string{"0s sibling0", "2s sibling1", "4s late0", "5s late1"}, d.lines)
		requireFree(t, l, 1)
	})
}

// Here the goroutine's task has ended too, but not the one above it, whose only
// place it is, and which waits for the goroutine.
func TestATaskThatHasEndedPassesOnWhatItsLenderLends(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		d := newDiary()
		await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			var late sync.WaitGroup
			await.Settle(ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
				late.Go(func() {
					time.Sleep(time.Second)
					call(context.WithoutCancel(ctx), d.starting("late", seconds(1, 1)...), await.Within(l))
				})
				return 0, nil
			}}, await.Within(l))
			late.Wait()
			return 0, nil
		}}, await.Within(l))
		require.Equal(t, []string{"1s late0", "2s late1"}, d.lines)
		requireFree(t, l, 1)
	})
}

func TestANestedCallWithinAnotherLimiter(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		outer, inner := await.NewLimiter(3), await.NewLimiter(2)
		var c, deep census
		start := time.Now()
		await.Settle(t.Context(), copies(3, func(ctx context.Context) (int, error) {
			call(ctx, c.wrap(copies(2, func(ctx context.Context) (int, error) {
				time.Sleep(time.Second)
				// Two levels up a place of the outer limiter is held, and lent.
				call(ctx, deep.wrap(seconds(1, 1)...), await.Within(outer))
				return 0, nil
			})...), await.Within(inner))
			return 0, nil
		}), await.Within(outer))
		require.EqualValues(t, 6, c.started.Load())
		require.EqualValues(t, 2, c.peak.Load(), "the inner limiter holds")
		require.EqualValues(t, 12, deep.started.Load())
		require.LessOrEqual(t, deep.peak.Load(), int64(3), "the outer limiter holds")
		require.Less(t, time.Since(start), 24*time.Second)
		requireFree(t, outer, 3)
		requireFree(t, inner, 2)
	})
}

func TestANestedCallWithoutALimiterIsNotLimited(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		var c census
		start := time.Now()
		await.Settle(t.Context(), copies(2, func(ctx context.Context) (int, error) {
			call(ctx, c.wrap(copies(5, deaf(time.Second, 0))...))
			return 0, nil
		}), await.Within(l))
		require.EqualValues(t, 5, c.peak.Load())
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

// Of three leaves below a task one is left running by break, which waits for
// it, and one has not started.
func TestANestedLoopThatIsLeftGivesTheLentPlaceBack(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(1)
				book := newDiary()
				await.Settle(t.Context(), copies(2, func(ctx context.Context) (int, error) {
					for range 2 {
						d.leave(await.AsCompleted(ctx, book.starting("", seconds(1, 3, 1)...), await.Within(l)), func() bool {
							synctest.Wait() // until the second runs
							return true
						})
					}
					time.Sleep(time.Second)
					return 0, nil
				}), await.Within(l))
				require.Equal(t, []string{
					"0s 0", "1s 1", "4s 0", "5s 1",
					"9s 0", "10s 1", "13s 0", "14s 1",
				}, book.lines)
				requireFree(t, l, 1)
			})
		})
	}
}

// With Detach the inner loop leaves its task behind until second 10, and with
// it the lent place. The outer task ends at second 3. Its place is free when the
// borrower ends.
func TestWithDetachALentPlaceComesBackWithTheBorrower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(1)
		d := newDiary()
		var group sync.WaitGroup
		group.Go(func() {
			await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
				for range await.AsCompleted(ctx, d.starting("left", seconds(1, 9, 1)...), await.Within(l), await.Detach()) {
					synctest.Wait() // until the second runs
					break
				}
				d.note("break")
				time.Sleep(2 * time.Second)
				return 0, nil
			}}, await.Within(l))
			d.note("end")
		})
		synctest.Wait()
		await.Settle(t.Context(), d.starting("other", seconds(1)...), await.Within(l))
		group.Wait()
		require.Equal(t, []string{"0s left0", "1s left1", "1s break", "3s end", "10s other0"}, d.lines)
		requireFree(t, l, 1)
	})
}

// Here the outer task goes on to call again, while the one it has left behind
// holds the lent place until second 10.
func TestWithDetachALaterCallOfTheTaskWaitsForTheLentPlace(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		var c census
		d := newDiary()
		await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			for range await.AsCompleted(ctx, d.starting("left", c.wrap(seconds(1, 9)...)...), await.Within(l), await.Detach()) {
				synctest.Wait()
				break
			}
			call(ctx, d.starting("later", c.wrap(seconds(1, 1)...)...), await.Within(l))
			return 0, nil
		}}, await.Within(l))
		require.Equal(t, []string{"0s left0", "1s left1", "10s later0", "11s later1"}, d.lines)
		require.EqualValues(t, 1, c.peak.Load())
		requireFree(t, l, 1)
	})
}

func TestWithDetachAnOuterTaskKeepsItsPlaceUntilItReturns(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		d := newDiary()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		call(ctx, d.starting("left", seconds(5, 5)...), await.Within(l), await.Detach())
		require.Equal(t, time.Second, time.Since(d.begin))
		await.Settle(t.Context(), d.starting("next", seconds(1)...), await.Within(l))
		require.Equal(t, []string{"0s left0", "5s next0"}, d.lines)
		requireFree(t, l, 1)
	})
}

// The outer context ends at second 3. An inner task has the lent place and
// heeds the end. Those that wait for it must not start on what it gives back.
func TestWhenAnOuterCallIsCancelledNoneOfTheInnerThatWaitStarts(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		for range 20 { // what comes first at second 3 is for the scheduler
			l := await.NewLimiter(1)
			var c census
			ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errBoom)
			start := time.Now()
			var errs []error
			await.Settle(ctx, copies(2, func(ctx context.Context) (int, error) {
				errs = call(ctx, c.wrap(copies(3, after(time.Hour, 0))...), await.Within(l))
				return 0, nil
			}), await.Within(l))
			cancel()
			require.Equal(t, 3*time.Second, time.Since(start))
			require.EqualValues(t, 1, c.started.Load())
			require.ErrorIs(t, errors.Join(errs...), errBoom)
			requireFree(t, l, 1)
		}
	})
}

// Two calls of one task wait for its place, and are cancelled one after the
// other. So the second may get the place in between, if only for a moment.
func TestWhenAnOuterCallIsCancelledAllTheInnerEnd(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(1)
		var c census
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		await.Settle(ctx, copies(3, func(ctx context.Context) (int, error) {
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() { call(ctx, c.wrap(copies(3, after(time.Hour, 0))...), await.Within(l)) })
			}
			group.Wait()
			return 0, nil
		}), await.Within(l))
		require.Equal(t, 3*time.Second, time.Since(start))
		require.EqualValues(t, 1, c.peak.Load())
		require.Zero(t, c.running.Load())
		requireFree(t, l, 1)
	})
}

func TestLeavingAnOuterLoopEndsTheInnerOnesThatWait(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(2)
		var c census
		start := time.Now()
		for range await.AsCompleted(t.Context(), slices.Concat(seconds(1), copies(5, func(ctx context.Context) (int, error) {
			call(ctx, c.wrap(copies(5, after(time.Hour, 0))...), await.Within(l))
			return 0, nil
		})), await.Within(l)) {
			synctest.Wait()
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		require.EqualValues(t, 2, c.started.Load())
		require.Zero(t, c.running.Load())
		requireFree(t, l, 2)
	})
}

func TestGoexitAndErrorsAtTheLeavesOfNestedCallsCostNoPlace(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(2)
		n := nest{
			width: 1, // so that Gather, which ends with the first error, runs them all
			leaf: func(_ context.Context, path int) (int, error) {
				time.Sleep(time.Second)
				switch path % 3 {
				case 0:
					runtime.Goexit()
				case 1:
					return 0, errBoom
				}
				panic("boom")
			},
			call: func(int) callWithin { return call },
			opts: []await.Option{await.Within(l), await.Recover()},
		}
		for path, check := range map[int]func(error){
			0: func(err error) { require.ErrorIs(t, err, await.ErrGoexit) },
			1: func(err error) { require.ErrorIs(t, err, errBoom) },
			2: func(err error) {
				var failed *await.PanicError
				require.ErrorAs(t, err, &failed)
			},
		} {
			start := time.Now()
			check(errors.Join(n.run(t.Context(), 4, path)...))
			require.Equal(t, time.Second, time.Since(start))
			requireFree(t, l, 2)
		}
	})
}

// A task above the leaves may call Goexit too, while a call of its own waits:
// the call's end comes first.
func TestAFailedTestInTheBodyOfANestedLoopGivesAllPlacesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := await.NewLimiter(1)
		start := time.Now()
		results := await.Settle(t.Context(), copies(2, func(ctx context.Context) (int, error) {
			for range await.AsCompleted(ctx, seconds(1, 2, 3), await.Within(l)) {
				synctest.Wait() // until the second runs
				runtime.Goexit()
			}
			return 0, nil
		}), await.Within(l))
		require.Equal(t, []await.Result[int]{{Err: await.ErrGoexit}, {Err: await.ErrGoexit}}, results)
		require.Equal(t, 6*time.Second, time.Since(start))
		requireFree(t, l, 1)
	})
}

func TestAPanicAtALeafComesUpThroughAllCalls(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		l := await.NewLimiter(2)
		n := nest{
			width: 3,
			leaf: func(_ context.Context, path int) (int, error) {
				time.Sleep(time.Second)
				if path == 7 {
					panic(errBoom)
				}
				return 0, nil
			},
			call: func(int) callWithin { return call },
			opts: []await.Option{await.Within(l)},
		}
		raised := raisedBy(t, func() { n.run(t.Context(), 3, 0) })
		require.ErrorIs(t, raised, errBoom)
		require.Zero(t, n.running.Load())
		require.EqualValues(t, 2, n.peak.Load())
		requireFree(t, l, 2)
	})
}

// Whatever happens.

// thicket is a random tree of calls within one limiter.
type thicket struct {
	census
	limiter *await.Limiter
	names   []string // of calls
	outside bool     // of a bubble
}

// task is a random task, with calls of its own down to depth.
func (th *thicket) task(seed uint64, depth int) await.Task[int] {
	rng := rand.New(rand.NewPCG(seed, uint64(depth)))
	if depth == 0 || rng.IntN(4) == 0 {
		return th.wrap(th.leaf(rng))[0]
	}
	return func(ctx context.Context) (int, error) {
		var group sync.WaitGroup
		for range 1 + rng.IntN(3)/2 {
			below := make([]await.Task[int], 1+rng.IntN(3))
			for i := range below {
				below[i] = th.task(rng.Uint64(), depth-1)
			}
			name, opts := th.names[rng.IntN(len(th.names))], th.opts(rng)
			timesOut, leaves := rng.IntN(9) == 0, rng.IntN(6) == 0
			group.Go(func() {
				ctx := ctx
				if timesOut {
					patience := 2500 * time.Millisecond
					if th.outside {
						patience = 50 * time.Microsecond
					}
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, patience)
					defer cancel()
				}
				if leaves {
					for range await.AsCompleted(ctx, below, opts...) {
						break
					}
					return
				}
				callsWithin[name](ctx, below, opts...)
			})
		}
		group.Wait()
		return 0, ctx.Err()
	}
}

func (th *thicket) opts(rng *rand.Rand) []await.Option {
	opts := []await.Option{await.Recover(), await.Within(th.limiter)}
	switch rng.IntN(4) {
	case 0:
		opts = append(opts, await.Limit(1+rng.IntN(3)), await.Buffer(rng.IntN(3)))
	case 1:
		opts = append(opts, await.Limit(1+rng.IntN(3)))
	}
	return opts
}

func (th *thicket) leaf(rng *rand.Rand) await.Task[int] {
	d, end, heeds := time.Duration(rng.IntN(4))*time.Second, rng.IntN(6), rng.IntN(2) == 0
	return func(ctx context.Context) (int, error) {
		switch {
		case th.outside:
			for range d / time.Second { // no real sleep
				runtime.Gosched()
			}
		case heeds:
			_, _ = after(d, 0)(ctx)
		default:
			time.Sleep(d)
		}
		switch end {
		case 0:
			runtime.Goexit()
		case 1:
			panic("boom")
		case 2:
			return 0, errBoom
		}
		return 0, nil
	}
}

func newThicket(l *await.Limiter) *thicket {
	return &thicket{limiter: l, names: slices.Sorted(maps.Keys(callsWithin))}
}

func TestAnyNestOfCallsEndsAndKeepsTheLimit(t *testing.T) {
	for places := 1; places <= 4; places++ {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			reached := false
			for seed := range uint64(60) {
				synctest.Test(t, func(t *testing.T) {
					l := await.NewLimiter(places)
					th := newThicket(l)
					var group sync.WaitGroup
					for i := range uint64(3) {
						group.Go(func() {
							callsWithin[th.names[seed%7]](t.Context(), []await.Task[int]{th.task(10*seed+i, 4)}, await.Within(l), await.Recover())
						})
					}
					group.Wait()
					require.LessOrEqual(t, th.peak.Load(), int64(places))
					require.Zero(t, th.running.Load())
					reached = reached || th.peak.Load() == int64(places)
					requireFree(t, l, places)
				})
			}
			require.True(t, reached)
		})
	}
}

func TestAnyNestOfCallsEndsAndKeepsTheLimitWithRealGoroutines(t *testing.T) {
	for places := 1; places <= 3; places++ {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			orHang(func() {
				l := await.NewLimiter(places)
				for seed := range uint64(60) {
					th := newThicket(l)
					th.outside = true
					var group sync.WaitGroup
					for i := range uint64(4) {
						group.Go(func() {
							callsWithin[th.names[(seed+i)%7]](t.Context(), []await.Task[int]{th.task(10*seed+i, 5)}, await.Within(l), await.Recover())
						})
					}
					group.Wait()
					require.LessOrEqual(t, th.peak.Load(), int64(places))
					require.Zero(t, th.running.Load())
				}
				requireAllPlaces(t, l, places)
			})
			requireNoWorkers(t)
		})
	}
}

// requireAllPlaces fails unless n tasks within l can run at once, or hangs.
func requireAllPlaces(t *testing.T, l *await.Limiter, n int) {
	t.Helper()
	var in atomic.Int64
	open := make(chan struct{})
	await.Settle(t.Context(), copies(n, func(context.Context) (int, error) {
		if in.Add(1) == int64(n) {
			close(open)
		}
		<-open
		return 0, nil
	}), await.Within(l))
}

// Width 5 and depth 4, as a recursive gather.
func TestARecursiveGatherWithRealGoroutines(t *testing.T) {
	for _, places := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			orHang(func() {
				l := await.NewLimiter(places)
				var nodes atomic.Int64
				var c census
				var tree func(depth int) await.Task[int]
				tree = func(depth int) await.Task[int] {
					return func(ctx context.Context) (int, error) {
						nodes.Add(1)
						if depth == 0 {
							_, _ = c.wrap(func(context.Context) (int, error) { runtime.Gosched(); return 0, nil })[0](ctx)
							return 1, nil
						}
						values, err := await.Gather(ctx, copies(5, tree(depth-1)), await.Within(l))
						sum := 1
						for _, v := range values {
							sum += v
						}
						return sum, err
					}
				}
				for range 10 {
					nodes.Store(0)
					size, err := tree(4)(t.Context())
					require.NoError(t, err)
					require.Equal(t, 781, size)
					require.EqualValues(t, 781, nodes.Load())
					require.LessOrEqual(t, c.peak.Load(), int64(places))
				}
				requireAllPlaces(t, l, places)
			})
			requireNoWorkers(t)
		})
	}
}

func TestManyCallsShareALimiterWithRealGoroutines(t *testing.T) {
	for _, places := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			orHang(func() {
				l := await.NewLimiter(places)
				var c census
				ends := []await.Task[int]{
					deaf(0, 0), failing[int](0, errBoom), exiting[int](0), panicking[int](0, "boom"),
					func(context.Context) (int, error) { runtime.Gosched(); return 0, nil },
				}
				for range 30 {
					var group sync.WaitGroup
					for _, call := range callsWithin {
						for i := range 3 {
							group.Go(func() {
								tasks := c.wrap(slices.Repeat(ends, 4)...)
								ctx, cancel := context.WithCancel(t.Context())
								defer cancel()
								if i == 2 {
									tasks[10] = func(context.Context) (int, error) { cancel(); return 0, nil }
								}
								call(ctx, tasks, await.Within(l), await.Recover())
							})
						}
					}
					group.Wait()
				}
				require.LessOrEqual(t, c.peak.Load(), int64(places))
				require.Zero(t, c.running.Load())
				requireAllPlaces(t, l, places)
			})
			requireNoWorkers(t)
		})
	}
}

// The nested call has more workers than places, so that most tasks wait for the
// place that is lent or for the other one, whichever is first. What is left of a
// wait would add up to megabytes.
func TestALongNestedCallTakesConstantMemory(t *testing.T) {
	orHang(func() {
		l := await.NewLimiter(2)
		_, err := await.Gather(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			yielding := func(context.Context, int) (int, error) {
				for range 10 {
					runtime.Gosched() // to the other workers
				}
				return 0, nil
			}
			taken := 0
			var start int64
			for range await.AsCompletedSeq(ctx, await.TaskSeq(naturals, yielding), await.Limit(4), await.Within(l)) {
				switch taken++; taken {
				case 1000:
					start = queueHeap()
				case 20_000:
					require.Less(t, queueHeap(), start+1<<20)
					return 0, nil
				}
			}
			return 0, errBoom
		}}, await.Within(l))
		require.NoError(t, err)
	})
}

// A worker may get its place at the moment the loop is left, and then find
// nothing to claim any more.
func TestAPlaceThatComesTooLateIsGivenBack(t *testing.T) {
	for _, opts := range [][]await.Option{nil, {await.Detach()}} {
		orHang(func() {
			const places = 2
			l := await.NewLimiter(places)
			for range 2000 {
				for range queueOf(instant(6)...).AsCompleted(t.Context(), append(opts, await.Within(l))...) {
					break
				}
			}
			requireAllPlaces(t, l, places)
		})
		requireNoWorkers(t)
	}
}

// The context ends at whatever moment, and with Detach the loop is gone when a
// worker gets its place.
func TestWithDetachNoPlaceIsLostAtWhateverMomentTheContextEnds(t *testing.T) {
	orHang(func() {
		const places = 2
		l := await.NewLimiter(places)
		for range rounds(5000) {
			ctx := endingSoon(t.Context(), 200)
			nothing := func(context.Context, int) (int, error) { return 0, nil }
			for range await.AsCompletedSeq(ctx, await.TaskSeq(naturals, nothing), await.Detach(), await.Limit(4), await.Within(l)) {
			}
		}
		requireAllPlaces(t, l, places)
	})
	requireNoWorkers(t)
}

func TestWithinALimiterNothingStartsAtTheMomentOfAPanic(t *testing.T) {
	orHang(func() {
		l := await.NewLimiter(1)
		for range rounds(20_000) {
			second := false
			panicOf(t, func() {
				_, _ = await.Gather(t.Context(), []await.Task[int]{
					func(context.Context) (int, error) {
						for range 50 {
							runtime.Gosched() // until a worker waits for the place
						}
						panic("boom")
					},
					func(context.Context) (int, error) { second = true; return 0, nil },
				}, await.Within(l))
			})
			require.False(t, second)
		}
	})
	requireNoWorkers(t)
}

func TestAWaitAtALimiterKeepsNothingOfItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type page [1 << 16]byte
		type key struct{}
		var kept weak.Pointer[page]
		l := await.NewLimiter(1)
		call := func(ctx context.Context) {
			value := new(page)
			kept = weak.Make(value)
			ctx = context.WithValue(ctx, key{}, value)
			await.Settle(ctx, seconds(1, 1), await.Within(l))
		}
		await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) {
			var group sync.WaitGroup
			group.Go(func() { await.Settle(ctx, seconds(1), await.Within(l)) })
			time.Sleep(time.Millisecond)
			group.Go(func() { call(ctx) }) // waits for the place that is lent
			group.Wait()
			runtime.GC()
			if kept.Value() != nil {
				t.Error("the context of the call is kept")
			}
			return 0, nil
		}}, await.Within(l))
	})
}

// A worker that finds the queue empty may find a task a moment later. It must
// wait for a place then too. So two tasks are added at about the moment when a
// worker has run the last one and looks for more.
func TestAQueueKeepsTheLimitWhenATaskIsAddedAsAWorkerLeaves(t *testing.T) {
	orHang(func() {
		var c census
		var ended atomic.Int64
		brief := c.wrap(func(context.Context) (int, error) {
			for range 3 {
				runtime.Gosched()
			}
			ended.Add(1)
			return 0, nil
		})[0]
		var group sync.WaitGroup
		// One task has a place all the time, so that the loop does not end.
		q := queueOf(c.wrap(func(context.Context) (int, error) { group.Wait(); return 0, nil })...)
		const rounds = 5000
		group.Go(func() {
			wait := func(n int) {
				for ended.Load() < int64(n) {
					runtime.Gosched()
				}
			}
			for round := range rounds {
				q.Add(1, brief)
				wait(3*round + 1)
				for range round % 500 { // a worker needs some time to come back
					_ = ended.Load()
				}
				q.Add(1, brief)
				q.Add(1, brief)
				wait(3*round + 3)
			}
		})
		require.Len(t, arrivals(q.AsCompleted(t.Context(), await.Within(await.NewLimiter(2)))), 1+3*rounds)
		require.EqualValues(t, 2, c.peak.Load())
	})
	requireNoWorkers(t)
}

// The end of the caller's context may reach the call before it reaches the
// context of the tasks. A worker that looks for a task in between is the last:
// the one that pulls the sequence is no longer waited for.
func TestTheEndOfAContextReachesASequenceWithinALimiterBeforeItsTasks(t *testing.T) {
	for name, opts := range map[string][]await.Option{"plain": nil, "detach": {await.Detach()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := watched(t.Context())
				finish, blocked := make(chan struct{}), make(chan struct{})
				tasks := func(yield func(int, await.Task[int]) bool) {
					yield(0, func(context.Context) (int, error) { <-finish; return 10, nil })
					<-blocked
				}
				var got []arrival
				go func() {
					got = arrivals(await.AsCompletedSeq(ctx, tasks, append(opts, await.Within(await.NewLimiter(2)))...))
					close(blocked)
				}()
				synctest.Wait()
				require.Equal(t, 2, ctx.watchers())
				close(ctx.done)
				ctx.tell[1]()
				synctest.Wait()
				close(finish)
				<-blocked // else this is a deadlock
				require.Equal(t, []arrival{{0, 10, nil, 0}}, got)
			})
		})
	}
}

// The same with a queue: the worker that has waited for its place finds the
// queue shut, and gives the place back.
func TestTheEndOfAContextReachesAQueueWithinALimiterBeforeItsTasks(t *testing.T) {
	for name, opts := range map[string][]await.Option{"plain": nil, "detach": {await.Detach()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(1)
				release, ended := make(chan struct{}), make(chan struct{})
				go await.Settle(t.Context(), []await.Task[int]{
					func(context.Context) (int, error) { <-release; return 0, nil },
				}, await.Within(l))
				synctest.Wait()
				ctx := watched(t.Context())
				q := queueOf(deaf(0, 1))
				var got []arrival
				go func() {
					defer close(ended)
					got = arrivals(q.AsCompleted(ctx, append(opts, await.Within(l))...))
				}()
				synctest.Wait()
				require.Equal(t, 2, ctx.watchers())
				close(ctx.done)
				ctx.tell[1]()
				synctest.Wait()
				close(release)
				<-ended // else this is a deadlock
				require.Empty(t, got)
				require.Equal(t, 1, q.Len())
				requireAllPlaces(t, l, 1)
			})
		})
	}
}

// Memory.

func TestALimiterIsTheLimitOfASequenceThatWaitsForASlowLoop(t *testing.T) {
	for buffer, most := range map[await.Option]int64{nil: 4, await.Buffer(0): 2, await.Buffer(1): 3, await.Buffer(5): 7} {
		synctest.Test(t, func(t *testing.T) {
			opts := []await.Option{await.Within(await.NewLimiter(2))}
			if buffer != nil {
				opts = append(opts, buffer)
			}
			var started atomic.Int64
			tasks := copies(100, func(context.Context) (int, error) { return int(started.Add(1)), nil })
			for range await.AsCompletedSeq(t.Context(), slices.All(tasks), opts...) {
				time.Sleep(time.Hour)
				require.Equal(t, 1+most, started.Load(), "one is here, and the others wait")
				break
			}
		})
	}
}

// Bad input.

func TestBadLimitersPanicAtTheCall(t *testing.T) {
	for _, n := range []int{0, -1} {
		requireBadInput(t, fmt.Sprintf("NewLimiter(%d)", n), func() { await.NewLimiter(n) })
	}
	requireBadInput(t, "Within", func() { await.Within(nil) })
	requireBadInput(t, "Within", func() { await.Within(new(await.Limiter)) })
}
