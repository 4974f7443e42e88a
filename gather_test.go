package await_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A door is a function that runs tasks to their end: each way in, with a loop
// that takes every result, and Gather and Settle.
type door struct {
	name string
	way  way // the zero way for Gather and Settle

	// run returns a slot for each task. It is empty if there was no result, as
	// for a task that stayed in a queue, or that Gather canceled.
	run func(t testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) []await.Result[int]
}

// failsFast reports whether the first error ends the call.
func (d door) failsFast() bool { return d.name == "Gather" }

var doors = func() []door {
	all := []door{
		{name: "Gather", run: func(_ testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) []await.Result[int] {
			slots := make([]await.Result[int], len(tasks))
			values, err := await.Gather(ctx, tasks, opts...)
			for i, value := range values {
				slots[i].Value = value
			}
			if failed := new(await.TaskError); errors.As(err, &failed) {
				slots[failed.Index].Err = failed.Err
			}
			return slots
		}},
		{name: "Settle", run: func(_ testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) []await.Result[int] {
			return await.Settle(ctx, tasks, opts...)
		}},
	}
	for _, w := range ways {
		all = append(all, door{name: w.name, way: w, run: func(tb testing.TB, ctx context.Context, tasks []await.Task[int], opts ...await.Option) []await.Result[int] {
			tb.Helper()
			slots := make([]await.Result[int], len(tasks))
			seen := make([]bool, len(tasks))
			for i, result := range w.loop(tb, ctx, tasks, opts...) {
				assert.False(tb, seen[i], "task %d has two results", i)
				seen[i], slots[i] = true, result
			}
			if w.list() {
				assert.NotContains(tb, seen, false, "a task has no result")
			}
			return slots
		}})
	}
	return all
}()

// eachDoor runs f for every door, in a bubble.
func eachDoor(t *testing.T, f func(t *testing.T, d door)) {
	t.Helper()
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, d) })
		})
	}
}

// eachDoorForReal runs f for every door, on real goroutines and real time.
func eachDoorForReal(t *testing.T, f func(t *testing.T, d door)) {
	t.Helper()
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) { f(t, d) })
	}
}

// A gatherFunc gathers two tasks.
type gatherFunc = func(ctx context.Context, a, b await.Task[int], opts ...await.Option) ([]int, error)

// gathers are the functions that fail fast. The third task of Gather3 ends at
// once.
var gathers = []struct {
	name   string
	gather gatherFunc
}{
	{"Gather", func(ctx context.Context, a, b await.Task[int], opts ...await.Option) ([]int, error) {
		return await.Gather(ctx, []await.Task[int]{a, b}, opts...)
	}},
	{"Gather2", func(ctx context.Context, a, b await.Task[int], opts ...await.Option) ([]int, error) {
		x, y, err := await.Gather2(ctx, a, b, opts...)
		return []int{x, y}, err
	}},
	{"Gather3", func(ctx context.Context, a, b await.Task[int], opts ...await.Option) ([]int, error) {
		x, y, _, err := await.Gather3(ctx, a, b, tasktest.Deaf(0, "third"), opts...)
		return []int{x, y}, err
	}},
}

// eachGather runs f for every function that fails fast, in a bubble.
func eachGather(t *testing.T, f func(t *testing.T, gather gatherFunc)) {
	t.Helper()
	for _, g := range gathers {
		t.Run(g.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, g.gather) })
		})
	}
}

// lingering is a task that waits for the end of its context, notes the cause,
// and returns an error of its own d later.
func lingering(d time.Duration, cause *error) await.Task[int] {
	return func(ctx context.Context) (int, error) {
		<-ctx.Done()
		*cause = context.Cause(ctx)
		time.Sleep(d)
		return 0, errors.New("gave up")
	}
}

// endsAfter is a context that ends after d, with ErrBoom as its cause.
func endsAfter(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	if d == 0 {
		cancel(tasktest.ErrBoom)
	} else {
		time.AfterFunc(d, func() { cancel(tasktest.ErrBoom) })
	}
	return ctx
}

// one is task, counted by c.
func (c *counter) one(task await.Task[int]) await.Task[int] { return c.wrap(task)[0] }

// ended is a context that has ended in this way.
func (e ending) ended(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := e.end(t.Context(), time.Nanosecond)
	t.Cleanup(cancel)
	<-ctx.Done()
	return ctx
}

