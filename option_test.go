package await_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
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
	"github.com/stretchr/testify/require"
)

// optionPeak watches how many tasks run at once.
type optionPeak struct {
	mu       sync.Mutex
	now, max int // guarded by mu
}

func (p *optionPeak) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now += n
	p.max = max(p.max, p.now)
}

func (p *optionPeak) watch(task await.Task[int]) await.Task[int] {
	return func(ctx context.Context) (int, error) {
		p.add(1)
		defer p.add(-1)
		return task(ctx)
	}
}

func TestLimitIsReachedAndNeverPassed(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		for _, limit := range []int{1, 3, 11, 12, 100} {
			start := time.Now()
			var peak optionPeak
			tasks := make([]await.Task[int], 12)
			for i := range tasks {
				tasks[i] = peak.watch(after(time.Second, i))
			}
			settle(t.Context(), tasks, await.Limit(limit))
			require.Equal(t, min(limit, len(tasks)), peak.max)
			rounds := (len(tasks) + limit - 1) / limit
			require.Equal(t, time.Duration(rounds)*time.Second, time.Since(start))
		}
	})
}

// In real time, with workers that come and go.
func TestLimitIsNeverPassedInABusyCall(t *testing.T) {
	const limit = 3
	for name, settle := range settleFuncs {
		t.Run(name, func(t *testing.T) {
			var peak optionPeak
			tasks := slices.Repeat([]await.Task[int]{
				peak.watch(deaf(0, 1)), peak.watch(exiting[int](0)), peak.watch(deaf(0, 2)),
			}, 500)
			settle(t.Context(), tasks, await.Limit(limit))
			require.LessOrEqual(t, peak.max, limit)
			requireNoWorkers(t)
		})
	}
}

func TestLimitOfGather(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		for limit := 1; limit <= 2; limit++ {
			start := time.Now()
			var peak optionPeak
			_, err := gather(t.Context(), []await.Task[int]{
				peak.watch(after(time.Second, 1)), peak.watch(after(time.Second, 2)),
			}, await.Limit(limit))
			require.NoError(t, err)
			require.Equal(t, limit, peak.max)
			require.Equal(t, time.Duration(2/limit)*time.Second, time.Since(start))
		}
	})
}

func TestWithoutLimitEveryTaskRunsAtOnce(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		var peak optionPeak
		tasks := make([]await.Task[int], 1000)
		for i := range tasks {
			tasks[i] = peak.watch(after(time.Second, i))
		}
		settle(t.Context(), tasks)
		require.Equal(t, len(tasks), peak.max)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestLimitStartsTasksInInputOrderWhenAPlaceIsFree(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		starts := make([]time.Duration, 5)
		var tasks []await.Task[int]
		for i, takes := range []time.Duration{3, 1, 1, 4, 1} {
			tasks = append(tasks, func(context.Context) (int, error) {
				starts[i] = time.Since(start)
				time.Sleep(takes * time.Second)
				return 0, nil
			})
		}
		settle(t.Context(), tasks, await.Limit(2))
		require.Equal(t, []time.Duration{0, 0, time.Second, 2 * time.Second, 3 * time.Second}, starts)
	})
}

func TestLimitOneNeedsNoLock(t *testing.T) {
	var order []int
	tasks := make([]await.Task[int], 100)
	for i := range tasks {
		tasks[i] = func(context.Context) (int, error) { order = append(order, i); return 0, nil }
	}
	for _, settle := range settleFuncs {
		order = nil
		settle(t.Context(), tasks, await.Limit(1))
		require.Len(t, order, len(tasks))
		require.True(t, slices.IsSorted(order))
	}
}

