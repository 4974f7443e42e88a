package await_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/require"
)

// requirePanicError fails unless err is the panic in explode of the task with
// that key.
func requirePanicError(t *testing.T, err error, key, value any) {
	t.Helper()
	var panicked *await.PanicError
	require.ErrorAs(t, err, &panicked)
	require.Equal(t, key, panicked.Key)
	require.Equal(t, value, panicked.Value)
	require.Contains(t, string(panicked.Stack), "await_test.explode(")
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

func TestTaskError(t *testing.T) {
	t.Run("has the text of its Err alone", func(t *testing.T) {
		require.EqualError(t, &await.TaskError{Index: 3, Err: tasktest.ErrBoom}, "boom")
	})
	t.Run("adds nothing to the text, however deep the calls are nested", func(t *testing.T) {
		var find func(ctx context.Context, depth int) error
		find = func(ctx context.Context, depth int) error {
			if depth == 0 {
				return errors.New("no such blob")
			}
			_, err := await.Gather(ctx, await.Tasks([]int{depth - 1}, await.NoValue(find)))
			return err
		}
		err := find(t.Context(), 3)
		require.EqualError(t, err, "no such blob")
	})
	t.Run("has the index, and unwraps to Err", func(t *testing.T) {
		_, err := await.Gather(t.Context(), []await.Task[int]{tasktest.Deaf(0, 0), tasktest.Failing[int](0, tasktest.ErrBoom)})
		var failed *await.TaskError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, 1, failed.Index)
		require.Equal(t, tasktest.ErrBoom, errors.Unwrap(err))
	})
}

// watchedKey counts how often it is formatted.
type watchedKey struct{ formatted *int }

func (k watchedKey) String() string { *k.formatted++; return "watched key" }

