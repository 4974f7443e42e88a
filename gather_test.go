package await_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// A settleFunc fills one slot per task, as Settle does.
type settleFunc = func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []await.Result[int]

// A gatherFunc fails with the first error, as Gather does.
type gatherFunc = func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) ([]int, error)

// A gatherRun runs two tasks and does not tell how they ended.
type gatherRun = func(ctx context.Context, a, b await.Task[int], opts ...await.Option)

// settleFuncs are the functions that give every task a result of its own.
var settleFuncs = map[string]settleFunc{
	"AsCompleted": settleSlotted(await.AsCompleted[int]),
	"InOrder":     settleSlotted(await.InOrder[int]),
	"Settle":      await.Settle[int],
}

// gatherFuncs take two tasks here. The third of Gather3 ends at once.
var gatherFuncs = map[string]gatherFunc{
	"Gather": await.Gather[int],
	"Gather2": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) ([]int, error) {
		a, b, err := await.Gather2(ctx, tasks[0], tasks[1], opts...)
		return []int{a, b}, err
	},
	"Gather3": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) ([]int, error) {
		a, b, _, err := await.Gather3(ctx, tasks[0], tasks[1], deaf(0, "third"), opts...)
		return []int{a, b}, err
	},
}

// gatherRuns is every function that runs a list of tasks.
var gatherRuns = func() map[string]gatherRun {
	all := map[string]gatherRun{
		"First": func(ctx context.Context, a, b await.Task[int], opts ...await.Option) {
			_, _, _ = await.First(await.AsCompleted(ctx, []await.Task[int]{a, b}, opts...))
		},
	}
	for name, settle := range settleFuncs {
		all[name] = func(ctx context.Context, a, b await.Task[int], opts ...await.Option) {
			settle(ctx, []await.Task[int]{a, b}, opts...)
		}
	}
	for name, gather := range gatherFuncs {
		all[name] = func(ctx context.Context, a, b await.Task[int], opts ...await.Option) {
			_, _ = gather(ctx, []await.Task[int]{a, b}, opts...)
		}
	}
	return all
}()

// gatherLimits are the limits that change how two tasks run.
var gatherLimits = map[string][]await.Option{
	"limit 1":  {await.Limit(1)},
	"limit 2":  {await.Limit(2)},
	"no limit": nil,
}

// settleSlotted puts the results of a loop into slots, and insists that every index
// comes exactly once.
func settleSlotted(loop func(context.Context, []await.Task[int], ...await.Option) iter.Seq2[int, await.Result[int]]) settleFunc {
	return func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) []await.Result[int] {
		results := make([]await.Result[int], len(tasks))
		seen := make(map[int]bool)
		for i, result := range loop(ctx, tasks, opts...) {
			if seen[i] {
				panic(fmt.Sprintf("index %d came twice", i))
			}
			seen[i], results[i] = true, result
		}
		if len(seen) != len(tasks) {
			panic(fmt.Sprintf("%d tasks gave %d results", len(tasks), len(seen)))
		}
		return results
	}
}

// gatherBubbles runs test for every element, each in a bubble, where time is exact.
func gatherBubbles[F any](t *testing.T, all map[string]F, test func(*testing.T, F)) {
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, f) })
		})
	}
}

// gatherCounted adds the starts of task to n.
func gatherCounted[T any](n *atomic.Int64, task await.Task[T]) await.Task[T] {
	return func(ctx context.Context) (T, error) {
		n.Add(1)
		return task(ctx)
	}
}

// gatherLingering is a task that waits for the end of its context, notes the cause,
// and takes d more to return an error of its own.
func gatherLingering(d time.Duration, cause *error) await.Task[int] {
	return func(ctx context.Context) (int, error) {
		<-ctx.Done()
		time.Sleep(d)
		*cause = context.Cause(ctx)
		return 0, errors.New("gave up")
	}
}

// gatherCancelledAfter is a context that ends after d, with errBoom as its cause.
func gatherCancelledAfter(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	if d == 0 {
		cancel(errBoom)
	}
	time.AfterFunc(d, func() { cancel(errBoom) })
	return ctx
}