func TestPanicsGiveTheirPlacesBackWithRecover(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		tasks := slices.Repeat([]await.Task[int]{detonating(time.Second, "boom"), after(time.Second, 1)}, 5)
		for i, result := range settle(t.Context(), tasks, await.Limit(2), await.Recover()) {
			require.Equal(t, i%2 == 0, result.Err != nil)
		}
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

func TestBufferBoundsStartedTasksThatAreNotYetYielded(t *testing.T) {
	for _, buffer := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			const limit = 2
			var starts atomic.Int64
			tasks := slices.Repeat([]await.Task[int]{gatherCounted(&starts, after(time.Second, 1))}, 20)
			yielded := 0
			for range await.AsCompleted(t.Context(), tasks, await.Limit(limit), await.Buffer(buffer)) {
				yielded++
				time.Sleep(time.Hour)
				require.EqualValues(t, min(len(tasks), yielded+limit+buffer), starts.Load())
			}
			require.Equal(t, len(tasks), yielded)
		})
	}
}

func TestBufferOfInOrderBoundsWhatRunsAheadOfTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, buffer = 2, 3
		var starts atomic.Int64
		tasks := slices.Repeat([]await.Task[int]{gatherCounted(&starts, after(time.Second, 1))}, 20)
		tasks[0] = gatherCounted(&starts, func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			return int(starts.Load()), nil
		})
		yielded := 0
		for i, result := range await.InOrder(t.Context(), tasks, await.Limit(limit), await.Buffer(buffer)) {
			require.Equal(t, yielded, i)
			if yielded++; i == 0 {
				require.Equal(t, limit+buffer, result.Value)
			}
		}
		require.Equal(t, len(tasks), yielded)
	})
}

func TestWithoutBufferASlowLoopHoldsNoTaskBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts atomic.Int64
		tasks := slices.Repeat([]await.Task[int]{gatherCounted(&starts, after(time.Second, 1))}, 20)
		for range await.AsCompleted(t.Context(), tasks, await.Limit(2)) {
			time.Sleep(time.Hour)
			require.EqualValues(t, len(tasks), starts.Load())
		}
	})
}

func TestBufferWithoutLimitChangesNothing(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		tasks := slices.Repeat([]await.Task[int]{after(time.Second, 1)}, 20)
		require.Len(t, settle(t.Context(), tasks, await.Buffer(0)), len(tasks))
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestGatherAndSettleDoNotUseBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := slices.Repeat([]await.Task[int]{after(time.Second, 1)}, 20)
		for _, opts := range [][]await.Option{
			{await.Limit(2), await.Buffer(0)},
			{await.Limit(2), await.Buffer(0), await.Detach()},
		} {
			start := time.Now()
			await.Settle(t.Context(), tasks, opts...)
			_, err := await.Gather(t.Context(), tasks, opts...)
			require.NoError(t, err)
			require.Equal(t, 20*time.Second, time.Since(start))
		}
	})
}

func TestTheLastOptionOfAKindCounts(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		var peak optionPeak
		label := ""
		tasks := slices.Repeat([]await.Task[int]{peak.watch(func(ctx context.Context) (int, error) {
			label, _ = pprof.Label(ctx, "await")
			return after(time.Second, 1)(ctx)
		})}, 6)
		settle(t.Context(), tasks, await.Limit(3), await.Name("first"), await.Limit(1), await.Name("last"))
		require.Equal(t, 1, peak.max)
		require.Equal(t, 6*time.Second, time.Since(start))
		require.Equal(t, "last", label)
	})
	synctest.Test(t, func(t *testing.T) {
		var starts atomic.Int64
		tasks := slices.Repeat([]await.Task[int]{gatherCounted(&starts, after(time.Second, 1))}, 20)
		for range await.AsCompleted(t.Context(), tasks, await.Limit(1), await.Buffer(10), await.Buffer(0)) {
			time.Sleep(time.Hour)
			require.EqualValues(t, 2, starts.Load())
			break
		}
	})
}

func TestDetachAndRecoverTwiceAreLikeOnce(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		results := settle(t.Context(), []await.Task[int]{detonating(time.Second, errBoom), after(2*time.Second, 20)},
			await.Recover(), await.Detach(), await.Detach(), await.Recover())
		require.ErrorIs(t, results[0].Err, errBoom)
		require.Equal(t, await.Result[int]{Value: 20}, results[1])
	})
}

