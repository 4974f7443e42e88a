package await

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/ascompleted/await/internal/crew"
)

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
	s.Crew.Init(ctx, config, &s.List, sink)
	s.Start()
	s.Wait()
	s.Stop()
}

// gathering is the sink of Gather.
type gathering[T any] struct {
	slots[T]
	values []T
	failed atomic.Pointer[TaskError] // the first error in time
}

func (g *gathering[T]) Put(n int, _ struct{}, value T, err error) {
	if err == nil {
		g.values[n] = value
		return
	}
	failed := &TaskError{n, err}
	if g.failed.CompareAndSwap(nil, failed) {
		g.Cancel(failed)
	}
}

// gatherDetached leaves tasks behind that may still return, so they must not
// write into what Gather has returned: their results come through a stream.
func gatherDetached[T any](ctx context.Context, tasks []Task[T], opts []Option) ([]T, error) {
	r := newRun(ctx, tasks, opts)
	defer r.Stop()
	r.Start()
	values := make([]T, len(tasks))
	var failed *TaskError
	for item, ok := r.Next(); ok; item, ok = r.Next() {
		r.Took()
		if item.Err == nil {
			values[item.N] = item.Value
		} else if failed == nil {
			failed = &TaskError{item.N, item.Err}
			r.Cancel(failed)
		}
	}
	if i := r.Claimed(); failed == nil && i < len(tasks) {
		failed = &TaskError{i, notStarted(r.Cause())}
	}
	if failed != nil {
		return values, failed
	}
	return values, nil
}

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

func (s *settling[T]) Put(n int, _ struct{}, value T, err error) {
	s.results[n] = Result[T]{value, err}
}

func Gather2[A, B any](ctx context.Context, a Task[A], b Task[B], opts ...Option) (A, B, error) {
	values, err := Gather(ctx, []Task[any]{boxed(0, a), boxed(1, b)}, opts...)
	return unboxed[A](values[0]), unboxed[B](values[1]), err
}

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