// taskErrorOf returns err, which must be a *TaskError and not wrap one.
func taskErrorOf(t *testing.T, err error) (failed *await.TaskError) {
	t.Helper()
	require.ErrorAs(t, err, &failed)
	require.Same(t, failed, err)
	return failed
}

// requireTaskError fails if err is not a *TaskError with that index that
// matches every target.
func requireTaskError(t *testing.T, err error, index int, targets ...error) {
	t.Helper()
	require.Equal(t, index, taskErrorOf(t, err).Index)
	for _, target := range targets {
		require.ErrorIs(t, err, target)
	}
}

func TestGatherReturnsValuesInInputOrder(t *testing.T) {
	gatherBubbles(t, gatherLimits, func(t *testing.T, opts []await.Option) {
		tasks := []await.Task[int]{after(3*time.Second, 30), after(2*time.Second, 20), after(time.Second, 10)}
		values, err := await.Gather(t.Context(), tasks, opts...)
		require.NoError(t, err)
		require.Equal(t, []int{30, 20, 10}, values)
	})
}

func TestGatherTakesAsLongAsTheSlowestTask(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		values, err := gather(t.Context(), []await.Task[int]{after(2*time.Second, 1), after(3*time.Second, 2)})
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, values)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestGatherOfManyTasks(t *testing.T) {
	tasks := make([]await.Task[int], 10_000)
	want := make([]int, len(tasks))
	for i := range tasks {
		tasks[i], want[i] = func(context.Context) (int, error) { return i, nil }, i
	}
	for name, opts := range gatherLimits {
		t.Run(name, func(t *testing.T) {
			values, err := await.Gather(t.Context(), tasks, opts...)
			require.NoError(t, err)
			require.Equal(t, want, values)
		})
	}
}

func TestGatherReturnsTheFirstErrorInTime(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		_, err := gather(t.Context(), []await.Task[int]{
			failing[int](2*time.Second, errors.New("late")),
			failing[int](time.Second, errBoom),
		})
		require.Equal(t, &await.TaskError{Index: 1, Err: errBoom}, err)
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestGatherReturnsOneOfTwoErrorsOfTheSameInstant(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		errs := []error{errBoom, errors.New("other")}
		_, err := gather(t.Context(), []await.Task[int]{failing[int](time.Second, errs[0]), failing[int](time.Second, errs[1])})
		failed := taskErrorOf(t, err)
		require.Equal(t, errs[failed.Index], failed.Err)
	})
}

func TestGatherCancelsTheSiblingsAtOnceWithTheTaskErrorAsCause(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var cause error
		var cancelled time.Duration
		_, err := gather(t.Context(), []await.Task[int]{
			func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause, cancelled = context.Cause(ctx), time.Since(start)
				return 0, ctx.Err()
			},
			failing[int](time.Second, errBoom),
		})
		requireTaskError(t, err, 1, errBoom)
		require.Same(t, err, cause)
		require.Equal(t, time.Second, cancelled)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestGatherWaitsForRunningTasksAndKeepsTheFirstError(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var cause error
		_, err := gather(t.Context(), []await.Task[int]{
			gatherLingering(5*time.Second, &cause),
			failing[int](time.Second, errBoom),
		})
		requireTaskError(t, err, 1, errBoom)
		require.Same(t, err, cause)
		require.Equal(t, 6*time.Second, time.Since(start))
	})
}

func TestGatherStartsNothingAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for limit := 1; limit <= 2; limit++ {
			var starts atomic.Int64
			tasks := []await.Task[int]{gatherCounted(&starts, failing[int](time.Second, errBoom))}
			if limit == 2 {
				tasks = append(tasks, gatherCounted(&starts, deaf(2*time.Second, 20)))
			}
			for range 5 {
				tasks = append(tasks, gatherCounted(&starts, after(time.Second, 30)))
			}
			values, err := await.Gather(t.Context(), tasks, await.Limit(limit))
			requireTaskError(t, err, 0, errBoom)
			require.EqualValues(t, limit, starts.Load())
			require.Len(t, values, len(tasks))
		}
	})
}

func TestGatherHasOneSlotPerTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values, err := await.Gather(t.Context(), []await.Task[int]{
			deaf(time.Second, 10),
			func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 20, errBoom },
			deaf(3*time.Second, 30),
			after(3*time.Second, 40),
			after(3*time.Second, 50),
		}, await.Limit(4))
		requireTaskError(t, err, 1, errBoom)
		// Succeeded before the error, failed with a value, succeeded in
		// spite of its cancelled context, was cancelled, never started.
		require.Equal(t, []int{10, 0, 30, 0, 0}, values)
	})
}

func TestGatherReportsAnErrorOfTheLastTask(t *testing.T) {
	gatherBubbles(t, gatherLimits, func(t *testing.T, opts []await.Option) {
		values, err := await.Gather(t.Context(), []await.Task[int]{after(1, 1), after(1, 2), failing[int](time.Second, errBoom)}, opts...)
		requireTaskError(t, err, 2, errBoom)
		require.Equal(t, []int{1, 2, 0}, values)
	})
}

func TestGatherStartsNothingWhenTheContextHasEnded(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		var starts atomic.Int64
		task := gatherCounted(&starts, after(0, 1))
		values, err := gather(gatherCancelledAfter(t, 0), []await.Task[int]{task, task})
		requireTaskError(t, err, 0, await.ErrNotStarted, errBoom)
		require.Equal(t, []int{0, 0}, values)
		require.Zero(t, starts.Load())
	})
}

func TestGatherReportsTheFirstTaskNotStartedWhenTheContextEnds(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var starts atomic.Int64
		values, err := gather(gatherCancelledAfter(t, time.Second),
			[]await.Task[int]{deaf(3*time.Second, 10), gatherCounted(&starts, after(0, 20))}, await.Limit(1))
		requireTaskError(t, err, 1, await.ErrNotStarted, errBoom)
		require.Equal(t, []int{10, 0}, values)
		require.Zero(t, starts.Load())
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestGatherReportsWhatARunningTaskReturnsWhenTheContextEnds(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var cause error
		_, err := gather(gatherCancelledAfter(t, time.Second),
			[]await.Task[int]{after(3*time.Second, 10), gatherLingering(time.Second, &cause)})
		require.Equal(t, &await.TaskError{Index: 0, Err: errBoom}, err)
		require.Equal(t, errBoom, cause, "the caller's cause came first")
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestGatherSucceedsIfAllTasksDoAlthoughTheContextEnds(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		values, err := gather(gatherCancelledAfter(t, time.Second),
			[]await.Task[int]{deaf(2*time.Second, 10), deaf(3*time.Second, 20)})
		require.NoError(t, err)
		require.Equal(t, []int{10, 20}, values)
	})
}

func TestGatherWithADeadline(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := gather(ctx, []await.Task[int]{deaf(2*time.Second, 10), after(0, 20)}, await.Limit(1))
		requireTaskError(t, err, 1, await.ErrNotStarted, context.DeadlineExceeded)
	})
}

func TestGatherDoesNotMistakeATasksOwnTimeoutForTheCallers(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		_, err := gather(t.Context(), []await.Task[int]{
			failing[int](time.Second, context.DeadlineExceeded), after(2*time.Second, 20),
		}, await.Limit(1))
		requireTaskError(t, err, 0, context.DeadlineExceeded)
		require.NotErrorIs(t, err, await.ErrNotStarted)
	})
}

// gatherStraggler is a task that closes began and takes a while to heed its
// context. Running counts it.
func gatherStraggler(running *atomic.Int64, began chan<- struct{}) await.Task[int] {
	return func(ctx context.Context) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		close(began)
		<-ctx.Done()
		for range 100 {
			runtime.Gosched()
		}
		return 0, ctx.Err()
	}
}