func TestRecoverMakesAPanicTheErrorOfItsTask(t *testing.T) {
	for name, opts := range gatherLimits {
		t.Run(name, func(t *testing.T) {
			gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
				results := settle(t.Context(), []await.Task[int]{
					detonating(time.Second, errBoom),
					after(2*time.Second, 20),
					detonating(0, nil),
					after(3*time.Second, 40),
				}, append(opts, await.Recover())...)
				for _, i := range []int{0, 2} {
					require.Zero(t, results[i].Value)
					requirePanicError(t, results[i].Err)
				}
				require.ErrorIs(t, results[0].Err, errBoom)
				require.Equal(t, await.Result[int]{Value: 20}, results[1], "nothing is cancelled")
				require.Equal(t, await.Result[int]{Value: 40}, results[3], "nothing is cancelled")
			})
		})
	}
}

func TestRecoverInGatherFailsLikeAnyError(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var cause error
		_, err := gather(t.Context(), []await.Task[int]{gatherLingering(time.Second, &cause), detonating(time.Second, errBoom)}, await.Recover())
		requireTaskError(t, err, 1, errBoom)
		requirePanicError(t, err)
		require.Same(t, err, cause)
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestRecoverInFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, value, err := await.First(await.AsCompleted(t.Context(),
			[]await.Task[int]{detonating(time.Second, errBoom), after(2*time.Second, 20)}, await.Recover()))
		require.NoError(t, err)
		require.Equal(t, 1, key)
		require.Equal(t, 20, value)

		_, _, err = await.First(await.AsCompleted(t.Context(), []await.Task[int]{detonating(0, errBoom)}, await.Recover()))
		require.ErrorIs(t, err, errBoom)
		require.ErrorContains(t, err, "await_test.detonate(")
	})
}

// An optionLoop gives a loop, as AsCompleted does.
type optionLoop = func(context.Context, []await.Task[int], ...await.Option) iter.Seq2[int, await.Result[int]]

// optionLoops are the functions with a loop to leave.
var optionLoops = map[string]optionLoop{
	"AsCompleted": await.AsCompleted[int],
	"InOrder":     await.InOrder[int],
}

// detachOutlive lets the tasks of at most d that a call has left behind end. What
// they wrote can then be read.
func detachOutlive(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestDetachLeavesTheLoopAtOnce(t *testing.T) {
	gatherBubbles(t, optionLoops, func(t *testing.T, loop optionLoop) {
		start := time.Now()
		var cause error
		for i, result := range loop(t.Context(), []await.Task[int]{
			after(time.Second, 10), gatherLingering(time.Hour, &cause),
		}, await.Detach()) {
			require.Zero(t, i)
			require.Equal(t, await.Result[int]{Value: 10}, result)
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		detachOutlive(2 * time.Hour)
		require.Equal(t, await.ErrStopped, cause)
	})
}

func TestDetachStartsNothingAfterTheEnd(t *testing.T) {
	gatherBubbles(t, optionLoops, func(t *testing.T, loop optionLoop) {
		var starts atomic.Int64
		tasks := slices.Repeat([]await.Task[int]{gatherCounted(&starts, deaf(time.Second, 10))}, 10)
		for range loop(t.Context(), tasks, await.Limit(1), await.Detach()) {
			break
		}
		detachOutlive(time.Hour)
		// The worker may take the second task before the loop has seen the
		// first result.
		require.LessOrEqual(t, starts.Load(), int64(2))
	})
}

func TestDetachChangesNothingUntilTheEnd(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		var peak optionPeak
		results := settle(t.Context(), []await.Task[int]{
			peak.watch(after(2*time.Second, 10)),
			peak.watch(failing[int](time.Second, errBoom)),
			peak.watch(exiting[int](time.Second)),
			peak.watch(after(time.Second, 40)),
		}, await.Limit(2), await.Detach())
		require.Equal(t, []await.Result[int]{{Value: 10}, {Err: errBoom}, {Err: await.ErrGoexit}, {Value: 40}}, results)
		require.Equal(t, 2, peak.max)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

// detachTasks are, under Limit(2) and a context that ends after a second: done,
// failed, two that run on, and two that do not start.
func detachTasks(starts *atomic.Int64) []await.Task[int] {
	return []await.Task[int]{
		gatherCounted(starts, deaf(time.Hour, 10)),
		gatherCounted(starts, deaf(500*time.Millisecond, 20)),
		gatherCounted(starts, failing[int](250*time.Millisecond, errors.New("other"))),
		gatherCounted(starts, deaf(time.Hour, 40)),
		gatherCounted(starts, deaf(0, 50)),
		gatherCounted(starts, deaf(0, 60)),
	}
}

func TestDetachGivesEveryTaskAResultWhenTheContextEnds(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		start := time.Now()
		var starts atomic.Int64
		results := settle(gatherCancelledAfter(t, time.Second), detachTasks(&starts), await.Limit(2), await.Detach())
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, await.Result[int]{Err: errBoom}, results[0])
		require.Equal(t, await.Result[int]{Value: 20}, results[1])
		require.EqualError(t, results[2].Err, "other")
		require.Equal(t, await.Result[int]{Err: errBoom}, results[3])
		for _, result := range results[4:] {
			require.Zero(t, result.Value)
			require.ErrorIs(t, result.Err, await.ErrNotStarted)
			require.ErrorIs(t, result.Err, errBoom)
		}
		kept := slices.Clone(results)
		detachOutlive(2 * time.Hour)
		require.EqualValues(t, 4, starts.Load())
		require.Equal(t, kept, results, "late results are dropped")
	})
}

