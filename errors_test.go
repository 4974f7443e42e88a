package await_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// detonate has a name to look for in a stack.
func detonate(value any) { panic(value) }

// detonating is a task that panics with value after d, in detonate.
func detonating(d time.Duration, value any) await.Task[int] {
	return func(context.Context) (int, error) {
		time.Sleep(d)
		detonate(value)
		return 0, nil
	}
}

// requirePanicError fails if err is not a panic in detonate.
func requirePanicError(t *testing.T, err error) {
	t.Helper()
	var panicked *await.PanicError
	require.ErrorAs(t, err, &panicked)
	require.Contains(t, string(panicked.Stack), "await_test.detonate(")
}

// panicChildEnv holds the name of the test that a child process is to run.
const panicChildEnv = "AWAIT_TEST_CHILD"

// panicInChild reports whether this is the process that panicRunChild made for
// t.
func panicInChild(t *testing.T) bool {
	t.Helper()
	return os.Getenv(panicChildEnv) == t.Name()
}

// panicRunChild runs the test again in a process of its own, for what may not
// happen in this one.
func panicRunChild(t *testing.T, env ...string) (output string, err error) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	run := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), program, "-test.run="+run, "-test.timeout=1m")
	// The race detector would sleep for a second before the exit.
	cmd.Env = append(append(os.Environ(), panicChildEnv+"="+t.Name(), "GORACE=atexit_sleep_ms=0"), env...)
	bytes, err := cmd.CombinedOutput()
	require.NotContains(t, string(bytes), "no tests to run")
	return string(bytes), err
}

func TestErrorValues(t *testing.T) {
	values := []error{await.ErrGoexit, await.ErrNotStarted, await.ErrStopped, await.ErrNoTasks}
	for i, err := range values {
		require.True(t, strings.HasPrefix(err.Error(), "await: "), err)
		for _, other := range values[:i] {
			require.NotErrorIs(t, err, other)
		}
	}
}

func TestTaskErrorHasTheIndexAndUnwraps(t *testing.T) {
	err := error(&await.TaskError{Index: 3, Err: errBoom})
	require.EqualError(t, err, "task 3: boom")
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, errBoom, errors.Unwrap(err))
}

func TestPanicErrorHasTheValueAndTheStack(t *testing.T) {
	err := &await.PanicError{Value: 42, Stack: []byte("goroutine 7 [running]:")}
	require.True(t, strings.HasPrefix(err.Error(), "await: "))
	require.ErrorContains(t, err, "42")
	require.ErrorContains(t, err, "goroutine 7 [running]:")
}

func TestPanicErrorUnwrapsToAnErrorValue(t *testing.T) {
	require.Equal(t, errBoom, errors.Unwrap(&await.PanicError{Value: errBoom}))
	require.NoError(t, errors.Unwrap(&await.PanicError{Value: "boom"}))
	require.NoError(t, errors.Unwrap(&await.PanicError{}))
}

func TestPanicIsRaisedOnTheCallersGoroutineAfterTheSiblingsReturned(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		start := time.Now()
		var cause error
		raised := raisedBy(t, func() {
			run(t.Context(), detonating(time.Second, "boom"), gatherLingering(time.Second, &cause))
		})
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Same(t, raised, cause)
		require.Equal(t, "boom", raised.Value)
		require.Contains(t, string(raised.Stack), "await_test.detonate(")
		require.ErrorContains(t, raised, "boom")
		require.ErrorContains(t, raised, string(raised.Stack))
	})
}

func TestPanicStartsNothingFurther(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		var starts atomic.Int64
		raised := raisedBy(t, func() {
			run(t.Context(), detonating(time.Second, "boom"), gatherCounted(&starts, after(0, 1)), await.Limit(1))
		})
		require.Equal(t, "boom", raised.Value)
		require.Zero(t, starts.Load())
	})
}

