package await_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/require"
)

// double is a function for tasks. It fails for 13.
func double(_ context.Context, n int) (int, error) {
	if n == 13 {
		return n, tasktest.ErrBoom
	}
	return 2 * n, nil
}

// runAll runs the tasks of a sequence one after another.
func runAll[K any](t *testing.T, tasks iter.Seq2[K, await.Task[int]]) (keys []K, results []await.Result[int]) {
	t.Helper()
	for key, task := range tasks {
		value, err := task(t.Context())
		keys = append(keys, key)
		results = append(results, await.Result[int]{Value: value, Err: err})
	}
	return keys, results
}

// untouched is a sequence of which nothing may be asked.
func untouched[V any](t *testing.T) iter.Seq[V] {
	t.Helper()
	return func(func(V) bool) { t.Error("the inputs were ranged over") }
}

func TestTasks(t *testing.T) {
	t.Run("makes a task for each input, with the same index", func(t *testing.T) {
		inputs := []int{3, 13, 3, 0}
		tasks := await.Tasks(inputs, double)
		clear(inputs) // each task has its input already
		_, results := runAll(t, slices.All(tasks))
		require.Equal(t, []await.Result[int]{{Value: 6}, {Value: 13, Err: tasktest.ErrBoom}, {Value: 6}, {Value: 0}}, results)
	})
	t.Run("of no inputs is no tasks", func(t *testing.T) {
		require.Empty(t, await.Tasks(nil, double))
	})
	t.Run("calls nothing itself, and gives the function the task's context", func(t *testing.T) {
		type key struct{}
		calls := 0
		tasks := await.Tasks([]int{1}, func(ctx context.Context, n int) (any, error) { calls++; return ctx.Value(key{}), nil })
		require.Zero(t, calls)
		value, err := tasks[0](context.WithValue(t.Context(), key{}, "value"))
		require.NoError(t, err)
		require.Equal(t, "value", value)
	})
	t.Run("panics if the function is nil", func(t *testing.T) {
		requireBadInput(t, "Tasks: the function", func() { await.Tasks[int, int](nil, nil) })
	})
}

func TestTimes(t *testing.T) {
	t.Run("makes n tasks, from 0 to n-1", func(t *testing.T) {
		_, results := runAll(t, slices.All(await.Times(14, double)))
		require.Len(t, results, 14)
		for i, result := range results[:13] {
			require.Equal(t, await.Result[int]{Value: 2 * i}, result)
		}
		require.Equal(t, await.Result[int]{Value: 13, Err: tasktest.ErrBoom}, results[13])
	})
	t.Run("of 0 is no tasks", func(t *testing.T) {
		require.Empty(t, await.Times(0, double))
	})
	t.Run("fills a slice by index, and needs no lock for it", func(t *testing.T) {
		squares := make([]int, 100)
		_, err := await.Gather(t.Context(), await.Times(len(squares), func(_ context.Context, i int) (struct{}, error) {
			squares[i] = i * i
			return struct{}{}, nil
		}), await.Limit(4))
		require.NoError(t, err)
		for i, square := range squares {
			require.Equal(t, i*i, square)
		}
	})
	t.Run("panics if n is negative or the function is nil", func(t *testing.T) {
		requireBadInput(t, "Times: the number of tasks is negative: -1", func() { await.Times(-1, double) })
		requireBadInput(t, "Times: the function", func() { await.Times[int](0, nil) })
	})
}