func TestDetachYieldsInFinishOrderThenTheRestInInputOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts atomic.Int64
		var order []int
		for i := range await.AsCompleted(gatherCancelledAfter(t, time.Second), detachTasks(&starts), await.Limit(2), await.Detach()) {
			order = append(order, i)
		}
		require.Equal(t, []int{1, 2, 0, 3, 4, 5}, order)
		detachOutlive(2 * time.Hour)
	})
}

func TestDetachKeepsResultsThatWaitForASlowLoopWhenTheContextEnds(t *testing.T) {
	gatherBubbles(t, optionLoops, func(t *testing.T, loop optionLoop) {
		results := make(map[int]await.Result[int])
		for i, result := range loop(gatherCancelledAfter(t, 5*time.Second), []await.Task[int]{
			deaf(time.Second, 10),
			deaf(2*time.Second, 20),
			deaf(time.Hour, 30),
			failing[int](3*time.Second, errors.New("other")),
		}, await.Detach()) {
			results[i] = result
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, map[int]await.Result[int]{
			0: {Value: 10}, 1: {Value: 20}, 2: {Err: errBoom}, 3: {Err: errors.New("other")},
		}, results)
		detachOutlive(time.Hour)
	})
}

func TestDetachDropsLateResultsAlthoughTheLoopGoesOn(t *testing.T) {
	gatherBubbles(t, optionLoops, func(t *testing.T, loop optionLoop) {
		var indexes []int
		for i, result := range loop(gatherCancelledAfter(t, time.Second), []await.Task[int]{
			deaf(2*time.Second, 10), deaf(3*time.Second, 20), deaf(4*time.Second, 30),
		}, await.Detach()) {
			indexes = append(indexes, i)
			require.Equal(t, await.Result[int]{Err: errBoom}, result)
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, []int{0, 1, 2}, indexes)
	})
}

// In real time, the context ends at any moment of a task's life.
func TestDetachYieldsEveryIndexOnceWheneverTheContextEnds(t *testing.T) {
	for name, settle := range settleFuncs {
		t.Run(name, func(t *testing.T) {
			for cancelAt := range 100 {
				ctx, cancel := context.WithCancelCause(t.Context())
				tasks := make([]await.Task[int], 100)
				for i := range tasks {
					tasks[i] = func(context.Context) (int, error) {
						if i == cancelAt {
							go cancel(errBoom)
						}
						return i + 1, nil
					}
				}
				for i, result := range settle(ctx, tasks, await.Limit(1+cancelAt%4), await.Detach()) {
					if result.Err == nil {
						require.Equal(t, i+1, result.Value)
					} else {
						require.ErrorIs(t, result.Err, errBoom)
					}
				}
				cancel(nil)
			}
			requireNoWorkers(t)
		})
	}
}