func TestPanicError(t *testing.T) {
	t.Run("has the key, the value and the stack of the task at every door", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			tasks := seconds(1, 1, 1, 1, 1)
			tasks[3] = exploding(0, tasktest.ErrBoom)
			raised := raisedBy(t, func() { d.run(t, t.Context(), tasks) })
			requirePanicError(t, raised, 3, tasktest.ErrBoom)
			require.ErrorIs(t, raised, tasktest.ErrBoom)

			results := d.run(t, t.Context(), tasks, await.Recover())
			requirePanicError(t, results[3].Err, 3, tasktest.ErrBoom)
		})
	})
	t.Run("has the key of a sequence or a queue, of whatever type", func(t *testing.T) {
		type key struct{ name string }
		var queue await.Queue[key, int]
		queue.Add(key{"first"}, exploding(0, "boom"))
		requirePanicError(t, raisedBy(t, func() {
			for range queue.AsCompleted(t.Context()) {
			}
		}), key{"first"}, "boom")

		inputs := slices.Values([]string{"a"})
		fn := func(context.Context, string) (int, error) { explode("boom"); return 0, nil }
		requirePanicError(t, raisedBy(t, func() {
			for range await.InOrderSeq(t.Context(), await.TaskSeq(inputs, fn)) {
			}
		}), "a", "boom")
	})
	t.Run("names the task, the value and the stack in its text", func(t *testing.T) {
		err := &await.PanicError{Key: 4711, Value: "the value", Stack: []byte("goroutine 7 [running]:")}
		require.True(t, strings.HasPrefix(err.Error(), "await: "), err)
		for _, text := range []string{"4711", "the value", "goroutine 7 [running]:"} {
			require.ErrorContains(t, err, text)
		}
	})
	t.Run("formats the key in its text only", func(t *testing.T) {
		formatted := 0
		var queue await.Queue[watchedKey, int]
		queue.Add(watchedKey{&formatted}, exploding(0, "boom"))
		raised := raisedBy(t, func() {
			for range queue.AsCompleted(t.Context()) {
			}
		})
		require.Zero(t, formatted)
		require.ErrorContains(t, raised, "watched key")
		require.NotZero(t, formatted)
	})
	t.Run("has at most 100 bytes of the key in its text", func(t *testing.T) {
		long, short := strings.Repeat("~", 1000), strings.Repeat("~", 100)
		for _, key := range []any{long, []string{long}} {
			n := strings.Count((&await.PanicError{Key: key, Value: 1}).Error(), "~")
			require.LessOrEqual(t, n, 100)
			require.Greater(t, n, 50)
		}
		require.ErrorContains(t, &await.PanicError{Key: short}, short)
		require.NotEmpty(t, (&await.PanicError{Key: strings.Repeat("\x80", 1000)}).Error()) // no text at all
	})
	t.Run("has a pointer's address in its text, and not what is there", func(t *testing.T) {
		type request struct{ secret string }
		key := &request{"password"}
		err := &await.PanicError{Key: key, Value: 1}
		require.ErrorContains(t, err, fmt.Sprintf("%p", key))
		require.NotContains(t, err.Error(), "password")
	})
	t.Run("of a sequence says so, and has no key", func(t *testing.T) {
		raised := raisedBy(t, func() {
			for range await.AsCompletedSeq(t.Context(), func(func(int, await.Task[int]) bool) { explode("boom") }) {
			}
		})
		requirePanicError(t, raised, nil, "boom")
		require.ErrorContains(t, raised, "sequence")
	})
	t.Run("of an option's function says so, and has no key", func(t *testing.T) {
		for name, option := range map[string]await.Option{
			"OnCancel":  await.OnCancel(func() { explode("boom") }),
			"OnDiscard": await.OnDiscard(func(int) { explode("boom") }),
		} {
			synctest.Test(t, func(t *testing.T) {
				raised := raisedBy(t, func() {
					for range await.AsCompleted(t.Context(), seconds(1, 2), option) {
						break
					}
				})
				requirePanicError(t, raised, nil, "boom")
				require.True(t, strings.HasPrefix(raised.Error(), "await: a function of "+name+" panicked: boom\n"), raised)
			})
		}
	})
	t.Run("has a text without a key too", func(t *testing.T) {
		require.ErrorContains(t, &await.PanicError{Value: "boom"}, "task <nil> panicked: boom")
	})
	t.Run("unwraps to a value that is an error", func(t *testing.T) {
		require.Equal(t, tasktest.ErrBoom, errors.Unwrap(&await.PanicError{Value: tasktest.ErrBoom}))
		require.NoError(t, errors.Unwrap(&await.PanicError{Value: "boom"}))
		require.NoError(t, errors.Unwrap(&await.PanicError{}))
	})
	t.Run("has at most ten further panics in full, and then their number", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			for _, n := range []int{11, 12, 1000} {
				tasks := make([]await.Task[int], n)
				for i := range tasks {
					tasks[i] = exploding(time.Second, fmt.Sprintf("<panic %d>", i)) // all at once
				}
				text := raisedBy(t, func() { d.run(t, t.Context(), tasks) }).Error()
				require.Equal(t, 1+10, strings.Count(text, "<panic "))
				require.Equal(t, 1+10, strings.Count(text, "await_test.explode("))
				require.Equal(t, n > 11, strings.Contains(text, fmt.Sprintf("\nfurther panics: %d\n", n-1-10)), n)
				require.Less(t, len(text), 64<<10)
			}
		})
	})
	t.Run("has every one of a few further panics in full", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			raised := raisedBy(t, func() {
				d.run(t, t.Context(), []await.Task[int]{exploding(time.Second, "<first>"), exploding(2*time.Second, "<second>"), exploding(3*time.Second, "<third>")})
			})
			require.Equal(t, "<first>", raised.Value)
			require.Equal(t, 0, raised.Key)
			for _, text := range []string{"<first>", "<second>", "<third>"} {
				require.Equal(t, 1, strings.Count(raised.Error(), text))
			}
		})
	})
}