func TestPanicValues(t *testing.T) {
	t.Run("error", func(t *testing.T) {
		gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
			wrapped := fmt.Errorf("wrapped: %w", errBoom)
			raised := raisedBy(t, func() { run(t.Context(), after(time.Second, 1), detonating(0, wrapped)) })
			require.Equal(t, wrapped, raised.Value)
			require.ErrorIs(t, raised, errBoom)
		})
	})
	t.Run("nil", func(t *testing.T) {
		gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
			raised := raisedBy(t, func() { run(t.Context(), after(time.Second, 1), detonating(0, nil)) })
			var nilError *runtime.PanicNilError
			require.ErrorAs(t, raised, &nilError)
			require.Contains(t, string(raised.Stack), "await_test.detonate(")
		})
	})
	t.Run("runtime error", func(t *testing.T) {
		gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
			var empty []int
			raised := raisedBy(t, func() {
				run(t.Context(), after(time.Second, 1), func(context.Context) (int, error) { return empty[0], nil })
			})
			var runtimeError runtime.Error
			require.ErrorAs(t, raised, &runtimeError)
			require.ErrorContains(t, raised, "index out of range")
		})
	})
	t.Run("panic of an inner call", func(t *testing.T) {
		gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
			raised := raisedBy(t, func() {
				run(t.Context(), func(ctx context.Context) (int, error) {
					run(ctx, detonating(0, errBoom), after(time.Second, 1))
					return 0, nil
				}, after(time.Second, 1))
			})
			require.ErrorIs(t, raised, errBoom)
			require.ErrorContains(t, raised, "await_test.detonate(")
		})
	})
}

func TestPanicNilIsAPanicWithPanicnil(t *testing.T) {
	if !panicInChild(t) {
		output, err := panicRunChild(t, "GODEBUG=panicnil=1")
		require.NoError(t, err, output)
		return
	}
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		var cause error
		raised := raisedBy(t, func() { run(t.Context(), detonating(time.Second, nil), gatherLingering(0, &cause)) })
		require.Same(t, raised, cause)
		require.Nil(t, raised.Value)
		require.ErrorContains(t, raised, "nil")
	})
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		results := settle(t.Context(), []await.Task[int]{detonating(0, nil), exiting[int](0), after(time.Second, 30)}, await.Recover())
		var panicked *await.PanicError
		require.ErrorAs(t, results[0].Err, &panicked)
		require.Equal(t, await.ErrGoexit, results[1].Err)
		require.Equal(t, await.Result[int]{Value: 30}, results[2])
	})
}

func TestPanicNilKeepsTheTasksStackWithPanicnil(t *testing.T) {
	if !panicInChild(t) {
		output, err := panicRunChild(t, "GODEBUG=panicnil=1")
		require.NoError(t, err, output)
		return
	}
	raised := raisedBy(t, func() { _, _ = await.Gather(t.Context(), []await.Task[int]{detonating(0, nil)}) })
	require.Contains(t, string(raised.Stack), "await_test.detonate(")
}

func TestPanicsOfSiblingsAreInTheText(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		raised := raisedBy(t, func() {
			run(t.Context(), panicking[int](time.Second, errBoom), detonating(2*time.Second, "second"))
		})
		require.Equal(t, errBoom, raised.Value)
		require.ErrorIs(t, raised, errBoom)
		require.ErrorContains(t, raised, "second")
		require.ErrorContains(t, raised, "await_test.detonate(")
	})
}

func TestPanicIsRaisedAlthoughTheContextHasEnded(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		raised := raisedBy(t, func() {
			run(gatherCancelledAfter(t, time.Second), detonating(2*time.Second, "boom"), after(0, 1), await.Limit(1))
		})
		require.Equal(t, "boom", raised.Value)
	})
}

func TestPanicOutranksAnEarlierErrorInGather(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		raised := raisedBy(t, func() {
			_, _ = gather(t.Context(), []await.Task[int]{failing[int](time.Second, errBoom), detonating(2*time.Second, "late")})
		})
		require.Equal(t, "late", raised.Value)
	})
}

func TestPanicOutranksAnEarlierSuccessInFirst(t *testing.T) {
	gatherBubbles(t, map[string]gatherRun{"First": gatherRuns["First"]}, func(t *testing.T, first gatherRun) {
		raised := raisedBy(t, func() { first(t.Context(), after(time.Second, 1), detonating(2*time.Second, "late")) })
		require.Equal(t, "late", raised.Value)
	})
}

func TestPanicDuringGoexitIsAPanic(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		raised := raisedBy(t, func() {
			run(t.Context(), func(context.Context) (int, error) {
				defer detonate("cleanup failed")
				runtime.Goexit()
				return 0, nil
			}, after(time.Second, 1))
		})
		require.Equal(t, "cleanup failed", raised.Value)
	})
}