func TestDetachWhenTheContextHasEnded(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		var starts atomic.Int64
		task := gatherCounted(&starts, after(0, 1))
		for _, result := range settle(gatherCancelledAfter(t, 0), []await.Task[int]{task, task}, await.Detach()) {
			require.ErrorIs(t, result.Err, await.ErrNotStarted)
			require.ErrorIs(t, result.Err, errBoom)
		}
		synctest.Wait()
		require.Zero(t, starts.Load())
	})
}

func TestDetachLetsGatherReportThatNothingStarted(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		var starts atomic.Int64
		task := gatherCounted(&starts, after(0, 1))
		values, err := gather(gatherCancelledAfter(t, 0), []await.Task[int]{task, task}, await.Detach())
		requireTaskError(t, err, 0, await.ErrNotStarted, errBoom)
		require.Equal(t, []int{0, 0}, values)
		synctest.Wait()
		require.Zero(t, starts.Load())
	})
}

func TestDetachLetsGatherFailAtOnce(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var cause error
		values, err := gather(t.Context(), []await.Task[int]{gatherLingering(time.Hour, &cause), failing[int](time.Second, errBoom)}, await.Detach())
		requireTaskError(t, err, 1, errBoom)
		require.Equal(t, []int{0, 0}, values)
		require.Equal(t, time.Second, time.Since(start))
		detachOutlive(2 * time.Hour)
		require.Same(t, err, cause)
	})
}

func TestDetachLetsGatherEndWithTheContext(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		for _, opts := range gatherLimits {
			start := time.Now()
			values, err := gather(gatherCancelledAfter(t, time.Second),
				[]await.Task[int]{deaf(time.Hour, 10), deaf(time.Hour, 20)}, append(opts, await.Detach())...)
			require.Equal(t, &await.TaskError{Index: 0, Err: errBoom}, err)
			require.Equal(t, []int{0, 0}, values)
			require.Equal(t, time.Second, time.Since(start))
			detachOutlive(2 * time.Hour)
		}
	})
}

func TestDetachRaisesAPanicAtOnce(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		start := time.Now()
		var cause error
		raised := raisedBy(t, func() {
			run(t.Context(), gatherLingering(time.Hour, &cause), detonating(time.Second, "boom"), await.Detach())
		})
		require.Equal(t, "boom", raised.Value)
		require.Contains(t, string(raised.Stack), "await_test.detonate(")
		require.Equal(t, time.Second, time.Since(start))
		detachOutlive(2 * time.Hour)
		require.Same(t, raised, cause)
	})
}

func TestDetachRaisesAPanicAfterTheContextHasEndedIfTheLoopGoesOn(t *testing.T) {
	gatherBubbles(t, optionLoops, func(t *testing.T, loop optionLoop) {
		yielded := 0
		raised := raisedBy(t, func() {
			for range loop(gatherCancelledAfter(t, time.Second), []await.Task[int]{
				detonating(2*time.Second, "boom"), deaf(time.Minute, 20),
			}, await.Detach()) {
				yielded++
				time.Sleep(10 * time.Second)
			}
		})
		require.Equal(t, "boom", raised.Value)
		require.Equal(t, 1, yielded)
		detachOutlive(time.Minute)
	})
}

func TestPanicIsRaisedAheadOfResultsThatWait(t *testing.T) {
	for name, opts := range map[string][]await.Option{"waiting": nil, "detached": {await.Detach()}} {
		t.Run(name, func(t *testing.T) {
			gatherBubbles(t, optionLoops, func(t *testing.T, loop optionLoop) {
				yielded := 0
				raised := raisedBy(t, func() {
					for range loop(t.Context(), []await.Task[int]{
						after(time.Second, 10), after(2*time.Second, 20), after(2*time.Second, 30), detonating(3*time.Second, "boom"),
					}, opts...) {
						yielded++
						time.Sleep(time.Hour)
					}
				})
				require.Equal(t, "boom", raised.Value)
				require.Equal(t, 1, yielded)
			})
		})
	}
}

