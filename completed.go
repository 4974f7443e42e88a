package await

import (
	"context"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

type Task[T any] = func(ctx context.Context) (T, error)

type Result[T any] struct {
	Value T
	Err   error
}

func AsCompleted[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) { asCompleted(ctx, tasks, opts, yield) }
}

func asCompleted[T any](ctx context.Context, tasks []Task[T], opts []Option, yield func(int, Result[T]) bool) {
	r := newRun(ctx, tasks, opts)
	defer r.Stop()
	r.Start()
	for item, ok := r.Next(); ok; item, ok = r.Next() {
		r.Took()
		if !yield(item.N, Result[T]{item.Value, item.Err}) {
			return
		}
	}
	r.unstarted(yield)
}

// run is one run of a list of tasks under a loop.
type run[T any] struct {
	crew.Stream[struct{}, T]
	crew.List[T]
}

func newRun[T any](ctx context.Context, tasks []Task[T], opts []Option) *run[T] {
	r := new(run[T])
	r.Tasks = tasks
	r.Init(ctx, settings(opts), &r.List, len(tasks))
	return r
}

// unstarted yields the tasks that never ran, in input order.
func (r *run[T]) unstarted(yield func(int, Result[T]) bool) {
	claimed := r.Claimed()
	if claimed == len(r.Tasks) || r.Panicked() {
		return
	}
	err := notStarted(r.Cause())
	for i := claimed; i < len(r.Tasks) && yield(i, Result[T]{Err: err}); i++ {
	}
}

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