func TestPanicDuringGoexitIsAPanicWithRecoverToo(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		results := settle(t.Context(), []await.Task[int]{
			func(context.Context) (int, error) {
				defer detonate(errBoom)
				runtime.Goexit()
				return 0, nil
			},
			after(time.Second, 20),
		}, await.Limit(1), await.Recover())
		requirePanicError(t, results[0].Err)
		require.ErrorIs(t, results[0].Err, errBoom)
		require.Equal(t, await.Result[int]{Value: 20}, results[1])
	})
}

func TestGoexitDuringPanicIsAGoexit(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		results := settle(t.Context(), []await.Task[int]{func(context.Context) (int, error) {
			defer runtime.Goexit()
			panic("aborted, as in any goroutine")
		}})
		require.Equal(t, []await.Result[int]{{Err: await.ErrGoexit}}, results)
	})
}

func TestGoexitIsTheErrorOfItsTask(t *testing.T) {
	for name, opts := range gatherLimits {
		t.Run(name, func(t *testing.T) {
			gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
				results := settle(t.Context(), []await.Task[int]{exiting[int](time.Second), after(2*time.Second, 20), exiting[int](0)}, opts...)
				require.Equal(t, []await.Result[int]{{Err: await.ErrGoexit}, {Value: 20}, {Err: await.ErrGoexit}}, results)
			})
		})
	}
}

func TestGoexitFailsAGather(t *testing.T) {
	for name, opts := range gatherLimits {
		t.Run(name, func(t *testing.T) {
			gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
				start := time.Now()
				values, err := gather(t.Context(), []await.Task[int]{after(time.Second, 10), exiting[int](2 * time.Second)}, opts...)
				requireTaskError(t, err, 1, await.ErrGoexit)
				require.Equal(t, []int{10, 0}, values)
				require.LessOrEqual(t, time.Since(start), 3*time.Second)

				var starts atomic.Int64
				_, err = gather(t.Context(), []await.Task[int]{exiting[int](0), gatherCounted(&starts, after(time.Second, 20))}, await.Limit(1))
				requireTaskError(t, err, 0, await.ErrGoexit)
				require.Zero(t, starts.Load())
			})
		})
	}
}

func TestGoexitCancelsTheSiblingsInGather(t *testing.T) {
	gatherBubbles(t, gatherFuncs, func(t *testing.T, gather gatherFunc) {
		start := time.Now()
		var cause error
		_, err := gather(t.Context(), []await.Task[int]{gatherLingering(time.Second, &cause), exiting[int](time.Second)})
		requireTaskError(t, err, 1, await.ErrGoexit)
		require.Same(t, err, cause)
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestGoexitInFirst(t *testing.T) {
	gatherBubbles(t, gatherLimits, func(t *testing.T, opts []await.Option) {
		key, value, err := await.First(await.AsCompleted(t.Context(),
			[]await.Task[int]{exiting[int](time.Second), after(2*time.Second, 20)}, opts...))
		require.NoError(t, err)
		require.Equal(t, 1, key)
		require.Equal(t, 20, value)

		_, _, err = await.First(await.AsCompleted(t.Context(),
			[]await.Task[int]{exiting[int](time.Second), exiting[int](0)}, opts...))
		require.ErrorIs(t, err, await.ErrGoexit)
	})
}

func TestGoexitNeverCostsAPlace(t *testing.T) {
	gatherBubbles(t, settleFuncs, func(t *testing.T, settle settleFunc) {
		for limit := 1; limit <= 3; limit++ {
			start := time.Now()
			var peak optionPeak
			var tasks []await.Task[int]
			for range 6 {
				tasks = append(tasks, peak.watch(exiting[int](time.Second)), peak.watch(after(time.Second, 1)))
			}
			settle(t.Context(), tasks, await.Limit(limit))
			require.Equal(t, time.Duration(12/limit)*time.Second, time.Since(start))
			require.Equal(t, limit, peak.max)
		}
	})
}

func TestCauseInsideATask(t *testing.T) {
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		var later func() error
		run(t.Context(), func(ctx context.Context) (int, error) {
			later = func() error { return context.Cause(ctx) }
			return 1, nil
		}, after(0, 1))
		require.Equal(t, await.ErrStopped, later(), "all done")

		var cause error

		run(gatherCancelledAfter(t, time.Second), gatherLingering(0, &cause), after(0, 1), await.Limit(1))
		require.Equal(t, errBoom, cause, "the caller's own")
		panicked := raisedBy(t, func() { run(t.Context(), detonating(time.Second, "boom"), gatherLingering(0, &cause)) })
		require.Same(t, panicked, cause)
	})
}

func TestContextOfATaskIsAChildOfTheCallers(t *testing.T) {
	type key struct{}
	gatherBubbles(t, gatherRuns, func(t *testing.T, run gatherRun) {
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Second)
		defer cancel()
		want, _ := ctx.Deadline()
		var value any
		var deadline time.Time
		run(ctx, func(ctx context.Context) (int, error) {
			value = ctx.Value(key{})
			deadline, _ = ctx.Deadline()
			<-ctx.Done()
			return 0, ctx.Err()
		}, after(0, 1), await.Limit(1))
		require.Equal(t, "value", value)
		require.Equal(t, want, deadline)
	})
}