// In real time: a bubble would hide a missing wait.
func TestNoTaskRunsAfterTheCall(t *testing.T) {
	requireNone := func(name string, run gatherRun, end func(cancel func()) error) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var running atomic.Int64
			began := make(chan struct{})
			func() {
				defer func() { _ = recover() }()
				run(ctx, func(context.Context) (int, error) {
					<-began
					return 0, end(cancel)
				}, gatherStraggler(&running, began))
			}()
			require.Zero(t, running.Load())
			requireNoWorkers(t)
		})
	}
	for name, run := range gatherRuns {
		requireNone(name+" of an ended context", run, func(cancel func()) error { cancel(); return nil })
		requireNone(name+" of a panic", run, func(func()) error { detonate("boom"); return nil })
	}
	for name := range gatherFuncs {
		requireNone(name+" of an error", gatherRuns[name], func(func()) error { return errBoom })
	}
	requireNone("First of a success", gatherRuns["First"], func(func()) error { return nil })
}

func TestGatherInsideGather(t *testing.T) {
	var leaves atomic.Int64
	var node func(depth int) await.Task[int]
	node = func(depth int) await.Task[int] {
		return func(ctx context.Context) (int, error) {
			if depth == 0 {
				leaves.Add(1)
				return 1, nil
			}
			values, err := await.Gather(ctx, []await.Task[int]{node(depth - 1), node(depth - 1), node(depth - 1)}, await.Limit(2))
			return values[0] + values[1] + values[2], err
		}
	}
	values, err := await.Gather(t.Context(), []await.Task[int]{node(4)})
	require.NoError(t, err)
	require.Equal(t, []int{81}, values)
	require.EqualValues(t, 81, leaves.Load())
}

func TestGatherAndSettleOfNothing(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), gatherCancelledAfter(t, 0)} {
		for _, tasks := range [][]await.Task[int]{nil, {}} {
			values, err := await.Gather(ctx, tasks)
			require.NoError(t, err)
			require.Empty(t, values)
			for _, settle := range settleFuncs {
				require.Empty(t, settle(ctx, tasks))
			}
		}
	}
}

func TestDuplicatedTasksAreSeparateTasks(t *testing.T) {
	var starts atomic.Int64
	task := func(context.Context) (int64, error) { return starts.Add(1), nil }
	values, err := await.Gather(t.Context(), []await.Task[int64]{task, task, task})
	require.NoError(t, err)
	require.ElementsMatch(t, []int64{1, 2, 3}, values)

	results := await.Settle(t.Context(), []await.Task[int64]{task, task}, await.Limit(1))
	require.Equal(t, []await.Result[int64]{{Value: 4}, {Value: 5}}, results)
}

func TestNilIsAValue(t *testing.T) {
	task := func(context.Context) (*int, error) { return nil, nil }
	values, err := await.Gather(t.Context(), []await.Task[*int]{task, task})
	require.NoError(t, err)
	require.Equal(t, []*int{nil, nil}, values)
	require.Equal(t, make([]await.Result[*int], 2), await.Settle(t.Context(), []await.Task[*int]{task, task}))
}

func TestWhatATaskWroteIsVisibleAfterTheCall(t *testing.T) {
	wrote := make([]int, 100)
	tasks := make([]await.Task[int], len(wrote))
	for i := range tasks {
		tasks[i] = func(context.Context) (int, error) { wrote[i]++; return 0, nil }
	}
	_, err := await.Gather(t.Context(), tasks)
	require.NoError(t, err)
	await.Settle(t.Context(), tasks)
	for _, n := range wrote {
		require.Equal(t, 2, n)
	}
}

func TestGather2ReturnsBothValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s, err := await.Gather2(t.Context(), after(2*time.Second, 1), after(time.Second, "two"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "two", s)
	})
}

func TestGather3ReturnsAllThreeValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s, b, err := await.Gather3(t.Context(), after(3*time.Second, 1), after(2*time.Second, "two"), after(time.Second, true))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "two", s)
		require.True(t, b)
	})
}

func TestGather2And3KeepTheValuesOfTasksThatSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s, err := await.Gather2(t.Context(), failing[int](time.Second, errBoom), deaf(2*time.Second, "two"))
		requireTaskError(t, err, 0, errBoom)
		require.Zero(t, n)
		require.Equal(t, "two", s)

		n, s, b, err := await.Gather3(t.Context(), deaf(2*time.Second, 1), deaf(3*time.Second, "two"), failing[bool](time.Second, errBoom))
		requireTaskError(t, err, 2, errBoom)
		require.Equal(t, 1, n)
		require.Equal(t, "two", s)
		require.False(t, b)
	})
}