func TestDetachDropsALateEndOfAnyKind(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		var starts atomic.Int64
		results := settle(gatherCancelledAfter(t, time.Second), []await.Task[int]{
			exiting[int](time.Hour),
			detonating(time.Hour, "recovered"),
			gatherCounted(&starts, after(0, 30)),
		}, await.Limit(2), await.Detach(), await.Recover())
		require.Equal(t, []await.Result[int]{{Err: errBoom}, {Err: errBoom}}, results[:2])
		detachOutlive(2 * time.Hour)
		require.Equal(t, []await.Result[int]{{Err: errBoom}, {Err: errBoom}}, results[:2])
		require.Zero(t, starts.Load())
	})
}

func TestDetachNeverWritesIntoWhatWasReturned(t *testing.T) {
	t.Run("Gather", func(t *testing.T) {
		requireNoLateWrite(t, -1, func(ctx context.Context, tasks []await.Task[int]) []int {
			values, _ := await.Gather(ctx, tasks, await.Detach())
			return values
		})
	})
	t.Run("Settle", func(t *testing.T) {
		requireNoLateWrite(t, await.Result[int]{Value: -1}, func(ctx context.Context, tasks []await.Task[int]) []await.Result[int] {
			return await.Settle(ctx, tasks, await.Detach())
		})
	})
}

// requireNoLateWrite fills with mine what call has returned, while the tasks
// that call left behind return too. It needs no bubble, but the race detector.
func requireNoLateWrite[E any](t *testing.T, mine E, call func(context.Context, []await.Task[int]) []E) {
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		tasks := make([]await.Task[int], 8)
		var running sync.WaitGroup
		running.Add(len(tasks))
		for i := range tasks {
			tasks[i] = func(context.Context) (int, error) {
				running.Done()
				<-release
				return i + 1, nil
			}
		}
		go func() {
			running.Wait()
			cancel()
			close(release)
		}()
		returned := call(ctx, tasks)
		for i := range returned {
			returned[i] = mine
		}
		requireNoWorkers(t)
		require.Equal(t, slices.Repeat([]E{mine}, len(tasks)), returned)
	}
}

func TestDetachKeepsNoResultThatTheLoopHasLeft(t *testing.T) {
	for name, opts := range map[string][]await.Option{"plain": nil, "within": {await.Within(await.NewLimiter(4))}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type page [1 << 16]byte
				var pages [2]weak.Pointer[page]
				pageAfter := func(d time.Duration, i int) await.Task[*page] {
					return func(context.Context) (*page, error) {
						time.Sleep(d)
						value := new(page)
						pages[i] = weak.Make(value)
						return value, nil
					}
				}
				for range await.AsCompleted(t.Context(), []await.Task[*page]{
					after[*page](0, nil),
					pageAfter(time.Second, 0),
					pageAfter(time.Minute, 1),
					deaf[*page](time.Hour, nil),
				}, append(opts, await.Detach())...) {
					time.Sleep(2 * time.Second)
					break
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait() // what the task has written is visible now
				runtime.GC()
				for i := range pages {
					if pages[i].Value() != nil {
						t.Errorf("page %d is kept", i)
					}
				}
				detachOutlive(2 * time.Hour)
			})
		})
	}
}

func TestDetachLatePanicCrashesTheProgram(t *testing.T) {
	crash := func(name string, leave func(ctx context.Context, late, sibling await.Task[int])) {
		t.Run(name, func(t *testing.T) {
			if !panicInChild(t) {
				output, err := panicRunChild(t)
				require.Error(t, err)
				require.Contains(t, output, "too late")
				require.Contains(t, output, "await_test.detonate(")
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			began, left := make(chan struct{}), make(chan struct{})
			late := func(context.Context) (int, error) {
				close(began)
				<-left
				detonate("too late")
				return 0, nil
			}
			leave(ctx, late, func(context.Context) (int, error) {
				<-began
				cancel()
				return 0, errBoom
			})
			close(left)
			select {} // the crash ends it
		})
	}
	for name, run := range gatherRuns {
		crash(name, func(ctx context.Context, late, sibling await.Task[int]) {
			run(ctx, late, sibling, await.Detach())
		})
	}
	for name, loop := range optionLoops {
		crash(name+" left by break", func(ctx context.Context, late, sibling await.Task[int]) {
			for range loop(context.WithoutCancel(ctx), []await.Task[int]{sibling, late}, await.Detach()) {
				break
			}
		})
	}
}

// nameRecordsOf returns the records of the goroutine profile that have text.
func nameRecordsOf(t *testing.T, text string) (records []string) {
	t.Helper()
	var profile strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(record, text) {
			records = append(records, record)
		}
	}
	return records
}

