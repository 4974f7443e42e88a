package await

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

// Gather runs the tasks concurrently and returns their values in input order,
// or the first error.
//
// Gather blocks until every task that has started has returned. The error that
// happened first wins: it is returned as a [*TaskError] with the index of its
// task. The other tasks are canceled at once, with that *TaskError as the
// cause, and nothing further starts. Errors that the other tasks return because
// of the cancellation never replace the first one. If ctx ends before any task
// fails, the error is that of the first task to fail afterwards, or else of the
// first task that did not start, with [ErrNotStarted]. If all tasks succeed,
// the error is nil.
//
// The slice always has one element per task: its value if it succeeded, else
// zero ([Settle] tells which is which). If values must be closed, the caller
// has to close those in the slice even if there is an error. For no tasks the
// slice is empty, and the error is nil. The tasks' returns happen before that
// of Gather. A value that is tied to the tasks' context, such as a response
// with an unread body, cannot be used after the call. With [Detach], Gather
// does not wait for running tasks, and their values are zero.
//
// A task's panic is raised again; see "Panics" in the package documentation.
// Gather panics at once if ctx, a task or an option is nil.
func Gather[T any](ctx context.Context, tasks []Task[T], opts ...Option) ([]T, error) {
	opts = check(ctx, tasks, opts)
	values := make([]T, len(tasks))
	err := crew.Gather(ctx, settings(opts), tasks, values)
	return values, err
}

// Settle runs the tasks concurrently and returns every outcome, in input order.
// A failed task does not cancel the others.
//
// Settle blocks until every task that has started has returned. There is one
// result per task, in one of three states: a value; an error; or, if ctx ended
// before the task started, [ErrNotStarted]. For no tasks the slice is empty.
// The tasks' returns happen before that of Settle. A value that is tied to the
// tasks' context cannot be used after the call. With [Detach], Settle does not
// wait for tasks that still run when ctx ends; they have an error.
//
// A task's panic is raised again; see "Panics" in the package documentation.
// Settle panics at once if ctx, a task or an option is nil.
func Settle[T any](ctx context.Context, tasks []Task[T], opts ...Option) []Result[T] {
	opts = check(ctx, tasks, opts)
	values, errs := make([]T, len(tasks)), make([]error, len(tasks))
	crew.Settle(ctx, settings(opts), tasks, values, errs)
	results := make([]Result[T], len(tasks))
	for i := range results {
		results[i] = Result[T]{values[i], errs[i]}
	}
	return results
}

// Gather2 is [Gather] for two tasks of different types. It returns both values,
// zero for a task that did not succeed, and the first error: a [*TaskError]
// with index 0 or 1.
//
// Gather2 panics at once if ctx, a task or an option is nil, or if it is given
// [OnDiscard], whose function takes values of one type.
func Gather2[A, B any](ctx context.Context, a Task[A], b Task[B], opts ...Option) (A, B, error) {
	values, err := gatherBoxed(ctx, "Gather2", []Task[any]{boxed(0, a), boxed(1, b)}, opts)
	return unboxed[A](values[0]), unboxed[B](values[1]), err
}

// Gather3 is [Gather2] for three tasks.
func Gather3[A, B, C any](ctx context.Context, a Task[A], b Task[B], c Task[C], opts ...Option) (A, B, C, error) {
	values, err := gatherBoxed(ctx, "Gather3", []Task[any]{boxed(0, a), boxed(1, b), boxed(2, c)}, opts)
	return unboxed[A](values[0]), unboxed[B](values[1]), unboxed[C](values[2]), err
}

// gatherBoxed is Gather for tasks of different types.
func gatherBoxed(ctx context.Context, name string, tasks []Task[any], opts []Option) ([]any, error) {
	for i, opt := range opts {
		if _, ok := opt.(discarder); ok {
			panic(fmt.Sprintf("await: %s: option %d is OnDiscard, which takes values of one type", name, i))
		}
	}
	return Gather(ctx, tasks, opts...)
}

// boxed makes tasks of different types one type.
func boxed[T any](index int, task Task[T]) Task[any] {
	if task == nil {
		panic(nilTask(index))
	}
	return func(ctx context.Context) (any, error) { return task(ctx) }
}

// unboxed is the value that a boxed task returned; zero if it failed.
func unboxed[T any](value any) T {
	v, _ := value.(T)
	return v
}

// First ranges over results, such as those of [AsCompleted], and returns the
// key and the value of the first success. First leaves the loop there, so the
// other tasks are canceled and waited for (with [Detach], not waited for).
// Values of other tasks that succeed are dropped; to close them, pass
// [OnDiscard] to the call that yields the results. A value that is tied to its
// task's context cannot be used after First has returned.
//
// If every result is an error, First returns a zero key and value, and all
// errors joined (see [errors.Join]), each with its key: "task 3: connection
// refused". Tasks that did not start are counted in one line. If there are no
// results at all, First returns [ErrNoTasks]. Errors are held in memory until a
// task succeeds; then they are dropped.
//
// First panics at once if results is nil.
func First[K, T any](results iter.Seq2[K, Result[T]]) (K, T, error) {
	if results == nil {
		panic("await: First: the sequence of results is nil")
	}
	var failed []error
	var notStarted notStartedErrors
	for key, result := range results {
		if result.Err == nil {
			return key, result.Value, nil
		}
		if err, ok := result.Err.(*notStartedError); ok { //nolint:errorlint // of that very task, not of a nested call
			notStarted = append(notStarted, &keyError[K]{key, err})
		} else {
			failed = append(failed, &keyError[K]{key, result.Err})
		}
	}
	var key K
	var value T
	switch {
	case len(notStarted) == 1:
		failed = append(failed, notStarted[0])
	case len(notStarted) > 1:
		failed = append(failed, notStarted)
	case failed == nil:
		return key, value, ErrNoTasks
	}
	return key, value, errors.Join(failed...)
}