func TestGather2OfInterfaceTypes(t *testing.T) {
	returning := func(err error) await.Task[error] {
		return func(context.Context) (error, error) { return err, nil }
	}
	duration := func(context.Context) (fmt.Stringer, error) { return time.Second, nil }

	value, stringer, err := await.Gather2(t.Context(), returning(errBoom), duration)
	require.NoError(t, err)
	require.Equal(t, errBoom, value)
	require.Equal(t, time.Second, stringer)

	value, stringer, err = await.Gather2(t.Context(), returning(nil), duration)
	require.NoError(t, err)
	require.Equal(t, error(nil), value) // and not a nil pointer in an interface
	require.Equal(t, time.Second, stringer)

	value, anything, err := await.Gather2(t.Context(), returning((*await.TaskError)(nil)),
		func(context.Context) (any, error) { return nil, nil })
	require.NoError(t, err)
	require.Equal(t, (*await.TaskError)(nil), value) // and not a nil interface
	require.Equal(t, any(nil), anything)
}

func TestSettleHasThreeStatesPerSlot(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		errOther := errors.New("other")
		start := time.Now()
		results := settle(gatherCancelledAfter(t, 3*time.Second), []await.Task[int]{
			after(time.Second, 10),
			func(context.Context) (int, error) { return 20, errOther },
			deaf(4*time.Second, 30),
			after(time.Hour, 40),
			after(0, 50),
			after(0, 60),
		}, await.Limit(2))
		require.Equal(t, await.Result[int]{Value: 10}, results[0])
		require.Equal(t, await.Result[int]{Value: 20, Err: errOther}, results[1])
		require.Equal(t, await.Result[int]{Value: 30}, results[2])
		require.Equal(t, await.Result[int]{Err: errBoom}, results[3])
		for _, result := range results[4:] {
			require.Zero(t, result.Value)
			require.ErrorIs(t, result.Err, await.ErrNotStarted)
			require.ErrorIs(t, result.Err, errBoom)
		}
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestSettleNeverCancels(t *testing.T) {
	for name, opts := range gatherLimits {
		t.Run(name, func(t *testing.T) {
			gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
				results := settle(t.Context(), []await.Task[int]{
					failing[int](time.Second, errBoom),
					after(2*time.Second, 20),
					after(3*time.Second, 30),
				}, opts...)
				require.Equal(t, []await.Result[int]{{Err: errBoom}, {Value: 20}, {Value: 30}}, results)
			})
		})
	}
}

func TestSettleStartsNothingWhenTheContextHasEnded(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		var starts atomic.Int64
		task := gatherCounted(&starts, after(0, 1))
		for _, result := range settle(gatherCancelledAfter(t, 0), []await.Task[int]{task, task, task}) {
			require.ErrorIs(t, result.Err, await.ErrNotStarted)
			require.ErrorIs(t, result.Err, errBoom)
			require.Zero(t, result.Value)
		}
		require.Zero(t, starts.Load())
	})
}

func TestATaskThatEndsTheCallersContextKeepsItsResult(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		ctx, cancel := context.WithCancelCause(t.Context())
		results := settle(ctx, []await.Task[int]{
			func(context.Context) (int, error) { cancel(errBoom); return 10, nil },
			after(0, 20),
		}, await.Limit(1))
		require.Equal(t, await.Result[int]{Value: 10}, results[0])
		require.ErrorIs(t, results[1].Err, await.ErrNotStarted)
		require.ErrorIs(t, results[1].Err, errBoom)
	})
}

func TestFirstReturnsTheFirstSuccessAndCancelsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var cause error
		key, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[int]{
			gatherLingering(2*time.Second, &cause),
			failing[int](time.Second, errBoom),
			after(3*time.Second, 30),
		}))
		require.NoError(t, err)
		require.Equal(t, 2, key)
		require.Equal(t, 30, value)
		require.Equal(t, await.ErrStopped, cause)
		require.Equal(t, 5*time.Second, time.Since(start), "waits for the rest")
	})
}