// requireTaskError fails unless err is a *TaskError, not just wraps one, with
// that index, and matches every target.
func requireTaskError(t *testing.T, err error, index int, targets ...error) {
	t.Helper()
	failed, ok := err.(*await.TaskError) //nolint:errorlint // the contract is about the error itself
	require.True(t, ok, "%v is no *TaskError", err)
	require.Equal(t, index, failed.Index)
	for _, target := range targets {
		require.ErrorIs(t, err, target)
	}
}

// requireNotStarted fails unless err is that of a task that never ran, for
// all of the reasons.
func requireNotStarted(t *testing.T, err error, reasons ...error) {
	t.Helper()
	require.ErrorIs(t, err, await.ErrNotStarted)
	for _, reason := range reasons {
		require.ErrorIs(t, err, reason)
	}
}

func TestGatherValues(t *testing.T) {
	t.Run("come in input order, when the slowest task has returned", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			values, err := gather(t.Context(), tasktest.After(3*time.Second, 10), tasktest.After(2*time.Second, 20))
			require.NoError(t, err)
			require.Equal(t, []int{10, 20}, values)
			require.Equal(t, 3*time.Second, time.Since(start))
		})
	})
	t.Run("are all there, of many tasks and under any limit", func(t *testing.T) {
		const n = 10_000
		want := make([]int, n)
		for i := range want {
			want[i] = i
		}
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(3)}} {
			values, err := await.Gather(t.Context(), instant(n), opts...)
			require.NoError(t, err)
			require.Equal(t, want, values)
		}
	})
	t.Run("are in one slot for each task, zero unless it succeeded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			values, err := await.Gather(t.Context(), []await.Task[int]{
				tasktest.Deaf(1*time.Second, 10), // succeeds before the error
				func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 20, tasktest.ErrBoom },
				tasktest.Deaf(3*time.Second, 30),  // succeeds all the same
				tasktest.After(3*time.Second, 40), // is canceled
				tasktest.After(3*time.Second, 50), // never starts
			}, await.Limit(4))
			requireTaskError(t, err, 1, tasktest.ErrBoom)
			require.Equal(t, []int{10, 0, 30, 0, 0}, values)
		})
	})
	t.Run("of nothing are none", func(t *testing.T) {
		for _, ctx := range []context.Context{t.Context(), endsAfter(t, 0)} {
			for _, tasks := range [][]await.Task[int]{nil, {}} {
				values, err := await.Gather(ctx, tasks)
				require.NoError(t, err)
				require.Empty(t, values)
			}
		}
	})
	t.Run("may be nil", func(t *testing.T) {
		task := func(context.Context) (*int, error) { return nil, nil }
		values, err := await.Gather(t.Context(), []await.Task[*int]{task, task})
		require.NoError(t, err)
		require.Equal(t, []*int{nil, nil}, values)
	})
	t.Run("of a task that occurs twice are two", func(t *testing.T) {
		var starts atomic.Int64
		task := func(context.Context) (int64, error) { return starts.Add(1), nil }
		values, err := await.Gather(t.Context(), []await.Task[int64]{task, task, task})
		require.NoError(t, err)
		require.ElementsMatch(t, []int64{1, 2, 3}, values)
	})
	t.Run("come with what the tasks wrote", func(t *testing.T) {
		wrote := make([]int, 100) // without a lock: the race detector watches
		_, err := await.Gather(t.Context(), await.Times(len(wrote), func(_ context.Context, i int) (int, error) { wrote[i]++; return 0, nil }))
		require.NoError(t, err)
		require.Equal(t, slices.Repeat([]int{1}, len(wrote)), wrote)
	})
}

