package await

import (
	"context"
	"fmt"
	"iter"
)

// A Task is work that can run concurrently with other work. It should return
// soon after its context ends, because the end of a call waits for it. It may
// return a value, an error, or both.
//
// It is an alias, so a []func(context.Context) (T, error) is a []Task[T].
type Task[T any] = func(ctx context.Context) (T, error)

// Tasks makes one task for each input: the task with the same index, which
// calls fn with that input. fn may be called from several goroutines at once.
//
// The slice costs one allocation, and each task one closure.
//
// Tasks panics if fn is nil.
func Tasks[In, T any](inputs []In, fn func(context.Context, In) (T, error)) []Task[T] {
	if fn == nil {
		panic("await: Tasks: the function is nil")
	}
	tasks := make([]Task[T], len(inputs))
	for i, in := range inputs {
		tasks[i] = func(ctx context.Context) (T, error) { return fn(ctx, in) }
	}
	return tasks
}

// Times makes n tasks: task i calls fn with i, from 0 to n-1. fn may be called
// from several goroutines at once. The cost is that of [Tasks].
//
// Times panics if n is negative or fn is nil.
func Times[T any](n int, fn func(ctx context.Context, i int) (T, error)) []Task[T] {
	if n < 0 {
		panic(fmt.Sprintf("await: Times: the number of tasks is negative: %d", n))
	}
	if fn == nil {
		panic("await: Times: the function is nil")
	}
	tasks := make([]Task[T], n)
	for i := range tasks {
		tasks[i] = func(ctx context.Context) (T, error) { return fn(ctx, i) }
	}
	return tasks
}

// TaskSeq pairs each input with a task that calls fn with that input. An input
// is pulled only when its task is. fn may be called from several goroutines at
// once.
//
// TaskSeq panics if inputs or fn is nil.
func TaskSeq[In, T any](inputs iter.Seq[In], fn func(context.Context, In) (T, error)) iter.Seq2[In, Task[T]] {
	if inputs == nil {
		panic("await: TaskSeq: the sequence of inputs is nil")
	}
	if fn == nil {
		panic("await: TaskSeq: the function is nil")
	}
	return func(yield func(In, Task[T]) bool) {
		for in := range inputs {
			if !yield(in, func(ctx context.Context) (T, error) { return fn(ctx, in) }) {
				return
			}
		}
	}
}

// TaskSeq2 is [TaskSeq] for inputs that can fail, such as the lines of a file,
// the rows of a query or the pages of an API. An input that comes with an error
// makes a task that returns this error without calling fn, so the loop gets the
// error with that input as the key. (If the context of the call ends first, the
// result is [ErrNotStarted], as for any task that did not start.)
//
// TaskSeq2 panics if inputs or fn is nil.
func TaskSeq2[In, T any](inputs iter.Seq2[In, error], fn func(context.Context, In) (T, error)) iter.Seq2[In, Task[T]] {
	if inputs == nil {
		panic("await: TaskSeq2: the sequence of inputs is nil")
	}
	if fn == nil {
		panic("await: TaskSeq2: the function is nil")
	}
	return func(yield func(In, Task[T]) bool) {
		for in, err := range inputs {
			task := func(ctx context.Context) (T, error) { return fn(ctx, in) }
			if err != nil {
				task = func(context.Context) (value T, _ error) { return value, err }
			}
			if !yield(in, task) {
				return
			}
		}
	}
}

// NoValue adapts a function that returns only an error to [Tasks], [Times],
// [TaskSeq] and [TaskSeq2]:
//
//	_, err := await.Gather(ctx, await.Tasks(names, await.NoValue(remove)), await.Limit(8))
//
// NoValue panics if fn is nil.
func NoValue[In any](fn func(context.Context, In) error) func(context.Context, In) (struct{}, error) {
	if fn == nil {
		panic("await: NoValue: the function is nil")
	}
	return func(ctx context.Context, in In) (struct{}, error) { return struct{}{}, fn(ctx, in) }
}