func TestPanic(t *testing.T) {
	t.Run("is raised when the others have returned, and is their cause", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			start := time.Now()
			var cause error
			raised := raisedBy(t, func() {
				d.run(t, t.Context(), []await.Task[int]{exploding(time.Second, "boom"), lingering(time.Second, &cause)})
			})
			require.Equal(t, 2*time.Second, time.Since(start))
			require.Same(t, raised, cause)
		})
	})
	t.Run("lets nothing further start", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			var c counter
			tasktest.PanicOf(t, func() {
				d.run(t, t.Context(), c.wrap(exploding(time.Second, "boom"), tasktest.Deaf(0, 1), tasktest.Deaf(0, 2)), await.Limit(1))
			})
			require.EqualValues(t, 1, c.started.Load())
		})
	})
	t.Run("may be any value", func(t *testing.T) {
		var none []int
		for name, test := range map[string]struct {
			task  await.Task[int]
			check func(*testing.T, *await.PanicError)
		}{
			"nil": {exploding(0, nil), func(t *testing.T, raised *await.PanicError) {
				var nilError *runtime.PanicNilError
				require.ErrorAs(t, raised, &nilError)
				require.Contains(t, string(raised.Stack), "await_test.explode(")
			}},
			"an error": {exploding(0, fmt.Errorf("wrapped: %w", tasktest.ErrBoom)), func(t *testing.T, raised *await.PanicError) {
				require.ErrorIs(t, raised, tasktest.ErrBoom)
			}},
			"a runtime error": {func(context.Context) (int, error) { return none[0], nil }, func(t *testing.T, raised *await.PanicError) {
				var runtimeError runtime.Error
				require.ErrorAs(t, raised, &runtimeError)
				require.ErrorContains(t, raised, "index out of range")
			}},
			"during a Goexit": {func(context.Context) (int, error) {
				defer explode("cleanup failed")
				runtime.Goexit()
				return 0, nil
			}, func(t *testing.T, raised *await.PanicError) {
				require.Equal(t, "cleanup failed", raised.Value)
			}},
			"that of a nested call": {func(ctx context.Context) (int, error) {
				await.Settle(ctx, []await.Task[int]{exploding(0, tasktest.ErrBoom)})
				return 0, nil
			}, func(t *testing.T, raised *await.PanicError) {
				require.ErrorIs(t, raised, tasktest.ErrBoom)
				require.ErrorContains(t, raised, "await_test.explode(", "the innermost stack is in the text")
			}},
		} {
			t.Run(name, func(t *testing.T) {
				eachDoor(t, func(t *testing.T, d door) {
					raised := raisedBy(t, func() { d.run(t, t.Context(), []await.Task[int]{tasktest.After(time.Second, 1), test.task}) })
					test.check(t, raised)
				})
			})
		}
	})
	t.Run("of nil is a panic with the GODEBUG panicnil=1 too", func(t *testing.T) {
		if !tasktest.IsChild(t) {
			output, err := tasktest.RunChild(t, "GODEBUG=panicnil=1")
			require.NoError(t, err, output)
			return
		}
		eachDoor(t, func(t *testing.T, d door) {
			var cause error
			raised := raisedBy(t, func() { d.run(t, t.Context(), []await.Task[int]{exploding(time.Second, nil), lingering(0, &cause)}) })
			require.Same(t, raised, cause)
			require.Nil(t, raised.Value)
			require.Contains(t, string(raised.Stack), "await_test.explode(")
			if !d.failsFast() {
				results := d.run(t, t.Context(), []await.Task[int]{exploding(0, nil), tasktest.Exiting[int](0)}, await.Recover())
				requirePanicError(t, results[0].Err, 0, nil)
				require.Equal(t, await.ErrGoexit, results[1].Err)
			}
		})
		raised := raisedBy(t, func() {
			for range await.AsCompletedSeq(t.Context(), func(func(int, await.Task[int]) bool) { explode(nil) }) {
			}
		})
		require.Nil(t, raised.Value, "of a sequence too, where runtime.Goexit is ErrGoexit")
	})
	t.Run("is raised although the context has ended, or a task has failed", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			for _, ctx := range []context.Context{endsAfter(t, time.Second), t.Context()} {
				raised := raisedBy(t, func() {
					d.run(t, ctx, []await.Task[int]{tasktest.Failing[int](time.Second, tasktest.ErrBoom), exploding(2*time.Second, "late")})
				})
				require.Equal(t, "late", raised.Value)
			}
		})
	})
}

func TestGoexit(t *testing.T) {
	t.Run("is the error of its task, and costs no slot of a limit", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			for limit := 1; limit <= 3; limit++ {
				start := time.Now()
				var c counter
				results := d.run(t, t.Context(), c.wrap(slices.Repeat([]await.Task[int]{tasktest.After(time.Second, 7), tasktest.Exiting[int](time.Second)}, 6)...), await.Limit(limit))
				require.EqualValues(t, limit, c.peak.Load())
				require.Equal(t, await.ErrGoexit, results[1].Err)
				if d.failsFast() {
					continue
				}
				require.Equal(t, time.Duration(12/limit)*time.Second, time.Since(start))
				require.Equal(t, slices.Repeat([]await.Result[int]{{Value: 7}, {Err: await.ErrGoexit}}, 6), results)
			}
		})
	})
	t.Run("fails a Gather as any error does", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			var cause error
			_, err := gather(t.Context(), lingering(time.Second, &cause), tasktest.Exiting[int](time.Second))
			requireTaskError(t, err, 1, await.ErrGoexit)
			require.Same(t, err, cause)
			require.Equal(t, 2*time.Second, time.Since(start))
		})
	})
	t.Run("in the place of a panic is a Goexit", func(t *testing.T) {
		eachDoor(t, func(t *testing.T, d door) {
			results := d.run(t, t.Context(), []await.Task[int]{func(context.Context) (int, error) {
				defer runtime.Goexit()
				panic("aborted, as in any goroutine")
			}})
			require.Equal(t, []await.Result[int]{{Err: await.ErrGoexit}}, results)
		})
	})
}