func TestTaskSeq(t *testing.T) {
	t.Run("pairs each input with its task", func(t *testing.T) {
		keys, results := runAll(t, await.TaskSeq(slices.Values([]int{3, 13, 3}), double))
		require.Equal(t, []int{3, 13, 3}, keys)
		require.Equal(t, []await.Result[int]{{Value: 6}, {Value: 13, Err: tasktest.ErrBoom}, {Value: 6}}, results)
	})
	t.Run("asks for an input when a task is asked for, and for none after the last", func(t *testing.T) {
		asked, left := 0, false
		inputs := func(yield func(int) bool) {
			defer func() { left = true }()
			for {
				asked++
				if !yield(asked) {
					return
				}
			}
		}
		for key := range await.TaskSeq(inputs, double) {
			require.Equal(t, asked, key)
			if key == 3 {
				break
			}
		}
		require.Equal(t, 3, asked)
		require.True(t, left)
	})
	t.Run("panics if the inputs or the function are nil", func(t *testing.T) {
		requireBadInput(t, "TaskSeq: the sequence", func() { await.TaskSeq(nil, double) })
		requireBadInput(t, "TaskSeq: the function", func() { await.TaskSeq[int, int](untouched[int](t), nil) })
	})
}

func TestTaskSeq2(t *testing.T) {
	failing := func(yield func(int, error) bool) {
		_ = yield(3, nil) && yield(4, errors.New("unreadable")) && yield(13, nil) && yield(5, nil)
	}
	t.Run("gives an input with an error a task that returns the error and does not call the function", func(t *testing.T) {
		var called []int
		keys, results := runAll(t, await.TaskSeq2(failing, func(ctx context.Context, n int) (int, error) {
			called = append(called, n)
			return double(ctx, n)
		}))
		require.Equal(t, []int{3, 4, 13, 5}, keys)
		require.Equal(t, []await.Result[int]{{Value: 6}, {Err: errors.New("unreadable")}, {Value: 13, Err: tasktest.ErrBoom}, {Value: 10}}, results)
		require.Equal(t, []int{3, 13, 5}, called)
	})
	t.Run("lets a loop see that its input broke off", func(t *testing.T) {
		results := maps.Collect(await.AsCompletedSeq(t.Context(), await.TaskSeq2(failing, double), await.Limit(2)))
		require.Equal(t, await.Result[int]{Err: errors.New("unreadable")}, results[4])
		require.Len(t, results, 4)
	})
	t.Run("asks for no input after the last task was taken", func(t *testing.T) {
		asked := 0
		for range await.TaskSeq2(func(yield func(int, error) bool) {
			for asked++; yield(asked, nil); asked++ {
			}
		}, double) {
			break
		}
		require.Equal(t, 1, asked)
	})
	t.Run("panics if the inputs or the function are nil", func(t *testing.T) {
		requireBadInput(t, "TaskSeq2: the sequence", func() { await.TaskSeq2(nil, double) })
		requireBadInput(t, "TaskSeq2: the function", func() { await.TaskSeq2[int, int](failing, nil) })
	})
}

func TestNoValue(t *testing.T) {
	check := await.NoValue(func(_ context.Context, name string) error {
		if name == "bad" {
			return tasktest.ErrBoom
		}
		return nil
	})
	t.Run("lets Gather return the first error", func(t *testing.T) {
		_, err := await.Gather(t.Context(), await.Tasks([]string{"good", "bad"}, check))
		requireTaskError(t, err, 1, tasktest.ErrBoom)
		_, err = await.Gather(t.Context(), await.Tasks([]string{"good", "good"}, check))
		require.NoError(t, err)
	})
	t.Run("lets Settle and a loop return them all", func(t *testing.T) {
		require.Equal(t, []await.Result[struct{}]{{Err: tasktest.ErrBoom}, {}},
			await.Settle(t.Context(), await.Tasks([]string{"bad", "good"}, check)))
		got := maps.Collect(await.AsCompletedSeq(t.Context(), await.TaskSeq(slices.Values([]string{"bad", "good"}), check)))
		require.Equal(t, map[string]await.Result[struct{}]{"bad": {Err: tasktest.ErrBoom}, "good": {}}, got)
	})
	t.Run("panics if the function is nil", func(t *testing.T) {
		requireBadInput(t, "NoValue: the function", func() { await.NoValue[int](nil) })
	})
}