// namePark tells that it runs, and blocks. It has a name to look for in a profile.
func namePark(running *sync.WaitGroup, release <-chan struct{}) {
	running.Done()
	<-release
}

// nameOwnRecord returns the record of the goroutine that calls it.
func nameOwnRecord(t *testing.T) string {
	t.Helper()
	records := nameRecordsOf(t, "await_test.nameOwnRecord+")
	require.Len(t, records, 1)
	return records[0]
}

func TestNameLabelsTheTasksContextAndGoroutines(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			ctx := pprof.WithLabels(t.Context(), pprof.Labels("tenant", "north"))
			release := make(chan struct{})
			var running sync.WaitGroup
			running.Add(2)
			task := func(ctx context.Context) (int, error) {
				defer namePark(&running, release)
				if label, _ := pprof.Label(ctx, "await"); label != "crawl" {
					t.Errorf("the context has the label await=%q", label)
				}
				if label, _ := pprof.Label(ctx, "tenant"); label != "north" {
					t.Errorf("the context has the label tenant=%q", label)
				}
				return 0, nil
			}
			var call sync.WaitGroup
			call.Go(func() { run(ctx, task, task, await.Name("crawl")) })
			running.Wait()
			records := nameRecordsOf(t, "await_test.namePark+")
			close(release)
			call.Wait()
			require.NotEmpty(t, records)
			for _, record := range records {
				require.Contains(t, record, `"await":"crawl"`)
				require.Contains(t, record, `"tenant":"north"`)
			}
		})
	}
}

func TestWithoutNameThereIsNoLabel(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			for _, opts := range [][]await.Option{nil, {await.Name("")}, {await.Name("crawl"), await.Name("")}} {
				var record string
				labelled := false
				ctx := pprof.WithLabels(t.Context(), pprof.Labels("tenant", "north"))
				run(ctx, func(ctx context.Context) (int, error) {
					_, labelled = pprof.Label(ctx, "await")
					record = nameOwnRecord(t)
					return 1, nil
				}, after(0, 1), append(opts, await.Limit(1))...)
				require.False(t, labelled)
				require.NotContains(t, record, `"await":`)
				require.NotContains(t, record, "north", "the caller's goroutine has no such label")
			}
		})
	}
}

func TestNameLabelsTheGoroutineThatFollowsAGoexit(t *testing.T) {
	var record string
	await.Settle(t.Context(), []await.Task[int]{
		exiting[int](0),
		func(context.Context) (int, error) { record = nameOwnRecord(t); return 0, nil },
	}, await.Limit(1), await.Name("crawl"))
	require.Contains(t, record, `"await":"crawl"`)
}

func TestNameLeavesTheCallersLabelsAlone(t *testing.T) {
	pprof.Do(t.Context(), pprof.Labels("caller", "kept"), func(ctx context.Context) {
		requireOwn := func() {
			record := nameOwnRecord(t)
			require.Contains(t, record, `"caller":"kept"`)
			require.NotContains(t, record, `"await":`)
		}
		for _, loop := range optionLoops {
			for range loop(ctx, []await.Task[int]{after(0, 1), after(0, 2)}, await.Name("crawl")) {
				requireOwn()
			}
			requireOwn()
		}
		for _, run := range gatherRuns {
			run(ctx, after(0, 1), after(0, 2), await.Name("crawl"))
			requireOwn()
			panicOf(t, func() { run(ctx, detonating(0, "boom"), after(0, 2), await.Name("crawl")) })
			requireOwn()
		}
	})
}