func TestGatherError(t *testing.T) {
	t.Run("is the first in time, and comes when all have returned", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			_, err := gather(t.Context(), tasktest.Failing[int](2*time.Second, errors.New("late")), tasktest.Failing[int](time.Second, tasktest.ErrBoom))
			require.Equal(t, &await.TaskError{Index: 1, Err: tasktest.ErrBoom}, err)
			require.Equal(t, 2*time.Second, time.Since(start))
		})
	})
	t.Run("is one of two that happen in the same instant", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			errs := []error{tasktest.ErrBoom, errors.New("other")}
			_, err := gather(t.Context(), tasktest.Failing[int](time.Second, errs[0]), tasktest.Failing[int](time.Second, errs[1]))
			var failed *await.TaskError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, errs[failed.Index], failed.Err)
		})
	})
	t.Run("cancels the others at once, as their cause, and what they return does not replace it", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			var cause error
			var canceled time.Duration
			_, err := gather(t.Context(), func(ctx context.Context) (int, error) {
				<-ctx.Done()
				canceled = time.Since(start)
				return lingering(5*time.Second, &cause)(ctx)
			}, tasktest.Failing[int](time.Second, tasktest.ErrBoom))
			requireTaskError(t, err, 1, tasktest.ErrBoom)
			require.Same(t, err, cause)
			require.Equal(t, time.Second, canceled)
			require.Equal(t, 6*time.Second, time.Since(start))
		})
	})
	t.Run("lets nothing further start", func(t *testing.T) {
		for limit := 1; limit <= 3; limit++ {
			synctest.Test(t, func(t *testing.T) {
				var c counter
				_, err := await.Gather(t.Context(), c.wrap(slices.Concat(
					[]await.Task[int]{tasktest.Failing[int](time.Second, tasktest.ErrBoom)},
					tasktest.Copies(limit-1, tasktest.Deaf(2*time.Second, 0)),
					seconds(1, 1, 1, 1, 1))...), await.Limit(limit))
				requireTaskError(t, err, 0, tasktest.ErrBoom)
				require.EqualValues(t, limit, c.started.Load())
			})
		}
	})
	t.Run("of the last task counts", func(t *testing.T) {
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(2)}} {
			values, err := await.Gather(t.Context(), slices.Concat(seconds(0, 0), []await.Task[int]{tasktest.Failing[int](0, tasktest.ErrBoom)}), opts...)
			requireTaskError(t, err, 2, tasktest.ErrBoom)
			require.Equal(t, []int{0, 1, 0}, values)
		}
	})
}

func TestGatherContext(t *testing.T) {
	for _, e := range endings {
		t.Run("has ended, so nothing starts: "+e.name, func(t *testing.T) {
			eachGather(t, func(t *testing.T, gather gatherFunc) {
				var c counter
				task := c.one(tasktest.Deaf(0, 1))
				values, err := gather(e.ended(t), task, task)
				requireTaskError(t, err, 0, await.ErrNotStarted, e.cause, e.err)
				require.Equal(t, []int{0, 0}, values)
				require.Zero(t, c.started.Load())
			})
		})
		t.Run("ends, and the first task that did not start is the error: "+e.name, func(t *testing.T) {
			eachGather(t, func(t *testing.T, gather gatherFunc) {
				ctx, cancel := e.end(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				var c counter
				values, err := gather(ctx, tasktest.Deaf(3*time.Second, 10), c.one(tasktest.Deaf(0, 20)), await.Limit(1))
				requireTaskError(t, err, 1, await.ErrNotStarted, e.cause, e.err)
				require.Equal(t, []int{10, 0}, values)
				require.Zero(t, c.started.Load())
				require.Equal(t, 3*time.Second, time.Since(start), "the running task is waited for")
			})
		})
	}
	t.Run("ends, and the first running task that gives up is the error", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			var cause error
			_, err := gather(endsAfter(t, time.Second), tasktest.After(3*time.Second, 10), lingering(time.Second, &cause))
			require.Equal(t, &await.TaskError{Index: 0, Err: tasktest.ErrBoom}, err)
			require.Equal(t, tasktest.ErrBoom, cause, "the caller's own cause came first")
			require.Equal(t, 2*time.Second, time.Since(start))
		})
	})
	t.Run("ends, which is no error if every task succeeds", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			values, err := gather(endsAfter(t, time.Second), tasktest.Deaf(2*time.Second, 10), tasktest.Deaf(3*time.Second, 20))
			require.NoError(t, err)
			require.Equal(t, []int{10, 20}, values)
		})
	})
	// The context ends in the first of 200 quick tasks.
	runDoors(t, "of a foreign type is asked before every start", func(t *testing.T, d door) {
		if d.way.name != "" {
			return // see TestAsCompletedContext
		}
		ctx := newForeignContext(t.Context())
		var c counter
		tasks := instant(200)
		tasks[0] = func(context.Context) (int, error) { ctx.end(); return 1, nil }
		results := d.run(t, ctx, c.wrap(tasks...), await.Limit(1))
		require.Equal(t, await.Result[int]{Value: 1}, results[0])
		require.EqualValues(t, 1, c.started.Load())
	})

	t.Run("of a task's own ends, which is an error like any other", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			_, err := gather(t.Context(), tasktest.Failing[int](time.Second, context.DeadlineExceeded), tasktest.Deaf(0, 20), await.Limit(1))
			requireTaskError(t, err, 0, context.DeadlineExceeded)
			require.NotErrorIs(t, err, await.ErrNotStarted)
		})
	})
	t.Run("of the tasks is a child of the caller's, and ends with ErrStopped", func(t *testing.T) {
		type key struct{}
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Hour)
			defer cancel()
			var cause func() error
			_, err := gather(ctx, func(inner context.Context) (int, error) {
				assert.Equal(t, "value", inner.Value(key{}))
				want, _ := ctx.Deadline()
				got, _ := inner.Deadline()
				assert.Equal(t, want, got)
				cause = func() error { return context.Cause(inner) }
				return 1, cause()
			}, tasktest.Deaf(0, 1))
			require.NoError(t, err)
			require.Equal(t, await.ErrStopped, cause())
			require.NoError(t, ctx.Err(), "the caller's context is left alone")
		})
	})
}

