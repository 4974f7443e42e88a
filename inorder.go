package await

import (
	"context"
	"iter"
)

// InOrder yields the index and the result of every task in input order, each
// as soon as it and all before it are there. The tasks run at the same time,
// as with [AsCompleted], of which everything else said holds too.
//
// Results that finish before their turn wait; with [Limit] l and [Buffer] b at
// most l + b tasks are started and not yet yielded, whatever the first of them
// does. When ctx ends, the tasks that have begun still come with what they
// return; those after them have an error that matches [ErrNotStarted].
//
// InOrder panics at once if ctx, a task or an option is nil.
func InOrder[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) { inOrder(ctx, tasks, opts, yield) }
}

// inOrder is the loop of InOrder.
func inOrder[T any](ctx context.Context, tasks []Task[T], opts []Option, yield func(int, Result[T]) bool) {
	r := newRun(ctx, tasks, opts)
	defer r.Stop()
	r.Start()
	type slot struct {
		result Result[T]
		done   bool
	}
	slots := make([]slot, len(tasks))
	head := 0 // the task to yield next
	for item, ok := r.Next(); ok; item, ok = r.Next() {
		slots[item.N] = slot{Result[T]{item.Value, item.Err}, true}
		for head < len(slots) && slots[head].done && !r.Panicked() {
			r.Took()
			result := slots[head].result
			slots[head].result = Result[T]{} // the loop keeps it or nobody does
			head++
			if !yield(head-1, result) {
				return
			}
		}
	}
	r.unstarted(yield)
}
