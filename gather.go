package await

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/ascompleted/await/internal/crew"
)

// Gather runs the tasks at the same time and returns their values in input
// order, or the first error.
//
// It blocks until every task that has started has returned. The first task to
// fail, in time, decides: the error is a [*TaskError] with its index; the
// other tasks are cancelled at once, with that error as the cause; nothing
// further starts; and whatever they return because of it never replaces the
// error. If ctx ends first, the error is that of a task that gave up, or of
// the first task that was not started; the latter matches [ErrNotStarted] and
// the cause of ctx.
//
// The slice always has one slot per task: the values of those that succeeded,
// and zero for the others ([Settle] tells which is which). What a task wrote
// is visible after the return. For no tasks it is empty, and the error is nil.
// A task's panic is raised again, as the package comment says. With [Detach],
// tasks that still run are not waited for, and their values are zero.
//
// Gather panics at once if ctx, a task or an option is nil.
func Gather[T any](ctx context.Context, tasks []Task[T], opts ...Option) ([]T, error) {
	check(ctx, tasks, opts)
	config := settings(opts)
	if config.Detach {
		return gatherDetached(ctx, tasks, opts)
	}
	g := &gathering[T]{values: make([]T, len(tasks))}
	g.run(ctx, tasks, config, g)
	if failed := g.failed.Load(); failed != nil {
		return g.values, failed
	}
	if i := g.Claimed(); i < len(tasks) {
		return g.values, &TaskError{i, notStarted(g.Cause())}
	}
	return g.values, nil
}

// slots is a run that nobody reads before its end: each task has a slot of
// its own to put its result into, and the caller waits once.
type slots[T any] struct {
	crew.Crew[struct{}, T]
	crew.List[T]
	crew.Gate
}

// run returns when all tasks have ended, or panics if one did. It does not run
// tasks on the caller's goroutine, though that would be faster still for a
// few: a task's runtime.Goexit would take the caller with it.
func (s *slots[T]) run(ctx context.Context, tasks []Task[T], config *crew.Config, sink crew.Sink[struct{}, T]) {
	s.Tasks = tasks
	s.Gate.Init()
	s.Crew.Init(ctx, config, crew.Within(ctx, &s.Crew, config, &s.List, false), sink)
	s.Start()
	s.Wait()
	s.Stop()
}

// gathering is the sink of Gather.
type gathering[T any] struct {
	slots[T]
	values []T
	failed failure
}

// Put fills slot n, or cancels the others.
func (g *gathering[T]) Put(n int, _ struct{}, value T, err error) {
	if err == nil {
		g.values[n] = value
		return
	}
	g.Cancel(g.failed.set(n, err))
}

// failure is the first error in time; nil while there is none.
type failure struct{ atomic.Pointer[TaskError] }

// set keeps the error of task n unless there was one before, and returns the
// first.
func (f *failure) set(n int, err error) *TaskError {
	f.CompareAndSwap(nil, &TaskError{n, err})
	return f.Load()
}

// gatherDetached leaves tasks behind that may still return, so they must not
// write into what Gather has returned: their results come through a stream.
func gatherDetached[T any](ctx context.Context, tasks []Task[T], opts []Option) ([]T, error) {
	r := newRun(ctx, tasks, opts)
	defer r.Stop()
	var failed failure
	fail := func(n int, err error) { r.Cancel(failed.set(n, err)) }
	r.Failed = fail // by the worker, before it starts another task
	r.Start()
	values := make([]T, len(tasks))
	for item, ok := r.Next(); ok; item, ok = r.Next() {
		r.Took()
		if item.Err == nil {
			values[item.N] = item.Value
		} else {
			fail(item.N, item.Err) // of a task that was left behind
		}
	}
	if i := r.Claimed(); i < len(tasks) {
		fail(i, notStarted(r.Cause()))
	}
	if f := failed.Load(); f != nil {
		return values, f
	}
	return values, nil
}

// Settle runs the tasks at the same time and returns every outcome, in input
// order. It never cancels: a failed task has no effect on the others.
//
// It blocks until every task that has started has returned. There is one
// result per task, in one of three states: a value; an error; or, if ctx ended
// before the task ran, an error that matches [ErrNotStarted] and the cause of
// ctx. What a task wrote is visible after the return. A task's panic is raised
// again, as the package comment says. With [Detach], tasks that still run
// when ctx ends are not waited for; their error is the cause of ctx.
//
// Settle panics at once if ctx, a task or an option is nil.
func Settle[T any](ctx context.Context, tasks []Task[T], opts ...Option) []Result[T] {
	check(ctx, tasks, opts)
	config := settings(opts)
	s := &settling[T]{results: make([]Result[T], len(tasks))}
	if config.Detach {
		for i, result := range AsCompleted(ctx, tasks, opts...) {
			s.results[i] = result
		}
		return s.results
	}
	s.run(ctx, tasks, config, s)
	if i := s.Claimed(); i < len(tasks) {
		err := notStarted(s.Cause())
		for ; i < len(tasks); i++ {
			s.results[i].Err = err
		}
	}
	return s.results
}

// settling is the sink of Settle.
type settling[T any] struct {
	slots[T]
	results []Result[T]
}

// Put fills slot n.
func (s *settling[T]) Put(n int, _ struct{}, value T, err error) {
	s.results[n] = Result[T]{value, err}
}

// Gather2 is [Gather] for two tasks of different types: it returns both
// values, or zero for those that did not succeed and the first error, a
// [*TaskError] with index 0 or 1.
func Gather2[A, B any](ctx context.Context, a Task[A], b Task[B], opts ...Option) (A, B, error) {
	values, err := Gather(ctx, []Task[any]{boxed(0, a), boxed(1, b)}, opts...)
	return unboxed[A](values[0]), unboxed[B](values[1]), err
}

// Gather3 is [Gather2] for three tasks.
func Gather3[A, B, C any](ctx context.Context, a Task[A], b Task[B], c Task[C], opts ...Option) (A, B, C, error) {
	values, err := Gather(ctx, []Task[any]{boxed(0, a), boxed(1, b), boxed(2, c)}, opts...)
	return unboxed[A](values[0]), unboxed[B](values[1]), unboxed[C](values[2]), err
}

// boxed makes tasks of different types one type.
func boxed[T any](index int, task Task[T]) Task[any] {
	if task == nil {
		panic(nilElement{"task", index})
	}
	return func(ctx context.Context) (any, error) { return task(ctx) }
}

// unboxed is the value that a boxed task returned; zero if it failed.
func unboxed[T any](value any) T {
	v, _ := value.(T)
	return v
}

// First returns the key and the value of the first success among results, as
// from [AsCompleted], and leaves the loop there: so the other tasks are
// cancelled and waited for (with [Detach]: not waited for). With [Limit], tasks
// after the winner may have started by then.
//
// If every result is an error, it returns all of them joined (see
// [errors.Join]), each with its key: "task 3: connection refused". If there
// are no results, it returns [ErrNoTasks]; a sequence or a [Queue] has none if
// its context has ended. It keeps every error it has met until the first
// success.
//
// It panics at once if results is nil.
func First[K, T any](results iter.Seq2[K, Result[T]]) (K, T, error) {
	if results == nil {
		panic("await: First: the sequence of results is nil")
	}
	var failed []error
	for key, result := range results {
		if result.Err == nil {
			return key, result.Value, nil
		}
		failed = append(failed, &keyError[K]{key, result.Err})
	}
	var key K
	var value T
	if failed == nil {
		return key, value, ErrNoTasks
	}
	return key, value, errors.Join(failed...)
}