// A bubble would hide a missing wait, so this runs for real.
func TestGatherIsOverWhenItReturns(t *testing.T) {
	type run = func(ctx context.Context, a, b await.Task[int])
	runs := map[string]run{
		"Settle": func(ctx context.Context, a, b await.Task[int]) { await.Settle(ctx, []await.Task[int]{a, b}) },
		"First": func(ctx context.Context, a, b await.Task[int]) {
			_, _, _ = await.First(await.AsCompleted(ctx, []await.Task[int]{a, b}))
		},
	}
	for _, g := range gathers {
		runs[g.name] = func(ctx context.Context, a, b await.Task[int]) { _, _ = g.gather(ctx, a, b) }
	}
	ends := map[string]func(cancel func()) (int, error){
		"the context ends": func(cancel func()) (int, error) { cancel(); return 0, tasktest.ErrBoom },
		"a task panics":    func(func()) (int, error) { panic("boom") },
		"a task fails":     func(func()) (int, error) { return 0, tasktest.ErrBoom },
		"a task succeeds":  func(func()) (int, error) { return 0, nil },
	}
	for name, run := range runs {
		for how, end := range ends {
			// What does not end the call would leave the other task waiting.
			if how == "a task fails" && (name == "Settle" || name == "First") || how == "a task succeeds" && name != "First" {
				continue
			}
			t.Run(name+" when "+how, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var running atomic.Int64
				began := make(chan struct{})
				func() {
					defer func() { _ = recover() }()
					run(ctx, func(context.Context) (int, error) {
						<-began
						return end(cancel)
					}, func(ctx context.Context) (int, error) {
						running.Add(1)
						defer running.Add(-1)
						close(began)
						<-ctx.Done()
						for range 100 {
							runtime.Gosched()
						}
						return 0, ctx.Err()
					})
				}()
				require.Zero(t, running.Load())
				tasktest.RequireNoWorkers(t)
			})
		}
	}
}