func TestBadArguments(t *testing.T) {
	var c counter
	task := c.one(tasktest.Deaf(0, 1))
	good := []await.Task[int]{task, task, task}
	var noContext context.Context

	// Each call is made, and no loop is ranged over.
	ctx := t.Context()
	calls := map[string]func(ctx context.Context, tasks []await.Task[int], opts ...await.Option){
		"AsCompleted": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.AsCompleted(ctx, tasks, opts...)
		},
		"InOrder": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.InOrder(ctx, tasks, opts...)
		},
		"AsCompletedSeq": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.AsCompletedSeq(ctx, slices.All(tasks), opts...)
		},
		"InOrderSeq": func(ctx context.Context, tasks []await.Task[int], opts ...await.Option) {
			await.InOrderSeq(ctx, slices.All(tasks), opts...)
		},
		"Queue": func(ctx context.Context, _ []await.Task[int], opts ...await.Option) {
			new(await.Queue[int, int]).AsCompleted(ctx, opts...)
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
	for name, call := range calls {
		t.Run("panic at the call: "+name, func(t *testing.T) {
			requireBadInput(t, "context", func() { call(noContext, good) })
			requireBadInput(t, "context", func() { call(noContext, good, await.Limit(1), await.Detach()) })
			requireBadInput(t, "option 0", func() { call(ctx, good, nil) })
			requireBadInput(t, "option 2", func() { call(ctx, good, await.Limit(1), await.Detach(), nil) })
			for i := range good {
				if name == "Gather2" && i == 2 || name == "Queue" || strings.HasSuffix(name, "Seq") {
					continue
				}
				tasks := slices.Clone(good)
				tasks[i] = nil
				requireBadInput(t, fmt.Sprint("task ", i), func() { call(ctx, tasks) })
				requireBadInput(t, fmt.Sprint("task ", i), func() { call(ctx, tasks, await.Detach()) })
			}
		})
	}
	t.Run("panic also where there is nothing to run", func(t *testing.T) {
		for _, d := range doors {
			requireBadInput(t, "context", func() { d.run(t, noContext, nil) })
		}
	})
	t.Run("panic at the call: a nil sequence", func(t *testing.T) {
		requireBadInput(t, "sequence", func() { await.AsCompletedSeq[int, int](t.Context(), nil) })
		requireBadInput(t, "sequence", func() { await.InOrderSeq[int, int](t.Context(), nil) })
	})
	t.Run("panic at the call of an option", func(t *testing.T) {
		requireBadInput(t, "Limit(0)", func() { await.Limit(0) })
		requireBadInput(t, "Limit(-1)", func() { await.Limit(-1) })
		requireBadInput(t, "Buffer(-1)", func() { await.Buffer(-1) })
		requireBadInput(t, "NewLimiter(0)", func() { await.NewLimiter(0) })
		requireBadInput(t, "NewLimiter(-1)", func() { await.NewLimiter(-1) })
		requireBadInput(t, "Within", func() { await.Within(nil) })
		requireBadInput(t, "NewLimiter", func() { await.Within(new(await.Limiter)) })
		requireBadInput(t, "OnCancel: the function", func() { await.OnCancel(nil) })
		requireBadInput(t, "OnDiscard: the function", func() { await.OnDiscard[int](nil) })
	})
	t.Run("panic when a sequence offers a nil task, named by its key", func(t *testing.T) {
		for _, w := range ways {
			if !w.seq {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				raised := tasktest.PanicOf(t, func() {
					for range w.loop(t, t.Context(), []await.Task[int]{tasktest.Deaf(0, 1), nil}) {
					}
				})
				text := fmt.Sprint(raised)
				require.Contains(t, text, "await: ")
				require.Contains(t, text, "nil")
				require.Contains(t, text, "1")
			})
		}
	})
	require.Zero(t, c.started.Load())
}
