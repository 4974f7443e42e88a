package await

import (
	"context"
	"iter"
)

func InOrder[T any](ctx context.Context, tasks []Task[T], opts ...Option) iter.Seq2[int, Result[T]] {
	check(ctx, tasks, opts)
	return func(yield func(int, Result[T]) bool) { inOrder(ctx, tasks, opts, yield) }
}

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