func TestBadArgumentsPanicAtTheCall(t *testing.T) {
	type callFunc func(ctx context.Context, tasks []await.Task[int], opts ...await.Option)
	calls := map[string]callFunc{
		"AsCompleted": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.AsCompleted(ctx, tasks, opts...)
		},
		"InOrder": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.InOrder(ctx, tasks, opts...)
		},
		"Settle": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.Settle(ctx, tasks, opts...)
		},
		"Gather": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			_, _ = await.Gather(ctx, tasks, opts...)
		},
		"Gather2": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			_, _, _ = await.Gather2(ctx, tasks[0], tasks[1], opts...)
		},
		"Gather3": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			_, _, _, _ = await.Gather3(ctx, tasks[0], tasks[1], tasks[2], opts...)
		},
	}
	var starts atomic.Int64
	task := gatherCounted(&starts, after(0, 1))
	good := []await.Task[int]{task, task, task}
	ctx := t.Context()
	var noContext context.Context
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			requirePanicText(t, "context", func() { call(noContext, good) })
			requirePanicText(t, "context", func() { call(noContext, good, await.Limit(1), await.Detach()) })
			requirePanicText(t, "option 0", func() { call(ctx, good, nil) })
			requirePanicText(t, "option 2", func() { call(ctx, good, await.Limit(1), await.Detach(), nil) })
			for i := range good {
				if name == "Gather2" && i == 2 {
					continue
				}
				tasks := []await.Task[int]{task, task, task}
				tasks[i] = nil
				requirePanicText(t, fmt.Sprint("task ", i), func() { call(ctx, tasks) })
				requirePanicText(t, fmt.Sprint("task ", i), func() { call(ctx, tasks, await.Detach()) })
			}
		})
	}
	require.Zero(t, starts.Load())

	var noSequence iter.Seq2[string, await.Result[int]]
	requirePanicText(t, "sequence", func() { _, _, _ = await.First(noSequence) })
	var noFunction func(context.Context, int) (int, error)
	requirePanicText(t, "function", func() { await.Tasks([]int{1}, noFunction) })
	requirePanicText(t, "function", func() { await.Tasks(nil, noFunction) })
	requirePanicText(t, "Limit(0)", func() { await.Limit(0) })
	requirePanicText(t, "Limit(-1)", func() { await.Limit(-1) })
	requirePanicText(t, "Buffer(-1)", func() { await.Buffer(-1) })
}

func TestNilContextOfNoTasksPanics(t *testing.T) {
	var noContext context.Context
	requirePanicText(t, "context", func() { _, _ = await.Gather[int](noContext, nil) })
	requirePanicText(t, "context", func() { await.Settle[int](noContext, nil) })
	requirePanicText(t, "context", func() { await.AsCompleted[int](noContext, nil) })
	requirePanicText(t, "context", func() { await.InOrder[int](noContext, nil) })
}

// requirePanicText fails if f does not panic with a text of this package that
// names what.
func requirePanicText(t *testing.T, what string, f func()) {
	t.Helper()
	text := fmt.Sprint(panicOf(t, f))
	require.True(t, strings.HasPrefix(text, "await:"), text)
	require.Contains(t, text, what)
}