func TestFirstStartsNothingAfterTheFirstSuccess(t *testing.T) {
	gatherBubbles(t, map[string]int64{"limit 1": 1, "limit 2": 2}, func(t *testing.T, limit int64) {
		start := time.Now()
		var starts atomic.Int64
		tasks := make([]await.Task[int], 20)
		for i := range tasks {
			tasks[i] = gatherCounted(&starts, after(time.Second, i))
		}
		_, _, err := await.First(await.AsCompleted(t.Context(), tasks, await.Limit(int(limit))))
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start))
		// At that second every worker may take another task, before the
		// loop has seen the first result.
		require.LessOrEqual(t, starts.Load(), 2*limit)
	})
}

func TestFirstWithDetachDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		key, value, err := await.First(await.AsCompleted(t.Context(),
			[]await.Task[int]{deaf(time.Hour, 10), after(time.Second, 20)}, await.Detach()))
		require.NoError(t, err)
		require.Equal(t, 1, key)
		require.Equal(t, 20, value)
		require.Equal(t, time.Second, time.Since(start))
		detachOutlive(time.Hour)
	})
}

func TestFirstOfInOrderIsTheFirstInInputOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, value, err := await.First(await.InOrder(t.Context(), []await.Task[int]{
			failing[int](time.Second, errBoom), after(3*time.Second, 20), after(time.Second, 30),
		}))
		require.NoError(t, err)
		require.Equal(t, 1, key)
		require.Equal(t, 20, value)
	})
}

func TestFirstOfFailuresJoinsAllErrorsWithTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errOther := errors.New("other")
		key, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[int]{
			failing[int](2*time.Second, errBoom),
			func(context.Context) (int, error) { time.Sleep(time.Second); return 7, errOther },
		}))
		require.ErrorIs(t, err, errBoom)
		require.ErrorIs(t, err, errOther)
		require.EqualError(t, err, "task 1: other\ntask 0: boom")
		require.Zero(t, key)
		require.Zero(t, value, "the value of a failed task is no success")
	})
}

func TestFirstWithStringKeys(t *testing.T) {
	type pair struct {
		key    string
		result await.Result[int]
	}
	pulled := 0
	sequence := func(pairs ...pair) iter.Seq2[string, await.Result[int]] {
		return func(yield func(string, await.Result[int]) bool) {
			for _, p := range pairs {
				pulled++
				if !yield(p.key, p.result) {
					return
				}
			}
		}
	}
	oslo, rome := pair{"oslo", await.Result[int]{Err: errBoom}}, pair{"rome", await.Result[int]{Value: 7}}
	cairo := pair{"cairo", await.Result[int]{Err: errors.New("other")}}

	key, value, err := await.First(sequence(oslo, rome, cairo))
	require.NoError(t, err)
	require.Equal(t, "rome", key)
	require.Equal(t, 7, value)
	require.Equal(t, 2, pulled)

	key, value, err = await.First(sequence(oslo, cairo))
	require.EqualError(t, err, "task oslo: boom\ntask cairo: other")
	require.ErrorIs(t, err, errBoom)
	require.Empty(t, key)
	require.Zero(t, value)
}

func TestFirstOfNothing(t *testing.T) {
	key, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[string]{}))
	require.Equal(t, await.ErrNoTasks, err)
	require.Zero(t, key)
	require.Empty(t, value)
}

func TestFirstOfNilIsASuccess(t *testing.T) {
	_, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[*int]{func(context.Context) (*int, error) { return nil, nil }}))
	require.NoError(t, err)
	require.Nil(t, value)
}

func TestFirstWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := []await.Task[int]{after(time.Hour, 10), after(0, 20)}
		_, _, err := await.First(await.AsCompleted(gatherCancelledAfter(t, 0), tasks))
		require.ErrorIs(t, err, await.ErrNotStarted)
		require.ErrorIs(t, err, errBoom)

		start := time.Now()
		_, _, err = await.First(await.AsCompleted(gatherCancelledAfter(t, time.Second), tasks, await.Limit(1)))
		require.ErrorIs(t, err, await.ErrNotStarted)
		require.ErrorIs(t, err, errBoom)
		require.ErrorContains(t, err, "task 0: boom")
		require.Equal(t, time.Second, time.Since(start))
	})
}