func TestGatherNested(t *testing.T) {
	t.Run("to any depth runs every task once", func(t *testing.T) {
		var leaves atomic.Int64
		var sum func(ctx context.Context, depth int) (int, error)
		sum = func(ctx context.Context, depth int) (int, error) {
			if depth == 0 {
				leaves.Add(1)
				return 1, nil
			}
			values, err := await.Gather(ctx, await.Tasks([]int{depth - 1, depth - 1, depth - 1}, sum), await.Limit(2))
			return values[0] + values[1] + values[2], err
		}
		total, err := sum(t.Context(), 5)
		require.NoError(t, err)
		require.Equal(t, 243, total)
		require.EqualValues(t, 243, leaves.Load())
	})
	t.Run("in a task whose loop is left fails with ErrStopped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var inner error
			for range await.AsCompleted(t.Context(), []await.Task[int]{
				tasktest.Deaf(time.Second, 0),
				func(ctx context.Context) (int, error) {
					_, inner = await.Gather(ctx, tasktest.Copies(2, tasktest.After(time.Hour, 0)), await.Limit(1))
					return 0, inner
				},
			}) {
				break
			}
			requireTaskError(t, inner, 0, await.ErrStopped)
		})
	})
	t.Run("that never started is told from a task that never ran by its TaskError", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			results := await.Settle(endsAfter(t, time.Second), []await.Task[int]{
				func(ctx context.Context) (int, error) {
					<-ctx.Done()
					_, err := await.Gather(ctx, seconds(0))
					return 0, err
				},
				tasktest.Deaf(0, 0),
			}, await.Limit(1))
			var failed *await.TaskError
			requireNotStarted(t, results[0].Err)
			require.ErrorAs(t, results[0].Err, &failed, "this one ran")
			requireNotStarted(t, results[1].Err)
			require.NotErrorAs(t, results[1].Err, &failed)
		})
	})
}

func TestGather2(t *testing.T) {
	t.Run("returns both values", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			n, s, err := await.Gather2(t.Context(), tasktest.After(2*time.Second, 1), tasktest.After(time.Second, "two"))
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.Equal(t, "two", s)
			require.Equal(t, 2*time.Second, time.Since(start))
		})
	})
	t.Run("keeps the value of the task that succeeded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, s, err := await.Gather2(t.Context(), tasktest.Failing[int](time.Second, tasktest.ErrBoom), tasktest.Deaf(2*time.Second, "two"))
			requireTaskError(t, err, 0, tasktest.ErrBoom)
			require.Zero(t, n)
			require.Equal(t, "two", s)
		})
	})
	t.Run("returns interfaces as they are", func(t *testing.T) {
		returning := func(err error) await.Task[error] {
			return func(context.Context) (error, error) { return err, nil }
		}
		nothing := func(context.Context) (any, error) { return nil, nil }
		for _, want := range []error{tasktest.ErrBoom, nil, (*await.TaskError)(nil)} {
			value, anything, err := await.Gather2(t.Context(), returning(want), nothing)
			require.NoError(t, err)
			require.Equal(t, want, value)
			require.Equal(t, any(nil), anything)
		}
	})
}

func TestGather3(t *testing.T) {
	t.Run("returns all three values", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, s, b, err := await.Gather3(t.Context(), tasktest.After(3*time.Second, 1), tasktest.After(2*time.Second, "two"), tasktest.After(time.Second, true))
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.Equal(t, "two", s)
			require.True(t, b)
		})
	})
	t.Run("keeps the values of the tasks that succeeded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, s, b, err := await.Gather3(t.Context(), tasktest.Deaf(2*time.Second, 1), tasktest.Deaf(3*time.Second, "two"), tasktest.Failing[bool](time.Second, tasktest.ErrBoom))
			requireTaskError(t, err, 2, tasktest.ErrBoom)
			require.Equal(t, 1, n)
			require.Equal(t, "two", s)
			require.False(t, b)
		})
	})
}

func TestSettle(t *testing.T) {
	t.Run("has three states: a value, an error, never started", func(t *testing.T) {
		for _, e := range endings {
			t.Run(e.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := e.end(t.Context(), 3*time.Second)
					defer cancel()
					start := time.Now()
					results := await.Settle(ctx, []await.Task[int]{
						tasktest.After(time.Second, 10),
						func(context.Context) (int, error) { return 20, tasktest.ErrBoom },
						tasktest.Deaf(4*time.Second, 30),
						tasktest.After(time.Hour, 40),
						tasktest.After(0, 50),
						tasktest.After(0, 60),
					}, await.Limit(2))
					require.Equal(t, []await.Result[int]{{Value: 10}, {Value: 20, Err: tasktest.ErrBoom}, {Value: 30}, {Err: e.cause}}, results[:4])
					for _, result := range results[4:] {
						require.Zero(t, result.Value)
						requireNotStarted(t, result.Err, e.cause, e.err)
					}
					require.Equal(t, 4*time.Second, time.Since(start))
				})
			})
		}
	})
	t.Run("never cancels", func(t *testing.T) {
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(2)}} {
			synctest.Test(t, func(t *testing.T) {
				require.Equal(t, []await.Result[int]{{Err: tasktest.ErrBoom}, {Err: await.ErrGoexit}, {Value: 30}}, await.Settle(t.Context(), []await.Task[int]{
					tasktest.Failing[int](time.Second, tasktest.ErrBoom),
					tasktest.Exiting[int](time.Second),
					tasktest.After(3*time.Second, 30),
				}, opts...))
			})
		}
	})
	t.Run("of nothing is nothing", func(t *testing.T) {
		require.Empty(t, await.Settle[int](t.Context(), nil))
		require.Empty(t, await.Settle(endsAfter(t, 0), []await.Task[int]{}))
	})
	t.Run("starts nothing when the context has ended", func(t *testing.T) {
		var c counter
		for _, result := range await.Settle(endsAfter(t, 0), c.wrap(instant(3)...)) {
			requireNotStarted(t, result.Err, tasktest.ErrBoom, context.Canceled)
		}
		require.Zero(t, c.started.Load())
	})
	t.Run("keeps the result of the task that ends the caller's context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		results := await.Settle(ctx, []await.Task[int]{
			func(context.Context) (int, error) { cancel(tasktest.ErrBoom); return 10, nil },
			tasktest.Deaf(0, 20),
		}, await.Limit(1))
		require.Equal(t, await.Result[int]{Value: 10}, results[0])
		requireNotStarted(t, results[1].Err, tasktest.ErrBoom)
	})
}

func TestFirst(t *testing.T) {
	t.Run("returns the first success, and cancels the rest and waits for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var cause error
			key, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[int]{
				lingering(2*time.Second, &cause),
				tasktest.Failing[int](time.Second, tasktest.ErrBoom),
				tasktest.Exiting[int](time.Second),
				tasktest.After(3*time.Second, 30),
			}))
			require.NoError(t, err)
			require.Equal(t, 3, key)
			require.Equal(t, 30, value)
			require.Equal(t, await.ErrStopped, cause)
			require.Equal(t, 5*time.Second, time.Since(start))
		})
	})
	t.Run("starts nothing after the loop has the first success", func(t *testing.T) {
		for limit := range int64(3) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var c counter
				tasks := tasktest.Copies(20, tasktest.After(time.Second, 0))
				_, _, err := await.First(await.AsCompleted(t.Context(), c.wrap(tasks...), await.Limit(int(limit)+1)))
				require.NoError(t, err)
				require.Equal(t, time.Second, time.Since(start))
				// A worker may take one more task in that second, before the loop is
				// scheduled.
				require.LessOrEqual(t, c.started.Load(), 2*(limit+1))
			})
		}
	})
	t.Run("of InOrder is the first in input order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			key, value, err := await.First(await.InOrder(t.Context(), []await.Task[int]{
				tasktest.Failing[int](time.Second, tasktest.ErrBoom), tasktest.After(3*time.Second, 20), tasktest.After(time.Second, 30),
			}))
			require.NoError(t, err)
			require.Equal(t, 1, key)
			require.Equal(t, 20, value)
		})
	})
	t.Run("of failures is all errors joined, each with its key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			other := errors.New("other")
			key, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[int]{
				tasktest.Failing[int](2*time.Second, tasktest.ErrBoom),
				func(context.Context) (int, error) { time.Sleep(time.Second); return 7, other },
				tasktest.Exiting[int](3 * time.Second),
			}))
			require.ErrorIs(t, err, tasktest.ErrBoom)
			require.ErrorIs(t, err, other)
			require.ErrorIs(t, err, await.ErrGoexit)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, 3)
			require.Equal(t, []string{"task 1: other", "task 0: boom"}, lines[:2])
			require.Zero(t, key)
			require.Zero(t, value, "the value of a failed task is no success")
		})
	})
	t.Run("takes no more results than it needs, with keys of any type", func(t *testing.T) {
		pulled := 0
		results := func(results ...await.Result[int]) iter.Seq2[string, await.Result[int]] {
			return func(yield func(string, await.Result[int]) bool) {
				for i, result := range results {
					pulled++
					if !yield([]string{"oslo", "rome", "cairo"}[i], result) {
						return
					}
				}
			}
		}
		failed, succeeded := await.Result[int]{Err: tasktest.ErrBoom}, await.Result[int]{Value: 7}
		key, value, err := await.First(results(failed, succeeded, failed))
		require.NoError(t, err)
		require.Equal(t, "rome", key)
		require.Equal(t, 7, value)
		require.Equal(t, 2, pulled)

		key, value, err = await.First(results(failed, failed))
		require.EqualError(t, err, "task oslo: boom\ntask rome: boom")
		require.Empty(t, key)
		require.Zero(t, value)
	})
	t.Run("of nothing is ErrNoTasks", func(t *testing.T) {
		key, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[string]{}))
		require.Equal(t, await.ErrNoTasks, err)
		require.Zero(t, key)
		require.Empty(t, value)
	})
	t.Run("of a nil value is a success", func(t *testing.T) {
		_, value, err := await.First(await.AsCompleted(t.Context(), []await.Task[*int]{func(context.Context) (*int, error) { return nil, nil }}))
		require.NoError(t, err)
		require.Nil(t, value)
	})
	t.Run("of tasks that never ran says so in one line, with their number", func(t *testing.T) {
		for _, e := range endings {
			synctest.Test(t, func(t *testing.T) {
				_, _, err := await.First(await.AsCompleted(e.ended(t), instant(1000)))
				requireNotStarted(t, err, e.cause, e.err)
				require.NotContains(t, err.Error(), "\n")
				require.Contains(t, err.Error(), "1000")
				require.Contains(t, err.Error(), e.cause.Error())
			})
		}
	})
	t.Run("of tasks of which some ran has a line for each of these, and one for the rest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, _, err := await.First(await.AsCompleted(endsAfter(t, time.Second), slices.Concat(
				[]await.Task[int]{tasktest.After(time.Hour, 10)}, instant(500)), await.Limit(1)))
			requireNotStarted(t, err, tasktest.ErrBoom)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, 2)
			require.Equal(t, "task 0: boom", lines[0])
			require.Contains(t, lines[1], "500")
			require.Equal(t, time.Second, time.Since(start))
		})
	})
	t.Run("of several calls that never ran gives the cause of the first", func(t *testing.T) {
		_, _, err := await.First(func(yield func(int, await.Result[int]) bool) {
			for _, cause := range []error{errors.New("first"), errors.New("second")} {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(cause)
				for i, r := range await.AsCompleted(ctx, instant(1)) {
					if !yield(i, r) {
						return
					}
				}
			}
		})
		require.EqualError(t, err, "2 tasks were not started: first")
	})
	t.Run("of a sequence that was cut short says so", func(t *testing.T) {
		for _, stream := range []func(context.Context, iter.Seq2[string, await.Task[int]], ...await.Option) iter.Seq2[string, await.Result[int]]{
			await.AsCompletedSeq[string, int], await.InOrderSeq[string, int],
		} {
			tasks := map[string]await.Task[int]{"a": tasktest.Deaf(0, 1), "b": tasktest.Deaf(0, 2)}
			_, _, err := await.First(stream(endsAfter(t, 0), maps.All(tasks)))
			requireNotStarted(t, err, tasktest.ErrBoom, context.Canceled)
		}
	})
	t.Run("raises a panic of a loser, although there is a winner", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			raised := raisedBy(t, func() {
				_, _, _ = await.First(await.AsCompleted(t.Context(), []await.Task[int]{
					tasktest.Deaf(time.Second, 1), tasktest.Panicking[int](2*time.Second, "late"),
				}))
			})
			require.Equal(t, "late", raised.Value)
		})
	})
	t.Run("takes a recovered panic as a failure", func(t *testing.T) {
		key, value, err := await.First(await.InOrder(t.Context(), []await.Task[int]{
			tasktest.Panicking[int](0, tasktest.ErrBoom), tasktest.Deaf(0, 20),
		}, await.Recover()))
		require.NoError(t, err)
		require.Equal(t, 1, key)
		require.Equal(t, 20, value)

		_, _, err = await.First(await.AsCompleted(t.Context(), []await.Task[int]{tasktest.Panicking[int](0, tasktest.ErrBoom)}, await.Recover()))
		require.ErrorIs(t, err, tasktest.ErrBoom)
	})
	t.Run("panics at once if there is no sequence", func(t *testing.T) {
		requireBadInput(t, "sequence", func() { _, _, _ = await.First[int, int](nil) })
	})
}
